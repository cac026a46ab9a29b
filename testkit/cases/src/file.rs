//! The form of a case file.

use crate::check::{Expected, Reply};
use crate::node::{self, Direction, Node};
use crate::text::{Text, numbered};
use crate::{Act, Case, Engine, NOW_MS, Refused, Step};
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileText {
    /// What the file is about; for people.
    #[serde(rename = "about")]
    _about: String,
    #[serde(default)]
    configs: BTreeMap<String, Value>,
    #[serde(default)]
    expectations: BTreeMap<String, ExpectationText>,
    /// For the cases that say nothing else.
    #[serde(default)]
    usually: Usually,
    cases: Vec<CaseText>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Usually {
    config: Option<Value>,
    at: Option<At>,
    cluster: Option<String>,
    #[serde(default)]
    send: Lines,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseText {
    case: String,
    /// For people.
    #[serde(rename = "why")]
    _why: Option<String>,
    config: Option<Value>,
    at: Option<At>,
    environment: Option<BTreeMap<String, String>>,
    /// Seconds of the Unix epoch.
    now: Option<u64>,
    #[serde(default)]
    warns: Vec<String>,
    #[serde(default)]
    alone: bool,
    #[serde(default)]
    leave_out: BTreeMap<String, String>,
    refused: Option<RefusedText>,
    neutral: Option<RefusedText>,
    steps: Option<Vec<StepText>>,
    // A case of one step, without the list.
    cluster: Option<String>,
    tracked_cluster: Option<String>,
    mtls: Option<bool>,
    properties: Option<BTreeMap<String, String>>,
    send: Option<Lines>,
    response: Option<Lines>,
    expect: Option<OneOf>,
    envoy: Option<DifferenceText>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct StepText {
    at: Option<String>,
    cluster: Option<String>,
    tracked_cluster: Option<String>,
    mtls: Option<bool>,
    properties: Option<BTreeMap<String, String>>,
    #[serde(default)]
    after_ms: u64,
    send: Option<Lines>,
    response: Option<Lines>,
    expect: Option<OneOf>,
    envoy: Option<DifferenceText>,
}

#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum At {
    Named(String),
    Given(GivenAt),
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenAt {
    id: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    direction: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RefusedText {
    path: String,
    #[serde(default)]
    says: Vec<String>,
    #[serde(default)]
    hides: Vec<String>,
}

impl From<RefusedText> for Refused {
    fn from(text: RefusedText) -> Self {
        let RefusedText { path, says, hides } = text;
        Self { path, says, hides }
    }
}

/// An expectation of the file by its name, or one of the case's own.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum OneOf {
    Named(String),
    Given(ExpectationText),
}

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectationText {
    #[serde(default)]
    headers: Values,
    #[serde(default)]
    counts: Vec<String>,
    #[serde(default)]
    response: Values,
    reply: Option<ReplyText>,
    #[serde(default)]
    calls: BTreeMap<String, usize>,
    #[serde(default)]
    warnings: usize,
}

/// What Envoy does otherwise, and why. What is absent here is as on the other engines.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct DifferenceText {
    #[serde(rename = "why")]
    _why: String,
    headers: Option<Values>,
    counts: Option<Vec<String>>,
    response: Option<Values>,
    reply: Option<ReplyText>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplyText {
    status: u16,
    #[serde(default)]
    body: Vec<String>,
}

/// By name: one value, a list of them, or `absent`.
type Values = BTreeMap<String, ValuesText>;

#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum ValuesText {
    One(String),
    Many(Vec<String>),
}

/// Header lines in order.
#[derive(Clone, Default, Deserialize)]
struct Lines(Vec<Line>);

/// `NAME: VALUE`, and perhaps `repeat: COUNT` before it.
#[derive(Clone)]
struct Line {
    repeat: usize,
    name: String,
    value: String,
}

impl<'de> Deserialize<'de> for Line {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LineVisitor;
        impl<'de> Visitor<'de> for LineVisitor {
            type Value = Line;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("NAME: VALUE")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Line, A::Error> {
                let mut repeat = 1;
                let mut line = None;
                while let Some((name, value)) = map.next_entry::<String, String>()? {
                    if name == "repeat" {
                        repeat = value.parse().map_err(de::Error::custom)?;
                    } else if line.replace((name, value)).is_some() {
                        return Err(de::Error::custom("one header in each item of the list"));
                    }
                }
                let (name, value) = line.ok_or_else(|| de::Error::custom("a header is missing"))?;
                Ok(Line { repeat, name, value })
            }
        }
        deserializer.deserialize_map(LineVisitor)
    }
}

/// Reads the text of a file. The error says where.
pub(crate) fn parse(file: &str, text: &str) -> Result<Vec<Case>, String> {
    let parsed: FileText = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    let FileText { configs, expectations, usually, cases, .. } = parsed;
    let reader = Reader { file, configs, expectations, usually };
    cases
        .into_iter()
        .map(|case| {
            let name = case.case.clone();
            reader.case(case).map_err(|message| format!("{name:?}: {message}"))
        })
        .collect()
}

struct Reader<'a> {
    file: &'a str,
    configs: BTreeMap<String, Value>,
    expectations: BTreeMap<String, ExpectationText>,
    usually: Usually,
}

