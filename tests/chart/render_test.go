package chart

// What holds for every rendering, whatever the values.

import (
	"encoding/base64"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"
)

func TestTheChartIsWithoutComplaint(t *testing.T) {
	for _, helm := range helms {
		for _, values := range cases(t) {
			out, complaint, err := run(t, helm, "lint", "--strict", chart, "--namespace", namespace(t, values), "-f", values)
			if err != nil {
				t.Errorf("%s: %s: %s%s", helm, values, out, complaint)
			}
		}
	}
}

var certificates = regexp.MustCompile(`((tls|ca)\.(crt|key)|plimsoll/renew-after): .*`)

func TestBothHelmsRenderTheSame(t *testing.T) {
	blank := regexp.MustCompile(`(?m)^\s*\n`)
	for _, values := range cases(t) {
		texts := make([]string, len(helms))
		for at, helm := range helms {
			// They order objects differently, and certificates are new each time.
			documents := strings.Split(render(t, helm, values), "---\n")
			for at, document := range documents {
				documents[at] = blank.ReplaceAllString(certificates.ReplaceAllString(document, "$1: …"), "")
			}
			slices.Sort(documents)
			texts[at] = strings.TrimSpace(strings.Join(documents, "---\n"))
		}
		if texts[0] != texts[1] {
			t.Errorf("%s: Helm 3\n%s\nHelm 4\n%s", values, texts[0], texts[1])
		}
	}
}

func TestObjectsHaveNamesNamespacesAndLabels(t *testing.T) {
	clusterWide := []string{"ClusterRole", "ClusterRoleBinding", "ClusterTriggerAuthentication"}
	each(t, func(t *testing.T, values string, all []object) {
		seen := map[string]bool{}
		for _, one := range all {
			name := one.meta.GetName()
			if (one.meta.GetNamespace() == "") != slices.Contains(clusterWide, one.kind) {
				t.Errorf("%s %s is in namespace %q", one.kind, name, one.meta.GetNamespace())
			}
			if key := one.kind + "/" + one.meta.GetNamespace() + "/" + name; seen[key] {
				t.Errorf("%s is there twice", key)
			} else {
				seen[key] = true
			}
			if wrong := validation.IsDNS1123Label(name); len(wrong) > 0 {
				t.Errorf("%s %s: %v", one.kind, name, wrong)
			}
			if filepath.Base(values) == "names.yaml" {
				if one.meta.GetLabels()["team"] != "streaming" || one.meta.GetAnnotations()["contact"] == "" {
					t.Errorf("%s %s has not the common labels and annotations", one.kind, name)
				}
			}
		}
	})
}

func TestEverythingThatSelectsPodsSelectsOurs(t *testing.T) {
	each(t, func(t *testing.T, values string, all []object) {
		deployment, service := of[*appsv1.Deployment](all)[0], of[*corev1.Service](all)[0]
		ours := deployment.Spec.Selector.MatchLabels
		pod := labels.Set(deployment.Spec.Template.Labels)
		if len(ours) != 2 || !labels.SelectorFromSet(ours).Matches(pod) {
			t.Errorf("the Deployment selects %v of pods with %v", ours, pod)
		}
		selectors := []map[string]string{service.Spec.Selector}
		for _, budget := range of[*policyv1.PodDisruptionBudget](all) {
			selectors = append(selectors, budget.Spec.Selector.MatchLabels)
		}
		for _, policy := range of[*networkingv1.NetworkPolicy](all) {
			selectors = append(selectors, policy.Spec.PodSelector.MatchLabels)
		}
		for _, selector := range selectors {
			if !labels.Equals(selector, ours) {
				t.Errorf("%v is selected, not %v", selector, ours)
			}
		}
		if service.Spec.ClusterIP != corev1.ClusterIPNone {
			t.Errorf("KEDA must see each pod: the Service is not headless")
		}
		for _, probe := range of[*corev1.Pod](all) {
			if labels.SelectorFromSet(ours).Matches(labels.Set(probe.Labels)) {
				t.Errorf("the Service would send KEDA to the pod of `helm test`")
			}
		}
	})
}

// grpc-go asks for addresses when a connection ends, and not within half a minute of the last time.
func TestTwoOldPodsGoSoFarApartThatKedaKnowsANewOne(t *testing.T) {
	each(t, func(t *testing.T, values string, all []object) {
		spec := of[*appsv1.Deployment](all)[0].Spec
		rolling := spec.Strategy.RollingUpdate
		if spec.MinReadySeconds < 30 || rolling != nil && rolling.MaxUnavailable.IntValue() != 0 {
			t.Errorf("pods are replaced by %+v, each new one serves for %d s before", rolling, spec.MinReadySeconds)
		}
	})
}

func TestPodsMayDoNothingButServe(t *testing.T) {
	each(t, func(t *testing.T, values string, all []object) {
		deployment := of[*appsv1.Deployment](all)[0]
		pods := []corev1.PodSpec{deployment.Spec.Template.Spec}
		for _, probe := range of[*corev1.Pod](all) {
			pods = append(pods, probe.Spec)
		}
		for _, pod := range pods {
			if !*pod.SecurityContext.RunAsNonRoot || *pod.SecurityContext.RunAsUser != 65532 ||
				pod.SecurityContext.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
				t.Errorf("the pod is %+v", pod.SecurityContext)
			}
			for _, container := range slices.Concat(pod.InitContainers, pod.Containers) {
				may := container.SecurityContext
				if !*may.ReadOnlyRootFilesystem || *may.AllowPrivilegeEscalation || !slices.Equal(may.Capabilities.Drop, []corev1.Capability{"ALL"}) {
					t.Errorf("the container %s may %+v", container.Name, may)
				}
				for _, variable := range container.Env {
					if variable.Value != "" && variable.Name != "RUST_LOG" {
						t.Errorf("%s has a value in plain sight", variable.Name)
					}
				}
			}
		}
		kubernetes := slices.Contains(deployment.Spec.Template.Spec.Containers[0].Args, "--kubernetes")
		if *pods[0].AutomountServiceAccountToken != kubernetes {
			t.Errorf("the token is mounted: %v; it is used: %v", !kubernetes, kubernetes)
		}
	})
}

