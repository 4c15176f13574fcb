package chart

// Helm as the tests use it, and what it renders as objects by the types of Kubernetes: a misspelt field is an error.

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	certmanager "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes/scheme"
)

const (
	chart   = "../../deploy/chart/plimsoll"
	release = "plimsoll"
)

// Both that people have; what they render is the same.
var helms = []string{"../../target/chart/helm3", "../../target/chart/helm4"}

// ClusterTriggerAuthentication has what the chart uses of KEDA's: its whole type is held against the plain manifests
// in tests/keda.
type ClusterTriggerAuthentication struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		SecretTargetRef []struct {
			Parameter string `json:"parameter"`
			Name      string `json:"name"`
			Key       string `json:"key"`
		} `json:"secretTargetRef"`
	} `json:"spec"`
}

func (trust *ClusterTriggerAuthentication) DeepCopyObject() runtime.Object { return trust }

// Of cert-manager and the Prometheus operator besides Kubernetes itself.
var strict = func() runtime.Decoder {
	types := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{scheme.AddToScheme, monitoring.AddToScheme, certmanager.AddToScheme} {
		if err := add(types); err != nil {
			panic(err)
		}
	}
	types.AddKnownTypes(schema.GroupVersion{Group: "keda.sh", Version: "v1alpha1"}, &ClusterTriggerAuthentication{})
	return serializer.NewCodecFactory(types, serializer.EnableStrict).UniversalDeserializer()
}()

type object struct {
	meta  metav1.Object
	kind  string
	value runtime.Object
}

// run is a command of Helm without a cluster, its output and what it complained of.
func run(t *testing.T, helm string, args ...string) (string, string, error) {
	t.Helper()
	return runIn(t, "/dev/null", helm, args...)
}

func runIn(t *testing.T, kubeconfig, helm string, args ...string) (string, string, error) {
	t.Helper()
	command := exec.Command(helm, args...)
	var out, complaint bytes.Buffer
	command.Stdout, command.Stderr = &out, &complaint
	// Not the user's own repositories.
	command.Env = []string{"HOME=" + t.TempDir(), "KUBECONFIG=" + kubeconfig}
	err := command.Run()
	return out.String(), complaint.String(), err
}

// rendered are the texts by Helm and file of values: each is asked for by a dozen tests.
var rendered sync.Map

// render is a rendering for a file of values, whose comment may name another namespace than KEDA's.
func render(t *testing.T, helm, values string) string {
	t.Helper()
	if text, known := rendered.Load(helm + values); known {
		return text.(string)
	}
	out, complaint, err := run(t, helm, "template", release, chart, "--namespace", namespace(t, values), "-f", values)
	if err != nil {
		t.Fatalf("%s: %v\n%s", values, err, complaint)
	}
	rendered.Store(helm+values, out)
	return out
}

func namespace(t *testing.T, values string) string {
	t.Helper()
	text, err := os.ReadFile(values)
	must(t, err)
	first, _, _ := strings.Cut(string(text), "\n")
	if name, found := strings.CutPrefix(first, "# namespace: "); found {
		return name
	}
	return "keda"
}

// objects are what a rendering has, read strictly.
func objects(t *testing.T, text string) []object {
	t.Helper()
	var all []object
	for _, document := range strings.Split("\n"+text, "\n---\n") {
		if strings.TrimSpace(withoutComments(document)) == "" {
			continue
		}
		value, kind, err := strict.Decode([]byte(document), nil, nil)
		if err != nil {
			t.Fatalf("%v in\n%s", err, document)
		}
		meta, ok := value.(metav1.Object)
		if !ok {
			t.Fatalf("%s has no metadata", kind)
		}
		all = append(all, object{meta, kind.Kind, value})
	}
	return all
}

func withoutComments(text string) string {
	var kept []string
	for line := range strings.SplitSeq(text, "\n") {
		if !strings.HasPrefix(line, "#") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n")
}

// of are the objects of one type.
func of[T runtime.Object](all []object) []T {
	var some []T
	for _, one := range all {
		if value, ok := one.value.(T); ok {
			some = append(some, value)
		}
	}
	return some
}

func cases(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("cases/*.yaml")
	must(t, err)
	if len(files) < 12 {
		t.Fatalf("only %d files of values were found", len(files))
	}
	return files
}

// each runs a test for each file of values, by its name.
func each(t *testing.T, test func(t *testing.T, values string, all []object)) {
	t.Helper()
	for _, values := range cases(t) {
		t.Run(strings.TrimSuffix(filepath.Base(values), ".yaml"), func(t *testing.T) {
			t.Parallel()
			test(t, values, objects(t, render(t, helms[1], values)))
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
