//! A proxy that is not there, with the filter in it, which tells what the filter does.

use release_track::config::Config;
use release_track::filter::Filter;
use release_track::host::Verdict;
use release_track::host::fake::{self, FakeHost};
use release_track::plan::Response;
use std::collections::BTreeMap;

/// Headers in order, names in lower case.
pub(crate) type Lines = Vec<(Vec<u8>, Vec<u8>)>;

pub(crate) struct Proxy {
    host: FakeHost,
    filter: Filter,
    /// What the filter warned of when it was configured.
    pub(crate) warnings: Vec<String>,
}

/// A request as it reaches the filter.
#[derive(Debug, Default)]
pub(crate) struct Request {
    pub(crate) headers: Lines,
    /// Of the listener: 0 unspecified, 1 inbound, 2 outbound.
    pub(crate) direction: i64,
    /// Of the route; `None`: it has none.
    pub(crate) cluster: Option<String>,
    pub(crate) mtls: bool,
    /// The upstream's answer.
    pub(crate) answer: Lines,
}

/// What the filter did with a request.
pub(crate) struct Outcome {
    /// In words.
    pub(crate) steps: Vec<String>,
    /// The request's headers when they left the filter.
    pub(crate) headers: Lines,
    /// What the proxy answered itself.
    pub(crate) reply: Option<(u32, String)>,
    /// The answer's headers when they left the filter.
    pub(crate) answer: Lines,
    /// By how much counters grew, by their stats' names.
    pub(crate) counted: BTreeMap<String, u64>,
    pub(crate) warnings: Vec<String>,
}

impl Proxy {
    /// Configures the filter on a proxy that knows its node, its time and its environment.
    pub(crate) fn new(mut host: FakeHost, config: Config) -> Self {
        host.is_explaining = true;
        let filter = Filter::new(&mut host, config);
        let warnings = fake::warnings();
        Self { host, filter, warnings }
    }

    pub(crate) fn send(&mut self, request: Request) -> Outcome {
        let Self { host, filter, .. } = self;
        let mut property = |name: &[u8], value: Option<Vec<u8>>| match value {
            Some(value) => host.properties.insert(name.to_vec(), value),
            None => host.properties.remove(name),
        };
        property(b"xds\0listener_direction", Some(request.direction.to_le_bytes().into()));
        property(b"xds\0cluster_name", request.cluster.map(String::into_bytes));
        property(b"connection\0mtls", Some(vec![request.mtls.into()]));
        host.headers = request.headers;
        host.replied = None;
        host.steps.clear();
        let before = host.counted();
        let mut answer = Response::default();
        let verdict = filter.on_request(host, &mut answer);
        let reply = host.replied.take().filter(|_| verdict == Verdict::Replied);
        host.response = match &reply {
            Some((status, _)) => vec![(b":status".to_vec(), status.to_string().into_bytes())],
            None => request.answer,
        };
        filter.on_response(host, &answer);
        let grown = |(name, count): (String, u64)| {
            let by = count - before.get(&name).copied().unwrap_or_default();
            (by > 0).then_some((name, by))
        };
        Outcome {
            steps: std::mem::take(&mut host.steps),
            headers: std::mem::take(&mut host.headers),
            reply,
            answer: std::mem::take(&mut host.response),
            counted: host.counted().into_iter().filter_map(grown).collect(),
            warnings: fake::warnings(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::given::Given;
    use crate::input::File;
    use crate::input::manifest::Manifests;
    use cases::{Act, Answered, Bindings, Case, Engine, Seen};

    /// What people are told is what the filter does: every case passes here as on the engines.
    #[test]
    fn every_case_passes() {
        let cases = cases::load(cases::FOLDER).unwrap();
        assert!(!cases.is_empty());
        let wrong: Vec<_> = cases
            .iter()
            .filter(|case| !case.left_out.contains_key(&Engine::Native))
            .flat_map(|case| {
                let place = format!("{}: {}", case.file, case.name);
                run(case).into_iter().map(move |wrong| format!("{place}: {wrong}"))
            })
            .collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    fn run(case: &Case) -> Vec<String> {
        let file = File::new("case".to_owned(), case.config.clone(), true);
        let steps = match &case.act {
            Act::Requests(steps) => steps,
            Act::Refused(refused) => return refuse(file, &refused.path),
        };
        let Ok(Given { config, .. }) = Given::of(&[file]) else {
            return vec!["the configuration is refused".to_owned()];
        };
        let labels: Vec<_> = case.node.labels.iter().map(|(n, v)| (&**n, &**v)).collect();
        let mut host = FakeHost::node(&case.node.id, &labels);
        host.now_ms = case.now_ms;
        host.environment = case.environment.clone();
        let mut proxy = Proxy::new(host, config);
        let mut wrong = case.check_warnings(&proxy.warnings);
        let mut bindings = Bindings::default();
        for step in steps {
            proxy.host.now_ms += step.after_ms;
            let lines = |lines: Vec<(String, Vec<u8>)>| {
                lines.into_iter().map(|(name, value)| (name.into_bytes(), value)).collect()
            };
            let outcome = proxy.send(Request {
                headers: lines(step.headers(&bindings)),
                direction: step.direction as i64,
                cluster: step.cluster.clone(),
                mtls: step.mtls,
                answer: lines(step.answer_headers(&bindings)),
            });
            if outcome.steps.is_empty() {
                wrong.push("nothing is told".to_owned());
            }
            let seen = seen(outcome);
            wrong.extend(step.check(Engine::Native, &seen, &mut bindings));
        }
        wrong
    }

    fn seen(outcome: Outcome) -> Seen {
        let text = |lines: Lines| {
            let name = |name: Vec<u8>| String::from_utf8(name).unwrap();
            lines.into_iter().map(|(n, value)| (name(n), value)).collect()
        };
        Seen {
            answered: match outcome.reply {
                Some((status, body)) => {
                    Answered::Proxy { status: status as u16, body: body.into_bytes() }
                }
                None => Answered::Upstream(text(outcome.headers)),
            },
            answer: text(outcome.answer),
            counts: outcome.counted,
            writes: None,
            calls: None,
            warnings: Some(outcome.warnings.len()),
        }
    }

    /// The command line refuses what the filter refuses, and names the same place.
    fn refuse(file: File, path: &str) -> Vec<String> {
        let files = [file];
        let manifests = Manifests::of(&files);
        match manifests.configurations.first().map(|source| source.parse()) {
            Some(Err(error)) if error.path == path => Vec::new(),
            // What is not valid JSON may be valid YAML, or not even that.
            None if path == "pluginConfig" => Vec::new(),
            Some(Err(error)) if path == "pluginConfig" && error.path.is_empty() => Vec::new(),
            Some(Err(error)) => vec![format!("refused at {:?} instead of {path}", error.path)],
            _ => vec!["the configuration is not refused".to_owned()],
        }
    }
}
