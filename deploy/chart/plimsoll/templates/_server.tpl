{{/* What `plimsoll serve` is told, and what its options mean for the pod. */}}

{{- /* A duration of the server's grammar as whole seconds, rounded up. */ -}}
{{- define "plimsoll.seconds" -}}
{{- $sum := 0.0 -}}
{{- $text := toString . -}}
{{- if regexMatch "^[0-9.]+$" $text -}}
{{- $sum = float64 $text -}}
{{- else -}}
{{- $units := dict "ms" 0.001 "s" 1.0 "m" 60.0 "h" 3600.0 -}}
{{- range regexFindAll "[0-9.]+(ms|s|m|h)" $text -1 -}}
{{- $sum = addf $sum (mulf (regexFind "[0-9.]+" . | float64) (get $units (regexFind "[a-z]+" .))) -}}
{{- end -}}
{{- end -}}
{{- ceil $sum | int -}}
{{- end -}}

{{- /* How long an orderly end may take. */ -}}
{{- define "plimsoll.orderlyEnd" -}}
{{- add (include "plimsoll.seconds" .Values.server.endpointDelay) (include "plimsoll.seconds" .Values.server.shutdownGrace) -}}
{{- end -}}

{{- define "plimsoll.hasConfig" -}}
{{- if or .Values.config.data .Values.config.existingConfigMap .Values.config.existingSecret }}yes{{ end -}}
{{- end -}}
{{- define "plimsoll.hasPolicy" -}}
{{- if or .Values.policy.data .Values.policy.existingConfigMap }}yes{{ end -}}
{{- end -}}

{{- define "plimsoll.namespaces" -}}
{{- $roles := ternary .Values.rbac.namespaces list (eq .Values.rbac.mode "namespaced") -}}
{{- .Values.kubernetes.namespaces | default $roles | join "," -}}
{{- end -}}

{{- define "plimsoll.args" -}}
{{- $server := .Values.server -}}
{{- $options := dict
  "listen" (printf "%s:%d" $server.listenAddress (int .Values.ports.grpc))
  "admin-listen" (printf "%s:%d" $server.listenAddress (int .Values.ports.http))
  "log-format" $server.logFormat
  "polling-interval" $server.pollingInterval
  "read-timeout" $server.readTimeout
  "stream-age" $server.streamAge
  "connection-age" $server.connectionAge
  "endpoint-delay" $server.endpointDelay
  "shutdown-grace" $server.shutdownGrace
  "max-triggers" $server.maxTriggers
  "max-triggers-per-namespace" $server.maxTriggersPerNamespace
  "max-connections" $server.maxConnections
  "max-connections-per-namespace" $server.maxConnectionsPerNamespace
  "pages-listen" .Values.pages.listen
  "trigger-series" $server.triggerSeries
  "service" (include "plimsoll.host" .)
-}}
{{- if include "plimsoll.hasConfig" . -}}{{- $_ := set $options "config" "/etc/plimsoll/config/config.yaml" -}}{{- end -}}
{{- if include "plimsoll.hasPolicy" . -}}{{- $_ := set $options "policy" "/etc/plimsoll/policy/policy.yaml" -}}{{- end -}}
{{- if .Values.pages.tokenSecret -}}
{{- $_ := set $options "admin-token-file" (printf "/etc/plimsoll/pages/%s" .Values.pages.tokenSecretKey) -}}
{{- end -}}
{{- if ne .Values.tls.source "none" -}}
{{- $_ := set $options "tls-cert" "/etc/plimsoll/tls/tls.crt" -}}
{{- $_ := set $options "tls-key" "/etc/plimsoll/tls/tls.key" -}}
{{- if .Values.tls.client.required -}}
{{- $_ := set $options "tls-client-ca" "/etc/plimsoll/tls/ca.crt" -}}
{{- $_ := set $options "tls-client-ca-overlap" .Values.tls.client.caOverlap -}}
{{- $_ := set $options "allow-client" (join "," .Values.tls.client.names) -}}
{{- end -}}
{{- end -}}
{{- with .Values.kubernetes -}}
{{- if .enabled -}}
{{- $_ := set $options "keda-namespace" $.Values.keda.namespace -}}
{{- $_ := set $options "kubernetes-namespaces" (include "plimsoll.namespaces" $) -}}
{{- $_ := set $options "kubernetes-labels" .labels -}}
{{- $_ := set $options "kubernetes-auth-labels" .authLabels -}}
{{- $_ := set $options "kubernetes-secrets" .secrets -}}
{{- $_ := set $options "kubernetes-missing" .missing -}}
{{- $_ := set $options "kubernetes-token-life" .tokenLife -}}
{{- $_ := set $options "kubernetes-file-root" .fileRoot -}}
{{- end -}}
{{- end -}}
- serve
{{- if .Values.kubernetes.enabled }}
- --kubernetes
{{- if .Values.kubernetes.tokens }}
- --kubernetes-tokens
{{- end }}
{{- end }}
{{- if $server.allowLoopback }}
- --allow-loopback
{{- end }}
{{- range $option, $value := $options }}
{{- /* A number from YAML is a float64, which would be written as 1e+06. */}}
{{- if kindIs "float64" $value }}{{ $value = int64 $value }}{{ end }}
{{- if not (or (kindIs "invalid" $value) (eq (toString $value) "")) }}
- {{ printf "--%s=%v" $option $value | quote }}
{{- end }}
{{- end }}
{{- range $server.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end -}}

{{- /* The volumes of the files that options name. */ -}}
{{- define "plimsoll.volumes" -}}
{{- if include "plimsoll.hasConfig" . }}
- name: config
  {{- if .Values.config.existingSecret }}
  secret:
    secretName: {{ .Values.config.existingSecret }}
  {{- else }}
  configMap:
    name: {{ .Values.config.existingConfigMap | default (printf "%s-config" (include "plimsoll.fullname" .)) }}
  {{- end }}
{{- end }}
{{- if include "plimsoll.hasPolicy" . }}
- name: policy
  configMap:
    name: {{ .Values.policy.existingConfigMap | default (printf "%s-policy" (include "plimsoll.fullname" .)) }}
{{- end }}
{{- with .Values.pages.tokenSecret }}
- name: pages
  secret:
    secretName: {{ . }}
{{- end }}
{{- if ne .Values.tls.source "none" }}
- name: tls
  secret:
    secretName: {{ include "plimsoll.serverSecret" . }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "plimsoll.volumeMounts" -}}
{{- $files := list -}}
{{- if include "plimsoll.hasConfig" . -}}{{- $files = append $files "config" -}}{{- end -}}
{{- if include "plimsoll.hasPolicy" . -}}{{- $files = append $files "policy" -}}{{- end -}}
{{- if .Values.pages.tokenSecret -}}{{- $files = append $files "pages" -}}{{- end -}}
{{- if ne .Values.tls.source "none" -}}{{- $files = append $files "tls" -}}{{- end -}}
{{- range $files }}
- name: {{ . }}
  mountPath: /etc/plimsoll/{{ . }}
  readOnly: true
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}
