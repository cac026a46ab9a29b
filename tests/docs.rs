//! What the documentation claims: tables made from the code, numbers computed by it, links that lead
//! somewhere. `UPDATE_DOCS=1 cargo test --test docs` writes the tables anew.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // A helper of tests may fail as a test does.

use release_track::carrier::request_id::{Tag, Uuid};
use release_track::config::Config;
use release_track::config::schema::{CONFIG, Field, Shape, TEST};
use release_track::track::Carried;
use siphasher::sip::SipHasher24;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// The text between `<!-- NAME` (to the end of that line) and `<!-- /NAME -->`.
fn section<'a>(text: &'a str, name: &str) -> &'a str {
    let (_, rest) = text.split_once(&format!("<!-- {name}")).unwrap();
    let (_, rest) = rest.split_once("-->\n").unwrap();
    rest.split_once(&format!("<!-- /{name} -->")).unwrap().0
}

// === The configuration ===

#[test]
fn the_readme_lists_every_field() {
    let mut table =
        String::from("| field | type | default | meaning |\n| --- | --- | --- | --- |\n");
    rows(&mut table, "", CONFIG);
    table.push_str(
        "\nA string match is one of these, or `{}`: the cookie, header or parameter is there.\n\n",
    );
    table.push_str("| field | type | meaning |\n| --- | --- | --- |\n");
    for Field { name, shape, meaning, .. } in TEST {
        writeln!(table, "| `{name}` | {} | {} |", kind(shape), cell(meaning)).unwrap();
    }

    let readme = read("README.md");
    let written = section(&readme, "configuration");
    if env::var_os("UPDATE_DOCS").is_some() {
        let readme =
            readme.replace(&format!("-->\n{written}<!-- /"), &format!("-->\n{table}<!-- /"));
        fs::write(root().join("README.md"), readme).unwrap();
    } else {
        assert!(written == table, "README.md is behind: UPDATE_DOCS=1 cargo test --test docs");
    }
}

fn rows(table: &mut String, path: &str, fields: &[Field]) {
    for Field { name, shape, default, meaning } in fields {
        let name = format!("{path}{name}");
        let default = match default {
            None => "required".into(),
            Some("") => "-".into(),
            Some(default) => format!("`{default}`"),
        };
        writeln!(table, "| `{name}` | {} | {default} | {} |", kind(shape), cell(meaning)).unwrap();
        inner(table, &name, shape);
    }
}

/// The fields of what may stand in a field.
fn inner(table: &mut String, path: &str, shape: &Shape) {
    match shape {
        Shape::Object(_) if is_string_match(shape) => {}
        Shape::Object(fields) => rows(table, &format!("{path}."), fields),
        Shape::List(of) => inner(table, &format!("{path}[]"), of),
        Shape::Either(shapes) => shapes.iter().for_each(|shape| inner(table, path, shape)),
        _ => {}
    }
}

fn is_string_match(shape: &Shape) -> bool {
    matches!(shape, Shape::Object(fields) if fields.iter().map(|f| f.name).eq(TEST.iter().map(|f| f.name)))
}

