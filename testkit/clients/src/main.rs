//! `make clients-test`: unchanged applications with real SDKs, each the middle of a chain of three in
//! a mesh of real Envoys, and what of a track they carry on. See README.md.

mod chain;
mod measure;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::net::SocketAddr;
use std::process::ExitCode;

#[derive(Parser)]
enum Command {
    /// Measures every set-up, and compares it with setups.yaml
    Test(measure::Options),
    /// One end of the chain: what the mesh starts this program as
    #[command(flatten)]
    End(End),
}

#[derive(Subcommand)]
enum End {
    /// `/MIDDLE/PROTOCOL/FORMAT` calls the application MIDDLE with a trace of that format
    Frontend {
        #[arg(env = "LISTEN")]
        listen: SocketAddr,
        #[arg(env = "EGRESS")]
        egress: SocketAddr,
    },
    /// Tells its version and what arrived
    Backend {
        /// `1` or `2`
        version: u8,
        #[arg(env = "LISTEN")]
        listen: SocketAddr,
    },
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    match Command::parse() {
        Command::Test(options) => measure::run(options).await,
        Command::End(End::Frontend { listen, egress }) => chain::frontend(listen, egress).await,
        Command::End(End::Backend { version, listen }) => chain::backend(version, listen).await,
    }
}
