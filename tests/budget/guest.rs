//! Instructions and hostcalls of the compiled module, in the test host.

use crate::request;
use cases::{Case, Step};
use exchange::{calls, case, exchange, vm};
use proxy_wasm_test_host::{Journal, Module, Plugin, VmConfig};
use release_track::host::Verdict;
use std::collections::BTreeMap;

/// A path's steps are taken this often. Where a stream's number falls in the SDK's table, and
/// memory in the allocator's lists, differs a little from stream to stream: the median counts.
const TIMES: usize = 101;

/// What a request costs: of all callbacks of its stream together.
pub(crate) struct Cost {
    pub(crate) instructions: u64,
    pub(crate) calls: BTreeMap<String, u64>,
}

/// For the last of the steps.
pub(crate) fn cost(module: &Module, case: &Case, steps: &[Step]) -> Cost {
    let vm = vm(module, &case::proxy(case), VmConfig::default()).unwrap();
    let plugin = vm.configure(&case.config).unwrap();
    let mut journals: Vec<Journal> = (0..TIMES)
        .map(|_| steps.iter().fold(Journal::default(), |_, step| of_step(&plugin, step)))
        .collect();
    journals.sort_by_key(Journal::fuel);
    let median = &journals[TIMES / 2];
    let calls = calls(median).into_iter().map(|(name, count)| (name, count as u64)).collect();
    Cost { instructions: median.fuel(), calls }
}

fn of_step(plugin: &Plugin, step: &Step) -> Journal {
    let (exchange, journal) = exchange(plugin, &request(step));
    assert_eq!(exchange.verdict, Verdict::Continue);
    assert_eq!(plugin.vm().trap(), None);
    journal
}
