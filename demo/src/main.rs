use anyhow::Result;
use clap::{Parser, Subcommand};
use demo::{graph, load, run, weather};
use std::process::ExitCode;

/// The weather app, and a mesh of real Envoys on one machine to run it.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(run::Options),
    Load(load::Options),
    Weather(weather::Options),
    Graph(graph::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    match command(Arguments::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn command(command: Command) -> Result<()> {
    match command {
        Command::Run(options) => run::run(options).await,
        Command::Load(options) => load(&options).await,
        Command::Weather(options) => weather::serve(options).await,
        Command::Graph(options) => graph::serve(options).await,
    }
}

async fn load(options: &load::Options) -> Result<()> {
    let report = load::run(options, |_| {}).await?;
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(())
}
