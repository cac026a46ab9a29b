//! Istio: Gateway, VirtualService, DestinationRule.

use super::labels::Labels;
use serde::{Deserialize, Deserializer, de};
use std::collections::BTreeMap;

/// <https://istio.io/latest/docs/reference/config/networking/gateway/>
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    pub selector: Labels,
    pub servers: [Server; 1],
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    pub port: Port,
    pub hosts: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Port {
    pub number: u16,
    pub name: String,
    pub protocol: Protocol,
}

/// Plain HTTP (1.1 and 2) is what this mesh speaks.
#[derive(Clone, Copy, Debug, Deserialize)]
pub enum Protocol {
    #[serde(rename = "HTTP")]
    Http,
    #[serde(rename = "HTTP2")]
    Http2,
}

/// <https://istio.io/latest/docs/reference/config/networking/virtual-service/>
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VirtualService {
    pub hosts: Vec<String>,
    #[serde(default = "mesh")]
    pub gateways: Vec<String>,
    pub http: Vec<HttpRoute>,
}

fn mesh() -> Vec<String> {
    vec!["mesh".into()]
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpRoute {
    pub name: Option<String>,
    /// Any of them; none at all is every request.
    #[serde(default, rename = "match")]
    pub matches: Vec<HttpMatch>,
    pub route: Vec<RouteDestination>,
    /// A duration in Envoy's JSON form, such as `1.5s`.
    pub timeout: Option<String>,
}

/// All conditions of one entry must hold.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct HttpMatch {
    pub name: Option<String>,
    pub uri: Option<StringMatch>,
    pub ignore_uri_case: bool,
    pub scheme: Option<StringMatch>,
    pub method: Option<StringMatch>,
    pub authority: Option<StringMatch>,
    pub headers: BTreeMap<String, StringMatch>,
    pub without_headers: BTreeMap<String, StringMatch>,
    pub query_params: BTreeMap<String, StringMatch>,
    pub port: Option<u16>,
    pub source_labels: Labels,
    pub source_namespace: Option<String>,
    pub gateways: Vec<String>,
}

/// `{exact: ..}`, `{prefix: ..}`, `{regex: ..}` (RE2, the whole value), or `{}`: present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StringMatch {
    Exact(String),
    Prefix(String),
    Regex(String),
    Present,
}

impl<'de> Deserialize<'de> for StringMatch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Fields {
            exact: Option<String>,
            prefix: Option<String>,
            regex: Option<String>,
        }
        match Fields::deserialize(deserializer)? {
            Fields { exact: Some(value), prefix: None, regex: None } => {
                Ok(StringMatch::Exact(value))
            }
            Fields { exact: None, prefix: Some(value), regex: None } => {
                Ok(StringMatch::Prefix(value))
            }
            // Istio reads the regex `*` as presence, too (pilot: route.go, isCatchAllStringMatch).
            Fields { exact: None, prefix: None, regex: Some(value) } if value != "*" => {
                Ok(StringMatch::Regex(value))
            }
            Fields { exact: None, prefix: None, .. } => Ok(StringMatch::Present),
            _ => Err(de::Error::custom("more than one of `exact`, `prefix`, `regex`")),
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteDestination {
    pub destination: Destination,
    /// Relative to the sum over the route's destinations.
    pub weight: Option<u32>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Destination {
    pub host: String,
    pub subset: Option<String>,
    /// Default: the service's only port.
    pub port: Option<PortSelector>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortSelector {
    pub number: u16,
}

/// <https://istio.io/latest/docs/reference/config/networking/destination-rule/>
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DestinationRule {
    pub host: String,
    #[serde(default)]
    pub subsets: Vec<Subset>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subset {
    pub name: String,
    pub labels: Labels,
}
