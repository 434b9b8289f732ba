{{/*
A role and its binding, from a dict of root, name, namespace ("" is the whole cluster), rules (YAML) and accounts (names
of ServiceAccounts of the release). Names outside of namespaces begin with the release's, so that two releases do not meet.
*/}}
{{- define "bullherd.rbac.grant" -}}
{{- $root := .root -}}
{{- $kind := ternary "Role" "ClusterRole" (not (empty .namespace)) -}}
{{- $name := ternary .name (printf "%s-%s" $root.Release.Namespace .name) (not (empty .namespace)) }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}
metadata:
  name: {{ $name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels: {{- include "bullherd.labels" $root | nindent 4 }}
rules: {{- .rules | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}Binding
metadata:
  name: {{ $name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels: {{- include "bullherd.labels" $root | nindent 4 }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: {{ $kind }}, name: {{ $name }}}
subjects: {{- include "bullherd.rbac.subjects" . | nindent 2 }}
{{- end -}}

{{/* ServiceAccounts of the release as the subjects of a binding. */}}
{{- define "bullherd.rbac.subjects" -}}
{{- range .accounts }}
- kind: ServiceAccount
  name: {{ . }}
  namespace: {{ $.root.Release.Namespace }}
{{- end }}
{{- end -}}

{{/* The same grant in each watched namespace, or, where all are watched, in the cluster. */}}
{{- define "bullherd.rbac.grantWhereWatched" -}}
{{- range .root.Values.watchNamespaces | default (list "") }}
{{- include "bullherd.rbac.grant" (merge (dict "namespace" .) $) }}
{{- end }}
{{- end -}}

{{/* A ServiceAccount from a dict of root, name and given, its part of the values. */}}
{{- define "bullherd.rbac.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "bullherd.labels" .root | nindent 4 }}
  {{- with .given.annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end -}}
