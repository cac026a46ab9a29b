//! The tables of docs/applications.md and docs/messages.md are made from setups.yaml: `UPDATE_DOCS=1
//! cargo test --package clients` writes them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // A helper of tests may fail as a test does.

use clients::setups::{Outcome, Setup, Setups};
use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_documentation_has_every_set_up() {
    let setups = Setups::load(root()).unwrap();
    is_made("applications.md", "setups", &table(&setups, &setups.setups));
    is_made("messages.md", "messages", &table(&setups, &setups.messages));
}

/// Compares what stands between `<!-- NAME: .. -->` and `<!-- /NAME -->`, or writes it.
fn is_made(page: &str, name: &str, table: &str) {
    let file = root().join("../../docs").join(page);
    let text = fs::read_to_string(&file).unwrap();
    let begin =
        format!("<!-- {name}: written by `UPDATE_DOCS=1 cargo test --package clients` -->\n");
    let end = format!("<!-- /{name} -->");
    let (before, rest) = text.split_once(&begin).unwrap();
    let (_, after) = rest.split_once(&end).unwrap();
    let made = format!("{before}{begin}{table}{end}{after}");
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&file, made).unwrap();
    } else {
        assert!(text == made, "{page} is behind: UPDATE_DOCS=1 cargo test --package clients");
    }
}

fn table(setups: &Setups, list: &[Setup]) -> String {
    let mut table = String::from(
        "| set-up | without a trace | with one it reads | with another | what mends it |\n\
         | --- | --- | --- | --- | --- |\n",
    );
    for setup in list {
        let [none, own, another] = cells(setup);
        let mends = setup.mends.as_deref().unwrap_or("-");
        let name = match &setup.check {
            Some(check) => format!("`{check}`<br>{}", setup.name),
            None => setup.name.clone(),
        };
        let applications = applications(setups, setup);
        writeln!(table, "| {name}: {applications} | {none} | {own} | {another} | {mends} |")
            .unwrap();
    }
    table
}

/// `Python (Flask and requests, aiohttp), Go (gRPC)`
fn applications(setups: &Setups, setup: &Setup) -> String {
    let applications: Vec<_> =
        setup.applications.iter().map(|name| &setups.applications[name]).collect();
    let languages = applications.chunk_by(|a, b| a.language == b.language);
    let languages = languages.map(|some| {
        let made: Vec<_> = some.iter().map(|application| &*application.is).collect();
        format!("{} ({})", some[0].language, made.join(", "))
    });
    languages.collect::<Vec<_>>().join(", ")
}

fn cells(setup: &Setup) -> [String; 3] {
    let (plain, minted) = (setup.expected(false), setup.expected(true));
    [0, 1, 2].map(|arrival| match (plain[arrival], minted[arrival]) {
        (plain, minted) if plain == minted => cell(plain),
        (plain, minted) => format!("{}<br>minted: {}", cell(plain), cell(minted)),
    })
}

fn cell(outcome: Outcome) -> String {
    match outcome {
        Outcome::Carried(carrier) => format!("`{}`", carrier.label()),
        Outcome::Lost => "**lost**".into(),
    }
}

/// What the page tells people to write is what was measured.
#[test]
fn the_lines_for_a_poll_loop_are_those_that_were_measured() {
    let page = fs::read_to_string(root().join("../../docs/messages.md")).unwrap();
    for (language, file) in [("python", "python/kafka_app.py"), ("js", "node/kafkajs_app.js")] {
        let application = fs::read_to_string(root().join(file)).unwrap();
        let (_, rest) = page.split_once(&format!("```{language}\n")).unwrap();
        let (lines, _) = rest.split_once("```").unwrap();
        assert!(lines.lines().all(|line| application.contains(line)), "{file}: {lines}");
    }
}
