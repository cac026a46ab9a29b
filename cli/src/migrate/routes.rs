//! The classical set-up as it stands in the files: which versions there are, and who gets which.

use crate::input::File;
use crate::input::yaml::Node;
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};

/// A service of Kubernetes; of a host outside of the cluster, the whole name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Service {
    pub(super) namespace: String,
    pub(super) name: String,
}

/// A version of a service, as a route leads to it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Version {
    pub(super) service: Service,
    /// The version label that its pods have.
    pub(super) label: String,
    /// No DestinationRule or Service says the label: it is taken from the route's own words.
    pub(super) is_assumed: bool,
}

pub(super) struct Destination<'a> {
    pub(super) node: &'a Node,
    pub(super) host: String,
    pub(super) version: Option<Version>,
    pub(super) service: Service,
    pub(super) weight: f64,
}

/// An item of `http`.
pub(super) struct Item<'a> {
    pub(super) node: &'a Node,
    /// Of its `match`.
    pub(super) entries: Vec<&'a Node>,
    pub(super) destinations: Vec<Destination<'a>>,
}

pub(super) struct VirtualService<'a> {
    pub(super) file: &'a File,
    pub(super) document: &'a Node,
    /// It is no item of a List.
    pub(super) is_root: bool,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) hosts: Vec<String>,
    /// Some gateway has it.
    pub(super) at_gateway: bool,
    /// What made it, and would make it again.
    pub(super) owner: Option<String>,
    pub(super) items: Vec<Item<'a>>,
    pub(super) list: Option<&'a Node>,
}

#[derive(Default)]
pub(super) struct SetUp<'a> {
    pub(super) services: Vec<VirtualService<'a>>,
    /// The filter's own configuration, and the plugin that it is in.
    pub(super) plugins: Vec<(&'a File, &'a Node)>,
    /// Routes of the Gateway API that choose whom they take, or how many: file and name, and the
    /// match or the backend that does.
    pub(super) http_routes: Vec<(&'a File, String, &'a Node)>,
    /// The pod label that names a version.
    pub(super) version_label: String,
    rules: BTreeMap<Service, BTreeMap<String, BTreeMap<String, String>>>,
    selectors: BTreeMap<Service, BTreeMap<String, String>>,
}

const VERSION: &str = "version";

impl<'a> SetUp<'a> {
    pub(super) fn read(files: &'a [File]) -> Self {
        let mut objects = Vec::new();
        for file in files {
            for document in file.documents.iter().flatten() {
                add(file, document, true, &mut objects);
            }
        }
        let mut set_up = Self::default();
        for (_, document, _) in &objects {
            set_up.add_workload(document);
        }
        set_up.version_label = set_up.version_label(&objects);
        for (file, document, is_root) in objects {
            match text(document, &["kind"]) {
                Some("VirtualService") if is_group(document, "networking.istio.io") => {
                    let service = set_up.virtual_service(file, document, is_root);
                    set_up.services.push(service);
                }
                Some("WasmPlugin")
                    if document.at(&["spec", "pluginConfig", "tracks"]).is_some() =>
                {
                    set_up.plugins.push((file, document));
                }
                Some(kind @ ("HTTPRoute" | "GRPCRoute")) => {
                    let name = text(document, &["metadata", "name"]).unwrap_or_default();
                    let object = format!("{kind} {}/{name}", namespace(document));
                    let found = choosing(document).map(|node| (file, object.clone(), node));
                    set_up.http_routes.extend(found);
                }
                _ => {}
            }
        }
        set_up
    }

    fn add_workload(&mut self, document: &Node) {
        let namespace = namespace(document);
        match text(document, &["kind"]) {
            Some("DestinationRule") => {
                let Some(host) = text(document, &["spec", "host"]) else { return };
                let subsets = document.at(&["spec", "subsets"]).into_iter().flat_map(Node::items);
                let known = self.rules.entry(service(host, namespace)).or_default();
                for subset in subsets {
                    if let Some(name) = text(subset, &["name"]) {
                        known.insert(name.to_owned(), labels(subset.get("labels")));
                    }
                }
            }
            Some("Service") => {
                let Some(name) = text(document, &["metadata", "name"]) else { return };
                let selector = labels(document.at(&["spec", "selector"]));
                self.selectors.insert(service(name, namespace), selector);
            }
            _ => {}
        }
    }

