//! Root contexts: start, configuration, ticks.

use crate::report::{Sorted, first_time, note};
use crate::{abi, stream};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

thread_local! {
    /// The root contexts that live, oldest first.
    static ROOTS: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) };
    /// Those that have yet to say that they are done.
    static WAITING: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) };
    static CONFIGURATIONS: RefCell<BTreeMap<u32, Vec<u8>>> =
        const { RefCell::new(BTreeMap::new()) };
}

/// What a root was configured with.
pub(crate) fn configuration(root: u32) -> Vec<u8> {
    CONFIGURATIONS.with_borrow(|all| all.get(&root).cloned().unwrap_or_default())
}

/// Roots by age, since their numbers differ from host to host.
fn age(root: u32) -> usize {
    ROOTS.with_borrow(|roots| roots.iter().position(|known| *known == root).unwrap_or(99))
}

pub(crate) fn on_create(root: u32) {
    ROOTS.with_borrow_mut(|roots| roots.push(root));
    note("roots", "create", age(root));
}

pub(crate) fn on_vm_start(root: u32, configuration_size: usize) -> bool {
    note("roots", "vm_start", age(root));
    let phase = "vm start";
    if first_time(phase) {
        note(phase, "configuration size", configuration_size);
        note(phase, "vm configuration", abi::get_buffer(6, 0, 100));
        note(phase, "plugin configuration", abi::get_buffer(7, 0, 100));
        note(phase, "environment", std::env::var("PROBE").unwrap_or_default());
        note(phase, "environment size", std::env::vars().count());
        note(phase, "node id", abi::get_property(b"xds\0node\0id"));
        everything_without_a_stream(phase);
    }
    true
}

pub(crate) fn on_configure(root: u32, configuration_size: usize) -> bool {
    note("roots", "configure", age(root));
    let configuration = abi::get_buffer(7, 0, configuration_size).unwrap_or_default();
    match configuration.as_slice() {
        b"refuse" => return false,
        b"trap" => core::arch::wasm32::unreachable(),
        _ => {}
    }
    note("roots", "configuration", configuration.as_slice());
    CONFIGURATIONS.with_borrow_mut(|all| all.insert(root, configuration));
    let phase = "configure";
    if !first_time(phase) {
        return true;
    }
    note(phase, "configuration size", configuration_size);
    for (start, length) in [(0, 3), (2, 1000), (500, 3), (0, 0), (1, usize::MAX)] {
        note(
            phase,
            format_args!("plugin configuration {start}+{length}"),
            abi::get_buffer(7, start, length),
        );
    }
    note(phase, "plugin configuration length", abi::get_buffer_length(7));
    note(phase, "change the plugin configuration", abi::set_buffer(7, 0, 1, b"x"));
    note(phase, "vm configuration", abi::get_buffer(6, 0, 100));
    note(phase, "change the vm configuration", abi::set_buffer(6, 0, 1, b"x"));
    everything_without_a_stream(phase);
    // One VM ticks, so that there is no doubt who has.
    if abi::get_buffer(6, 0, 100).is_ok_and(|vm| vm == b"vm one") {
        note(phase, "set tick period", abi::set_tick_period(20));
    }
    true
}

/// What a root context gets for calls that want a stream, and for those that
/// do not.
fn everything_without_a_stream(phase: &str) {
    properties(phase);
    for map in 0..10 {
        stream::reach_map(phase, map);
    }
    for buffer in [0, 1, 2, 3, 4, 5, 9] {
        note(phase, format_args!("buffer {buffer}"), abi::get_buffer(buffer, 0, 10));
        note(phase, format_args!("buffer {buffer} length"), abi::get_buffer_length(buffer));
    }
    note(phase, "set property", abi::set_property(b"probe", b"x"));
    note(phase, "get property back", abi::get_property(b"probe"));
    note(phase, "log level", abi::get_log_level());
    note(phase, "log at level 6", abi::log(6, "never"));
    let time = abi::get_time().unwrap_or(0);
    note(phase, "time is past 1990", time > 631_152_000_000_000_000);
    let wasi = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let apart = u64::try_from(wasi.as_nanos()).unwrap_or(0).abs_diff(time);
    note(phase, "WASI has the same time", apart < 60_000_000_000);
    note(phase, "foreign function", abi::call_foreign("no_such_function", b"x"));
    note(phase, "clear the route cache", abi::call_foreign("clear_route_cache", b""));
    note(phase, "continue the request", abi::continue_stream(0));
    note(phase, "continue stream 4", abi::continue_stream(4));
    note(phase, "send a local response", abi::send_local_response(200, b"", b"", -1));
    note(phase, "done", abi::done());
    note(phase, "status", abi::get_status());
    note(phase, "an unknown effective context", abi::set_effective_context(12_345));
}

pub(crate) fn properties(phase: &str) {
    for path in [
        "plugin_name",
        "plugin_root_id",
        "plugin_vm_id",
        "xds.node.id",
        "xds.node.cluster",
        "xds.node.metadata.LABELS.version",
        "xds.node.metadata.NUMBER",
        "xds.node.metadata.FLAG",
        "xds.node.metadata.LABELS.nothing",
        "xds.node.metadata.NAME.deeper",
        "xds.node.nothing",
        "xds.nothing",
        "node.id",
        "listener_direction",
        "xds.listener_direction",
        "xds.route_name",
        "xds.virtual_host_name",
        "xds.cluster_name",
        "nothing",
        "",
        "request",
        "response",
        "connection",
        "upstream",
        "source",
        "destination",
        "xds",
        "filter_state",
        "metadata",
    ] {
        let parts = path.replace('.', "\0");
        note(phase, format_args!("property {path}"), abi::get_property(parts.as_bytes()));
    }
    note(phase, "property with a zero byte at its end", abi::get_property(b"xds\0node\0id\0"));
    for path in ["xds.node.metadata", "xds.node.metadata.LABELS"] {
        let parts = path.replace('.', "\0");
        let map = abi::get_property(parts.as_bytes()).map(Sorted);
        note(phase, format_args!("property {path}"), map);
    }
}

pub(crate) fn on_tick(root: u32) {
    if first_time("tick") {
        note("tick", "root", age(root));
        note("tick", "request header", abi::get_header(0, "x"));
        note("tick", "plugin configuration", abi::get_buffer(7, 0, 10));
        note("tick", "vm configuration", abi::get_buffer(6, 0, 10));
        note("tick", "listener direction", abi::get_property(b"xds\0listener_direction"));
        note("tick", "node id", abi::get_property(b"xds\0node\0id"));
    }
    for root in WAITING.take() {
        note("roots", "make effective", abi::set_effective_context(root));
        note("roots", "say done", abi::done());
        note("roots", "say done again", abi::done());
    }
    stream::resume_paused();
}

pub(crate) fn on_done(context: u32) -> bool {
    let known = ROOTS.with_borrow(|roots| roots.contains(&context));
    if known {
        note("roots", "done", age(context));
    }
    known
}

/// The first root takes its time: it says that it is done at the next tick.
pub(crate) fn waits(root: u32) -> bool {
    let waits = age(root) == 0;
    if waits {
        WAITING.with_borrow_mut(|waiting| waiting.push(root));
    }
    waits
}

pub(crate) fn on_delete(context: u32) -> bool {
    let known = ROOTS.with_borrow(|roots| roots.contains(&context));
    if known {
        note("roots", "delete", age(context));
    }
    known
}