fn kind(shape: &Shape) -> String {
    match shape {
        Shape::Object(_) if is_string_match(shape) => "string match".into(),
        Shape::Object(_) => "object".into(),
        Shape::List(of) => format!("list of {}", kind(of)),
        Shape::Map { values, .. } => format!("map to {}", kind(values)),
        Shape::Text(_) => "text".into(),
        Shape::OneOf(texts) => texts.join(" or "),
        Shape::Bool => "true or false".into(),
        Shape::Percent => "percent".into(),
        Shape::Integer(from, to) => format!("{from} to {to}"),
        Shape::Either(shapes) => shapes.iter().map(kind).collect::<Vec<_>>().join(", or "),
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

// === The worked example ===

#[test]
fn the_worked_example_is_right() {
    const ID: &str = "73cf9109-747e-4c23-92e0-3376878b904e";
    const KEY: &str = "000102030405060708090a0b0c0d0e0f";
    let text = read("docs/how-it-works.md");
    assert!(text.contains(ID) && text.contains(KEY));

    let key = u128::from_str_radix(KEY, 16).unwrap().to_be_bytes();
    let hash = |message: &str| SipHasher24::new_with_key(&key).hash(message.as_bytes());
    let message = "73cf9109-747e-0c23-92e0-";
    let (m, track) = (hash(message), hash("track:v2"));
    let config = Config::parse(br#"{"tracks": [{"name": "v2"}]}"#).unwrap();
    let tagger = &config.propagation.tagger;
    let (v2, _) = config.names.iter().next().unwrap();
    let tagged = tagger.inject(Uuid::parse(ID.as_bytes()).unwrap(), Tag::Track(v2)).unwrap();
    assert_eq!(tagger.extract(Uuid::parse(&tagged).unwrap()), Some(Carried::Track(v2)));
    let tagged = String::from_utf8(tagged.to_vec()).unwrap();

    let values: Vec<_> = section(&text, "example")
        .lines()
        .skip(2)
        .map(|line| line.rsplit('`').nth(1).unwrap().to_string())
        .collect();
    let expected = [
        message.to_string(),
        format!("{m:016x}"),
        format!("{track:016x}"),
        format!("{:04x}", track as u16),
        format!("{:08x}", m >> 32),
        format!("{:04x}", m as u16 ^ track as u16),
        tagged[24..].to_string(),
        tagged,
    ];
    assert_eq!(values, expected);
}

// === Tables whose rows are cases ===

/// The cells of a section's table, row by row.
fn table(path: &str, name: &str) -> Vec<Vec<String>> {
    let text = read(path);
    let rows = section(&text, name).lines().skip(2).map(|row| {
        let cells = row.trim_matches('|').split('|');
        cells.map(|cell| cell.trim().to_owned()).collect()
    });
    rows.collect()
}

/// File and name of every case that runs in a real Envoy.
fn cases_in_envoy() -> Vec<(String, String)> {
    let all = cases::load(cases::FOLDER).unwrap().into_iter();
    let run = all.filter(|case| !case.left_out.contains_key(&cases::Engine::Envoy));
    run.map(|case| (case.file, case.name)).collect()
}

#[test]
fn what_applications_forward_is_shown_by_cases() {
    let mut cases: Vec<_> =
        cases_in_envoy().into_iter().filter(|(file, _)| file == "forwarding").collect();
    for row in table("docs/how-it-works.md", "forwarded") {
        let [forwarded, carrier] = &row[..] else { panic!("{row:?}") };
        let name = format!("{forwarded}: {carrier}");
        let before = cases.len();
        cases.retain(|(_, case)| *case != name);
        assert_eq!(cases.len(), before - 1, "there is no case {name:?}");
    }
    assert!(cases.is_empty(), "not in the table: {cases:?}");
}

#[test]
fn every_attack_is_a_case() {
    let cases = cases_in_envoy();
    let attacks = table("docs/trust-boundary.md", "attacks");
    assert!(attacks.len() > 20);
    for row in attacks {
        for case in row.last().unwrap().split("; ") {
            let (file, name) = case.split_once(": ").unwrap();
            let found = cases.iter().any(|case| *case == (file.to_owned(), name.to_owned()));
            assert!(found, "there is no case {name:?} in {file}");
        }
    }
}

// === Links and commands ===

fn documents() -> Vec<PathBuf> {
    let docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut documents: Vec<_> =
        docs.filter(|path| path.extension().is_some_and(|e| e == "md")).collect();
    documents.push(root().join("README.md"));
    documents
}

#[test]
fn links_lead_to_files() {
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for (_, rest) in text.match_indices("](").map(|(at, _)| text.split_at(at + 2)) {
            let target = rest.split(')').next().unwrap();
            let file = target.split('#').next().unwrap();
            if !target.starts_with("http") && !file.is_empty() {
                let path = document.parent().unwrap().join(file);
                assert!(path.exists(), "{}: {target} leads nowhere", document.display());
            }
        }
    }
}

#[test]
fn make_targets_exist() {
    let makefile = read("Makefile");
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        let inline = text.split("`make ").skip(1);
        let blocks = text.lines().filter_map(|line| line.strip_prefix("make "));
        let targets = inline.chain(blocks).filter_map(|rest| rest.split([' ', '`', '\n']).next());
        for target in targets {
            let found = makefile.lines().any(|line| line.starts_with(&format!("{target}:")));
            assert!(found, "{}: there is no `make {target}`", document.display());
        }
    }
}
