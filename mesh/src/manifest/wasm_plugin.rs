//! Istio: WasmPlugin.

use super::core::{EnvVar, LabelSelector};
use serde::Deserialize;
use serde_json::{Map, Value};

/// <https://istio.io/latest/docs/reference/config/proxy_extensions/wasm-plugin/>
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WasmPlugin {
    /// The pods that get it. Default: all, gateways too.
    pub selector: Option<LabelSelector>,
    /// Where a cluster gets the module from; here it is at hand.
    pub url: String,
    pub sha256: Option<String>,
    pub image_pull_policy: Option<String>,
    /// With one plugin there is no order among plugins.
    pub phase: Option<String>,
    pub priority: Option<i32>,
    pub plugin_name: Option<String>,
    #[serde(default)]
    pub plugin_config: Map<String, Value>,
    #[serde(default)]
    pub fail_strategy: FailStrategy,
    #[serde(default)]
    pub vm_config: VmConfig,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub enum FailStrategy {
    #[default]
    #[serde(rename = "FAIL_CLOSE")]
    Close,
    #[serde(rename = "FAIL_OPEN")]
    Open,
    #[serde(rename = "FAIL_RELOAD")]
    Reload,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VmConfig {
    pub env: Vec<EnvVar>,
}
