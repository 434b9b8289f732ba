{{/*
Connections: the embedded Redis and the external ones, brought into one shape, so that the operator's files, the
workers' Secrets, the mounts and the notes all say the same.
*/}}

{{/*
The embedded Redis' password: the one given, else the one that the cluster holds already, else a new one. Made once
per rendering and remembered in .Values, because several Secrets need the same. `helm template` has no cluster to
look into, so there each rendering has a new password unless one is given.
*/}}
{{- define "bullherd.redis.password" -}}
{{- if not (hasKey .Values "renderedRedisPassword") -}}
{{- $held := lookup "v1" "Secret" .Release.Namespace (include "bullherd.redis.fullname" .) -}}
{{- $kept := dig "data" "password" "" $held | b64dec -}}
{{- $_ := set .Values "renderedRedisPassword" (coalesce .Values.redis.embedded.password $kept (randAlphaNum 32)) -}}
{{- end -}}
{{- .Values.renderedRedisPassword -}}
{{- end -}}

{{/*
How often the password was changed. Redis' pod carries it as an annotation, so that a new password restarts it; a checksum
there would let whoever may see pods try passwords on it. Without a cluster to look into it is always 1.
*/}}
{{- define "bullherd.redis.passwordRevision" -}}
{{- $held := lookup "v1" "Secret" .Release.Namespace (include "bullherd.redis.fullname" .) -}}
{{- $before := dig "metadata" "annotations" "bullherd.dev/password-revision" "1" $held | atoi -}}
{{- $same := or (not $held) (eq (include "bullherd.redis.password" .) (dig "data" "password" "" $held | b64dec)) -}}
{{- ternary $before (add $before 1) $same -}}
{{- end -}}

{{/* The Secret that holds the embedded Redis' password in the release's namespace, and the key in it. */}}
{{- define "bullherd.redis.passwordSecret" -}}
{{- .Values.redis.embedded.existingSecret.name | default (include "bullherd.redis.fullname" .) -}}
{{- end -}}
{{- define "bullherd.redis.passwordKey" -}}
{{- if .Values.redis.embedded.existingSecret.name -}}{{ .Values.redis.embedded.existingSecret.passwordKey }}{{- else -}}password{{- end -}}
{{- end -}}

{{/* All connections by name as YAML: read it with fromYaml. */}}
{{- define "bullherd.connections" -}}
{{- $all := dict -}}
{{- range $name, $given := .Values.connections -}}
{{- $_ := set $all $name (include "bullherd.connection" (dict "root" $ "name" $name "given" $given) | fromYaml) -}}
{{- end -}}
{{- with .Values.redis.embedded -}}
{{- if .enabled -}}
{{- if hasKey $all .connectionName -}}
{{- fail (printf "connections.%s and the embedded Redis have the same name: set redis.embedded.enabled=false to use only the external one, or give the embedded one another redis.embedded.connectionName" .connectionName) -}}
{{- end -}}
{{- $given := dict
    "host" (printf "%s.%s.svc" (include "bullherd.redis.fullname" $) $.Release.Namespace)
    "existingSecret" .existingSecret
    "namespaces" .namespaces -}}
{{- if not .existingSecret.name -}}
{{- $_ := set $given "password" (include "bullherd.redis.password" $) -}}
{{- end -}}
{{- $_ := set $all .connectionName (include "bullherd.connection" (dict "root" $ "name" .connectionName "given" $given) | fromYaml) -}}
{{- end -}}
{{- end -}}
{{- toYaml $all -}}
{{- end -}}

