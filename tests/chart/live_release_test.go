//go:build live

package chart

// The life of a release: what upgrades keep, what a rollback brings back, what an uninstallation leaves.

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"maps"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func (cluster *cluster) secret(t *testing.T, name string) map[string][]byte {
	t.Helper()
	secret, err := cluster.CoreV1().Secrets("keda").Get(t.Context(), name, metav1.GetOptions{})
	must(t, err)
	return secret.Data
}

func (cluster *cluster) annotations(t *testing.T) map[string]string {
	t.Helper()
	deployment, err := cluster.AppsV1().Deployments("keda").Get(t.Context(), release, metav1.GetOptions{})
	must(t, err)
	return deployment.Spec.Template.Annotations
}

func TestLiveUpgradesKeepWhatTheyMust(t *testing.T) {
	cluster := connect(t)
	for _, helm := range helms {
		gone(t, helm, "keda")
		upgrade := func(set ...string) {
			args := []string{"upgrade", "--install", release, chart, "--namespace", "keda", "--set", "tls.source=selfSigned"}
			for _, value := range set {
				args = append(args, "--set", value)
			}
			helmOn(t, helm, args...)
		}
		upgrade()
		authority, server, client := cluster.secret(t, "plimsoll-ca"), cluster.secret(t, "plimsoll-tls"), cluster.secret(t, "keda-plimsoll-client")

		upgrade("replicaCount=3")
		for name, before := range map[string]map[string][]byte{"plimsoll-ca": authority, "plimsoll-tls": server, "keda-plimsoll-client": client} {
			if !maps.EqualFunc(before, cluster.secret(t, name), bytes.Equal) {
				t.Errorf("%s: an upgrade has made a new %s, which KEDA does not know", helm, name)
			}
		}

		upgrade("tls.extraDnsNames={plimsoll.example.com}")
		renamed := cluster.secret(t, "plimsoll-tls")
		block, _ := pem.Decode(renamed["tls.crt"])
		leaf, err := x509.ParseCertificate(block.Bytes)
		must(t, err)
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(client["ca.crt"])
		if _, err := leaf.Verify(x509.VerifyOptions{DNSName: "plimsoll.example.com", Roots: roots}); err != nil {
			t.Errorf("%s: a new name: %v", helm, err)
		}
		if !maps.EqualFunc(client, cluster.secret(t, "keda-plimsoll-client"), bytes.Equal) {
			t.Errorf("%s: KEDA's certificate is new, and nothing had changed for it", helm)
		}

		// In its last month, as if Helm had written it so.
		secret, err := cluster.CoreV1().Secrets("keda").Get(t.Context(), "keda-plimsoll-client", metav1.GetOptions{})
		must(t, err)
		secret.APIVersion, secret.Kind, secret.ManagedFields = "v1", "Secret", nil
		secret.Annotations["plimsoll/renew-after"] = "1"
		text, err := json.Marshal(secret)
		must(t, err)
		force := true
		_, err = cluster.CoreV1().Secrets("keda").Patch(t.Context(), secret.Name, types.ApplyPatchType, text, metav1.PatchOptions{FieldManager: "helm", Force: &force})
		must(t, err)
		upgrade("tls.extraDnsNames={plimsoll.example.com}")
		if after := cluster.secret(t, "keda-plimsoll-client"); bytes.Equal(after["tls.crt"], client["tls.crt"]) || !bytes.Equal(after["ca.crt"], client["ca.crt"]) {
			t.Errorf("%s: a certificate at its end is not renewed by the same CA", helm)
		}
		helmOn(t, helm, "uninstall", release, "--namespace", "keda")
	}
}

func TestLiveARollbackBringsBackWhatWas(t *testing.T) {
	cluster := connect(t)
	for _, helm := range helms {
		gone(t, helm, "keda")
		install := []string{"upgrade", "--install", release, chart, "--namespace", "keda"}
		helmOn(t, helm, append(install, "--set", "policy.data.default.allow={a.svc}")...)
		before, objects := cluster.annotations(t), cluster.ofRelease(t, release)

		helmOn(t, helm, append(install, "-f", "cases/namespaced-all.yaml", "--set", "policy.data.default.allow={b.svc}")...)
		if after := cluster.annotations(t); before["checksum/policy"] == "" || before["checksum/policy"] == after["checksum/policy"] {
			t.Errorf("%s: another policy has the same pods: %v, %v", helm, before, after)
		}
		if len(cluster.ofRelease(t, release)) < len(objects)+10 {
			t.Errorf("%s: the rights are not there: %v", helm, cluster.ofRelease(t, release))
		}

		helmOn(t, helm, "rollback", release, "1", "--namespace", "keda")
		if !maps.Equal(before, cluster.annotations(t)) || !slices.Equal(objects, cluster.ofRelease(t, release)) {
			t.Errorf("%s: there were %v, there are %v", helm, objects, cluster.ofRelease(t, release))
		}
		helmOn(t, helm, "uninstall", release, "--namespace", "keda")
	}
}

func TestLiveNothingStaysOfARelease(t *testing.T) {
	cluster := connect(t)
	for _, values := range cases(t) {
		namespace := namespace(t, values)
		gone(t, helms[1], namespace)
		helmOn(t, helms[1], "install", release, chart, "--namespace", namespace, "-f", values)
		if there := cluster.ofRelease(t, release); len(there) < 2 {
			t.Errorf("%s: only %v", values, there)
		}
		helmOn(t, helms[1], "uninstall", release, "--namespace", namespace)
		if left := cluster.ofRelease(t, release); len(left) > 0 {
			t.Errorf("%s: %v are left", values, left)
		}
	}
}

func TestLiveTwoReleasesDoNotMeet(t *testing.T) {
	connect(t)
	for _, namespace := range []string{"keda", "scaling"} {
		gone(t, helms[1], namespace)
		helmOn(t, helms[1], "install", release, chart, "--namespace", namespace, "-f", "cases/namespaced-all.yaml")
	}
}

// The pod of `helm test` is made, with nobody here to run it.
func TestLiveTheTestPodIsMade(t *testing.T) {
	cluster := connect(t)
	gone(t, helms[1], "scaling")
	helmOn(t, helms[1], "install", release, chart, "--namespace", "scaling", "-f", "cases/self-signed.yaml")
	// What it says at the end is that the pod did not get ready in a second.
	out, complaint, err := runOn(t, helms[1], "test", release, "--namespace", "scaling", "--timeout", "1s")
	if err == nil {
		t.Fatalf("who ran it? %s", out)
	}
	pod, err := cluster.CoreV1().Pods("keda").Get(t.Context(), "scaling-plimsoll-test", metav1.GetOptions{})
	if err != nil || pod.Spec.RestartPolicy != corev1.RestartPolicyNever {
		t.Fatalf("%v: %s%s", err, out, complaint)
	}
	if !strings.Contains(strings.Join(pod.Spec.Containers[0].Args, " "), "-addr=plimsoll.scaling.svc:6000") {
		t.Errorf("it asks %v", pod.Spec.Containers[0].Args)
	}
	must(t, cluster.CoreV1().Pods("keda").Delete(t.Context(), pod.Name, metav1.DeleteOptions{GracePeriodSeconds: new(int64)}))
}
