{{/*
A Deployment of the image and its PodDisruptionBudget: operator and server run alike. From a dict of
  root, component, serviceAccountName
  given     the component's part of the values
  settings  environment by name, beside what both are told
  ports     the container's ports beside http
*/}}
{{- define "bullherd.process" -}}
{{- $root := .root -}}
{{- $given := .given -}}
{{- $name := printf "%s-%s" (include "bullherd.fullname" $root) .component -}}
{{- $selector := printf "%s\napp.kubernetes.io/component: %s" (include "bullherd.selector" $root) .component -}}
{{- $labels := printf "%s\napp.kubernetes.io/component: %s" (include "bullherd.labels" $root) .component -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $name }}
  namespace: {{ $root.Release.Namespace }}
  labels: {{- $labels | nindent 4 }}
spec:
  replicas: {{ $given.replicas }}
  selector:
    matchLabels: {{- $selector | nindent 6 }}
  template:
    metadata:
      labels:
        {{- with $given.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
        {{- $labels | nindent 8 }}
      {{- with $given.podAnnotations }}
      annotations: {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      serviceAccountName: {{ .serviceAccountName }}
      automountServiceAccountToken: true
      enableServiceLinks: false
      terminationGracePeriodSeconds: {{ $given.terminationGracePeriodSeconds }}
      {{- with $given.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      {{- with $root.Values.imagePullSecrets }}
      imagePullSecrets: {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext: {{- include "bullherd.podSecurityContext" $root | nindent 8 }}
      containers:
        - name: {{ .component }}
          image: {{ include "bullherd.image" $root | quote }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          args: [{{ .component }}]
          securityContext: {{- include "bullherd.containerSecurityContext" $root | nindent 12 }}
          env:
            - name: BULLHERD_NAMESPACE
              valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
            - name: BULLHERD_POD_NAME
              valueFrom: {fieldRef: {fieldPath: metadata.name}}
            {{- $settings := merge .settings (dict
                "BULLHERD_WATCH_NAMESPACES" (join "," $root.Values.watchNamespaces)
                "BULLHERD_CONNECTIONS_DIR" "/etc/bullherd/connections"
                "BULLHERD_HTTP_PORT" "8080"
                "BULLHERD_LOG_FORMAT" $root.Values.logging.format
                "BULLHERD_LOG_LEVEL" (upper $root.Values.logging.level)) }}
            {{- range $variable, $value := merge (deepCopy $given.env) $settings }}
            - {name: {{ $variable }}, value: {{ $value | toString | quote }}}
            {{- end }}
          ports:
            - {name: http, containerPort: 8080}
            {{- range $port, $number := .ports }}
            - {name: {{ $port }}, containerPort: {{ $number }}}
            {{- end }}
          livenessProbe:
            httpGet: {path: /healthz, port: http}
            initialDelaySeconds: 10
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 3
          # An operator that stands by is ready too: readiness says that it could take over, not that it leads.
          readinessProbe:
            httpGet: {path: /readyz, port: http}
            periodSeconds: 5
            timeoutSeconds: 5
          resources: {{- toYaml $given.resources | nindent 12 }}
          volumeMounts:
            {{- include "bullherd.connections.volumeMounts" $root | nindent 12 }}
            - {name: tmp, mountPath: /tmp}
      volumes:
        {{- include "bullherd.connections.volumes" $root | nindent 8 }}
        - name: tmp
          emptyDir: {sizeLimit: 64Mi}
      # Soft: a cluster of one node still runs them all.
      topologySpreadConstraints:
        {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
        - maxSkew: 1
          topologyKey: {{ . }}
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels: {{- $selector | nindent 14 }}
        {{- end }}
      {{- with $given.nodeSelector }}
      nodeSelector: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $given.tolerations }}
      tolerations: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $given.affinity }}
      affinity: {{- toYaml . | nindent 8 }}
      {{- end }}
{{- if $given.podDisruptionBudget.enabled }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ $name }}
  namespace: {{ $root.Release.Namespace }}
  labels: {{- include "bullherd.labels" $root | nindent 4 }}
spec:
  # Not minAvailable: with one replica that would keep its node from ever being drained.
  maxUnavailable: 1
  selector:
    matchLabels: {{- $selector | nindent 6 }}
{{- end }}
{{- end -}}
