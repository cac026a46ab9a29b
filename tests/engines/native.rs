//! The core on [`FakeHost`], a proxy that is not there.

use super::{Wrong, of_step};
use cases::{Act, Answered, Bindings, Case, Seen, Step};
use release_track::filter::Filter;
use release_track::host::Verdict;
use release_track::host::fake::{self, FakeHost};
use release_track::plan::Response;
use std::collections::BTreeMap;

pub(super) fn run(case: &Case) -> Wrong {
    let labels: Vec<_> = case.node.labels.iter().map(|(n, v)| (&**n, &**v)).collect();
    let mut host = FakeHost::node(&case.node.id, &labels);
    host.now_ms = case.now_ms;
    host.environment = case.environment.clone();
    let configured = Filter::configure(&mut host, case.config.as_bytes());
    match (&case.act, configured) {
        (Act::Refused(refused), None) => refused.check(&fake::warnings()),
        (Act::Refused(_), Some(_)) => vec!["the configuration was not refused".into()],
        (Act::Requests(_), None) => fake::warnings(),
        (Act::Requests(steps), Some(filter)) => {
            let mut bindings = Bindings::default();
            let mut wrong = case.check_warnings(&fake::warnings());
            for (number, step) in steps.iter().enumerate() {
                let mut seen = send(&mut host, &filter, step, &bindings);
                seen.warnings = Some(fake::warnings().len());
                let lines = step.check(cases::Engine::Native, &seen, &mut bindings);
                wrong.extend(of_step(case, number, lines));
            }
            wrong
        }
    }
}

fn send(host: &mut FakeHost, filter: &Filter, step: &Step, bindings: &Bindings) -> Seen {
    let mut property = |name: &str, value: Option<Vec<u8>>| match value {
        Some(value) => host.properties.insert(name.into(), value),
        None => host.properties.remove(name.as_bytes()),
    };
    let direction = (step.direction as i64).to_le_bytes();
    property("xds\0listener_direction", Some(direction.into()));
    property("xds\0cluster_name", step.cluster.clone().map(String::into_bytes));
    property("connection\0mtls", Some(vec![step.mtls.into()]));
    host.now_ms += step.after_ms;
    host.headers = step.headers(bindings).into_iter().map(|(n, v)| (n.into_bytes(), v)).collect();
    host.calls.clear();
    host.replied = None;
    let before = host.counted();

    let mut answer = Response::default();
    let verdict = filter.on_request(host, &mut answer);
    let calls: BTreeMap<String, usize> =
        host.calls.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
    let writes = ["replace_header_map_value", "remove_header_map_value"];
    let writes = writes.iter().filter_map(|name| calls.get(*name)).sum();
    let answered = match (verdict, &host.replied) {
        (Verdict::Continue, None) => {
            host.response = lower(step.answer_headers(bindings));
            Answered::Upstream(text(&host.headers))
        }
        (_, reply) => {
            let (status, body) = reply.clone().unwrap_or_default();
            host.response = vec![(b":status".to_vec(), status.to_string().into_bytes())];
            Answered::Proxy { status: status as u16, body: body.into_bytes() }
        }
    };
    filter.on_response(host, &answer);
    let grown = |(name, count): (String, u64)| {
        let by = count - before.get(&name).copied().unwrap_or_default();
        (name, by)
    };
    Seen {
        answered,
        answer: text(&host.response),
        counts: host.counted().into_iter().map(grown).collect(),
        writes: Some(writes),
        calls: Some(calls),
        warnings: None,
    }
}

fn lower(lines: Vec<(String, Vec<u8>)>) -> Vec<(Vec<u8>, Vec<u8>)> {
    lines.into_iter().map(|(name, value)| (name.into_bytes(), value)).collect()
}

fn text(lines: &[(Vec<u8>, Vec<u8>)]) -> Vec<(String, Vec<u8>)> {
    let name = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    lines.iter().map(|(n, value)| (name(n), value.clone())).collect()
}
