//! The filter, as the extension configuration that the listeners discover.
//! pilot: model/extensions.go.

use super::proxy::Proxy;
use super::registry::Registry;
use crate::manifest::{Error, FailStrategy};
use serde_json::{Map, Value, json};
use std::path::Path;

/// The name under which both listeners of every Envoy discover it.
pub(super) const NAME: &str = "release-track";
pub(super) const TYPE_URLS: [&str; 3] = [
    "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
    "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
    "type.googleapis.com/envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilter",
];

/// `module`: the compiled filter, a shared object (`.so`) if it is native; `None` leaves a filter
/// that does nothing, which is what istiod puts where there is no module to run (RBAC without
/// rules).
pub fn filter(
    proxy: &Proxy,
    registry: &Registry<'_>,
    module: Option<&Path>,
) -> Result<Value, Error> {
    let plugin = registry.plugin(&proxy.namespace, &proxy.labels)?;
    let Some((plugin, module)) = plugin.zip(module) else {
        return Ok(named(json!({"@type": TYPE_URLS[1]})));
    };
    let spec = &plugin.spec;
    let environment: Map<String, Value> = spec
        .vm_config
        .env
        .iter()
        .map(|variable| (variable.name.clone(), variable.value.clone().into()))
        .collect();
    let configuration = json!({
        "@type": "type.googleapis.com/google.protobuf.StringValue",
        "value": Value::Object(spec.plugin_config.clone()).to_string(),
    });
    if module.extension().is_some_and(|ending| ending == "so") {
        return Ok(named(json!({
            "@type": TYPE_URLS[2],
            "dynamic_module_config": {
                "module": {"local": {"filename": module}},
                "do_not_close": true,
            },
            "filter_name": "release-track",
            "filter_config": configuration,
        })));
    }
    Ok(named(json!({
        "@type": TYPE_URLS[0],
        "config": {
            "name": format!("{}.{}", plugin.namespace, plugin.name),
            "root_id": spec.plugin_name.as_deref().unwrap_or_default(),
            "failure_policy": match spec.fail_strategy {
                FailStrategy::Close => "FAIL_CLOSED",
                FailStrategy::Open => "FAIL_OPEN",
                FailStrategy::Reload => "FAIL_RELOAD",
            },
            "configuration": configuration,
            "vm_config": {
                "runtime": "envoy.wasm.runtime.v8",
                "code": {"local": {"filename": module}},
                "environment_variables": {"key_values": environment},
            },
        },
    })))
}

fn named(typed_config: Value) -> Value {
    json!({
        "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
        "name": NAME,
        "typed_config": typed_config,
    })
}
