package chart

// Values that cannot be meant: refused before anything is sent to a cluster, by a text that names the value.

import (
	"strings"
	"testing"
)

func TestWrongValuesAreRefusedByAClearText(t *testing.T) {
	table := []struct {
		values string
		says   []string
	}{
		// What the schema knows.
		{"replicas=3", []string{"additional properties 'replicas' not allowed"}},
		{"image.tags=1", []string{"/image", "'tags' not allowed"}},
		{"rbac.modes=cluster", []string{"/rbac", "'modes' not allowed"}},
		{"tls.sourc=none", []string{"/tls", "'sourc' not allowed"}},
		{"serviceMonitor.enable=true", []string{"/serviceMonitor", "'enable' not allowed"}},
		{"rbac.serviceAccountTokens[0].namespaces=a", []string{"/rbac/serviceAccountTokens/0"}},
		{"rbac.mode=all", []string{"/rbac/mode", "'none', 'namespaced', 'cluster'"}},
		{"tls.source=certmanager", []string{"/tls/source", "'none', 'certManager', 'secret', 'selfSigned'"}},
		{"image.pullPolicy=Sometimes", []string{"/image/pullPolicy", "'IfNotPresent'"}},
		{"image.digest=e3b0c442", []string{"/image/digest", "sha256:"}},
		{"server.logFormat=xml", []string{"/server/logFormat", "'json', 'text'"}},
		{"server.maxTriggers=0", []string{"/server/maxTriggers", "minimum"}},
		{"minReadySeconds=600", []string{"/minReadySeconds", "599"}},
		{"replicaCount=two", []string{"/replicaCount", "want integer"}},
		{"kubernetes.enabled=yes", []string{"/kubernetes/enabled", "want boolean"}},
		{"podLabels.a=true", []string{"/podLabels/a", "want string"}},
		{"ports.grpc=80", []string{"/ports/grpc", "1,024"}},
		{"keda.namespace=KEDA", []string{"/keda/namespace"}},
		{"tls.client.names=null", []string{"/tls/client", "missing property 'names'"}},
		{"policy=null", []string{"missing property 'policy'"}},
		{"rbac.extraRules[0].verbs[0]=delete", []string{"/rbac/extraRules/0", "'get', 'list', 'watch'"}},
		{"tls.selfSigned.validityDays=7", []string{"/tls/selfSigned/validityDays", "want 60"}},
		// What only the values together say.
		{"server.pollingInterval=5x", []string{"server.pollingInterval", `"5x"`, "500ms"}},
		{"server.endpointDelay=", []string{"server.endpointDelay", "seconds"}},
		{"tls.client.caOverlap=1d", []string{"tls.client.caOverlap", `"1d"`}},
		{"terminationGracePeriodSeconds=15", []string{"terminationGracePeriodSeconds is 15", "take 15 s", "larger"}},
		{"server.endpointDelay=1m,terminationGracePeriodSeconds=65", []string{"take 70 s"}},
		{"rbac.mode=cluster", []string{"kubernetes.enabled to true"}},
		{"kubernetes.enabled=true,rbac.mode=namespaced", []string{"rbac.namespaces is empty"}},
		{"kubernetes.enabled=true,rbac.mode=cluster,rbac.namespaces={shop}", []string{"rbac.namespaces", "kubernetes.namespaces"}},
		{"kubernetes.enabled=true,rbac.mode=namespaced,rbac.namespaces={shop},kubernetes.namespaces={bank}", []string{"bank", "rbac.namespaces"}},
		{"kubernetes.enabled=true,serviceAccount.automountToken=false", []string{"serviceAccount.automountToken"}},
		{"kubernetes.enabled=true,rbac.mode=cluster,serviceAccount.create=false", []string{"serviceAccount.name is empty", "name an account"}},
		{"kubernetes.secrets=all", []string{"/kubernetes/secrets", "'keda-for-all'"}},
		{"kubernetes.enabled=true,kubernetes.tokens=true", []string{"rbac.serviceAccountTokens", "name the accounts"}},
		{"kubernetes.enabled=true,rbac.mode=cluster,rbac.serviceAccountTokens[0].namespace=a,rbac.serviceAccountTokens[0].names={b}", []string{"kubernetes.tokens", "set it to true"}},
		{"config.data.policy.default.allow={a},policy.existingConfigMap=b", []string{"config.data.policy", "keep one"}},
		{"config.data.a=b,config.existingSecret=c", []string{"config.data and config.existingSecret"}},
		{"config.existingConfigMap=b,config.existingSecret=c", []string{"config.existingConfigMap and config.existingSecret"}},
		{"policy.data.a=b,policy.existingConfigMap=c", []string{"policy.data and policy.existingConfigMap"}},
		{"tls.source=secret", []string{"tls.secretName is empty"}},
		{"tls.source=secret,tls.secretName=mine", []string{"tls.client.secretName is empty", "clusterTriggerAuthentication.create"}},
		{"tls.source=certManager,keda.namespace=other", []string{"ClusterIssuer", "other"}},
		{"tls.source=certManager,keda.namespace=other,tls.certManager.issuerRef.name=a", []string{"ClusterIssuer"}},
		{"serviceMonitor.enabled=true,podMonitor.enabled=true", []string{"counted twice"}},
		{"ports.grpc=8080", []string{"ports.grpc and ports.http"}},
	}
	for _, helm := range helms {
		for _, row := range table {
			_, complaint, err := run(t, helm, "template", release, chart, "--namespace", "keda", "--set", row.values)
			if err == nil {
				t.Errorf("%s: %s is let through", helm, row.values)
			}
			for _, said := range row.says {
				if !strings.Contains(complaint, said) {
					t.Errorf("%s: %s: %q does not say %q", helm, row.values, complaint, said)
				}
			}
		}
	}
}

func TestAParentChartMayHaveItsOwnKeys(t *testing.T) {
	_, complaint, err := run(t, helms[1], "template", release, chart, "--set", "global.imageRegistry=a,enabled=true")
	if err != nil {
		t.Error(complaint)
	}
}
