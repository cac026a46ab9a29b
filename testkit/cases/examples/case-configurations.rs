//! Prints the configuration of every case, a JSON object a line, for programs that are not Rust:
//! `file`, `case`, `config` (text) and, if the filter refuses it, `refused` (the path that it names).

use cases::{Act, FOLDER, load};
use serde_json::json;
use std::io::{self, BufWriter, Write};

fn main() -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    for case in load(FOLDER).map_err(io::Error::other)? {
        let refused = match &case.act {
            Act::Refused(refused) => Some(refused),
            Act::Requests(_) => case.neutral.as_ref(),
        };
        let refused = refused.map(|refused| &refused.path);
        let (file, name, config) = (&case.file, &case.name, &case.config);
        let line = json!({"file": file, "case": name, "config": config, "refused": refused});
        writeln!(out, "{line}")?;
    }
    out.flush()
}
