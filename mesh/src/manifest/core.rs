//! Kubernetes: Service and Deployment.

use super::labels::Labels;
use serde::Deserialize;

/// <https://kubernetes.io/docs/reference/kubernetes-api/service-resources/service-v1/>
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    pub selector: Labels,
    pub ports: Vec<ServicePort>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServicePort {
    #[serde(default)]
    pub name: String,
    pub port: u16,
    /// Default: `port`.
    pub target_port: Option<u16>,
    #[serde(default)]
    pub app_protocol: Option<String>,
}

impl ServicePort {
    pub fn target(&self) -> u16 {
        self.target_port.unwrap_or(self.port)
    }

    /// Whether callers speak HTTP/2 to it, as Istio reads the protocol: from `appProtocol`, else from
    /// the name up to its first dash.
    /// <https://istio.io/latest/docs/ops/configuration/traffic-management/protocol-selection/>
    pub fn is_http2(&self) -> bool {
        let name = || self.name.split('-').next();
        let protocol = self.app_protocol.as_deref().or_else(name);
        matches!(protocol, Some("grpc" | "http2" | "kubernetes.io/h2c"))
    }
}

/// <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/deployment-v1/>
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deployment {
    #[serde(default = "one")]
    pub replicas: usize,
    pub selector: LabelSelector,
    pub template: PodTemplate,
}

fn one() -> usize {
    1
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LabelSelector {
    pub match_labels: Labels,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PodTemplate {
    pub metadata: PodMetadata,
    pub spec: Pod,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PodMetadata {
    pub labels: Labels,
    #[serde(default)]
    pub annotations: Labels,
}

/// The one container is run as a process: its `args`, given to the program of this mesh.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pod {
    pub containers: [Container; 1],
    #[serde(default)]
    pub service_account_name: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Container {
    pub name: String,
    /// Where a cluster gets the program from; here it is at hand.
    pub image: String,
    #[serde(default)]
    pub image_pull_policy: Option<String>,
    #[serde(default)]
    pub args: Vec<String>,
    #[serde(default)]
    pub env: Vec<EnvVar>,
    pub ports: [ContainerPort; 1],
    /// Nothing here holds a process to them.
    #[serde(default)]
    pub resources: Option<serde_json::Value>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvVar {
    pub name: String,
    pub value: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ContainerPort {
    #[serde(default)]
    pub name: String,
    pub container_port: u16,
}

#[cfg(test)]
mod tests {
    use super::ServicePort;

    #[test]
    fn the_protocol_is_in_the_name_or_beside_it() {
        let is_http2 = |name: &str, app_protocol: Option<&str>| {
            let app_protocol = app_protocol.map(str::to_owned);
            let port = ServicePort { name: name.into(), port: 1, target_port: None, app_protocol };
            port.is_http2()
        };
        assert!(is_http2("grpc", None) && is_http2("http2-admin", None));
        assert!(!is_http2("http", None) && !is_http2("", None) && !is_http2("grpcs", None));
        assert!(is_http2("http", Some("grpc")) && !is_http2("grpc", Some("http")));
    }
}