impl Reader<'_> {
    fn case(&self, text: CaseText) -> Result<Case, String> {
        let at = text.at.or_else(|| self.usually.at.clone());
        let (node, direction) = match at.ok_or("it does not say where (at)")? {
            At::Named(name) => node::parse(&name).ok_or_else(|| {
                format!("{name:?} is no place: gateway, waypoint, or APP VERSION inbound|outbound")
            })?,
            At::Given(GivenAt { id, labels, direction }) => {
                (Node { id, labels }, self.direction(&direction)?)
            }
        };
        let config = text.config.as_ref().or(self.usually.config.as_ref());
        let mut left_out = BTreeMap::new();
        for (name, why) in text.leave_out {
            let is_meant =
                |engine: &Engine| engine.name() == name || name == "envoys" && engine.is_in_envoy();
            let before = left_out.len();
            let engines = Engine::ALL.into_iter().filter(is_meant);
            left_out.extend(engines.map(|engine| (engine, why.clone())));
            if left_out.len() == before {
                return Err(format!("leave_out: {name:?} is no engine, nor another than before"));
            }
        }
        let one = StepText {
            cluster: text.cluster,
            tracked_cluster: text.tracked_cluster,
            mtls: text.mtls,
            properties: text.properties,
            send: text.send,
            response: text.response,
            expect: text.expect,
            envoy: text.envoy,
            ..StepText::default()
        };
        let act = match (text.refused, text.steps) {
            (Some(refused), None) => Act::Refused(refused.into()),
            (None, None) => Act::Requests(vec![self.step(one, &StepText::default(), direction)?]),
            (None, Some(steps)) if one.expect.is_none() && one.send.is_none() => {
                let steps = steps.into_iter().map(|step| self.step(step, &one, direction));
                Act::Requests(steps.collect::<Result<_, _>>()?)
            }
            _ => return Err("one of refused, steps, or send and expect".into()),
        };
        Ok(Case {
            file: self.file.to_owned(),
            name: text.case,
            config: self.config(config.ok_or("it has no config")?)?,
            node,
            environment: text.environment.unwrap_or_default(),
            now_ms: text.now.map_or(NOW_MS, |seconds| seconds * 1000),
            warns: text.warns,
            alone: text.alone || text.neutral.is_some(),
            neutral: text.neutral.map(Refused::from),
            act,
            left_out,
        })
    }

    fn direction(&self, text: &str) -> Result<Direction, String> {
        Direction::parse(text)
            .ok_or_else(|| format!("{text:?} is no direction: inbound, outbound or unspecified"))
    }

    /// By name, or given; `{text: ..}` for what is not valid JSON.
    fn config(&self, config: &Value) -> Result<String, String> {
        let config = match config {
            Value::String(name) => {
                self.configs.get(name).ok_or_else(|| format!("there is no config {name:?}"))?
            }
            given => given,
        };
        if let Value::Object(fields) = config
            && let (1, Some(Value::String(text))) = (fields.len(), fields.get("text"))
        {
            return Ok(text.clone());
        }
        let mut config = config.clone();
        expand(&mut config);
        Ok(config.to_string())
    }

    fn step(&self, text: StepText, case: &StepText, direction: Direction) -> Result<Step, String> {
        let direction = text.at.map_or(Ok(direction), |at| self.direction(&at))?;
        let usual = &self.usually.cluster;
        let cluster = match text.cluster.as_ref().or(case.cluster.as_ref()).or(usual.as_ref()) {
            Some(name) if name == "none" => None,
            Some(name) => Some(name.clone()),
            None => Some(direction.cluster().to_owned()),
        };
        let tracked_cluster = text.tracked_cluster.or_else(|| case.tracked_cluster.clone());
        if tracked_cluster.is_some() && cluster.is_none() {
            return Err("tracked_cluster: it needs a cluster beside it".into());
        }
        let mut request =
            [":method: GET", ":scheme: http", ":authority: weather.example", ":path: /"]
                .iter()
                .filter_map(|line| line.split_once(": "))
                .map(|(name, value)| Ok((name.to_owned(), Text::parse(value)?)))
                .collect::<Result<Vec<_>, String>>()?;
        add_lines(&mut request, &self.usually.send)?;
        add_lines(&mut request, &text.send.unwrap_or_default())?;
        let mut response = vec![(":status".to_owned(), Text::parse("200")?)];
        add_lines(&mut response, &text.response.unwrap_or_default())?;
        let expectation = match text.expect.ok_or("it expects nothing (expect)")? {
            OneOf::Named(name) => self
                .expectations
                .get(&name)
                .ok_or_else(|| format!("there is no expectation {name:?}"))?
                .clone(),
            OneOf::Given(given) => given,
        };
        let everywhere = expected(&expectation)?;
        let mut by_engine: BTreeMap<_, _> =
            Engine::ALL.into_iter().map(|engine| (engine, everywhere.clone())).collect();
        if let Some(other) = text.envoy {
            let differs = ExpectationText {
                headers: other.headers.unwrap_or(expectation.headers),
                counts: other.counts.unwrap_or(expectation.counts),
                response: other.response.unwrap_or(expectation.response),
                reply: other.reply.or(expectation.reply),
                ..ExpectationText::default()
            };
            for engine in Engine::ALL.into_iter().filter(|engine| engine.is_in_envoy()) {
                by_engine.insert(engine, expected(&differs)?);
            }
        }
        Ok(Step {
            direction,
            cluster,
            tracked_cluster,
            mtls: text.mtls.or(case.mtls).unwrap_or_default(),
            properties: text.properties.or_else(|| case.properties.clone()).unwrap_or_default(),
            after_ms: text.after_ms,
            request,
            response,
            expected: by_engine,
        })
    }
}

