//! What the documents are: configurations of the filter, and routes that follow its header.

use super::File;
use super::yaml::{Node, Span, Value};
use release_track::config::{Config, Error};

/// A configuration of the filter, valid or not.
pub(crate) struct Configuration<'a> {
    pub(crate) file: &'a File,
    /// `WasmPlugin istio-system/release-track`; empty for a bare configuration.
    pub(crate) object: String,
    /// The configuration itself; where it is missing, what should have it.
    pub(crate) node: &'a Node,
    is_missing: bool,
    /// The object's `vmConfig.env`, if it is in an object: names, and the values that stand there.
    pub(crate) environment: Option<Vec<(String, Option<String>)>>,
    /// The namespace of an object that goes to every proxy there; the root namespace's go to all.
    pub(crate) everywhere_in: Option<String>,
    /// Where an object says the module is.
    pub(crate) source: Option<ModuleSource<'a>>,
}

/// The fields of a plugin that are about its module.
pub(crate) struct ModuleSource<'a> {
    pub(crate) url: &'a Node,
    pub(crate) sha256: Option<&'a Node>,
    pub(crate) has_pull_secret: bool,
}

impl Configuration<'_> {
    /// What the filter itself says to it.
    pub(crate) fn parse(&self) -> Result<Config, Error> {
        let json = if self.is_missing { String::new() } else { self.node.to_json().to_string() };
        Config::parse(json.as_bytes())
    }

    /// What a person would call it.
    pub(crate) fn name(&self) -> &str {
        if self.object.is_empty() { "configuration" } else { &self.object }
    }
}

/// A VirtualService or an HTTPRoute.
pub(crate) struct Routes<'a> {
    pub(crate) file: &'a File,
    /// `VirtualService weather/frontend`
    pub(crate) object: String,
    /// The first rule that matches has the request; otherwise the most specific one.
    pub(crate) ordered: bool,
    pub(crate) rules: Vec<Rule>,
}

pub(crate) struct Rule {
    pub(crate) span: Span,
    /// Any of them; none at all is every request.
    pub(crate) alternatives: Vec<Vec<Condition>>,
    /// The services that it leads to, without their domain.
    pub(crate) services: Vec<String>,
    /// The hosts that it leads to, as they stand there.
    pub(crate) hosts: Vec<(String, Span)>,
    /// The request headers that it removes, in lower case.
    pub(crate) removes: Vec<String>,
}

/// A condition on a request header, or another one, that is only compared.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Condition {
    /// Names are in lower case, as Envoy compares them.
    Header {
        name: String,
        test: StringMatch,
    },
    WithoutHeader {
        name: String,
        test: StringMatch,
    },
    Other(String, Node),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum StringMatch {
    Exact(String),
    Prefix(String),
    /// The whole value, in RE2's syntax.
    Regex(String),
    Present,
}

#[derive(Default)]
pub(crate) struct Manifests<'a> {
    pub(crate) configurations: Vec<Configuration<'a>>,
    pub(crate) routes: Vec<Routes<'a>>,
    /// The hosts of ServiceEntries, and whether they are outside of the mesh.
    pub(crate) declared: Vec<(String, bool)>,
    /// Plugins that are not this filter's.
    pub(crate) foreign: Vec<(&'a File, String)>,
}

impl<'a> Manifests<'a> {
    /// Files that are not valid YAML have nothing in them.
    pub(crate) fn of(files: impl IntoIterator<Item = &'a File>) -> Self {
        let mut manifests = Self::default();
        for file in files {
            for document in file.documents.iter().flatten() {
                manifests.add(file, document);
            }
        }
        manifests
    }

    fn add(&mut self, file: &'a File, document: &'a Node) {
        let text = |name| document.get(name).and_then(Node::text);
        match (text("apiVersion"), text("kind")) {
            (Some(version), Some(kind)) => {
                let group = version.split('/').next().unwrap_or_default();
                match (group, kind) {
                    ("extensions.istio.io", "WasmPlugin") => {
                        self.add_plugin(file, document, kind, &["spec"]);
                    }
                    ("extensions.istio.io", "TrafficExtension") => {
                        self.add_plugin(file, document, kind, &["spec", "wasm"]);
                    }
                    ("networking.istio.io", "VirtualService") => {
                        self.routes.push(virtual_service(file, document));
                    }
                    ("networking.istio.io", "ServiceEntry") => self.add_service_entry(document),
                    ("gateway.networking.k8s.io", "HTTPRoute") => {
                        self.routes.push(http_route(file, document));
                    }
                    _ if kind.ends_with("List") => {
                        for item in document.get("items").into_iter().flat_map(Node::items) {
                            self.add(file, item);
                        }
                    }
                    _ => {}
                }
            }
            _ => self.add_bare(file, document),
        }
    }

