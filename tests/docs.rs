//! What the documentation claims: tables made from the code, numbers computed by it, links that lead
//! somewhere. `UPDATE_DOCS=1 cargo test --test docs` writes the tables anew.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // A helper of tests may fail as a test does.

#[path = "docs/translation.rs"]
mod translation;

use release_track::carrier::request_id::{Tag, Uuid};
use release_track::config::{Config, schema};
use release_track::track::Carried;
use release_track::vocabulary::Family;
use serde_json::Value;
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
    let schema = schema::document();
    let mut table =
        String::from("| field | type | default | meaning |\n| --- | --- | --- | --- |\n");
    rows(&mut table, "", &schema, false);
    let cookies = &schema["properties"]["tracks"]["items"]["properties"]["match"]["items"]["properties"]
        ["cookies"];
    let string_match = &cookies["additionalProperties"];
    writeln!(table, "\n{}\n", string_match["description"].as_str().unwrap()).unwrap();
    table.push_str("| field | type | meaning |\n| --- | --- | --- |\n");
    for (name, field) in fields(string_match) {
        writeln!(table, "| `{name}` | {} | {} |", kind(field), meaning(field)).unwrap();
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

/// A row for each field of an object, and of what is in it. `is_choice`: there may be another
/// object in its place.
fn rows(table: &mut String, path: &str, schema: &Value, is_choice: bool) {
    if schema["title"] == "string match" {
        return;
    }
    for (name, field) in fields(schema) {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let default = match field.get("default") {
            Some(default) => format!("`{}`", flow(default)),
            None if is_required(schema, name) && !is_choice => "required".to_owned(),
            None => "-".to_owned(),
        };
        writeln!(table, "| `{path}` | {} | {default} | {} |", kind(field), meaning(field)).unwrap();
        inner(table, &path, field);
    }
}

/// The fields of what may stand in a field.
fn inner(table: &mut String, path: &str, schema: &Value) {
    rows(table, path, schema, false);
    if let Some(items) = schema.get("items") {
        inner(table, &format!("{path}[]"), items);
    }
    let objects = choices(schema).iter().filter(|choice| fields(choice).count() > 0);
    let is_choice = objects.clone().count() > 1;
    objects.for_each(|object| rows(table, path, object, is_choice));
}

fn fields(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema["properties"].as_object().into_iter().flatten()
}

fn choices(schema: &Value) -> &[Value] {
    schema["oneOf"].as_array().or(schema["anyOf"].as_array()).map_or(&[], Vec::as_slice)
}

fn is_required(schema: &Value, field: &str) -> bool {
    schema["required"].as_array().is_some_and(|fields| fields.iter().any(|name| name == field))
}

fn meaning(schema: &Value) -> String {
    schema["description"].as_str().unwrap().replace('|', "\\|")
}

fn kind(schema: &Value) -> String {
    let number = |name: &str| schema[name].as_u64().unwrap();
    match (schema["type"].as_str(), schema.get("const"), choices(schema)) {
        (_, Some(name), _) => flow(name),
        (_, _, choices @ [_, ..]) => {
            let mut kinds: Vec<_> = choices.iter().map(kind).collect();
            kinds.dedup();
            let are_names = choices.iter().all(|choice| choice.get("const").is_some());
            kinds.join(if are_names { " or " } else { ", or " })
        }
        (Some("object"), ..) if schema["title"] == "string match" => "string match".to_owned(),
        (Some("object"), ..) => match &schema["additionalProperties"] {
            Value::Object(_) => format!("map to {}", kind(&schema["additionalProperties"])),
            _ => "object".to_owned(),
        },
        (Some("array"), ..) => format!("list of {}", kind(&schema["items"])),
        (Some("integer"), ..) => format!("{} to {}", number("minimum"), number("maximum")),
        (Some("number"), ..) if (number("minimum"), number("maximum")) == (0, 100) => {
            "percent".to_owned()
        }
        (Some("boolean"), ..) => "true or false".to_owned(),
        (Some("string"), ..) => "string".to_owned(),
        _ => unreachable!("a form that the tables do not know: {schema}"),
    }
}

/// As YAML in one line.
fn flow(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", "))
        }
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| format!("{name}: {}", flow(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

// === The alerts ===

const ALERTS: &str = "wasmplugin/monitoring/alerts.yaml";

/// Their Prometheus rules as YAML, each as JSON.
fn alerts() -> (String, Vec<Value>) {
    let text = read(ALERTS);
    let parsed: Value = serde_saphyr::from_str(&text).unwrap();
    (text, parsed["groups"][0]["rules"].as_array().unwrap().clone())
}

/// Compares a file with what it is made of, or writes it.
fn is_made(path: &str, made: &str) {
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(root().join(path), made).unwrap();
    } else {
        assert!(read(path) == made, "{path} is behind: UPDATE_DOCS=1 cargo test --test docs");
    }
}

#[test]
fn the_prometheus_rule_has_the_alerts() {
    let (text, _) = alerts();
    let (_, groups) = text.split_once("groups:\n").unwrap();
    let indented: String = groups.lines().map(|line| format!("  {line}\n")).collect();
    let head = "# For the Prometheus Operator: alerts.yaml, of which it is made.\n\
                apiVersion: monitoring.coreos.com/v1\n\
                kind: PrometheusRule\n\
                metadata:\n  name: release-track\n  namespace: istio-system\n\
                spec:\n  groups:\n";
    is_made("wasmplugin/monitoring/prometheusrule.yaml", &format!("{head}{indented}"));
}

#[test]
fn the_documentation_lists_every_alert() {
    let mut table =
        String::from("| expression | what it means | what to do |\n| --- | --- | --- |\n");
    for alert in alerts().1 {
        let of = |path: &str| alert.pointer(path).unwrap().as_str().unwrap().replace('|', "\\|");
        let [expression, summary, action] =
            ["/expr", "/annotations/summary", "/annotations/action"].map(of);
        writeln!(table, "| `{expression}` | {summary} | {action} |").unwrap();
    }
    let operations = read("docs/operations.md");
    let written = section(&operations, "alerts");
    let made = operations.replace(&format!("-->\n{written}<!-- /"), &format!("-->\n{table}<!-- /"));
    is_made("docs/operations.md", &made);
}

/// Whoever adds a word says whether somebody has to see it.
#[test]
fn what_an_operator_has_to_see_is_alerted() {
    const SILENT: [&str; 5] =
        ["match", "baseline", "stripped", "guard_resumed", "cookie_outside_domain"];
    let (text, alerts) = alerts();
    let tests = read("wasmplugin/monitoring/alerts_test.yaml");
    for family in [Family::Arrivals, Family::Events] {
        for value in family.values() {
            let is_alerted = text.contains(&format!("{}=\"{value}\"", family.column()));
            assert_ne!(is_alerted, SILENT.contains(&value), "{value}");
        }
    }
    for alert in alerts {
        let name = alert["alert"].as_str().unwrap();
        assert!(tests.contains(&format!("alertname=\"{name}\"")), "{name} has no test");
    }
}

// === The chart ===

#[test]
fn the_chart_has_the_version() {
    let written = read("chart/Chart.yaml");
    let lines = written.lines().map(|line| match line.split_once(": ") {
        Some((name @ ("version" | "appVersion"), _)) => {
            format!("{name}: {}\n", env!("CARGO_PKG_VERSION"))
        }
        _ => format!("{line}\n"),
    });
    is_made("chart/Chart.yaml", &lines.collect::<String>());
}

// === The dashboard ===

/// What Grafana would not say, or only to whoever looks: places, references, and metrics that are ours.
/// That each query finds something is in `demo/tests/dashboard.rs`.
#[test]
fn the_dashboard_is_whole() {
    let dashboard: Value =
        serde_json::from_str(&read("wasmplugin/monitoring/dashboard.json")).unwrap();
    let variables: Vec<_> = dashboard["templating"]["list"].as_array().unwrap().iter().collect();
    let variables: Vec<_> = variables.iter().map(|v| v["name"].as_str().unwrap()).collect();
    let known = |name: &str| name.starts_with("__") || variables.contains(&name);
    let panels = dashboard["panels"].as_array().unwrap();
    let mut taken = std::collections::BTreeSet::new();
    let mut text = String::new();
    for (number, panel) in panels.iter().enumerate() {
        let title = panel["title"].as_str().unwrap();
        assert_eq!(panel["id"], number + 1, "{title}");
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|of| panel["gridPos"][of].as_u64().unwrap());
        assert!(w > 0 && x + w <= 24, "{title} is wider than the page");
        for place in (y..y + h).flat_map(|y| (x..x + w).map(move |x| (x, y))) {
            assert!(taken.insert(place), "{title} covers another panel");
        }
        let targets = panel["targets"].as_array().map_or(&[][..], Vec::as_slice);
        assert_eq!(targets.is_empty(), panel["type"] == "row", "{title}");
        for (target, letter) in targets.iter().zip('A'..) {
            assert_eq!(target["refId"], letter.to_string(), "{title}");
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{title}");
            let query = target["expr"].as_str().unwrap();
            for rest in query.split('$').skip(1) {
                let name =
                    rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap();
                assert!(known(name), "{title}: ${name}");
            }
            text += query;
        }
    }
    let metrics = Family::ALL.map(Family::label).into_iter();
    for metric in metrics.chain(["share", "guard_stopped", "configuration"]) {
        assert!(text.contains(&format!("release_track_{metric}")), "{metric} is on no panel");
    }
    for family in Family::ALL {
        let column = family.column();
        for rest in text.split(&format!("{column}=")).skip(1) {
            let value = rest.trim_start_matches('~').split('"').nth(1).unwrap();
            for value in value.split('|') {
                let is_known = Family::ALL.iter().any(|family| family.values().contains(&value));
                assert!(is_known, "{column} is never {value}");
            }
        }
    }
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
fn every_attack_and_every_cluster_is_a_case() {
    let cases = cases_in_envoy();
    for (name, at_least) in [("attacks", 20), ("clusters", 20)] {
        let rows = table("docs/trust-boundary.md", name);
        assert!(rows.len() >= at_least);
        for case in rows.iter().flat_map(|row| row.last().unwrap().split("; ")) {
            let (file, name) = case.split_once(": ").unwrap();
            let found = cases.iter().any(|case| *case == (file.to_owned(), name.to_owned()));
            assert!(found, "there is no case {name:?} in {file}");
        }
    }
}

// === Links and commands ===

fn documents() -> Vec<PathBuf> {
    let folders = [".", "docs", "docs/zh", "examples/releases"].map(|folder| root().join(folder));
    let files = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    let paths = files.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|e| e == "md")).collect()
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

/// As the files have it, so that what the page shows is what the tests run.
#[test]
fn every_route_of_the_releases_is_in_an_example() {
    let mut examples = vec![read("wasmplugin/wasmplugin.yaml")];
    let mut folders = vec![root().join("examples")];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "yaml") {
                examples.push(fs::read_to_string(path).unwrap());
            }
        }
    }
    let page = read("docs/from-plain-istio.md");
    let blocks: Vec<_> = page.split("```yaml\n").skip(1).collect();
    assert!(blocks.len() > 8);
    for block in blocks {
        let block: Vec<_> = block.split("```").next().unwrap().lines().collect();
        let found = examples.iter().any(|example| {
            let lines: Vec<_> = example.lines().collect();
            lines.windows(block.len()).any(|part| {
                let indent = part[0].len() - part[0].trim_start().len();
                part.iter().zip(&block).all(|(line, of)| line.get(indent..) == Some(*of))
            })
        });
        assert!(found, "no example has\n{}", block.join("\n"));
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
