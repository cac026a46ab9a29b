//! What a command prints: for a person, or for a program.

use clap::ValueEnum;
use serde::Serialize;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
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
pub(crate) use say;

/// A report as `--output json` prints it.
pub(crate) fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).expect("a report is JSON")
}
