//! Instructions and hostcalls of the compiled module, in the test host.

use crate::BETWEEN;
use cases::{Bindings, Case, Step};
use proxy_wasm_test_host::{Host, Journal, Module, Outcome, Plugin};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// `make build` leaves it there.
const MODULE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/dist/release-track.wasm");

/// A path's steps are taken this often. Where a stream's number falls in the SDK's table, and
/// memory in the allocator's lists, differs a little from stream to stream: the median counts.
const TIMES: usize = 101;

pub(crate) fn load() -> Module {
    assert!(Path::new(MODULE).exists(), "{MODULE} is missing: `make build` makes it");
    Module::from_file(MODULE).unwrap()
}

/// What a request costs: of all callbacks of its stream together.
pub(crate) struct Cost {
    pub(crate) instructions: u64,
    pub(crate) calls: BTreeMap<String, u64>,
}

/// For the last of the steps.
pub(crate) fn cost(module: &Module, case: &Case, steps: &[Step]) -> Cost {
    let host = Host::new();
    host.set_time(Duration::from_millis(case.now_ms));
    host.set_node(&case.node.id, case.node.labels.iter().map(|(n, v)| (&**n, &**v)));
    let plugin = host.vm(module).unwrap().configure(&case.config).unwrap();
    let mut journals: Vec<Journal> = (0..TIMES)
        .map(|_| steps.iter().fold(Journal::default(), |_, step| of_step(&plugin, step)))
        .collect();
    journals.sort_by_key(Journal::fuel);
    let median = &journals[TIMES / 2];
    let calls = median.counts().into_iter();
    let calls = calls.map(|(name, count)| {
        (name.trim_start_matches("proxy_").trim_end_matches("_nanoseconds").into(), count as u64)
    });
    Cost { instructions: median.fuel(), calls: calls.collect() }
}

fn of_step(plugin: &Plugin, step: &Step) -> Journal {
    let vm = plugin.vm();
    vm.host().advance(BETWEEN);
    vm.open_journal();
    let mut stream = plugin.stream();
    stream.set_property("xds.listener_direction", step.direction as i64);
    stream.set_property("xds.cluster_name", step.cluster.as_deref().unwrap_or_default());
    let outcome = stream.request_headers(step.headers(&Bindings::default()), true);
    assert_eq!(outcome, Outcome::Continue);
    stream.response_headers(step.answer_headers(&Bindings::default()), true);
    stream.end();
    assert_eq!(vm.trap(), None);
    vm.close_journal()
}
