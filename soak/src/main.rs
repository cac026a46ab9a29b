//! `make soak`: very many requests through the demo's mesh, while it is updated, killed and
//! drained; every response is checked against what the applications saw, and the filter's counters
//! against the responses.

mod expected;
mod memory;
mod options;
mod report;
mod responses;
mod run;
mod stage;

use anyhow::{Result, ensure};
use clap::{Parser, Subcommand};
use demo::weather;
use options::Options;
use std::process::ExitCode;

#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// What the mesh starts this program as: an application
    #[command(hide = true)]
    Weather(weather::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { options, command } = Arguments::parse();
    let outcome = match command {
        Some(Command::Weather(options)) => weather::serve(options).await,
        None => soak(&options).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn soak(options: &Options) -> Result<()> {
    let report = run::run(options).await?;
    println!("{}", serde_json::to_string_pretty(&report)?);
    ensure!(report.faults.is_empty(), "{} faults: see the report", report.faults.len());
    Ok(())
}