    /// <https://istio.io/latest/docs/reference/config/networking/service-entry/>: outside, if it
    /// does not say where.
    fn add_service_entry(&mut self, document: &Node) {
        let location = document.at(&["spec", "location"]).and_then(Node::text);
        let hosts = document.at(&["spec", "hosts"]).into_iter().flat_map(Node::items);
        let is_outside = location != Some("MESH_INTERNAL");
        let hosts = hosts.filter_map(|host| Some((host.text()?.to_owned(), is_outside)));
        self.declared.extend(hosts);
    }

    /// `pluginConfig` alone, or what stands in it.
    fn add_bare(&mut self, file: &'a File, document: &'a Node) {
        let node = match document.members() {
            [member] if member.name == "pluginConfig" => &member.node,
            _ => document,
        };
        if file.named || node.get("tracks").is_some() {
            self.configurations.push(Configuration {
                file,
                object: String::new(),
                node,
                is_missing: false,
                environment: None,
                everywhere_in: None,
                source: None,
            });
        }
    }

    fn add_plugin(&mut self, file: &'a File, document: &'a Node, kind: &str, way: &[&str]) {
        let object = object(document, kind);
        let Some(plugin) = document.at(way) else {
            // A TrafficExtension with Lua.
            self.foreign.push((file, object));
            return;
        };
        let config = plugin.get("pluginConfig");
        let names =
            [document.at(&["metadata", "name"]), plugin.get("url"), plugin.get("pluginName")];
        let is_ours = names
            .into_iter()
            .flatten()
            .filter_map(Node::text)
            .any(|name| name.contains("release-track") || name.contains("release_track"))
            || config.is_some_and(|config| config.get("tracks").is_some());
        if !is_ours {
            self.foreign.push((file, object));
            return;
        }
        let environment = plugin.at(&["vmConfig", "env"]).into_iter().flat_map(Node::items);
        let environment = environment.filter_map(|variable| {
            let text = |name| variable.get(name).and_then(Node::text).map(str::to_owned);
            Some((text("name")?, text("value")))
        });
        let spec = document.get("spec");
        let is_everywhere = ["selector", "targetRefs", "targetRef"]
            .iter()
            .all(|name| spec.is_none_or(|spec| spec.get(name).is_none()));
        self.configurations.push(Configuration {
            file,
            object,
            node: config.unwrap_or(plugin),
            is_missing: config.is_none(),
            environment: Some(environment.collect()),
            everywhere_in: is_everywhere.then(|| namespace(document).to_owned()),
            source: plugin.get("url").map(|url| ModuleSource {
                url,
                sha256: plugin.get("sha256"),
                has_pull_secret: plugin.get("imagePullSecret").is_some(),
            }),
        });
    }
}

fn namespace(document: &Node) -> &str {
    document.at(&["metadata", "namespace"]).and_then(Node::text).unwrap_or("default")
}

fn object(document: &Node, kind: &str) -> String {
    let name = document.at(&["metadata", "name"]).and_then(Node::text).unwrap_or("(no name)");
    match document.at(&["metadata", "namespace"]).and_then(Node::text) {
        Some(namespace) => format!("{kind} {namespace}/{name}"),
        None => format!("{kind} {name}"),
    }
}

/// <https://istio.io/latest/docs/reference/config/networking/virtual-service/>
fn virtual_service<'a>(file: &'a File, document: &'a Node) -> Routes<'a> {
    let routes = document.at(&["spec", "http"]).into_iter().flat_map(Node::items);
    let rules = routes.map(|route| {
        let hosts = route.get("route").into_iter().flat_map(Node::items);
        let hosts: Vec<_> =
            hosts.filter_map(|route| text_and_span(route.at(&["destination", "host"])?)).collect();
        let removes = route.at(&["headers", "request", "remove"]).into_iter();
        Rule {
            span: route.span.clone(),
            alternatives: alternatives(route.get("match"), |member, conditions| {
                let headers = member.node.members();
                match &*member.name {
                    "name" | "statPrefix" => {}
                    "headers" => {
                        conditions.extend(headers.iter().map(|header| Condition::Header {
                            name: header.name.to_lowercase(),
                            test: StringMatch::read(&header.node),
                        }))
                    }
                    "withoutHeaders" => {
                        conditions.extend(headers.iter().map(|header| Condition::WithoutHeader {
                            name: header.name.to_lowercase(),
                            test: StringMatch::read(&header.node),
                        }))
                    }
                    name => conditions.push(Condition::Other(name.to_owned(), member.node.clone())),
                }
            }),
            services: hosts.iter().map(|(host, _)| service(host)).collect(),
            hosts,
            removes: removes.flat_map(Node::items).filter_map(Node::text).map(lower).collect(),
        }
    });
    Routes {
        file,
        object: object(document, "VirtualService"),
        ordered: true,
        rules: rules.collect(),
    }
}

