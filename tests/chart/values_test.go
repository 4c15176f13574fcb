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

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "k8s.io/api/core/v1"
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

func TestAReleasedChartNamesTheImageThatWasPushedAndWhatIsNew(t *testing.T) {
	tree := t.TempDir()
	// What the scripts read; the tools are as they are.
	for _, path := range []string{"Cargo.toml", "CHANGELOG.md", "LICENSE", ".ci", "deploy"} {
		must(t, os.MkdirAll(filepath.Join(tree, filepath.Dir(path)), 0o755))
		must(t, exec.Command("cp", "-a", filepath.Join("../..", path), filepath.Join(tree, path)).Run())
	}
	tools, err := filepath.Abs("../../target")
	must(t, err)
	must(t, os.Symlink(tools, filepath.Join(tree, "target")))
	text, err := os.ReadFile(filepath.Join(chart, "Chart.yaml"))
	must(t, err)
	var its struct{ Version string }
	must(t, yaml.Unmarshal(text, &its))
	news := "# Changelog\n\n## [Unreleased]\n\n## [" + its.Version + "] - 2026-11-26\n\n### Added\n\n- One `thing`, said by \"us\"\n  on two lines.\n- Another.\n\n### Fixed\n\n- A third.\n\n## [0.0.1]\n\n- Old.\n"
	must(t, os.WriteFile(filepath.Join(tree, "CHANGELOG.md"), []byte(news), 0o644))

	packaging := exec.Command("deploy/chart/package", "registry.example.com/team/plimsoll", "dist")
	packaging.Dir = tree
	packaging.Path = filepath.Join(tree, "deploy/chart/package")
	if out, err := packaging.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	made := filepath.Join(tree, "dist", "plimsoll-"+its.Version+".tgz")
	rendered, complaint, err := run(t, helms[0], "template", release, made)
	if err != nil || !strings.Contains(rendered, `image: "registry.example.com/team/plimsoll:`+its.Version+`"`) {
		t.Errorf("%v %s\n%s", err, complaint, rendered)
	}
	shown, _, err := run(t, helms[0], "show", "chart", made)
	must(t, err)
	var released struct{ Annotations map[string]string }
	must(t, yaml.Unmarshal([]byte(shown), &released))
	var changes []struct{ Kind, Description string }
	must(t, yaml.UnmarshalStrict([]byte(released.Annotations["artifacthub.io/changes"]), &changes))
	if len(changes) != 3 || changes[0].Description != "One `thing`, said by \"us\" on two lines." || changes[2].Kind != "fixed" {
		t.Errorf("the changes are %+v", changes)
	}
	readme, _, err := run(t, helms[0], "show", "readme", made)
	must(t, err)
	if !strings.Contains(readme, "oci://registry.example.com/team/charts/plimsoll") || strings.Contains(readme, "REGISTRY/charts") {
		t.Errorf("the README names another registry:\n%s", readme)
	}
}

func TestAVersionThatIsNotTheSameEverywhereIsNotReleased(t *testing.T) {
	out, err := exec.Command("../../.ci/notes", "99.0.0").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "not 99.0.0") {
		t.Errorf("%v: %s", err, out)
	}
}

// The program of `helm test` is tried here, in the version that the image has.
func TestTheProbeIsTheOneThatIsTried(t *testing.T) {
	var values struct{ Tests struct{ Image string } }
	text, err := os.ReadFile(filepath.Join(chart, "values.yaml"))
	must(t, err)
	must(t, yaml.Unmarshal(text, &values))
	_, tag, _ := strings.Cut(values.Tests.Image, ":")
	modules, err := os.ReadFile("go.mod")
	must(t, err)
	if !strings.Contains(string(modules), "github.com/grpc-ecosystem/grpc-health-probe "+tag+" ") {
		t.Errorf("go.mod has not %s", tag)
	}
}

// Rules and dashboards are files of the chart: whatever is there is taken as it is.
func TestRulesAndDashboardsAreTakenFromFiles(t *testing.T) {
	copied := filepath.Join(t.TempDir(), "plimsoll")
	must(t, exec.Command("cp", "-a", chart, copied).Run())
	rule := "groups:\n- name: ours\n  rules:\n  - alert: A\n    expr: plimsoll_stale_files == 1\n    annotations: {summary: '{{ $labels.files }}'}\n"
	must(t, os.WriteFile(filepath.Join(copied, "files/rules.yaml"), []byte(rule), 0o644))
	dashboard := `{"title": "Plimsoll", "legend": "{{namespace}}"}`
	must(t, os.WriteFile(filepath.Join(copied, "files/dashboards/overview.json"), []byte(dashboard), 0o644))

	out, complaint, err := run(t, helms[0], "template", release, copied, "--namespace", "keda", "--set",
		"prometheusRule.enabled=true,dashboard.enabled=true,dashboard.annotations.folder=KEDA",
		"--set-json", `prometheusRule.extraGroups=[{"name":"mine","rules":[]}]`)
	if err != nil {
		t.Fatal(complaint)
	}
	all := objects(t, out)
	groups := of[*monitoring.PrometheusRule](all)[0].Spec.Groups
	if len(groups) != 2 || groups[0].Name != "ours" || groups[0].Rules[0].Annotations["summary"] != "{{ $labels.files }}" || groups[1].Name != "mine" {
		t.Errorf("the rules are %+v", groups)
	}
	for _, one := range of[*corev1.ConfigMap](all) {
		if one.Name != "plimsoll-overview" || one.Labels["grafana_dashboard"] != "1" || one.Data["overview.json"] != dashboard {
			t.Errorf("the dashboard is %+v", one)
		}
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