func TestSecretsAreInSecretsAlone(t *testing.T) {
	each(t, func(t *testing.T, values string, all []object) {
		secrets := 0
		text := render(t, helms[1], values)
		for _, secret := range of[*corev1.Secret](objects(t, text)) {
			key := base64.StdEncoding.EncodeToString(secret.Data["tls.key"])
			if strings.Count(text, key) != 1 {
				t.Errorf("the key of %s is in other objects, too", secret.Name)
			}
			secrets++
		}
		if made := strings.Contains(filepath.Base(values), "self") || secrets > 0; made && secrets != 3 {
			t.Errorf("there are %d Secrets", secrets)
		}
	})
}

func TestOptionsNameFilesThatAreMounted(t *testing.T) {
	each(t, func(t *testing.T, values string, all []object) {
		pod := of[*appsv1.Deployment](all)[0].Spec.Template.Spec
		container := pod.Containers[0]
		made := map[string]bool{}
		for _, one := range of[*corev1.ConfigMap](all) {
			for key := range one.Data {
				made[one.Name+"/"+key] = true
			}
		}
		volumes := map[string]corev1.Volume{}
		for _, volume := range pod.Volumes {
			volumes[volume.Name] = volume
		}
		mounts := map[string]string{}
		for _, mount := range container.VolumeMounts {
			if _, there := volumes[mount.Name]; !there || !mount.ReadOnly {
				t.Errorf("the mount %s has no volume, or may be written", mount.Name)
			}
			mounts[mount.MountPath] = mount.Name
		}
		if len(mounts) != len(volumes) {
			t.Errorf("volumes %v, mounts %v", volumes, mounts)
		}
		for _, arg := range container.Args {
			_, path, file := strings.Cut(arg, "=/")
			if !file {
				continue
			}
			name, there := mounts["/"+filepath.Dir(path)]
			if option, _, _ := strings.Cut(arg, "="); option == "--kubernetes-file-root" {
				name, there = mounts["/"+path]
			}
			if !there {
				t.Errorf("%s is not mounted", arg)
			}
			if volume := volumes[name].ConfigMap; volume != nil && strings.HasPrefix(volume.Name, release+"-") && volume.Name != "plimsoll-rules" && !made[volume.Name+"/"+filepath.Base(path)] {
				t.Errorf("%s: %s has no such key", arg, volume.Name)
			}
		}
	})
}

func TestPodsAreGivenTheTimeOfAnOrderlyEnd(t *testing.T) {
	each(t, func(t *testing.T, values string, all []object) {
		pod := of[*appsv1.Deployment](all)[0].Spec.Template.Spec
		var takes time.Duration
		for _, option := range []string{"--endpoint-delay=", "--shutdown-grace="} {
			at := slices.IndexFunc(pod.Containers[0].Args, func(arg string) bool { return strings.HasPrefix(arg, option) })
			took, err := time.ParseDuration(strings.TrimPrefix(pod.Containers[0].Args[at], option))
			must(t, err)
			takes += took
		}
		if given := time.Duration(*pod.TerminationGracePeriodSeconds) * time.Second; given <= takes {
			t.Errorf("%v are given, %v are taken", given, takes)
		}
	})
}

func TestTheServerKnowsTheServiceThatLeadsToAllReplicas(t *testing.T) {
	each(t, func(t *testing.T, values string, all []object) {
		service, args := of[*corev1.Service](all)[0], of[*appsv1.Deployment](all)[0].Spec.Template.Spec.Containers[0].Args
		if service.Spec.ClusterIP != corev1.ClusterIPNone || service.Spec.PublishNotReadyAddresses {
			t.Errorf("its addresses are not those of the replicas that are ready: %v", service.Spec)
		}
		if want := "--service=" + service.Name + "." + service.Namespace + ".svc"; !slices.Contains(args, want) {
			t.Errorf("%s is not among %v", want, args)
		}
	})
}

func TestTheServiceHasThePortsThatTheServerListensOn(t *testing.T) {
	each(t, func(t *testing.T, values string, all []object) {
		container := of[*appsv1.Deployment](all)[0].Spec.Template.Spec.Containers[0]
		for _, port := range of[*corev1.Service](all)[0].Spec.Ports {
			at := slices.IndexFunc(container.Ports, func(known corev1.ContainerPort) bool { return known.Name == port.TargetPort.StrVal })
			if container.Ports[at].ContainerPort != port.Port {
				t.Errorf("a headless Service cannot change %d to %d", port.Port, container.Ports[at].ContainerPort)
			}
			option := map[string]string{"grpc": "--listen=", "http": "--admin-listen="}[port.Name]
			told := slices.ContainsFunc(container.Args, func(arg string) bool {
				return strings.HasPrefix(arg, option) && strings.HasSuffix(arg, ":"+strconv.Itoa(int(port.Port)))
			})
			if !told {
				t.Errorf("nothing listens on %s: %v", port.Name, container.Args)
			}
		}
		for probe, path := range map[*corev1.Probe]string{container.ReadinessProbe: "/readyz", container.LivenessProbe: "/livez"} {
			if probe.HTTPGet.Path != path || probe.HTTPGet.Port.StrVal != "http" {
				t.Errorf("%s is asked as %v", path, probe.HTTPGet)
			}
		}
	})
}
