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

{{/* Every profile with all that it has, `default` among them, as YAML. */}}
{{- define "imprest.profiles" -}}
{{- $base := dict "store" .Values.store "policy" (pick .Values.policy "configMap") "sidecar" .Values.sidecar -}}
{{- $all := mustMergeOverwrite (dict "default" dict) (deepCopy .Values.profiles) -}}
{{- range $name, $own := $all }}
{{- $whole := mustMergeOverwrite (deepCopy $base) (deepCopy (default dict $own)) }}
{{- $store := $whole.store }}
{{- if and (ne $store.kind "memory") (not $store.hosts) }}
{{- fail (printf "profile %s: store.hosts: found none; allowed: HOST:PORT of your Redis or Valkey, or store.kind=memory, said out loud: each pod then has every limit for itself" $name) }}
{{- end }}
{{ $name }}:
  store: {{ include "imprest.storeUrl" $store | quote }}
  {{- if ne $store.kind "memory" }}
  storeConfirm: {{ $store.confirm }}
  storeFencing: {{ $store.fencing }}
  {{- with $store.passwordSecret }}
  {{- if .name }}
  storePasswordSecret: {name: {{ .name }}, key: {{ .key }}}
  {{- end }}
  {{- end }}
  {{- if and $store.tls.enabled $store.tls.secret }}
  storeTlsSecret: {name: {{ $store.tls.secret }}}
  {{- end }}
  {{- end }}
  policyConfigMap: {{ $whole.policy.configMap }}
  mode: {{ $whole.sidecar.mode }}
  logLevel: {{ $whole.sidecar.logLevel }}
  runAsUser: {{ if kindIs "invalid" $whole.sidecar.runAsUser }}null{{ else }}{{ $whole.sidecar.runAsUser | int64 }}{{ end }}
  resources: {{ toJson $whole.sidecar.resources }}
  args: {{ toJson $whole.sidecar.args }}
{{- end }}
{{- end -}}