/// Pseudo headers take the place of those that are there.
fn add_lines(to: &mut Vec<(String, Text)>, lines: &Lines) -> Result<(), String> {
    for Line { repeat, name, value } in &lines.0 {
        for n in 1..=*repeat {
            let numbered = |text: &str| if *repeat > 1 { numbered(text, n) } else { text.into() };
            let name = numbered(name);
            let value = Text::parse(&numbered(value))?;
            match to.iter_mut().find(|(known, _)| name.starts_with(':') && *known == name) {
                Some(line) => line.1 = value,
                None => to.push((name, value)),
            }
        }
    }
    Ok(())
}

fn expected(text: &ExpectationText) -> Result<Expected, String> {
    let mut counts = BTreeMap::new();
    for count in &text.counts {
        *counts.entry(count.clone()).or_default() += 1;
    }
    let reply = text.reply.clone().map(|ReplyText { status, body }| Reply { status, body });
    Ok(Expected {
        request: values(&text.headers)?,
        response: values(&text.response)?,
        reply,
        counts,
        calls: text.calls.clone(),
        warnings: text.warnings,
    })
}

fn values(text: &Values) -> Result<BTreeMap<String, Vec<Text>>, String> {
    let one = |(name, values): (&String, &ValuesText)| {
        let values = match values {
            ValuesText::One(word) if word == "absent" => Vec::new(),
            ValuesText::One(value) => vec![Text::parse(value)?],
            ValuesText::Many(values) => {
                values.iter().map(|value| Text::parse(value)).collect::<Result<_, _>>()?
            }
        };
        Ok((name.to_ascii_lowercase(), values))
    };
    text.iter().map(one).collect()
}

/// In a list, an item `$(COUNT items TEXT)` becomes COUNT items, and so does an object with
/// `repeat: COUNT`.
fn expand(value: &mut Value) {
    match value {
        Value::Object(fields) => fields.values_mut().for_each(expand),
        Value::Array(items) => {
            let expanded = std::mem::take(items).into_iter().flat_map(|mut item| {
                expand(&mut item);
                many(&item).unwrap_or_else(|| vec![item])
            });
            *items = expanded.collect();
        }
        _ => {}
    }
}

fn many(item: &Value) -> Option<Vec<Value>> {
    let (count, item) = match item {
        Value::String(text) => {
            let inner = text.strip_prefix("$(")?.strip_suffix(')')?;
            let (count, text) = inner.split_once(" items ")?;
            (count.parse().ok()?, Value::from(text))
        }
        Value::Object(fields) => {
            let mut fields = fields.clone();
            let count = fields.remove("repeat")?.as_u64()?;
            (count as usize, fields.into())
        }
        _ => return None,
    };
    let copy = |n| {
        let mut item = item.clone();
        number(&mut item, n);
        item
    };
    Some((1..=count).map(copy).collect())
}

/// Puts the number in every string of an item that is repeated, and in every field's name.
fn number(value: &mut Value, n: usize) {
    match value {
        Value::String(text) => *text = numbered(text, n),
        Value::Array(items) => items.iter_mut().for_each(|item| number(item, n)),
        Value::Object(fields) => {
            let numbered = std::mem::take(fields).into_iter().map(|(name, mut field)| {
                number(&mut field, n);
                (numbered(&name, n), field)
            });
            *fields = numbered.collect();
        }
        _ => {}
    }
}
