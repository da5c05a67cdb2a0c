{{/* The address of the store, as --store reads it. Takes values like .Values.store. */}}
{{- define "imprest.storeUrl" -}}
{{- if eq .kind "memory" -}}
memory:
{{- else -}}
{{- $scheme := ternary "rediss" "redis" .tls.enabled -}}
{{- if ne .kind "single" -}}{{- $scheme = printf "%s+%s" $scheme .kind -}}{{- end -}}
{{- $login := "" -}}
{{- with .user -}}{{- $login = printf "%s@" (include "imprest.escape" .) -}}{{- end -}}
{{- $path := "" -}}
{{- if eq .kind "sentinel" -}}{{- $path = printf "/%s" .name -}}{{- end -}}
{{- if ne (int .database) 0 -}}{{- $path = printf "%s/%d" $path (int .database) -}}{{- end -}}
{{- $query := list -}}
{{- if .tls.enabled -}}
{{- if .tls.secret -}}{{- $query = append $query "ca=/etc/imprest-tls/ca.crt" -}}{{- end -}}
{{- if .tls.clientCertificate -}}{{- $query = append $query "cert=/etc/imprest-tls/tls.crt&key=/etc/imprest-tls/tls.key" -}}{{- end -}}
{{- with .tls.serverName -}}{{- $query = append $query (printf "servername=%s" (include "imprest.escape" .)) -}}{{- end -}}
{{- end -}}
{{- if and (eq .kind "sentinel") .sentinelLogin -}}{{- $query = append $query "login=same" -}}{{- end -}}
{{- printf "%s://%s%s%s" $scheme $login (join "," .hosts) $path -}}
{{- if $query -}}?{{- join "&" $query -}}{{- end -}}
{{- end -}}
{{- end -}}

{{- define "imprest.escape" -}}
{{- urlquery . | replace "+" "%20" -}}
{{- end -}}

{{/* Every profile with all that it has, `default` among them, as values. */}}
{{- define "imprest.wholeProfiles" -}}
{{- $base := dict "store" .Values.store "policy" (pick .Values.policy "configMap") "sidecar" .Values.sidecar -}}
{{- $all := mustMergeOverwrite (dict "default" dict) (deepCopy .Values.profiles) -}}
{{- $whole := dict -}}
{{- range $name, $own := $all -}}
{{- $_ := set $whole $name (mustMergeOverwrite (deepCopy $base) (deepCopy (default dict $own))) -}}
{{- end -}}
{{- toJson $whole -}}
{{- end -}}

{{/* The same as the injector reads them. Names are quoted: one of digits alone is a name too. */}}
{{- define "imprest.profiles" -}}
{{- range $name, $whole := include "imprest.wholeProfiles" . | fromJson }}
{{- $store := $whole.store }}
{{ $name | quote }}:
  store: {{ include "imprest.storeUrl" $store | quote }}
  {{- if ne $store.kind "memory" }}
  storeConfirm: {{ $store.confirm | quote }}
  storeFencing: {{ $store.fencing | quote }}
  {{- with $store.passwordSecret }}
  {{- if .name }}
  storePasswordSecret: {name: {{ .name | quote }}, key: {{ .key | quote }}}
  {{- end }}
  {{- end }}
  {{- if and $store.tls.enabled $store.tls.secret }}
  storeTlsSecret: {name: {{ $store.tls.secret | quote }}}
  {{- end }}
  {{- end }}
  policyConfigMap: {{ $whole.policy.configMap | quote }}
  mode: {{ $whole.sidecar.mode }}
  logLevel: {{ $whole.sidecar.logLevel }}
  runAsUser: {{ if kindIs "invalid" $whole.sidecar.runAsUser }}null{{ else }}{{ $whole.sidecar.runAsUser | int64 }}{{ end }}
  resources:
    {{- range $kind := list "requests" "limits" }}
    {{ $kind }}: {{- range $resource, $quantity := get $whole.sidecar.resources $kind }}
      {{ $resource | quote }}: {{ toString $quantity | quote }}
    {{- end }}
    {{- end }}
  args: {{ toJson $whole.sidecar.args }}
{{- end }}
{{- end -}}
