{{/* What no schema can say: values that do not fit together. Each text names the value and the cure. */}}

{{- define "plimsoll.checks" -}}
{{- $server := .Values.server -}}
{{- range $name, $value := dict "server.pollingInterval" $server.pollingInterval "server.readTimeout" $server.readTimeout "server.streamAge" $server.streamAge "server.connectionAge" $server.connectionAge "server.endpointDelay" $server.endpointDelay "server.shutdownGrace" $server.shutdownGrace "tls.client.caOverlap" .Values.tls.client.caOverlap "kubernetes.tokenLife" .Values.kubernetes.tokenLife -}}
{{- if not (or (regexMatch "^([0-9]+|([0-9]+([.][0-9]+)?(ms|s|m|h))+)$" (toString $value)) (and (eq (toString $value) "") (not (has $name (list "server.endpointDelay" "server.shutdownGrace"))))) -}}
{{- fail (printf "%s is %q: it must be seconds (15) or have units (500ms, 1m30s)" $name (toString $value)) -}}
{{- end -}}
{{- end -}}

{{- $end := include "plimsoll.orderlyEnd" . | int -}}
{{- with .Values.terminationGracePeriodSeconds -}}
{{- if le (int .) $end -}}
{{- fail (printf "terminationGracePeriodSeconds is %d, but server.endpointDelay and server.shutdownGrace take %d s together: make it larger, or leave it null" (int .) $end) -}}
{{- end -}}
{{- end -}}

{{- if and (ne .Values.rbac.mode "none") (not .Values.kubernetes.enabled) -}}
{{- fail (printf "rbac.mode is %s, but nothing would use these rights: set kubernetes.enabled to true, or rbac.mode to none" .Values.rbac.mode) -}}
{{- end -}}
{{- if eq .Values.rbac.mode "namespaced" -}}
{{- if not .Values.rbac.namespaces -}}
{{- fail "rbac.mode is namespaced, but rbac.namespaces is empty: name the namespaces whose triggers keep their secrets" -}}
{{- end -}}
{{- range .Values.kubernetes.namespaces -}}
{{- if not (has . $.Values.rbac.namespaces) -}}
{{- fail (printf "kubernetes.namespaces has %s, which rbac.namespaces has not: add it there, so that it may be read" .) -}}
{{- end -}}
{{- end -}}
{{- else if .Values.rbac.namespaces -}}
{{- fail (printf "rbac.namespaces is for rbac.mode namespaced, but the mode is %s: set the mode, or use kubernetes.namespaces" .Values.rbac.mode) -}}
{{- end -}}
{{- if ne (empty .Values.rbac.serviceAccountTokens) (not .Values.kubernetes.tokens) -}}
{{- fail "kubernetes.tokens and rbac.serviceAccountTokens go together: name the accounts and set it to true, or neither" -}}
{{- end -}}
{{- if and .Values.kubernetes.tokens (not .Values.kubernetes.enabled) -}}
{{- fail "kubernetes.tokens is true, but kubernetes.enabled is false: set that to true, too" -}}
{{- end -}}
{{- if and .Values.kubernetes.enabled (eq (toString .Values.serviceAccount.automountToken) "false") -}}
{{- fail "kubernetes.enabled needs the service account's token, but serviceAccount.automountToken is false: leave it null" -}}
{{- end -}}
{{- if and (not .Values.serviceAccount.create) (not .Values.serviceAccount.name) (ne .Values.rbac.mode "none") -}}
{{- fail "serviceAccount.create is false and serviceAccount.name is empty, so that the rights would be the namespace's default account's: name an account" -}}
{{- end -}}

{{- $configs := compact (list (empty .Values.config.data | ternary "" "config.data") (empty .Values.config.existingConfigMap | ternary "" "config.existingConfigMap") (empty .Values.config.existingSecret | ternary "" "config.existingSecret")) -}}
{{- if gt (len $configs) 1 -}}
{{- fail (printf "%s are set, but there is one config file: keep one of them" (join " and " $configs)) -}}
{{- end -}}
{{- if and .Values.config.data.policy (or .Values.policy.data .Values.policy.existingConfigMap) -}}
{{- fail "config.data.policy and the policy of its own (policy.data, policy.existingConfigMap) are set, but there is one policy: keep one of them" -}}
{{- end -}}
{{- if and .Values.policy.data .Values.policy.existingConfigMap -}}
{{- fail "policy.data and policy.existingConfigMap are set, but there is one policy: keep one of them" -}}
{{- end -}}

{{- $elsewhere := ne .Values.keda.namespace .Release.Namespace -}}
{{- if and (eq .Values.tls.source "secret") (not .Values.tls.secretName) -}}
{{- fail "tls.source is secret, but tls.secretName is empty: name the Secret with tls.crt, tls.key and ca.crt" -}}
{{- end -}}
{{- if and (eq .Values.tls.source "secret") .Values.tls.clusterTriggerAuthentication.create (not .Values.tls.client.secretName) -}}
{{- fail "tls.source is secret, but tls.client.secretName is empty: name the Secret with KEDA's certificate, or set tls.clusterTriggerAuthentication.create to false" -}}
{{- end -}}
{{- if and (eq .Values.tls.source "certManager") $elsewhere (ne (.Values.tls.certManager.issuerRef.kind | default "Issuer") "ClusterIssuer") -}}
{{- fail (printf "the release is in namespace %s and KEDA in %s, where an Issuer of here signs nothing: set tls.certManager.issuerRef to a ClusterIssuer, or install beside KEDA (or correct keda.namespace)" .Release.Namespace .Values.keda.namespace) -}}
{{- end -}}

{{- if and .Values.serviceMonitor.enabled .Values.podMonitor.enabled -}}
{{- fail "serviceMonitor.enabled and podMonitor.enabled are both true, so that everything would be counted twice: keep one of them" -}}
{{- end -}}
{{- if and .Values.prometheusRule.enabled (not (or (.Files.Get "files/rules.yaml") .Values.prometheusRule.extraGroups)) -}}
{{- fail "prometheusRule.enabled is true, but this chart has no files/rules.yaml: give prometheusRule.extraGroups" -}}
{{- end -}}
{{- if and .Values.dashboard.enabled (not (.Files.Glob "files/dashboards/*.json")) -}}
{{- fail "dashboard.enabled is true, but this chart has no files/dashboards/*.json: set it to false" -}}
{{- end -}}
{{- if eq (int .Values.ports.grpc) (int .Values.ports.http) -}}
{{- fail (printf "ports.grpc and ports.http are both %d: they must differ" (int .Values.ports.grpc)) -}}
{{- end -}}
{{- end -}}
