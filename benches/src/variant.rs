//! The filters that are compared.

use crate::plan::{STORY, Situation};
use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What stands in a listener. All but `None` are compared by what they cost over it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Variant {
    None,
    NoOp,
    /// Reads the headers, and does nothing else.
    Reader,
    /// A script of the `lua` folder.
    Lua(String),
    /// release-track, with one of the configurations.
    Ours(String),
    /// The no-op filter as a dynamic module.
    NoOpNative,
    /// release-track as a dynamic module, with one of the configurations.
    OursNative(String),
    /// What `BENCH_PEER` names.
    Peer,
}

impl Variant {
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::None => "no filter",
            Self::NoOp => "no-op",
            Self::Reader => "reader",
            Self::Lua(_) => "Lua",
            Self::Ours(_) => "release-track",
            Self::NoOpNative => "no-op, native",
            Self::OursNative(_) => "release-track, native",
            Self::Peer => "peer",
        }
    }

    /// The label, and the configuration where it is not the story's.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Ours(config) | Self::OursNative(config) if config != STORY => {
                format!("{}, {config}", self.label())
            }
            _ => self.label().to_owned(),
        }
    }
}

/// Another module, with its configuration: `path.wasm:config.json`.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) module: PathBuf,
    pub(crate) config: PathBuf,
}

impl std::str::FromStr for Peer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (module, config) = text.split_once(':').ok_or("this must be path.wasm:config.json")?;
        let existing = |path: &str| {
            let path = std::path::absolute(path).map_err(|error| error.to_string())?;
            if path.is_file() {
                Ok(path)
            } else {
                Err(format!("there is no file {}", path.display()))
            }
        };
        Ok(Self { module: existing(module)?, config: existing(config)? })
    }
}

/// Where the filters are.
pub(crate) struct Filters {
    ours: PathBuf,
    ours_native: PathBuf,
    no_op: PathBuf,
    no_op_native: PathBuf,
    reader: PathBuf,
    lua: PathBuf,
    /// By name; and of the peer.
    configs: BTreeMap<String, String>,
    peer: Option<(PathBuf, String)>,
}

impl Filters {
    pub(crate) fn new(
        project: &Path,
        configs: BTreeMap<String, String>,
        peer: Option<Peer>,
    ) -> Result<Self> {
        let peer = match peer {
            Some(Peer { module, config }) => {
                let text = std::fs::read_to_string(&config);
                Some((module, text.with_context(|| config.display().to_string())?))
            }
            None => None,
        };
        Ok(Self {
            ours: project.join("dist/release-track.wasm"),
            ours_native: project.join("dist/librelease-track.so"),
            no_op: project.join("target/noop.wasm"),
            no_op_native: project.join("target/noop-native.so"),
            reader: project.join("target/reader.wasm"),
            lua: project.join("benches/lua"),
            configs,
            peer,
        })
    }

    /// What is compared in a situation.
    pub(crate) fn variants(&self, situation: &Situation) -> Vec<Variant> {
        let mut variants = vec![Variant::None, Variant::NoOp, Variant::Reader];
        variants.extend(situation.lua.clone().map(Variant::Lua));
        variants.push(Variant::Ours(situation.config.clone()));
        variants.push(Variant::NoOpNative);
        variants.push(Variant::OursNative(situation.config.clone()));
        variants.extend(self.peer.is_some().then_some(Variant::Peer));
        variants
    }

    /// What is started for memory and the time until ready: with every configuration.
    pub(crate) fn to_start(&self) -> Vec<Variant> {
        let mut variants = vec![Variant::None, Variant::NoOp, Variant::Lua("outbound".into())];
        variants.extend(self.configs.keys().cloned().map(Variant::Ours));
        variants.push(Variant::NoOpNative);
        variants.extend(self.configs.keys().cloned().map(Variant::OursNative));
        variants.extend(self.peer.is_some().then_some(Variant::Peer));
        variants
    }

    /// Those that are files of their own.
    pub(crate) fn modules(&self) -> Vec<Variant> {
        let mut variants = vec![Variant::Ours(STORY.into()), Variant::NoOp, Variant::Reader];
        variants.extend([Variant::OursNative(STORY.into()), Variant::NoOpNative]);
        variants.extend(self.peer.is_some().then_some(Variant::Peer));
        variants
    }

    /// The module and the configuration of a filter that is a file.
    pub(crate) fn module(&self, variant: &Variant) -> Option<(&Path, &str)> {
        match variant {
            Variant::None | Variant::Lua(_) => None,
            Variant::NoOp => Some((&self.no_op, "")),
            Variant::Reader => Some((&self.reader, "")),
            Variant::Ours(config) => Some((&self.ours, self.configs.get(config)?)),
            Variant::NoOpNative => Some((&self.no_op_native, "")),
            Variant::OursNative(config) => Some((&self.ours_native, self.configs.get(config)?)),
            Variant::Peer => self.peer.as_ref().map(|(module, config)| (&**module, &**config)),
        }
    }

    /// Envoy's configuration of a variant.
    pub(crate) fn of(&self, variant: &Variant) -> Result<Option<Value>> {
        if let Variant::Lua(script) = variant {
            let path = self.lua.join(script).with_extension("lua");
            let text = std::fs::read_to_string(&path);
            return Ok(Some(json!({
                "name": "lua",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
                    "default_source_code": {
                        "inline_string": text.with_context(|| path.display().to_string())?,
                    },
                },
            })));
        }
        let name = variant.label();
        Ok(self.module(variant).map(|(module, config)| {
            if let Variant::NoOpNative | Variant::OursNative(_) = variant {
                return native(name, module, config);
            }
            json!({
                "name": name,
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
                    "config": {
                        "name": name,
                        "root_id": name,
                        "failure_policy": "FAIL_RELOAD",
                        "configuration": {
                            "@type": "type.googleapis.com/google.protobuf.StringValue",
                            "value": config,
                        },
                        "vm_config": {
                            "runtime": "envoy.wasm.runtime.v8",
                            "code": {"local": {"filename": module}},
                        },
                    },
                },
            })
        }))
    }
}

fn native(name: &str, module: &Path, config: &str) -> Value {
    json!({
        "name": name,
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilter",
            "dynamic_module_config": {"module": {"local": {"filename": module}}, "do_not_close": true},
            "filter_name": name,
            "filter_config": {
                "@type": "type.googleapis.com/google.protobuf.StringValue",
                "value": config,
            },
        },
    })
}
