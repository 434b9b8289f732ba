{{/*
The groups of files/alerts.yaml with the changes of metrics.prometheusRule.alerts. A threshold is the number behind the last
comparison of an expression, which stands at its end.
*/}}
{{- define "bullherd.alerts" -}}
{{- $changes := .Values.metrics.prometheusRule.alerts -}}
{{- $groups := list -}}
{{- range $group := (.Files.Get "files/alerts.yaml" | fromYaml).groups -}}
{{- $rules := list -}}
{{- range $rule := $group.rules -}}
{{- $change := get $changes $rule.alert | default dict -}}
{{- if hasKey $change "threshold" -}}
{{- if not (regexMatch "[><] [0-9.]+\\s*$" $rule.expr) -}}
{{- fail (printf "metrics.prometheusRule.alerts.%s has a threshold, but there is none in that alert" $rule.alert) -}}
{{- end -}}
{{- $_ := set $rule "expr" (regexReplaceAll "[0-9.]+\\s*$" $rule.expr (toJson $change.threshold)) -}}
{{- end -}}
{{- with $change.for }}{{ $_ := set $rule "for" . }}{{ end -}}
{{- with $change.severity }}{{ $_ := set $rule.labels "severity" . }}{{ end -}}
{{- if ne (toString $change.enabled) "false" }}{{ $rules = append $rules $rule }}{{ end -}}
{{- end -}}
{{- $groups = append $groups (merge (dict "rules" $rules) $group) -}}
{{- end -}}
{{- toYaml (dict "groups" $groups) -}}
{{- end -}}
