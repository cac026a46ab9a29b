//! `release-track`: what the filter would say, before anybody applies anything.

mod check;
mod clock;
mod cookie;
mod decode;
mod emit;
mod explain;
mod failure;
mod given;
mod http;
mod input;
mod migrate;
mod output;
mod refusal;
mod registry;
mod render;
mod report;
mod routing;
mod schema;
mod sdk;
mod status;
mod token;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::Shell;
use output::say;
use std::path::Path;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  Is this configuration valid, and does it do what it seems to?
    release-track check wasmplugin.yaml virtualservices.yaml
  What replaces my cookie expressions and sourceLabels?
    release-track migrate virtualservices.yaml destinationrules.yaml
  Which track does this request follow, and why?
    release-track explain --config wasmplugin.yaml -H 'cookie: user=tester'
  What does the mesh do now, and is something wrong?
    release-track status
  Which track did the request of this log line follow?
    release-track decode --config wasmplugin.yaml \\
      73cf9109-747e-4c23-92e0-4494afc95180
  A link that shows track v2 for a week:
    release-track key > preview.key
    release-track token --track v2 --expires 7d --key-file preview.key \\
      --url https://weather.example/

Each command has examples of its own: release-track help explain.
Exit codes: 0 valid or answered, 1 refused or not found, 2 wrong usage.";

/// What the release-track filter does, told before anybody applies anything
///
/// release-track is a filter for Istio's Envoys: the edge decides which track (a named release) a
/// request follows, and every downstream call of that request follows it too. These commands run
/// the filter's own code on your files, and change nothing. Only two ask somebody else: check
/// --image the image's registry, and status the proxies.
#[derive(Parser)]
#[command(name = "release-track", version, max_term_width = 100, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Check(check::Check),
    Migrate(migrate::Migrate),
    Explain(Box<explain::Explain>),
    Status(Box<status::Status>),
    Decode(decode::Decode),
    Key(token::NewKey),
    Token(token::Token),
    Verify(token::Verify),
    Schema(schema::Schema),
    Render(render::Render),
    /// Print the completions of a shell
    ///
    /// For bash: release-track completions bash > /etc/bash_completion.d/release-track
    Completions {
        shell: Shell,
    },
}

fn main() -> ExitCode {
    let mut command = Cli::command();
    // kubectl runs what it finds by this name as `kubectl release-track`.
    let program = std::env::args_os().next().unwrap_or_default();
    if Path::new(&program).file_stem().is_some_and(|name| name == "kubectl-release_track") {
        command = command.bin_name("kubectl release-track");
    }
    let cli = Cli::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit());
    let result = match cli.command {
        Command::Check(command) => command.run(),
        Command::Migrate(command) => command.run(),
        Command::Explain(command) => command.run(),
        Command::Status(command) => command.run(),
        Command::Decode(command) => command.run(),
        Command::Key(command) => command.run(),
        Command::Token(command) => command.run(),
        Command::Verify(command) => command.run(),
        Command::Schema(command) => command.run(),
        Command::Render(command) => command.run(),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "release-track", &mut script);
            say!("{}", String::from_utf8_lossy(&script));
            Ok(ExitCode::SUCCESS)
        }
    };
    result.unwrap_or_else(|failure| {
        anstream::eprintln!("{failure}");
        failure.code()
    })
}
