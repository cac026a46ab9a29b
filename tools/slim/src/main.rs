//! `slim IN OUT EXPORT...`

use clap::Parser;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Leaves in a WebAssembly module only the exports that are named, and the functions that can
/// still run
#[derive(Parser)]
struct Arguments {
    /// The module as the linker wrote it
    input: PathBuf,
    /// Where the slim module goes
    output: PathBuf,
    /// The exports to keep
    #[arg(required = true)]
    exports: Vec<String>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("slim: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let at = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let module = std::fs::read(&arguments.input).map_err(|e| at(&arguments.input, &e))?;
    let slim = slim::slim(&module, &arguments.exports).map_err(|e| at(&arguments.input, &e))?;
    std::fs::write(&arguments.output, slim).map_err(|e| at(&arguments.output, &e))
}
