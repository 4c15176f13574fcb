package keda

// What we ship to a cluster, read by the types of Kubernetes and of KEDA: a misspelt field is an error.

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	kedav1alpha1 "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

func TestManifestsAreWhatKubernetesAndKedaUnderstand(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../deploy/[ekl]*/*.yaml")
	must(t, err)
	// Of tools whose types are not KEDA's: any shape will do.
	foreign := &map[string]any{}
	kinds := map[string]int{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		must(t, err)
		for _, document := range strings.Split(string(text), "\n---\n") {
			var content any
			must(t, yaml.Unmarshal([]byte(document), &content))
			if content == nil {
				continue // comments before the first object
			}
			var kind metav1.TypeMeta
			must(t, yaml.Unmarshal([]byte(document), &kind))
			kinds[kind.Kind]++
			object, known := map[string]any{
				"apps/v1/Deployment":                            &appsv1.Deployment{},
				"v1/Service":                                    &corev1.Service{},
				"policy/v1/PodDisruptionBudget":                 &policyv1.PodDisruptionBudget{},
				"v1/ConfigMap":                                  &corev1.ConfigMap{},
				"v1/ServiceAccount":                             &corev1.ServiceAccount{},
				"networking.k8s.io/v1/NetworkPolicy":            &networkingv1.NetworkPolicy{},
				"keda.sh/v1alpha1/ClusterTriggerAuthentication": &kedav1alpha1.ClusterTriggerAuthentication{},
				"cert-manager.io/v1/Issuer":                     foreign,
				"cert-manager.io/v1/Certificate":                foreign,
				"kustomize.config.k8s.io/v1beta1/Kustomization": foreign,
				"keda.sh/v1alpha1/ScaledObject":                 &kedav1alpha1.ScaledObject{},
				"keda.sh/v1alpha1/ScaledJob":                    &kedav1alpha1.ScaledJob{},
			}[kind.APIVersion+"/"+kind.Kind]
			if !known {
				t.Errorf("%s: %s is not checked yet: add its type here", file, kind.String())
				continue
			}
			if err := yaml.UnmarshalStrict([]byte(document), object); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
	if kinds["Deployment"] != 2 || kinds["ScaledObject"] == 0 {
		t.Errorf("only these were found: %v", kinds)
	}
}