{{/*
One connection: {file: what the operator reads, existingSecret: its keys by file name, workerSecret: what to make}.
Contradictions that a JSON schema cannot see end the rendering here with a sentence.
*/}}
{{- define "bullherd.connection" -}}
{{- $name := .name -}}
{{- $given := .given -}}
{{- $tls := $given.tls | default dict -}}
{{- $existing := $given.existingSecret | default dict -}}
{{- $worker := $given.workerSecret | default dict -}}
{{- $passwordKey := ternary $existing.passwordKey "password" (hasKey $existing "passwordKey") -}}
{{- $namespaces := include "bullherd.connection.namespaces" (dict "root" .root "namespaces" $given.namespaces) | fromYamlArray -}}
{{- if and $existing.name $given.password -}}
{{- fail (printf "connections.%s has both a password and an existingSecret: keep one of them" $name) -}}
{{- end -}}
{{- if and $tls (not $tls.enabled) (or $tls.ca $tls.certificate $tls.privateKey) -}}
{{- fail (printf "connections.%s.tls has certificates but is not enabled: set connections.%s.tls.enabled=true" $name $name) -}}
{{- end -}}
{{- if ne (empty $tls.certificate) (empty $tls.privateKey) -}}
{{- fail (printf "connections.%s.tls needs both certificate and privateKey, or neither" $name) -}}
{{- end -}}
{{- if ne (empty $existing.certificateKey) (empty $existing.privateKeyKey) -}}
{{- fail (printf "connections.%s.existingSecret needs both certificateKey and privateKeyKey, or neither" $name) -}}
{{- end -}}
{{- $file := dict
    "host" $given.host
    "port" ($given.port | default 6379 | int)
    "db" ($given.db | default 0 | int)
    "namespaces" $namespaces -}}
{{- with $given.username }}{{ $_ := set $file "username" . }}{{ end -}}
{{- with $given.password }}{{ $_ := set $file "password" . }}{{ end -}}
{{- if $tls.enabled -}}
{{- $_ := set $file "tls" (pick $tls "enabled" "ca" "certificate" "privateKey") -}}
{{- end -}}
{{- $mounted := dict -}}
{{- if $existing.name -}}
{{- $folder := printf "/etc/bullherd/secrets/%s" $name -}}
{{- with $passwordKey -}}
{{- $_ := set $mounted "password" . -}}
{{- $_ := set $file "passwordFile" (printf "%s/password" $folder) -}}
{{- end -}}
{{- if $tls.enabled -}}
{{- range $key, $word := dict "caKey" "ca" "certificateKey" "certificate" "privateKeyKey" "privateKey" -}}
{{- with index $existing $key -}}
{{- $_ := set $mounted $word . -}}
{{- $_ := set $file.tls (printf "%sFile" $word) (printf "%s/%s" $folder $word) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $secret := dict "create" false -}}
{{- $workerFile := dict -}}
{{- with $worker.certificateSecret }}{{ $_ := set $workerFile "certificateSecret" . }}{{ end -}}
{{- if $existing.name -}}
{{- with $passwordKey }}{{ $_ := set $workerFile "passwordKey" . }}{{ end -}}
{{- if and $tls.enabled $existing.caKey }}{{ $_ := set $workerFile "caKey" $existing.caKey }}{{ end -}}
{{- else if or $given.password $tls.ca -}}
{{- if $given.password }}{{ $_ := set $workerFile "passwordKey" "password" }}{{ end -}}
{{- if $tls.ca }}{{ $_ := set $workerFile "caKey" "ca.crt" }}{{ end -}}
{{- $_ := set $secret "create" (ne (toString $worker.create) "false") -}}
{{- $_ := set $secret "namespaces" ($worker.namespaces | default (without $namespaces "*")) -}}
{{- end -}}
{{- if $workerFile -}}
{{- $_ := set $workerFile "name" (coalesce $worker.name $existing.name (printf "bullherd-connection-%s" $name)) -}}
{{- $_ := set $file "workerSecret" $workerFile -}}
{{- end -}}
{{- toYaml (dict "file" $file "mounted" (dict "secret" ($existing.name | default "") "keys" $mounted) "workerSecret" $secret) -}}
{{- end -}}

{{/* The namespaces that may use a connection: those given, else those that the operator watches, else two that exist. */}}
{{- define "bullherd.connection.namespaces" -}}
{{- $namespaces := .namespaces | default .root.Values.watchNamespaces | default (list .root.Release.Namespace "default") -}}
{{- toYaml ($namespaces | uniq) -}}
{{- end -}}

{{/* Volumes of a pod that reads the connection files as the operator does, and where they go. */}}
{{- define "bullherd.connections.volumes" -}}
- name: connections
  secret: {secretName: {{ include "bullherd.connections.secret" . }}}
{{- range $name, $connection := include "bullherd.connections" . | fromYaml }}
{{- with $connection.mounted.secret }}
- name: {{ printf "secret-%s" $name }}
  # Optional: a Secret that is missing breaks its connection, and is named there, but not the operator.
  secret:
    secretName: {{ . }}
    optional: true
    items:
      {{- range $path, $key := $connection.mounted.keys }}
      - {key: {{ $key | quote }}, path: {{ $path }}}
      {{- end }}
{{- end }}
{{- end }}
{{- end -}}
{{- define "bullherd.connections.volumeMounts" -}}
- {name: connections, mountPath: /etc/bullherd/connections, readOnly: true}
{{- range $name, $connection := include "bullherd.connections" . | fromYaml }}
{{- if $connection.mounted.secret }}
- {name: {{ printf "secret-%s" $name }}, mountPath: {{ printf "/etc/bullherd/secrets/%s" $name }}, readOnly: true}
{{- end }}
{{- end }}
{{- end -}}
