// KEDA's own answer to the question which credentials a trigger gets: its exported resolver, called in the order in which
// its operator calls it, with a client that reads the API server and no cache.
//
// A question is a line of JSON on stdin, its answer a line of JSON on stdout. As in KEDA's operator the environment says
// KEDA_CLUSTER_OBJECT_NAMESPACE and KEDA_RESTRICT_SECRET_ACCESS, once for the whole process, and KUBECONFIG the API server.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"

	"github.com/go-logr/logr"
	"k8s.io/client-go/kubernetes"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	runtimelog "sigs.k8s.io/controller-runtime/pkg/log"

	keda "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	"github.com/kedacore/keda/v2/pkg/scaling/resolver"
)

// One trigger of one object, and the settings of the operator that may differ from question to question.
type question struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Trigger   int    `json:"trigger"`
	// The operator's `--filepath-auth-root-path`.
	FilePathRoot string `json:"filePathRoot"`
}

type answer struct {
	// In base64: values are bytes.
	Params      map[string][]byte     `json:"params"`
	PodIdentity *keda.AuthPodIdentity `json:"podIdentity,omitempty"`
	// The variables behind `…FromEnv`.
	Environment map[string][]byte `json:"environment"`
	// Why KEDA does not build the trigger's scaler, and with it none of the object's.
	Error string `json:"error,omitempty"`
}

func main() {
	runtimelog.SetLogger(logr.Discard())
	o, err := newOracle()
	if err != nil {
		log.Fatal(err)
	}
	lines := bufio.NewScanner(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var asked question
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			log.Fatalf("%s: %v", lines.Text(), err)
		}
		if err := out.Encode(o.answer(context.Background(), asked)); err != nil {
			log.Fatal(err)
		}
	}
	if err := lines.Err(); err != nil {
		log.Fatal(err)
	}
}

type oracle struct {
	client client.Client
	core   *kubernetes.Clientset
}

func newOracle() (*oracle, error) {
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		return nil, err
	}
	config.QPS = -1
	config.WarningHandler = rest.NoWarnings{}
	scheme := clientscheme.Scheme
	if err := keda.AddToScheme(scheme); err != nil {
		return nil, err
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, err
	}
	core, err := kubernetes.NewForConfig(config)
	return &oracle{c, core}, err
}

func (o *oracle) answer(ctx context.Context, asked question) answer {
	resolver.SetConfig(&resolver.Config{FilePathAuthRootPath: asked.FilePathRoot, ServiceAccountTokenMode: "legacy"})
	found := answer{}
	if err := o.resolve(ctx, asked, &found); err != nil {
		found.Error = err.Error()
	}
	return found
}

// What `buildScalers` of KEDA's pkg/scaling does before it makes a scaler.
func (o *oracle) resolve(ctx context.Context, asked question, found *answer) (err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			err = fmt.Errorf("KEDA panics: %v", panicked)
		}
	}()
	object, triggers, err := o.object(ctx, asked)
	if err != nil {
		return err
	}
	if asked.Trigger >= len(triggers) {
		return fmt.Errorf("%s has %d triggers", asked.Name, len(triggers))
	}
	template, container, err := resolver.ResolveScaleTargetPodSpec(ctx, o.client, object)
	if err != nil {
		return err
	}
	secrets, err := o.authClients(ctx)
	if err != nil {
		return err
	}
	if template != nil {
		variables, err := resolver.ResolveContainerEnv(ctx, o.client, logr.Discard(), &template.Spec, container,
			asked.Namespace, secrets.SecretLister)
		if err != nil {
			return fmt.Errorf("error resolving secrets for ScaleTarget: %w", err)
		}
		found.Environment = bytes(variables)
	}
	params, identity, err := resolver.ResolveAuthRefAndPodIdentity(ctx, o.client, logr.Discard(),
		triggers[asked.Trigger].AuthenticationRef, template, asked.Namespace, secrets)
	found.Params, found.PodIdentity = bytes(params), &identity
	return err
}

func bytes(texts map[string]string) map[string][]byte {
	found := make(map[string][]byte, len(texts))
	for name, text := range texts {
		found[name] = []byte(text)
	}
	return found
}
