//! Prints COUNT configurations that the filter takes, a line each: those of the first scenarios.

use release_track::config::Config;
use scenarios::Scenario;
use std::env;
use std::io::{self, BufWriter, Write};

/// Of each scenario.
const BYTES: usize = 1500;

fn main() -> io::Result<()> {
    let count = env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(1000);
    let mut out = BufWriter::new(io::stdout().lock());
    let scenarios = (0..).filter_map(|seed| {
        let mut bytes = vec![0; BYTES];
        fastrand::Rng::with_seed(seed).fill(&mut bytes);
        Scenario::from_bytes(&bytes)
    });
    let configs = scenarios.map(|scenario| scenario.config);
    for config in configs.filter(|config| Config::parse(config.as_bytes()).is_ok()).take(count) {
        writeln!(out, "{config}")?;
    }
    out.flush()
}
