package main

import (
	"context"
	"fmt"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	keda "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	"github.com/kedacore/keda/v2/pkg/scalers/authentication"
	"github.com/kedacore/keda/v2/pkg/util"
)

// The object as the operator has it once it was reconciled: with the kind of its target looked up.
func (o *oracle) object(ctx context.Context, asked question) (keda.ScalableObject, []keda.ScaleTriggers, error) {
	key := client.ObjectKey{Namespace: asked.Namespace, Name: asked.Name}
	switch asked.Kind {
	case "ScaledObject":
		object := &keda.ScaledObject{}
		if err := o.client.Get(ctx, key, object); err != nil {
			return nil, nil, err
		}
		target := object.Spec.ScaleTargetRef
		kind, err := keda.ParseGVKR(o.client.RESTMapper(), target.APIVersion, target.Kind)
		if err != nil {
			return nil, nil, err
		}
		object.Status.ScaleTargetGVKR = &kind
		return object, object.Spec.Triggers, nil
	case "ScaledJob":
		object := &keda.ScaledJob{}
		err := o.client.Get(ctx, key, object)
		return object, object.Spec.Triggers, err
	default:
		return nil, nil, fmt.Errorf("kind %q", asked.Kind)
	}
}

// In the operator an informer of KEDA's own namespace; here a list of this moment.
func (o *oracle) authClients(ctx context.Context) (*authentication.AuthClientSet, error) {
	namespace, err := util.GetClusterObjectNamespace()
	if err != nil {
		return nil, err
	}
	secrets, err := o.core.CoreV1().Secrets(namespace).List(ctx, meta.ListOptions{})
	if err != nil {
		return nil, err
	}
	known := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	for i := range secrets.Items {
		if err := known.Add(&secrets.Items[i]); err != nil {
			return nil, err
		}
	}
	return &authentication.AuthClientSet{
		CoreV1Interface: o.core.CoreV1(),
		SecretLister:    listers.NewSecretLister(known),
	}, nil
}
