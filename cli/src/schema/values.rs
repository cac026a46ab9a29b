//! `--format helm-values`: the schema of the values of the Helm chart, which lies in `chart/`.

use serde_json::{Value, json};

/// As the chart's `values.yaml` has them; `configuration` is the schema of `pluginConfig`.
pub(super) fn document(configuration: &Value) -> Value {
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "the values of release-track",
        "type": "object",
        "additionalProperties": false,
        "required": ["image", "kind", "pluginConfig"],
        "properties": {
            "image": {
                "description": "registry/repository:tag, or with @sha256: and the digest; without oci://",
                "type": "string",
                "pattern": r"^[\w.-]+(:[0-9]+)?(/[\w.-]+)+(:[\w.-]+)?(@sha256:[0-9a-f]{64})?$",
            },
            "imagePullSecret": {
                "description": "the Secret with the registry's login",
                "type": "string",
            },
            "kind": {
                "description": "which of Istio's kinds it is installed as",
                "enum": ["WasmPlugin", "TrafficExtension"],
            },
            "pluginConfig": configuration,
            "vmConfig": {
                "description": "what the module may know of the proxy's environment",
                "type": "object",
            },
            "admissionPolicy": {
                "description": "whether the API server refuses what the filter would refuse",
                "type": "boolean",
            },
            "monitoring": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "prometheusRule": {
                        "description": "whether the Prometheus Operator gets the alerts",
                        "type": "boolean",
                    },
                    "dashboard": {
                        "description": "whether Grafana's sidecar gets the dashboard",
                        "type": "boolean",
                    },
                    "telemetry": {
                        "description": "whether the mesh's spans and access log lines tell the track",
                        "type": "boolean",
                    },
                },
            },
            // Helm's own, where this chart is part of another one.
            "global": {"type": "object"},
        },
    })
}
