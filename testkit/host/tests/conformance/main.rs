//! The host is what it says: the probe, a filter that writes down what its host
//! does, sees the same in this host and in a real Envoy.
//!
//! It wants the Envoy that `ENVOY` names, or the project's own.

mod envoy;
mod host;
mod script;
mod upstream;

use proxy_wasm_test_host::Quirk;
use script::Report;
use std::path::PathBuf;
use std::process::Command;

#[test]
fn the_host_behaves_as_envoy() {
    let probe = build_probe();
    let envoy = script::run(&mut envoy::Envoy::start(&probe));
    let host = script::run(&mut host::Proxy::start(&probe, None));
    save(&envoy, "envoy.json");
    save(&host, "host.json");
    let differences = script::differences(&envoy, &host);
    assert!(
        differences.is_empty(),
        "{} of {} answers differ (- Envoy, + this host):\n{}",
        differences.len(),
        script::size(&envoy),
        differences.join("\n")
    );
    println!("the probe's reports are equal: {} answers", script::size(&envoy));

    // The check itself can fail: each deliberate fault is noticed.
    for quirk in [
        Quirk::LastOfDuplicates,
        Quirk::CasChecksMissingKeys,
        Quirk::CountersTakeZero,
        Quirk::EmptyIsMissing,
        Quirk::WideBooleans,
    ] {
        let faulty = script::run(&mut host::Proxy::start(&probe, Some(quirk)));
        let differences = script::differences(&envoy, &faulty);
        assert!(!differences.is_empty(), "{quirk:?} is not noticed");
        println!("{quirk:?} is noticed in {} answers", differences.len());
    }
}

/// Keeps a report for a person to look at.
fn save(report: &Report, name: &str) {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let text = serde_json::to_string_pretty(report).expect("JSON");
    std::fs::write(file, text).expect("a file written");
}

fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Compiles the probe as filters are compiled.
fn build_probe() -> PathBuf {
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("probe");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--package", "probe", "--profile", "wasm", "--locked"])
        .args(["--target", "wasm32-wasip1", "--target-dir"])
        .arg(&target)
        .current_dir(workspace())
        .status()
        .expect("cargo runs");
    assert!(status.success(), "the probe does not compile");
    target.join("wasm32-wasip1/wasm/probe.wasm")
}
