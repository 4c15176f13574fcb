{{/* Names and labels. */}}

{{- define "plimsoll.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "plimsoll.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 48 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "plimsoll.name" . -}}
{{- /* Room for what is put behind it. */ -}}
{{- (contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name)) | trunc 48 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Of objects that are the cluster's, or another namespace's: two releases must not meet. */}}
{{- define "plimsoll.rightsName" -}}
{{- printf "%s-%s" .Release.Namespace (include "plimsoll.fullname" .) -}}
{{- end -}}

{{- define "plimsoll.selector" -}}
app.kubernetes.io/name: {{ include "plimsoll.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- /* No `app.kubernetes.io/managed-by`: Helm adds it to what it manages. */ -}}
{{- define "plimsoll.labels" -}}
{{ include "plimsoll.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* An object's metadata: (dict "root" $ "name" … "namespace" … "labels" … "annotations" …); the last three may be left out, as may
be "cluster", which is for what has no namespace. */ -}}
{{- define "plimsoll.metadata" -}}
name: {{ .name }}
{{- if not .cluster }}
namespace: {{ .namespace | default .root.Release.Namespace }}
{{- end }}
labels:
  {{- merge (dict) (.labels | default dict) (include "plimsoll.labels" .root | fromYaml) | toYaml | nindent 2 }}
{{- with merge (dict) (.annotations | default dict) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "plimsoll.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (.Values.serviceAccount.create | ternary (include "plimsoll.fullname" .) "default") -}}
{{- end -}}

{{- define "plimsoll.image" -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- with .Values.image.digest -}}@{{ . }}{{- end -}}
{{- end -}}

{{- /* Where KEDA finds us. The names of the certificate are those of this host. */ -}}
{{- define "plimsoll.host" -}}
{{- printf "%s.%s.svc" (include "plimsoll.fullname" .) .Release.Namespace -}}
{{- end -}}
{{- define "plimsoll.address" -}}
{{- printf "%s:%d" (include "plimsoll.host" .) (int .Values.ports.grpc) -}}
{{- end -}}

{{- define "plimsoll.serverSecret" -}}
{{- .Values.tls.secretName | default (printf "%s-tls" (include "plimsoll.fullname" .)) -}}
{{- end -}}
{{- define "plimsoll.clientSecret" -}}
{{- .Values.tls.client.secretName | default (printf "keda-%s-client" (include "plimsoll.fullname" .)) -}}
{{- end -}}
{{- define "plimsoll.trust" -}}
{{- .Values.tls.clusterTriggerAuthentication.name | default (include "plimsoll.fullname" .) -}}
{{- end -}}
{{- /* The certificate's names, by lines. */ -}}
{{- define "plimsoll.dnsNames" -}}
{{- $host := include "plimsoll.host" . -}}
{{- concat (list $host (printf "%s.%s" $host .Values.tls.clusterDomain)) .Values.tls.extraDnsNames | uniq | toYaml -}}
{{- end -}}
