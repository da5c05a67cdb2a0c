{{- define "imprest.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Short enough for the names that are made of it. */}}
{{- define "imprest.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "imprest.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "imprest.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "imprest.injector" -}}
{{- printf "%s-injector" (include "imprest.fullname" .) -}}
{{- end -}}

{{- define "imprest.node" -}}
{{- printf "%s-node" (include "imprest.fullname" .) -}}
{{- end -}}

{{- define "imprest.serviceAccount" -}}
{{- default (include "imprest.injector" .) .Values.injector.serviceAccount.name -}}
{{- end -}}

{{- define "imprest.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository (default .Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end -}}

{{/* What a selector may name: nothing here ever changes. Takes (list . COMPONENT). */}}
{{- define "imprest.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "imprest.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "imprest.labels" -}}
{{- $root := index . 0 -}}
{{ include "imprest.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Restricted Pod Security, and nothing to write to. Takes the user's number, or null. */}}
{{- define "imprest.securityContext" -}}
allowPrivilegeEscalation: false
capabilities: {drop: [ALL]}
readOnlyRootFilesystem: true
runAsNonRoot: true
{{- if not (kindIs "invalid" .) }}
runAsUser: {{ . | int64 }}
runAsGroup: {{ . | int64 }}
{{- end }}
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{/* Namespaces that are never injected. The release's own: an injector must not wait for itself. */}}
{{- define "imprest.excluded" -}}
{{- concat (list "kube-system" "kube-public" "kube-node-lease" .Release.Namespace) .Values.injector.excludedNamespaces | uniq | toJson -}}
{{- end -}}

{{/* What Node's heap may take, in MiB: three quarters of what a limit leaves beside 96 MiB of code, threads and buffers. */}}
{{- define "imprest.oldSpace" -}}
{{- $text := toString . -}}
{{- $mib := ternary (mul 1024 (trimSuffix "Gi" $text | atoi)) (trimSuffix "Mi" $text | atoi) (hasSuffix "Gi" $text) -}}
{{- div (mul (sub $mib 96) 3) 4 -}}
{{- end -}}
