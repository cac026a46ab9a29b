//! The Grafana dashboard, as far as it goes without Grafana: each of its queries is asked of a real
//! Prometheus that scrapes the mesh, and has to find something. `make dashboard` runs it.

use demo::control::{Routes, Switches};
use demo::load;
use demo::prometheus::{self, Prometheus};
use demo::release::Percent;
use demo::stage::{Project, Setup, Stage};
use demo::weather::Forward;
use mesh::envoy;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// How long what was counted may take to be seen.
const PATIENCE: Duration = Duration::from_secs(120);

/// What Grafana puts in the place of its variables.
const VARIABLES: [(&str, &str); 3] =
    [("$__rate_interval", "30s"), ("$__range", "5m"), ("$track", "(v2|v3)")];

/// What has to come out in the end.
const TRUE: [(&str, f64); 6] = [
    (r#"count(count_values("configuration", release_track_configuration))"#, 1.0),
    (r#"max(release_track_guard_stopped{track="v2"})"#, 1.0),
    (r#"max(release_track_share{track="v2"})"#, 0.0),
    (r#"sum(release_track_arrivals_total{outcome="crossed",app!="forecast"})"#, 0.0),
    (r#"sum(release_track_arrivals_total{outcome="crossed",app="forecast"}) > bool 0"#, 1.0),
    (r#"count(count by (alertname) (ALERTS{alertstate="firing"}))"#, 2.0),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_query_finds_something() {
    let dashboard: Value =
        serde_json::from_str(include_str!("../../wasmplugin/monitoring/dashboard.json")).unwrap();
    let mut missing = queries(&dashboard);
    assert!(missing.len() > 15, "{missing:?}");

    let (_copy, mut stage) = start().await;
    let setup = prometheus::Setup {
        binary: std::env::var_os("PROMETHEUS_BINARY").map(PathBuf::from).unwrap(),
        rules: Project::here().unwrap().manifests.join("wasmplugin/monitoring/alerts.yaml"),
        port: None,
    };
    let prometheus = Prometheus::start(setup, stage.mesh()).await.unwrap();
    // An increase is one of something that was seen before.
    is(&prometheus, "min(count_over_time(release_track_configuration[1m])) > bool 1", 1.0).await;

    send(&stage, 224).await;
    // The guard stops the share: that is to be seen on the dashboard, too.
    stage.fail(&[("frontend", "v2")]).await.unwrap();
    let began = Instant::now();
    while !missing.is_empty() {
        assert!(began.elapsed() < PATIENCE, "nothing is found by {missing:#?}");
        send(&stage, 112).await;
        let mut still = Vec::new();
        for (panel, query) in missing {
            let found = prometheus.query(&query).await.unwrap_or_else(|e| panic!("{panel}: {e}"));
            if !found.iter().any(|series| value(series).is_finite()) {
                still.push((panel, query));
            }
        }
        missing = still;
    }
    for (query, expected) in TRUE {
        is(&prometheus, query, expected).await;
    }
    let alerts = prometheus.query(r#"ALERTS{alertstate="firing"}"#).await.unwrap();
    let names = alerts.iter().map(|alert| alert["metric"]["alertname"].as_str().unwrap());
    let names: BTreeSet<_> = names.collect();
    assert_eq!(names, BTreeSet::from(["ReleaseTrackCrossed", "ReleaseTrackGuardStopped"]));
    prometheus.stop().await;
    stage.stop().await;
}

/// Waits until an expression has this one value.
async fn is(prometheus: &Prometheus, query: &str, expected: f64) {
    let began = Instant::now();
    loop {
        let found = prometheus.query(query).await.unwrap();
        if matches!(&found[..], [series] if value(series) == expected) {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{query} is {found:?}, not {expected}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn value(series: &Value) -> f64 {
    series["value"][1].as_str().unwrap().parse().unwrap()
}

/// The panels' titles, and what they ask.
fn queries(dashboard: &Value) -> Vec<(String, String)> {
    let panels = dashboard["panels"].as_array().unwrap();
    let asked = panels.iter().flat_map(|panel| {
        let title = panel["title"].as_str().unwrap();
        let targets = panel["targets"].as_array().into_iter().flatten();
        targets.map(move |target| (title.to_owned(), target["expr"].as_str().unwrap().to_owned()))
    });
    let filled = asked.map(|(title, query)| {
        let query = VARIABLES.iter().fold(query, |query, (name, value)| query.replace(name, value));
        assert!(!query.contains('$'), "{title}: {query}");
        (title, query)
    });
    filled.collect()
}

/// With a share that a guard watches, a track that is only counted, and no route to version 2 of the
/// forecast, so that its calls cross.
async fn start() -> (tempfile::TempDir, Stage) {
    let copy = tempfile::tempdir().unwrap();
    let Project { manifests, filter, .. } = Project::here().unwrap();
    for folder in ["examples", "wasmplugin"] {
        let from = manifests.join(folder);
        let copied = Command::new("cp").arg("-r").arg(from).arg(copy.path()).status().unwrap();
        assert!(copied.success());
    }
    let plugin = copy.path().join("wasmplugin/wasmplugin.yaml");
    edit(
        &plugin,
        &[(
            "      workloads: {frontend: v2, forecast: v2}\n",
            "      workloads: {frontend: v2, forecast: v2}\n      share: {percent: 50}\n      \
             guard: {minimum: 20, over: 10m}\n    - name: v3\n      dryRun: true\n      match:\n      \
             - cookies: {session: {}}\n    identity: {header: x-account}\n",
        )],
    );
    let forecast = "  - match:\n    - headers: {x-release-track: {exact: v2}}\n    route:\n    - \
                    destination: {host: forecast, subset: v2}\n";
    edit(&copy.path().join("examples/weather/routes.yaml"), &[(forecast, "")]);
    let setup = Setup {
        envoy: envoy::Options::new(envoy::find().unwrap()),
        project: Project {
            manifests: copy.path().into(),
            overlays: Vec::new(),
            filter,
            preview_key: None,
        },
        gateway_port: None,
        program: env!("CARGO_BIN_EXE_demo").into(),
        switches: Switches::STORY,
    };
    let stage = Stage::start(setup, |_, _| {}).await.unwrap();
    (copy, stage)
}

fn edit(file: &Path, changes: &[(&str, &str)]) {
    let mut text = fs::read_to_string(file).unwrap();
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    fs::write(file, text).unwrap();
}

async fn send(stage: &Stage, requests: u64) {
    let options = load::Options {
        url: format!("http://{}/", stage.mesh().gateway()).parse().unwrap(),
        requests,
        connections: 8,
        http: vec![load::Http::One],
        forward: Switches::STORY.forward,
        rate: None,
    };
    load::run(&options, |_| {}).await.unwrap();
}
