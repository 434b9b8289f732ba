{{- define "bullherd.server.fullname" -}}{{ include "bullherd.fullname" . }}-server{{- end -}}
{{- define "bullherd.server.certificateSecret" -}}{{ include "bullherd.server.fullname" . }}-tls{{- end -}}

{{- define "bullherd.server.serviceAccountName" -}}
{{- if .Values.server.serviceAccount.create -}}
{{- default (include "bullherd.server.fullname" .) .Values.server.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.server.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* The group external.metrics.k8s.io has one APIService in a cluster, under this name. */}}
{{- define "bullherd.apiService.name" -}}v1beta1.external.metrics.k8s.io{{- end -}}

{{/*
What to do about it, as YAML (read it with fromYaml): {render: whether it is this release's, others: whose it is if
somebody else has made it, here: whether that one leads to our Service}. With "auto" the cluster is asked, where there is
one: what another release or another adapter made is never taken.
*/}}
{{- define "bullherd.apiService" -}}
{{- $choice := toString .Values.server.externalMetrics.apiService -}}
{{- $found := dict -}}
{{- if and .Values.server.enabled (eq $choice "auto") -}}
{{- $found = lookup "apiregistration.k8s.io/v1" "APIService" "" (include "bullherd.apiService.name" .) -}}
{{- end -}}
{{- $byRelease := and
    (eq .Release.Name (dig "metadata" "annotations" "meta.helm.sh/release-name" "" $found))
    (eq .Release.Namespace (dig "metadata" "annotations" "meta.helm.sh/release-namespace" "" $found)) -}}
{{- $others := and (not (empty $found)) (not $byRelease) -}}
{{- $leadsTo := printf "%s/%s" (dig "spec" "service" "namespace" "" $found) (dig "spec" "service" "name" "" $found) -}}
{{- toYaml (dict
    "render" (and .Values.server.enabled (ne $choice "false") (not $others))
    "others" (ternary $leadsTo "" $others)
    "here" (eq $leadsTo (printf "%s/%s" .Release.Namespace (include "bullherd.server.fullname" .)))) -}}
{{- end -}}
