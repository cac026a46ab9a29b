//! The compiled module in the test host.

use super::{Failed, Wrong, of_step};
use cases::{Act, Answered, Bindings, Case, Engine, Seen, Step};
use proxy_wasm_test_host::{
    Callback, Error, HeaderMap, Host, LogLevel, Module, Outcome, Plugin, VmConfig,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `make build` leaves it there.
pub(super) fn module_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("dist/release-track.wasm")
}

pub(super) struct Wasm {
    module: Module,
}

impl Wasm {
    pub(super) fn load() -> Result<Self, Failed> {
        let module = Module::from_file(module_path())
            .map_err(|error| format!("{error}; `make build` makes the module"))?;
        Ok(Self { module })
    }

    pub(super) fn run(&self, cases: &[&Case]) -> Result<Vec<Wrong>, Failed> {
        cases.iter().map(|case| self.run_one(case)).collect()
    }

    fn run_one(&self, case: &Case) -> Result<Wrong, Failed> {
        let host = Host::new();
        host.set_time(Duration::from_millis(case.now_ms));
        host.set_node(&case.node.id, case.node.labels.iter().map(|(n, v)| (&**n, &**v)));
        let environment = case.environment.iter().map(|(n, v)| (n.clone(), v.clone())).collect();
        let vm = host.vm_with(&self.module, VmConfig { environment, ..VmConfig::default() })?;
        let configured = vm.configure(&case.config);
        let mut warned = warnings(&host);
        // The configuration has been tried before, in a VM that was thrown away.
        warned.dedup();
        match (&case.act, configured) {
            (Act::Refused(refused), Err(Error::Refused(Callback::Configure))) => {
                Ok(refused.check(&warned))
            }
            (Act::Refused(_), Ok(_)) => Ok(vec!["the configuration was not refused".into()]),
            (_, Err(error)) => Ok([vec![error.to_string()], warned].concat()),
            (Act::Requests(steps), Ok(plugin)) => {
                let mut bindings = Bindings::default();
                let mut wrong = case.check_warnings(&warned);
                for (number, step) in steps.iter().enumerate() {
                    let seen = send(&plugin, step, &bindings);
                    let lines = step.check(Engine::Wasm, &seen, &mut bindings);
                    wrong.extend(of_step(case, number, lines));
                }
                wrong.extend(vm.trap().map(|trap| trap.to_string()));
                Ok(wrong)
            }
        }
    }
}

fn warnings(host: &Host) -> Vec<String> {
    let lines = host.take_logs().into_iter().filter(|line| line.level >= LogLevel::Warn);
    lines.map(|line| String::from_utf8_lossy(&line.message).into_owned()).collect()
}

fn send(plugin: &Plugin, step: &Step, bindings: &Bindings) -> Seen {
    let vm = plugin.vm();
    let host = vm.host();
    host.advance(Duration::from_millis(step.after_ms));
    let mut stream = plugin.stream();
    stream.set_property("xds.listener_direction", step.direction as i64);
    stream.set_property("connection.mtls", step.mtls);
    if let Some(cluster) = &step.cluster {
        stream.set_property("xds.cluster_name", cluster.as_str());
    }
    let before = counters(host);
    vm.open_journal();
    let outcome = stream.request_headers(step.headers(bindings), true);
    let journal = vm.close_journal().of(Callback::RequestHeaders);
    let calls = journal.counts().into_iter().map(|(name, count)| {
        let name = name.trim_start_matches("proxy_").trim_end_matches("_nanoseconds");
        (name.to_owned(), count)
    });
    let (answered, answer) = match outcome {
        Outcome::Continue => {
            stream.response_headers(step.answer_headers(bindings), true);
            (Answered::Upstream(text(&stream.request())), text(&stream.response()))
        }
        Outcome::Pause => (Answered::Proxy { status: 0, body: Vec::new() }, Vec::new()),
        Outcome::Reply(reply) => {
            let answer = text(&reply.headers);
            (Answered::Proxy { status: reply.status, body: reply.body }, answer)
        }
    };
    let seen = Seen {
        answered,
        answer,
        counts: counters(host)
            .into_iter()
            .map(|(name, count)| {
                let by = count - before.get(&name).copied().unwrap_or_default();
                (name, by)
            })
            .collect(),
        writes: Some(stream.route_cache_clears()),
        calls: Some(calls.collect()),
        warnings: Some(warnings(host).len()),
    };
    stream.end();
    seen
}

fn counters(host: &Host) -> BTreeMap<String, u64> {
    let metrics = host.metrics();
    let name = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    metrics.counters().map(|(n, count)| (name(n), count)).collect()
}

fn text(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    let name = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    headers.iter().map(|(n, value)| (name(n), value.to_vec())).collect()
}
