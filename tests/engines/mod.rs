//! What the cases run on, one file each.

mod envoy;
mod native;
mod wasm;

use cases::{Case, Engine};

/// What is wrong with a case on an engine; nothing if it passed.
pub(crate) type Wrong = Vec<String>;

/// An engine cannot run at all.
pub(crate) type Failed = Box<dyn std::error::Error>;

/// Runs cases, in their order.
pub(crate) fn run(engine: Engine, cases: &[&Case]) -> Result<Vec<Wrong>, Failed> {
    match engine {
        Engine::Native => Ok(cases.iter().map(|case| native::run(case)).collect()),
        Engine::Wasm => wasm::run(cases),
        Engine::Envoy | Engine::EnvoyNative => envoy::run(engine, cases),
    }
}

/// Says which step is meant, if there are several.
fn of_step(case: &Case, number: usize, wrong: Wrong) -> impl Iterator<Item = String> {
    let several = matches!(&case.act, cases::Act::Requests(steps) if steps.len() > 1);
    wrong.into_iter().map(
        move |line| {
            if several { format!("step {}: {line}", number + 1) } else { line }
        },
    )
}
