//! `make bench`.

mod client;
mod guest;
mod latency;
mod plan;
mod proxy;
mod statistics;
mod variant;

use anyhow::{Context as _, Result};
use clap::Parser;
use indicatif::ProgressBar;
use mesh::manifest::Manifests;
use plan::Plan;
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
    #[arg(long, env)]
    rounds: Option<usize>,
    /// Situations that begin with this, and only the cost of a request
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
    let plan = Plan::read(
        &project.join("benches/benchmark.yaml"),
        &story.spec.plugin_config,
        arguments.full,
    )?;
    let mut plan = plan;
    plan.run.rounds = arguments.rounds.unwrap_or(plan.run.rounds);
    if let Some(only) = &arguments.only {
        plan.situations.retain(|situation| situation.name.starts_with(only));
    }
    let filters = Filters::new(project, plan.configs.clone(), arguments.peer)?;
    for situation in &plan.situations {
        let Some(node) = plan.nodes.get(&situation.node) else { continue };
        for v in filters.variants(situation) {
            if let Some(w) = guest::work(node, situation, &v, &filters)? {
                println!(
                    "{} {} {} fuel {} hostcalls {}",
                    situation.name,
                    situation.shape,
                    v.label(),
                    w.fuel,
                    w.hostcalls
                );
            }
        }
    }
    let binary = mesh::envoy::find()?;
    let progress = ProgressBar::new(0);
    let all = latency::measure(&binary, &plan, &filters, &progress).await?;
    for m in &all {
        for v in m.variants() {
            let low: latency::Time = |b| b.low;
            let med: latency::Time = |b| b.median;
            let noop = m.find("no-op").unwrap();
            let c = m.cost(v, low);
            let r = m.ratio(v, noop, low);
            let rm = m.ratio(v, noop, med);
            println!(
                "{:40} {:12} {:14} {:7.1} {:7.1} cost {:6.2} [{:6.2} {:6.2}]  /noop {:5.2} [{:5.2} {:5.2}] med {:5.2} [{:5.2} {:5.2}]",
                m.situation.name,
                m.situation.shape,
                v.label(),
                m.time(v, low).value,
                m.time(v, med).value,
                c.value,
                c.from,
                c.to,
                r.value,
                r.from,
                r.to,
                rm.value,
                rm.from,
                rm.to
            );
        }
    }
    Ok(())
}