    /// `version`, unless nothing has that label.
    fn version_label(&self, objects: &[(&File, &Node, bool)]) -> String {
        let of_subsets = || self.rules.values().flat_map(BTreeMap::values);
        let mut asked = BTreeSet::new();
        for (_, document, _) in objects {
            let routes = document.at(&["spec", "http"]).into_iter().flat_map(Node::items);
            let entries = routes.filter_map(|route| route.get("match")).flat_map(Node::items);
            for labels in entries.filter_map(|entry| entry.get("sourceLabels")) {
                asked.extend(labels.members().iter().map(|member| &*member.name));
            }
        }
        if asked.contains(VERSION) || of_subsets().any(|labels| labels.contains_key(VERSION)) {
            return VERSION.to_owned();
        }
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for name in of_subsets().flat_map(BTreeMap::keys).filter(|name| *name != "app") {
            *counts.entry(name).or_default() += 1;
        }
        let most = counts.into_iter().max_by_key(|(_, count)| *count);
        most.map_or(VERSION, |(name, _)| name).to_owned()
    }

    /// The app label of a service's pods.
    pub(super) fn app(&self, service: &Service) -> String {
        let selector = self.selectors.get(service);
        let app = selector.and_then(|labels| labels.get("app"));
        app.unwrap_or(&service.name).clone()
    }

    fn virtual_service(
        &self,
        file: &'a File,
        document: &'a Node,
        is_root: bool,
    ) -> VirtualService<'a> {
        let namespace = namespace(document).to_owned();
        let strings = |way: &[&str]| -> Vec<String> {
            let items = document.at(way).into_iter().flat_map(Node::items);
            items.filter_map(Node::text).map(str::to_owned).collect()
        };
        let list = document.at(&["spec", "http"]);
        let nodes: Vec<_> = list.into_iter().flat_map(Node::items).collect();
        let hosts: BTreeSet<_> = nodes
            .iter()
            .filter_map(|node| node.get("route"))
            .flat_map(Node::items)
            .filter_map(|route| text(route, &["destination", "host"]))
            .collect();
        let items = nodes.into_iter().map(|node| Item {
            node,
            entries: node.get("match").into_iter().flat_map(Node::items).collect(),
            destinations: node
                .get("route")
                .into_iter()
                .flat_map(Node::items)
                .filter_map(|route| self.destination(route, &namespace, &hosts))
                .collect(),
        });
        let mut owners =
            document.at(&["metadata", "ownerReferences"]).into_iter().flat_map(Node::items);
        let owner = owners.find_map(|owner| {
            Some(format!("{} {}", text(owner, &["kind"])?, text(owner, &["name"])?))
        });
        VirtualService {
            file,
            document,
            is_root,
            name: text(document, &["metadata", "name"]).unwrap_or("(no name)").to_owned(),
            hosts: strings(&["spec", "hosts"]),
            at_gateway: strings(&["spec", "gateways"]).iter().any(|gateway| gateway != "mesh"),
            owner,
            items: items.collect(),
            list,
            namespace,
        }
    }

    fn destination(
        &self,
        node: &'a Node,
        namespace: &str,
        hosts: &BTreeSet<&str>,
    ) -> Option<Destination<'a>> {
        let host = text(node, &["destination", "host"])?;
        let whole = service(host, namespace);
        let weight = match node.get("weight").map(|weight| &weight.value) {
            Some(crate::input::yaml::Value::Number(weight)) => *weight,
            _ => 0.0,
        };
        let (of, version) = match text(node, &["destination", "subset"]) {
            Some(subset) => {
                let labels = self.rules.get(&whole).and_then(|subsets| subsets.get(subset));
                let label = labels.and_then(|labels| labels.get(&self.version_label));
                let version = Version {
                    service: whole.clone(),
                    label: label.map_or(subset, |label| label).to_owned(),
                    is_assumed: label.is_none(),
                };
                (whole, Some(version))
            }
            None => {
                let (stem, end) = split(&whole.name);
                let is_stem = |other: &&str| {
                    **other != *host && split(&service(other, namespace).name).0 == stem
                };
                if !hosts.iter().any(is_stem) {
                    (whole, None)
                } else {
                    let selector = self.selectors.get(&whole);
                    let label = selector.and_then(|labels| labels.get(&self.version_label));
                    let version = Version {
                        service: Service { name: stem.to_owned(), ..whole.clone() },
                        label: label.cloned().unwrap_or_else(|| end.to_owned()),
                        is_assumed: label.is_none(),
                    };
                    (version.service.clone(), Some(version))
                }
            }
        };
        Some(Destination { node, host: host.to_owned(), version, service: of, weight })
    }
}

