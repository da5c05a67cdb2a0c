{{/* What the injector, or Kubernetes, would refuse once it is there, and what would be ignored: all of it at once. */}}
{{- define "imprest.check" -}}
{{- $all := list -}}
{{- range $name, $profile := include "imprest.wholeProfiles" . | fromJson -}}
{{- $where := ternary "" (printf "profiles.%s." $name) (eq $name "default") -}}
{{- $all = concat $all (include "imprest.storeProblems" (list $where $profile.store) | fromJsonArray) -}}
{{- $all = concat $all (include "imprest.resourceProblems" (list (printf "%ssidecar.resources" $where) $profile.sidecar.resources) | fromJsonArray) -}}
{{- end -}}
{{- $store := .Values.store -}}
{{- if not (has $store.kind (list "sentinel" "memory")) -}}
{{- if $store.name -}}{{- $all = append $all (printf "store.name: found %s with kind %s; allowed: none, it is what Sentinels call the primary" $store.name $store.kind) -}}{{- end -}}
{{- if $store.sentinelLogin -}}{{- $all = append $all (printf "store.sentinelLogin: found true with kind %s; allowed: false, there is no Sentinel" $store.kind) -}}{{- end -}}
{{- end -}}
{{- if .Values.injector.enabled -}}
{{- $all = concat $all (include "imprest.resourceProblems" (list "injector.resources" .Values.injector.resources) | fromJsonArray) -}}
{{- $all = concat $all (include "imprest.certificateProblems" .Values.injector.certificates | fromJsonArray) -}}
{{- else if .Values.monitoring.serviceMonitor.enabled -}}
{{- $all = append $all "monitoring.serviceMonitor.enabled: found true without an injector; allowed: false, it is the injector that is looked at" -}}
{{- end -}}
{{- if .Values.daemonSet.enabled -}}
{{- $all = concat $all (include "imprest.resourceProblems" (list "daemonSet.resources" .Values.daemonSet.resources) | fromJsonArray) -}}
{{- end -}}
{{- if and .Values.policy.document (not .Values.policy.namespaces) (not .Values.daemonSet.enabled) -}}
{{- $all = append $all "policy.namespaces: found none, so that policy.document is nowhere; allowed: the namespaces that are to have it" -}}
{{- end -}}
{{- if and .Values.policy.namespaces (not .Values.policy.document) -}}
{{- $all = append $all "policy.document: found none for policy.namespaces; allowed: the policy, or no namespaces: then its ConfigMap is made by hand" -}}
{{- end -}}
{{- if $all -}}
{{- fail (printf "\n  %s" (join "\n  " $all)) -}}
{{- end -}}
{{- end -}}

{{/* Takes (list WHERE STORE). A profile inherits what its own kind may have no use for. */}}
{{- define "imprest.storeProblems" -}}
{{- $where := index . 0 -}}
{{- $store := index . 1 -}}
{{- $found := list -}}
{{- if ne $store.kind "memory" -}}
{{- if not $store.hosts -}}
{{- $found = append $found (printf "%sstore.hosts: found none; allowed: HOST:PORT of your Redis or Valkey, or store.kind=memory, said out loud: each pod then has every limit for itself" $where) -}}
{{- end -}}
{{- if not $store.tls.enabled -}}
{{- range $key := list "secret" "serverName" -}}
{{- with get $store.tls $key -}}{{- $found = append $found (printf "%sstore.tls.%s: found %s while store.tls.enabled is false; allowed: none, or TLS enabled" $where $key .) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}

{{/* Takes (list WHERE RESOURCES). */}}
{{- define "imprest.resourceProblems" -}}
{{- $where := index . 0 -}}
{{- $requests := default dict (index . 1).requests -}}
{{- $limits := (index . 1).limits -}}
{{- $found := list -}}
{{- $memory := include "imprest.bytes" $limits.memory | int64 -}}
{{- if or (lt $memory 167772160) (gt $memory 8589934592) -}}
{{- $found = append $found (printf "%s.limits.memory: found %s; allowed: 160Mi to 8Gi: Node itself takes 96Mi" $where $limits.memory) -}}
{{- end -}}
{{- with $requests.memory -}}
{{- if gt (include "imprest.bytes" . | int64) $memory -}}
{{- $found = append $found (printf "%s.requests.memory: found %s; allowed: up to the limit, %s" $where (toString .) $limits.memory) -}}
{{- end -}}
{{- end -}}
{{- if and $requests.cpu $limits.cpu -}}
{{- if gt (include "imprest.milli" $requests.cpu | int64) (include "imprest.milli" $limits.cpu | int64) -}}
{{- $found = append $found (printf "%s.limits.cpu: found %s; allowed: none, or at least what is requested, %s" $where (toString $limits.cpu) (toString $requests.cpu)) -}}
{{- end -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}

{{- define "imprest.certificateProblems" -}}
{{- $found := list -}}
{{- $ca := include "imprest.seconds" .caLifetime | int64 -}}
{{- $leaf := include "imprest.seconds" .leafLifetime | int64 -}}
{{- $overlap := include "imprest.seconds" .overlap | int64 -}}
{{- if gt (mul 2 $leaf) $ca -}}
{{- $found = append $found (printf "injector.certificates.leafLifetime: found %s; allowed: at most half of caLifetime, %s" .leafLifetime .caLifetime) -}}
{{- end -}}
{{- if or (lt $overlap 1) (gt (mul 2 $overlap) $leaf) -}}
{{- $found = append $found (printf "injector.certificates.overlap: found %s; allowed: at least 1s and at most half of leafLifetime, %s" .overlap .leafLifetime) -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}

{{/* "192Mi" in bytes, "0.5" in thousandths of a CPU, "7d" in seconds. The schema has seen their form. */}}
{{- define "imprest.bytes" -}}
{{- $sizes := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 -}}
{{- if kindIs "string" . -}}
{{- mulf (regexFind "^[0-9.]+" . | float64) (get $sizes (regexFind "[A-Za-z]*$" .)) | int64 -}}
{{- else -}}
{{- int64 . -}}
{{- end -}}
{{- end -}}

{{- define "imprest.milli" -}}
{{- $text := toString . -}}
{{- if hasSuffix "m" $text -}}{{- trimSuffix "m" $text -}}{{- else -}}{{- mulf (float64 $text) 1000 | int64 -}}{{- end -}}
{{- end -}}

{{- define "imprest.seconds" -}}
{{- mul (regexFind "^[0-9]+" . | int64) (get (dict "s" 1 "m" 60 "h" 3600 "d" 86400) (regexFind "[smhd]$" .)) -}}
{{- end -}}
