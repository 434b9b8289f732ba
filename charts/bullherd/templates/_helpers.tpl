{{- define "bullherd.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "bullherd.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "bullherd.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "bullherd.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "bullherd.operator.fullname" -}}{{ include "bullherd.fullname" . }}-operator{{- end -}}
{{- define "bullherd.redis.fullname" -}}{{ include "bullherd.fullname" . }}-redis{{- end -}}
{{- define "bullherd.connections.secret" -}}{{ include "bullherd.fullname" . }}-connections{{- end -}}

{{- define "bullherd.labels" -}}
{{ include "bullherd.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "bullherd.selector" -}}
app.kubernetes.io/name: {{ include "bullherd.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "bullherd.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "bullherd.operator.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* An image reference from a dict of repository, tag, digest and the tag to use when none is given. */}}
{{- define "bullherd.imageReference" -}}
{{- if .digest -}}{{ .repository }}@{{ .digest }}{{- else -}}{{ .repository }}:{{ .tag | default .defaultTag }}{{- end -}}
{{- end -}}
{{- define "bullherd.image" -}}
{{- include "bullherd.imageReference" (merge (dict "defaultTag" .Chart.AppVersion) .Values.image) -}}
{{- end -}}

{{/* What the "restricted" Pod Security Standard asks for; one user id for all of Bullherd's images. */}}
{{- define "bullherd.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}
{{- define "bullherd.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}
