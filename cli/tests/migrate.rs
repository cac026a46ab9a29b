//! `migrate` on classical set-ups: `migrate/NAME/input.yaml` comes to `output.yaml`, and `said.txt` is
//! what a person is told. Of `weather` the input is the example. What holds for every translation
//! is checked for each. `UPDATE_DOCS=1 cargo test --test migrate` writes outputs anew: read them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::{env, fs};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

fn release_track(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_release-track"))
        .args(arguments)
        .current_dir(folder)
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

#[test]
fn every_set_up_is_translated() {
    let corpus = root().join("cli/tests/migrate");
    let mut names: Vec<_> = fs::read_dir(&corpus).unwrap().map(|e| e.unwrap().path()).collect();
    names.sort();
    assert!(names.len() > 10);
    for folder in names {
        let own = folder.join("input.yaml");
        let (from, inputs) = match own.is_file() {
            true => (folder.clone(), vec!["input.yaml"]),
            false => (root(), vec!["examples/weather/original", "examples/weather/app"]),
        };
        let migrated = release_track(&[&["migrate"], &inputs[..]].concat(), &from);
        assert!(migrated.status.success(), "{folder:?}: {}", text(migrated.stderr));
        let output = text(migrated.stdout);
        for (name, is) in [("output.yaml", &output), ("said.txt", &text(migrated.stderr))] {
            let file = folder.join(name);
            if env::var_os("UPDATE_DOCS").is_some() {
                fs::write(&file, is).unwrap();
            }
            let was = fs::read_to_string(&file).unwrap_or_default();
            assert_eq!(*is, was, "{}: UPDATE_DOCS=1 cargo test --test migrate", file.display());
        }
        if env::var_os("UPDATE_DOCS").is_some() {
            continue;
        }
        comments_stay(&from, &inputs, &output);
        holds(&folder, &from, &inputs, &output);
    }
}

/// Each comment of an object that is printed again.
fn comments_stay(from: &Path, inputs: &[&str], output: &str) {
    let input: String = inputs
        .iter()
        .filter(|name| name.ends_with(".yaml"))
        .map(|name| fs::read_to_string(from.join(name)).unwrap())
        .collect();
    if output.is_empty() || from.ends_with("anchors") {
        return;
    }
    let comments = |text: &str| -> BTreeSet<String> {
        let found = text.lines().filter_map(|line| {
            let at =
                if line.trim_start().starts_with('#') { line.find('#') } else { line.find(" # ") };
            Some(line[at?..].trim().to_owned())
        });
        found.collect()
    };
    let lost: Vec<_> = comments(&input).difference(&comments(output)).cloned().collect();
    assert!(lost.is_empty(), "{}: {lost:?}", from.display());
}

/// What is printed is valid to the filter, and there is nothing more to translate in it.
fn holds(folder: &Path, from: &Path, inputs: &[&str], output: &str) {
    if output.is_empty() {
        return;
    }
    let copy = tempfile::tempdir().unwrap();
    fs::write(copy.path().join("new.yaml"), output).unwrap();
    if output.contains("kind: WasmPlugin") {
        let checked = release_track(&["check", "new.yaml"], copy.path());
        assert!(checked.status.success(), "{folder:?}: {}", text(checked.stdout));
    }
    let again = release_track(&["migrate", "new.yaml"], copy.path());
    let (again, said) = (text(again.stdout), text(again.stderr));
    assert_eq!(again, "", "{folder:?}: {said}");
    let steps: Vec<_> = ["2", "3", "4"]
        .iter()
        .map(|step| [&["migrate", "--step", step], inputs].concat())
        .map(|arguments| text(release_track(&arguments, from).stdout))
        .filter(|printed| !printed.is_empty())
        .collect();
    assert_eq!(steps.join("---\n"), output, "{folder:?}: the steps are the whole");
}

/// Before the tracks decide, they are carried.
#[test]
fn the_first_step_decides_nothing() {
    let first = release_track(
        &["migrate", "--step", "1", "examples/weather/original", "examples/weather/app"],
        &root(),
    );
    let first = text(first.stdout);
    assert!(first.contains("- name: v2\n      workloads: {frontend: v2, forecast: v2}"), "{first}");
}

/// As many files as a large repository has, and things that are no manifests at all.
#[test]
fn nothing_stops_it() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("template.yaml", "{{- if .Values.x }}\nkind: VirtualService\n{{- end }}\n"),
        ("empty.yaml", ""),
        ("comments.yaml", "# nothing\n---\n# else\n"),
        ("list.yaml", "- kind: VirtualService\n"),
        (
            "null.yaml",
            "apiVersion: networking.istio.io/v1\nkind: VirtualService\nspec: {http: [null, 1, {match: [null, {headers: [1]}], route: 5}, {match: {a: b}, route: [null]}]}\n",
        ),
    ] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let migrated = release_track(&["migrate", "."], folder.path());
    assert_eq!(migrated.status.code(), Some(1), "the template is no YAML");
    assert!(migrated.stdout.is_empty());
}
