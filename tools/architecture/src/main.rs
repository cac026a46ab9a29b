//! `architecture PACKAGE [--svg FILE] [--asked NAME]...`

use anyhow::{Context, Result};
use architecture::map::Map;
use architecture::{figures, picture, workspace};
use clap::Parser;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

/// Reads what imports what in the crates of this workspace, draws one of them, and fails if that
/// one has a circle
#[derive(Parser)]
struct Arguments {
    /// The package, or the folder that it lies in
    package: String,
    /// Where its picture is written
    #[arg(long)]
    svg: Option<PathBuf>,
    /// Counts at how many places this name is read
    #[arg(long)]
    asked: Vec<String>,
}

fn main() -> Result<ExitCode> {
    let Arguments { package, svg, asked } = Arguments::parse();
    let packages = workspace::packages()?;
    let names = || packages.iter().map(|package| package.name.as_str()).collect::<Vec<_>>();
    let chosen = packages
        .iter()
        .find(|found| found.name == package || found.folder == package.trim_end_matches('/'))
        .with_context(|| {
            format!("no package is called {package}; there are {}", names().join(", "))
        })?;
    let map = chosen.map()?;
    println!("{}\n{}", chosen.name, figures::figures(&map, &asked));
    let all = packages.iter().map(|package| Ok((package.name.clone(), package.map()?)));
    println!("{}", figures::table(&all.collect::<Result<Vec<(String, Map)>>>()?));
    if let Some(file) = svg {
        fs::write(&file, picture::picture(&map, &chosen.name))
            .with_context(|| file.display().to_string())?;
        println!("drawn in {}", file.display());
    }
    let circles = figures::circles(&map);
    eprint!("{circles}");
    Ok(if circles.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
