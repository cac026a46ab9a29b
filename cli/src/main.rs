//! `release-track`: what the filter would say, before anybody applies anything.

mod check;
mod failure;
mod input;
mod report;

use clap::{Parser, Subcommand, ValueEnum};
use serde::Serialize;
use std::process::ExitCode;

/// Check, explain and decode what the release-track filter does
#[derive(Parser)]
#[command(name = "release-track", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Check(check::Check),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    #[default]
    Human,
    Json,
}

/// Prints a line. Somebody who reads no further is no error.
macro_rules! say {
    ($($arguments:tt)*) => {{
        use std::io::Write;
        if writeln!(anstream::stdout(), $($arguments)*).is_err() {
            std::process::exit(0);
        }
    }};
}
use say;

fn json(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).expect("a report is JSON")
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Check(command) => command.run(),
    };
    result.unwrap_or_else(|failure| {
        anstream::eprintln!("release-track: {failure}");
        failure.code()
    })
}
