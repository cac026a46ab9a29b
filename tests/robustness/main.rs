//! Nothing that a client or a host does kills the filter: the compiled module in the test host.

// A test may panic, and so may its helpers.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod differential;
mod faults;
mod lifecycle;

use proxy_wasm_test_host::Module;
use std::io::Write;
use std::sync::OnceLock;

fn module() -> &'static Module {
    static MODULE: OnceLock<Module> = OnceLock::new();
    MODULE.get_or_init(|| exchange::module().unwrap_or_else(|error| panic!("{error}")))
}

/// Says how much was done, also where nobody asks for the output of a test that passes.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
