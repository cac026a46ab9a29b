//! docs/applications.md has setups.yaml as a table: `UPDATE_DOCS=1 cargo test --package clients`
//! writes it.

#![allow(clippy::unwrap_used)] // A helper of tests may fail as a test does.

use clients::setups::{Outcome, Setup, Setups};
use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

const BEGIN: &str = "<!-- setups: written by `UPDATE_DOCS=1 cargo test --package clients` -->\n";
const END: &str = "<!-- /setups -->";

#[test]
fn the_documentation_has_every_set_up() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let setups = Setups::load(folder).unwrap();
    let file = folder.join("../../docs/applications.md");
    let text = fs::read_to_string(&file).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let made = format!("{before}{BEGIN}{}{END}{after}", table(&setups));
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&file, made).unwrap();
    } else {
        assert!(text == made, "applications.md is behind: UPDATE_DOCS=1 cargo test -p clients");
    }
}

fn table(setups: &Setups) -> String {
    let mut table = String::from(
        "| set-up | without a trace | with one it reads | with another | what mends it |\n\
         | --- | --- | --- | --- | --- |\n",
    );
    for setup in &setups.setups {
        let applications: Vec<_> =
            setup.applications.iter().map(|name| &*setups.applications[name].is).collect();
        let [none, own, another] = cells(setup);
        let mends = setup.mends.as_deref().unwrap_or("-");
        let (name, applications) = (&setup.name, applications.join("; "));
        writeln!(table, "| {name}: {applications} | {none} | {own} | {another} | {mends} |")
            .unwrap();
    }
    table
}

fn cells(setup: &Setup) -> [String; 3] {
    let (plain, minted) = (setup.expected(false), setup.expected(true));
    [0, 1, 2].map(|arrival| match (plain[arrival], minted[arrival]) {
        (plain, minted) if plain == minted => cell(plain),
        (plain, minted) => format!("{}, minted: {}", cell(plain), cell(minted)),
    })
}

fn cell(outcome: Outcome) -> String {
    match outcome {
        Outcome::Carried(carrier) => format!("`{}`", carrier.label()),
        Outcome::Lost => "**lost**".into(),
    }
}
