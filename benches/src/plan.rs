//! What is measured: `benchmark.yaml`, read into requests that are ready to be sent.

use anyhow::{Context as _, Result, bail};
use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// What nobody tests for, in the requests of a situation that says nothing about cookies.
const SOMEBODY: &str = "bob";

const SHORT_COOKIE: usize = 64;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    #[serde(rename = "about")]
    _about: String,
    run: Run,
    starts: Starts,
    nodes: BTreeMap<String, Node>,
    configs: BTreeMap<String, ConfigText>,
    shapes: IndexMap<String, ShapeText>,
    situations: Vec<SituationText>,
    headers: IndexMap<String, String>,
    goals: Vec<Goal>,
}

/// The size of a run.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Run {
    pub(crate) rounds: usize,
    /// Requests at the beginning of a block that do not count.
    pub(crate) warm_up: usize,
    pub(crate) requests: usize,
}

/// The starts that are looked at.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Starts {
    pub(crate) node: String,
    pub(crate) rounds: usize,
}

/// A proxy, as Istio names it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Node {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigText {
    accounts: Option<usize>,
    tracks: Option<usize>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Protocol {
    #[serde(rename = "HTTP/1.1")]
    Http1,
    #[serde(rename = "HTTP/2")]
    Http2,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShapeText {
    #[serde(default = "eight")]
    headers: usize,
    #[serde(default = "short_cookie")]
    cookie: usize,
    #[serde(default = "http1")]
    protocol: Protocol,
}

fn eight() -> usize {
    8
}

fn short_cookie() -> usize {
    SHORT_COOKIE
}

fn http1() -> Protocol {
    Protocol::Http1
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Direction {
    Inbound = 1,
    Outbound = 2,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SituationText {
    name: String,
    node: String,
    direction: Direction,
    #[serde(default = "story")]
    config: String,
    lua: Option<String>,
    user: Option<String>,
    before: Option<IndexMap<String, String>>,
    #[serde(default)]
    send: IndexMap<String, String>,
    reaches: Route,
    shapes: Vec<String>,
}

/// The configuration that goes without saying.
pub(crate) const STORY: &str = "story";

fn story() -> String {
    STORY.into()
}

/// The routes behind the filter, as the story has them.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Route {
    V1,
    V2,
}

/// A figure of the filter, and what it may be at most.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Goal {
    /// A situation, or a path of the budget; else what people read.
    pub(crate) of: String,
    pub(crate) at_most: f64,
    pub(crate) unit: Unit,
    /// Of the dynamic module, beside others of its kind.
    #[serde(default)]
    pub(crate) native: bool,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub(crate) enum Unit {
    /// The cost of the Lua filter in the same situation.
    #[serde(rename = "times Lua")]
    TimesLua,
    /// The cost of the filter that does nothing.
    #[serde(rename = "times no-op")]
    TimesNoOp,
    #[serde(rename = "hostcalls")]
    Hostcalls,
    #[serde(rename = "allocations")]
    Allocations,
    /// Of a process with one worker.
    #[serde(rename = "MiB over no-op")]
    MemoryOfProcess,
    /// The same, all that it adds.
    #[serde(rename = "MiB in all")]
    MemoryInAll,
    /// Of each worker but the first.
    #[serde(rename = "MiB over no filter")]
    MemoryOfWorker,
    #[serde(rename = "ms over no-op")]
    Ready,
    #[serde(rename = "ms in all")]
    ReadyInAll,
    /// Of the module, 1000 bytes each.
    #[serde(rename = "KB")]
    Size,
}

impl Unit {
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::TimesLua => "times Lua",
            Self::TimesNoOp => "times no-op",
            Self::Hostcalls => "hostcalls",
            Self::Allocations => "allocations",
            Self::MemoryOfProcess => "MiB over no-op",
            Self::MemoryInAll => "MiB in all",
            Self::MemoryOfWorker => "MiB over no filter",
            Self::Ready => "ms over no-op",
            Self::ReadyInAll => "ms in all",
            Self::Size => "KB",
        }
    }
}

/// Everything that is to be measured.
pub(crate) struct Plan {
    pub(crate) run: Run,
    pub(crate) starts: Starts,
    pub(crate) nodes: BTreeMap<String, Node>,
    /// `pluginConfig` by name, as JSON.
    pub(crate) configs: BTreeMap<String, String>,
    pub(crate) situations: Vec<Situation>,
    pub(crate) goals: Vec<Goal>,
}

/// A request at a place in the mesh, in one shape. All variants get the same.
#[derive(Clone, Debug)]
pub(crate) struct Situation {
    pub(crate) name: String,
    pub(crate) shape: String,
    /// The first of its shapes, which stands for it in the plot.
    pub(crate) is_plain: bool,
    pub(crate) node: String,
    pub(crate) direction: Direction,
    pub(crate) config: String,
    pub(crate) lua: Option<String>,
    pub(crate) protocol: Protocol,
    /// Header lines beside the pseudo-headers.
    pub(crate) headers: Vec<(String, String)>,
    /// Those of the request that comes in before.
    pub(crate) before: Option<Vec<(String, String)>>,
    pub(crate) reaches: Route,
}

