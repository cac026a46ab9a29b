{{- /* What a WasmPlugin has in its spec, and a TrafficExtension in spec.wasm. */ -}}
{{- define "wasm" -}}
url: oci://{{ .Values.image }}
{{- with .Values.imagePullSecret }}
imagePullSecret: {{ . }}
{{- end }}
failStrategy: FAIL_RELOAD
{{- with .Values.vmConfig }}
vmConfig: {{- toYaml . | nindent 2 }}
{{- end }}
pluginConfig: {{- toYaml .Values.pluginConfig | nindent 2 }}
{{- end }}
