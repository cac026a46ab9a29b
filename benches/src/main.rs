//! `make bench`.
//!
//! ```text
//! plan            benchmark.yaml, read
//!   variant         the filters that are compared
//!   proxy           the Envoys that they stand in
//!   latency         what a request costs: client, blocks by turns
//!   start           memory, and time until ready
//!   module · budget · machine   what is looked up
//!     report · plot     docs/benchmarks.md and its picture
//! ```

mod budget;
mod client;
mod latency;
mod machine;
mod module;
mod plan;
mod plot;
mod proxy;
mod report;
mod start;
mod statistics;
mod variant;

use anyhow::{Context as _, Result, ensure};
use budget::Budget;
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use machine::Machine;
use mesh::manifest::Manifests;
use module::Module;
use plan::Plan;
use report::Results;
use std::path::Path;
use std::process::ExitCode;
use variant::{Filters, Peer};

/// Measures what the filter costs, and writes docs/benchmarks.md.
#[derive(Parser)]
struct Arguments {
    /// Every shape of every situation
    #[arg(long, env, value_parser = clap::builder::FalseyValueParser::new())]
    full: bool,
    /// Another module that is measured too
    #[arg(long, env = "BENCH_PEER", value_name = "path.wasm:config.json")]
    peer: Option<Peer>,
    /// Rounds, if not as many as the plan says
    #[arg(long, env, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: Option<u16>,
    /// Only the cost of a request in situations that begin with this; writes nothing
    #[arg(long, env)]
    only: Option<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<()> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("no project")?;
    let manifests = Manifests::load([project.join("wasmplugin/wasmplugin.yaml")])?;
    let [story] = &manifests.wasm_plugins[..] else { anyhow::bail!("one WasmPlugin is expected") };
    let mut plan = Plan::read(
        &project.join("benches/benchmark.yaml"),
        &story.spec.plugin_config,
        arguments.full,
    )?;
    let planned_rounds = plan.run.rounds;
    plan.run.rounds = arguments.rounds.map_or(planned_rounds, usize::from);
    if let Some(only) = &arguments.only {
        plan.situations.retain(|situation| situation.name.starts_with(only));
        ensure!(!plan.situations.is_empty(), "no situation begins with {only:?}");
    }
    let filters = Filters::new(project, plan.configs.clone(), arguments.peer)?;
    let binary = mesh::envoy::find()?;
    let machine = Machine::look(&binary)?;

    let measured = latency::measure(&binary, &plan, &filters, &progress("Requests")?).await?;
    if arguments.only.is_some() {
        print!("{}", report::requests(&measured, report::LOW));
        return Ok(());
    }
    let variants = filters.to_start();
    let node = plan.nodes.get(&plan.starts.node).context("`starts` names no node")?;
    let rounds = plan.starts.rounds.min(plan.run.rounds);
    let starts =
        start::measure(&binary, node, &filters, &variants, rounds, &progress("Starts")?).await?;
    let modules =
        filters.modules().into_iter().filter_map(|v| Module::of(&v, &filters).transpose());
    let results = Results {
        machine,
        run: plan.run,
        planned_rounds,
        measured,
        starts,
        modules: modules.collect::<Result<_>>()?,
        budget: Budget::read(&project.join("tests/budget/budget.yaml"))?,
    };
    let document = project.join("docs/benchmarks.md");
    report::write(&document, &results, &plan.goals)?;
    plot::draw(&project.join("docs/images/benchmarks.svg"), &results.measured)?;
    println!("Written: docs/benchmarks.md, docs/images/benchmarks.svg");
    Ok(())
}

fn progress(what: &'static str) -> Result<ProgressBar> {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len}, {eta} left")?;
    Ok(ProgressBar::new(0).with_style(style).with_message(what))
}
