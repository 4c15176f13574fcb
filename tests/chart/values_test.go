package chart

// The values, their schema and what is made of both say the same.

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"
)

type node struct {
	Ref                  string          `json:"$ref"`
	Properties           map[string]node `json:"properties"`
	AdditionalProperties any             `json:"additionalProperties"`
	Defs                 map[string]node `json:"$defs"`
}

func TestTheSchemaKnowsEveryValueAndNoOther(t *testing.T) {
	var root node
	text, err := os.ReadFile(filepath.Join(chart, "values.schema.json"))
	must(t, err)
	must(t, json.Unmarshal(text, &root))
	text, err = os.ReadFile(filepath.Join(chart, "values.yaml"))
	must(t, err)
	var values map[string]any
	must(t, yaml.UnmarshalStrict(text, &values))
	// For a parent chart.
	delete(root.Properties, "global")
	delete(root.Properties, "enabled")

	// What is only allowed and has no default: objects of Kubernetes.
	open := []string{"strategy", "resources", "readinessProbe", "livenessProbe", "affinity", "dnsConfig", "tls.certManager.issuerRef"}
	var compare func(at string, schema node, values map[string]any)
	compare = func(at string, schema node, values map[string]any) {
		if name, found := strings.CutPrefix(schema.Ref, "#/$defs/"); found {
			schema = root.Defs[name]
		}
		if schema.Properties == nil || slices.Contains(open, strings.TrimPrefix(at, ".")) {
			return
		}
		if schema.AdditionalProperties != false {
			t.Errorf("%s: a misspelt key would be let through", at)
		}
		known, given := slices.Sorted(maps.Keys(schema.Properties)), slices.Sorted(maps.Keys(values))
		if !slices.Equal(known, given) {
			t.Errorf("%s: the schema has %v, values.yaml %v", at, known, given)
		}
		for key, value := range values {
			if below, is := value.(map[string]any); is {
				compare(at+"."+key, schema.Properties[key], below)
			}
		}
	}
	compare("", root, values)
}

func TestWhatIsMadeOfTheChartIsFresh(t *testing.T) {
	out, err := exec.Command("../../deploy/manifests", "--check").CombinedOutput()
	if err != nil {
		t.Errorf("%s", out)
	}
}

func TestTheNotesHaveAScaledObjectForThisRelease(t *testing.T) {
	table := []struct{ namespace, set, address, trust string }{
		{"keda", "server.log=info", "plimsoll.keda.svc:6000", ""},
		{"scaling", "fullnameOverride=scaler,ports.grpc=16000", "scaler.scaling.svc:16000", ""},
		{"keda", "tls.source=selfSigned", "plimsoll.keda.svc:6000", "plimsoll"},
		{"keda", "tls.source=secret,tls.secretName=a,tls.clusterTriggerAuthentication.create=false", "plimsoll.keda.svc:6000", ""},
	}
	// Helm 3 asks a cluster even so.
	for _, helm := range helms[1:] {
		for _, row := range table {
			out, complaint, err := run(t, helm, "install", release, chart, "--dry-run=client", "--namespace", row.namespace, "--set", row.set)
			if err != nil {
				t.Fatalf("%s: %s: %s", helm, row.set, complaint)
			}
			_, notes, _ := strings.Cut(out, "NOTES:\n")
			_, example, _ := strings.Cut(notes, "docs/backends/ has every other key):\n")
			example, _, _ = strings.Cut(example, "What it sees:")
			var object struct {
				Kind string
				Spec struct {
					Triggers []struct {
						Metadata          map[string]string
						AuthenticationRef struct{ Name, Kind string }
					}
				}
			}
			if err := yaml.Unmarshal([]byte(example), &object); err != nil || object.Kind != "ScaledObject" {
				t.Fatalf("%s: %v: %s", row.set, err, out)
			}
			trigger := object.Spec.Triggers[0]
			encrypted := strings.Contains(row.set, "tls.source")
			if trigger.Metadata["scalerAddress"] != row.address || trigger.AuthenticationRef.Name != row.trust || (trigger.Metadata["enableTLS"] == "true") != encrypted {
				t.Errorf("%s: %+v", row.set, trigger)
			}
		}
	}
}

func TestANetworkPolicyLetsInWhomTheValuesName(t *testing.T) {
	all := objects(t, render(t, helms[1], "cases/closed-network.yaml"))
	policy := of[*networkingv1.NetworkPolicy](all)[0].Spec
	if len(policy.Ingress) != 2 || policy.Ingress[0].From[0].PodSelector.MatchLabels["app"] != "keda-operator" || policy.Ingress[1].From[0].IPBlock == nil {
		t.Errorf("in: %+v", policy.Ingress)
	}
	if len(policy.PolicyTypes) != 2 || len(policy.Egress) != 3 || policy.Egress[0].Ports[0].Port.IntValue() != 53 {
		t.Errorf("out: %+v", policy.Egress)
	}
}