impl Plan {
    /// Reads `benchmark.yaml`. `story` is the story's `pluginConfig`; `full`: every shape of
    /// every situation.
    pub(crate) fn read(path: &Path, story: &Map<String, Value>, full: bool) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let file: File =
            serde_saphyr::from_str(&text).with_context(|| path.display().to_string())?;
        let mut situations = Vec::new();
        for text in &file.situations {
            let shapes: Vec<_> =
                if full { file.shapes.keys().collect() } else { text.shapes.iter().collect() };
            for (number, shape) in shapes.into_iter().enumerate() {
                let situation = file.situation(text, shape, number == 0);
                situations.push(situation.with_context(|| format!("situation {}", text.name))?);
            }
        }
        let configs = file.configs.iter().map(|(name, text)| (name.clone(), text.json(story)));
        Ok(Self {
            run: file.run,
            starts: file.starts,
            configs: configs.collect(),
            nodes: file.nodes,
            situations,
            goals: file.goals,
        })
    }
}

impl File {
    fn situation(&self, text: &SituationText, shape: &str, is_plain: bool) -> Result<Situation> {
        let known = |found: bool, what: &str, name: &str| match found {
            true => Ok(()),
            false => bail!("there is no {what} {name:?}"),
        };
        known(self.nodes.contains_key(&text.node), "node", &text.node)?;
        known(self.configs.contains_key(&text.config), "config", &text.config)?;
        let shape_text = self.shapes.get(shape);
        let shape_text = shape_text.with_context(|| format!("there is no shape {shape:?}"))?;
        let user = text.user.as_deref().unwrap_or(SOMEBODY);
        Ok(Situation {
            name: text.name.clone(),
            shape: shape.into(),
            is_plain,
            node: text.node.clone(),
            direction: text.direction,
            config: text.config.clone(),
            lua: text.lua.clone(),
            protocol: shape_text.protocol,
            headers: self.request(&text.send, user, shape_text)?,
            before: match &text.before {
                Some(send) => Some(self.request(send, SOMEBODY, shape_text)?),
                None => None,
            },
            reaches: text.reaches,
        })
    }

    fn request(
        &self,
        own: &IndexMap<String, String>,
        user: &str,
        shape: &ShapeText,
    ) -> Result<Vec<(String, String)>> {
        let mut headers: Vec<_> = own.iter().map(|(n, v)| (n.clone(), v.clone())).collect();
        headers.push(("cookie".into(), cookie(user, shape.cookie)));
        let others = self.headers.iter().filter(|(name, _)| !own.contains_key(*name));
        let missing = shape.headers.saturating_sub(headers.len());
        headers.extend(others.take(missing).map(|(n, v)| (n.clone(), v.clone())));
        if headers.len() != shape.headers {
            bail!("{} headers instead of {}: `headers` needs more", headers.len(), shape.headers);
        }
        Ok(headers)
    }
}

/// A Cookie line of this many bytes, the user's name last, as a browser sends its newest.
fn cookie(user: &str, length: usize) -> String {
    const VALUE: usize = 96;
    let user = format!("user={user}");
    let mut line = String::new();
    for number in 1.. {
        let room = length.saturating_sub(line.len() + user.len());
        let name = format!("c{number:03}=");
        if room < name.len() + 3 {
            break;
        }
        let value = VALUE.min(room - name.len() - 2);
        line.extend([&*name, &"0f1e2d3c4b5a6978".repeat(VALUE / 16)[..value], "; "]);
    }
    line + &user
}

impl ConfigText {
    fn json(&self, story: &Map<String, Value>) -> String {
        let mut config = story.clone();
        if let Some(accounts) = self.accounts {
            let accounts: Vec<_> = (1..=accounts).map(|n| format!("account-{n}")).collect();
            config["tracks"][0]["match"] = json!([{"cookies": {"user": {"in": accounts}}}]);
        }
        if let Some(Value::Array(tracks)) = config.get_mut("tracks") {
            let more = (tracks.len() + 1..=self.tracks.unwrap_or(0)).map(|n| {
                json!({
                    "name": format!("release-{n}"),
                    "match": [{"cookies": {"user": {"exact": format!("tester-{n}")}}}],
                })
            });
            tracks.extend(more.collect::<Vec<_>>());
        }
        Value::from(config).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_line_is_as_long_as_asked() {
        for length in [16, 64, 100, 4096] {
            let line = cookie("tester", length);
            assert!((length - 16..=length).contains(&line.len()), "{length}: {line}");
            assert!(line.ends_with("user=tester"));
        }
    }

    #[test]
    fn more_tracks_come_after_the_storys_own() {
        let story = json!({"tracks": [{"name": "v2"}]});
        let text = ConfigText { accounts: None, tracks: Some(3) };
        let config: Value = serde_json::from_str(&text.json(story.as_object().unwrap())).unwrap();
        let names: Vec<_> = (0..3).map(|n| config["tracks"][n]["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["v2", "release-2", "release-3"]);
    }
}
