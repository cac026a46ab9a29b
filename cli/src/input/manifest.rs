//! What the documents are: configurations of the filter, and objects around them.

use super::File;
use super::yaml::{Node, Value};
use release_track::config::{Config, Error};
use std::fmt;

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
    /// Where an object says the module is.
    pub(crate) source: Option<ModuleSource<'a>>,
    /// The object, if there is one, and what in it has the fields of a plugin.
    pub(crate) plugin: Option<(Object<'a>, &'a Node)>,
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

/// A Kubernetes object.
#[derive(Clone, Copy)]
pub(crate) struct Object<'a> {
    pub(crate) file: &'a File,
    pub(crate) node: &'a Node,
    /// Of its `apiVersion`, without the version; empty for Kubernetes' own core.
    pub(crate) group: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) name: &'a str,
    /// `kubectl` may add one.
    pub(crate) namespace: Option<&'a str>,
}

impl<'a> Object<'a> {
    /// `None` for what is no object.
    fn of(file: &'a File, node: &'a Node) -> Option<Self> {
        let text = |way: &[&str]| node.at(way).and_then(Node::text);
        let kind = text(&["kind"])?;
        let version = text(&["apiVersion"])?;
        Some(Self {
            file,
            node,
            group: version.split_once('/').map_or("", |(group, _)| group),
            kind,
            name: text(&["metadata", "name"]).unwrap_or("(no name)"),
            namespace: text(&["metadata", "namespace"]),
        })
    }

    pub(crate) fn text(&self, way: &[&str]) -> Option<&'a str> {
        self.node.at(way).and_then(Node::text)
    }

    pub(crate) fn list(&self, way: &[&str]) -> impl Iterator<Item = &'a Node> + use<'a> {
        self.node.at(way).into_iter().flat_map(Node::items)
    }
}

/// `VirtualService weather/frontend`
impl fmt::Display for Object<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, name, .. } = self;
        match self.namespace {
            Some(namespace) => write!(f, "{kind} {namespace}/{name}"),
            None => write!(f, "{kind} {name}"),
        }
    }
}

/// Which documents may be configurations by themselves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bare {
    /// Those that have tracks.
    WithTracks,
    /// All of the files that somebody named as configurations.
    Named,
}

pub(crate) struct Manifests<'a> {
    bare: Bare,
    pub(crate) configurations: Vec<Configuration<'a>>,
    /// All other objects.
    pub(crate) objects: Vec<Object<'a>>,
    /// Plugins that are not this filter's.
    pub(crate) foreign: Vec<Object<'a>>,
    /// Documents that are neither.
    pub(crate) others: Vec<(&'a File, &'a Node)>,
}

impl<'a> Manifests<'a> {
    /// Files that are not valid YAML have nothing in them.
    pub(crate) fn of(files: impl IntoIterator<Item = &'a File>, bare: Bare) -> Self {
        let mut manifests = Self {
            bare,
            configurations: Vec::new(),
            objects: Vec::new(),
            foreign: Vec::new(),
            others: Vec::new(),
        };
        for file in files {
            for document in file.documents.iter().flatten() {
                manifests.add(file, document);
            }
        }
        manifests
    }

    fn add(&mut self, file: &'a File, document: &'a Node) {
        let Some(object) = Object::of(file, document) else {
            return self.add_bare(file, document);
        };
        match (object.group, object.kind) {
            ("extensions.istio.io", "WasmPlugin") => self.add_plugin(object, &["spec"]),
            ("extensions.istio.io", "TrafficExtension") => {
                self.add_plugin(object, &["spec", "wasm"]);
            }
            (_, kind) if kind.ends_with("List") && document.get("items").is_some() => {
                object.list(&["items"]).for_each(|item| self.add(file, item));
            }
            _ => self.objects.push(object),
        }
    }

    /// `pluginConfig` alone, or what stands in it.
    fn add_bare(&mut self, file: &'a File, document: &'a Node) {
        let node = match document.members() {
            [member] if member.name == "pluginConfig" => &member.node,
            _ => document,
        };
        let is_ours = node.get("tracks").is_some() && document.get("kind").is_none();
        if !is_ours && (self.bare == Bare::WithTracks || !file.named) {
            self.others.push((file, document));
            return;
        }
        self.configurations.push(Configuration {
            file,
            object: String::new(),
            node,
            is_missing: false,
            environment: None,
            source: None,
            plugin: None,
        });
    }

    fn add_plugin(&mut self, object: Object<'a>, way: &[&str]) {
        let document = object.node;
        let Some(plugin) = document.at(way) else {
            // A TrafficExtension with Lua.
            self.foreign.push(object);
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
            self.foreign.push(object);
            return;
        }
        let environment = plugin.at(&["vmConfig", "env"]).into_iter().flat_map(Node::items);
        let environment = environment.filter_map(|variable| {
            let text = |name| variable.get(name).and_then(Node::text).map(str::to_owned);
            Some((text("name")?, text("value")))
        });
        self.configurations.push(Configuration {
            file: object.file,
            object: object.to_string(),
            node: config.unwrap_or(plugin),
            is_missing: config.is_none(),
            environment: Some(environment.collect()),
            source: plugin.get("url").map(|url| ModuleSource {
                url,
                sha256: plugin.get("sha256"),
                has_pull_secret: plugin.get("imagePullSecret").is_some(),
            }),
            plugin: Some((object, plugin)),
        });
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