/// The matches of a route of the Gateway API that look at who sends a request, and the backends that
/// get a part of them.
fn choosing(document: &Node) -> impl Iterator<Item = &Node> {
    let rules = || document.at(&["spec", "rules"]).into_iter().flat_map(Node::items);
    let matches = rules().filter_map(|rule| rule.get("matches")).flat_map(Node::items);
    let who = |one: &&Node| one.get("headers").or(one.get("queryParams")).is_some();
    let backends = rules().filter_map(|rule| Some(rule.get("backendRefs")?.items()));
    let shared = backends.filter(|backends| backends.len() > 1).flatten();
    let part = |one: &&Node| one.get("weight").and_then(Node::number).is_some_and(|w| w > 0.0);
    matches.filter(who).chain(shared.filter(part).take(1))
}

/// Whether a service's name ends in a version: `frontend-v2`, `podinfo-canary`.
fn split(name: &str) -> (&str, &str) {
    const WORDS: [&str; 12] = [
        "canary", "primary", "stable", "baseline", "beta", "blue", "green", "next", "new", "old",
        "preview", "test",
    ];
    match name.rsplit_once('-') {
        Some((stem, end))
            if WORDS.contains(&end)
                || end
                    .strip_prefix('v')
                    .is_some_and(|n| n.starts_with(|c: char| c.is_ascii_digit())) =>
        {
            (stem, end)
        }
        _ => (name, ""),
    }
}

fn add<'a>(
    file: &'a File,
    document: &'a Node,
    is_root: bool,
    objects: &mut Vec<(&'a File, &'a Node, bool)>,
) {
    match text(document, &["kind"]) {
        Some(kind) if kind.ends_with("List") => {
            for item in document.get("items").into_iter().flat_map(Node::items) {
                add(file, item, false, objects);
            }
        }
        Some(_) => objects.push((file, document, is_root)),
        None => {}
    }
}

fn is_group(document: &Node, group: &str) -> bool {
    text(document, &["apiVersion"]).is_some_and(|version| version.split('/').next() == Some(group))
}

pub(super) fn text<'a>(node: &'a Node, way: &[&str]) -> Option<&'a str> {
    node.at(way).and_then(Node::text)
}

fn namespace(document: &Node) -> &str {
    text(document, &["metadata", "namespace"]).unwrap_or("default")
}

fn labels(node: Option<&Node>) -> BTreeMap<String, String> {
    let members = node.into_iter().flat_map(Node::members);
    let texts =
        members.filter_map(|member| Some((member.name.clone(), member.node.text()?.to_owned())));
    texts.collect()
}

/// Istio completes a name without a dot by the namespace of the rule.
fn service(host: &str, namespace: &str) -> Service {
    let mut parts = host.split('.');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(name), Some(namespace), Some("svc")) => {
            Service { namespace: namespace.to_owned(), name: name.to_owned() }
        }
        (Some(name), None, None) => {
            Service { namespace: namespace.to_owned(), name: name.to_owned() }
        }
        _ => Service { namespace: String::new(), name: host.to_owned() },
    }
}

/// One destination of an item, without its weight.
pub(super) fn alone(item: &mut Json, destination: usize) {
    if let Some(routes) = item.get_mut("route").and_then(Json::as_array_mut) {
        let mut route = routes.get(destination).cloned().unwrap_or_default();
        if let Some(fields) = route.as_object_mut() {
            fields.remove("weight");
        }
        *routes = vec![route];
    }
}
