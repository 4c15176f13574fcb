package chart

// The two ends of KEDA's channel agree: who signed, under which name, and where each finds its own.

import (
	"crypto/tls"
	"crypto/x509"
	"maps"
	"slices"
	"strings"
	"testing"

	certmanager "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

func TestKedaIsGivenASecretOfItsOwnNamespace(t *testing.T) {
	each(t, func(t *testing.T, values string, all []object) {
		args := of[*appsv1.Deployment](all)[0].Spec.Template.Spec.Containers[0].Args
		encrypted := slices.ContainsFunc(args, func(arg string) bool { return strings.HasPrefix(arg, "--tls-cert=") })
		mutual := slices.ContainsFunc(args, func(arg string) bool { return strings.HasPrefix(arg, "--tls-client-ca=") })
		for _, trust := range of[*ClusterTriggerAuthentication](all) {
			if !encrypted {
				t.Errorf("KEDA is told to speak TLS to a port that does not")
			}
			parameters := map[string]string{}
			for _, target := range trust.Spec.SecretTargetRef {
				parameters[target.Parameter] = target.Key
			}
			wanted := map[string]string{"caCert": "ca.crt"}
			if mutual {
				wanted = map[string]string{"caCert": "ca.crt", "tlsClientCert": "tls.crt", "tlsClientKey": "tls.key"}
			}
			if !maps.Equal(parameters, wanted) {
				t.Errorf("KEDA has %v, the server wants a certificate: %v", parameters, mutual)
			}
			name := trust.Spec.SecretTargetRef[0].Name
			for _, secret := range of[*corev1.Secret](all) {
				if secret.Name == name && secret.Namespace != kedaNamespace(all) {
					t.Errorf("%s is in %s, where KEDA does not look", name, secret.Namespace)
				}
			}
		}
	})
}

// kedaNamespace is where the pod of `helm test` runs, or the usual.
func kedaNamespace(all []object) string {
	for _, probe := range of[*corev1.Pod](all) {
		return probe.Namespace
	}
	return "keda"
}

func TestCertificatesOfHelmAreGoodForBothEnds(t *testing.T) {
	for _, values := range []string{"self-signed", "names", "one-way"} {
		all := objects(t, render(t, helms[1], "cases/"+values+".yaml"))
		service := of[*corev1.Service](all)[0]
		host := service.Name + "." + service.Namespace + ".svc"
		mounted := of[*appsv1.Deployment](all)[0].Spec.Template.Spec.Volumes
		server := mounted[len(mounted)-1].Secret.SecretName

		checked := 0
		for _, secret := range of[*corev1.Secret](all) {
			pair, err := tls.X509KeyPair(secret.Data["tls.crt"], secret.Data["tls.key"])
			must(t, err)
			roots := x509.NewCertPool()
			if !roots.AppendCertsFromPEM(secret.Data["ca.crt"]) {
				continue
			}
			checked++
			name, use := "keda-operator", x509.ExtKeyUsageClientAuth
			if secret.Name == server {
				name, use = host, x509.ExtKeyUsageServerAuth
			}
			leaf, err := x509.ParseCertificate(pair.Certificate[0])
			must(t, err)
			if _, err := leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, KeyUsages: []x509.ExtKeyUsage{use}}); err != nil {
				t.Errorf("%s: %s: %v", values, secret.Name, err)
			}
			if leaf.VerifyHostname(name+".cluster.local") == nil != (secret.Name == server) {
				t.Errorf("%s: %s has the names %v", values, secret.Name, leaf.DNSNames)
			}
		}
		if checked != 2 {
			t.Errorf("%s: %d certificates were found", values, checked)
		}
	}
}

func TestCertificatesOfCertManagerHaveTheNamesThatAreAsked(t *testing.T) {
	for values, issuer := range map[string]string{"certificates": "plimsoll-ca", "certificates-elsewhere": "internal"} {
		all := objects(t, render(t, helms[1], "cases/"+values+".yaml"))
		service := of[*corev1.Service](all)[0]
		args := of[*appsv1.Deployment](all)[0].Spec.Template.Spec.Containers[0].Args
		trust := of[*ClusterTriggerAuthentication](all)[0]
		var server, client *certmanager.Certificate
		for _, made := range of[*certmanager.Certificate](all) {
			switch {
			case made.Spec.SecretName == trust.Spec.SecretTargetRef[0].Name:
				client = made
			case !made.Spec.IsCA:
				server = made
			}
		}
		if server.Spec.DNSNames[0] != service.Name+"."+service.Namespace+".svc" || server.Namespace != service.Namespace {
			t.Errorf("%s: %v in %s", values, server.Spec.DNSNames, server.Namespace)
		}
		allowed := "--allow-client=" + client.Spec.CommonName
		if !slices.ContainsFunc(args, func(arg string) bool { return arg == allowed || strings.HasPrefix(arg, allowed+",") }) {
			t.Errorf("%s: %s is not let in: %v", values, client.Spec.CommonName, args)
		}
		if server.Spec.IssuerRef.Name != issuer || client.Spec.IssuerRef.Name != issuer || client.Namespace != kedaNamespace(all) {
			t.Errorf("%s: signed by %v and %v", values, server.Spec.IssuerRef, client.Spec.IssuerRef)
		}
	}
}