/// <https://gateway-api.sigs.k8s.io/reference/spec/#httproute>
fn http_route<'a>(file: &'a File, document: &'a Node) -> Routes<'a> {
    let rules = document.at(&["spec", "rules"]).into_iter().flat_map(Node::items);
    let rules = rules.map(|rule| {
        let backends = rule.get("backendRefs").into_iter().flat_map(Node::items);
        let backends: Vec<_> = backends.collect();
        let named = |backend: &&Node| backend.get("name").and_then(text_and_span);
        // Istio's own kind of backend.
        let is_host = |backend: &&&Node| {
            backend.get("kind").and_then(Node::text).is_some_and(|kind| kind == "Hostname")
        };
        Rule {
            span: rule.span.clone(),
            alternatives: alternatives(rule.get("matches"), |member, conditions| {
                if member.name != "headers" {
                    conditions.push(Condition::Other(member.name.clone(), member.node.clone()));
                    return;
                }
                for header in member.node.items() {
                    let text = |name| header.get(name).and_then(Node::text).unwrap_or_default();
                    let value = text("value").to_owned();
                    let test = match text("type") {
                        "RegularExpression" => StringMatch::Regex(value),
                        _ => StringMatch::Exact(value),
                    };
                    conditions.push(Condition::Header { name: text("name").to_lowercase(), test });
                }
            }),
            services: backends.iter().filter_map(named).map(|(name, _)| service(&name)).collect(),
            hosts: backends.iter().filter(is_host).filter_map(named).collect(),
            removes: removed_by_filters(rule),
        }
    });
    Routes { file, object: object(document, "HTTPRoute"), ordered: false, rules: rules.collect() }
}

fn alternatives(
    matches: Option<&Node>,
    read: impl Fn(&super::yaml::Member, &mut Vec<Condition>),
) -> Vec<Vec<Condition>> {
    let matches = matches.into_iter().flat_map(Node::items);
    let conditions = matches.map(|one| {
        let mut conditions = Vec::new();
        one.members().iter().for_each(|member| read(member, &mut conditions));
        conditions
    });
    conditions.collect()
}

/// What the filters of an HTTPRoute's rule remove.
fn removed_by_filters(rule: &Node) -> Vec<String> {
    let filters = rule.get("filters").into_iter().flat_map(Node::items);
    let lists = filters.filter_map(|filter| filter.at(&["requestHeaderModifier", "remove"]));
    lists.flat_map(Node::items).filter_map(Node::text).map(lower).collect()
}

fn lower(name: &str) -> String {
    name.to_lowercase()
}

fn text_and_span(node: &Node) -> Option<(String, Span)> {
    Some((node.text()?.to_owned(), node.span.clone()))
}

/// `forecast.weather.svc.cluster.local` is the service forecast.
fn service(host: &str) -> String {
    host.split('.').next().unwrap_or_default().to_owned()
}

impl StringMatch {
    fn read(node: &Node) -> Self {
        let text = |name| node.get(name).and_then(Node::text).map(str::to_owned);
        if let Some(exact) = text("exact") {
            return Self::Exact(exact);
        }
        if let Some(prefix) = text("prefix") {
            return Self::Prefix(prefix);
        }
        match text("regex") {
            // Istio reads the regex `*` as presence (pilot: isCatchAllStringMatch).
            Some(regex) if regex != "*" => Self::Regex(regex),
            _ => Self::Present,
        }
    }

    pub(crate) fn passes(&self, value: &str) -> bool {
        match self {
            Self::Exact(exact) => value == exact,
            Self::Prefix(prefix) => value.starts_with(prefix),
            Self::Regex(regex) => regex::Regex::new(&format!(r"\A(?:{regex})\z"))
                .is_ok_and(|regex| regex.is_match(value)),
            Self::Present => true,
        }
    }
}

impl Node {
    /// What it is, for a person.
    pub(crate) fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::Text(_) => "a string",
            Value::List(_) => "a list",
            Value::Map(_) => "an object",
        }
    }
}
