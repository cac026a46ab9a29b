//! `status` on the demo's mesh of real Envoys: what it finds where all is well, and that it names what
//! is not.

use clap::{Parser, Subcommand};
use demo::control::{Routes, Switches};
use demo::load;
use demo::release::Percent;
use demo::stage::{Project, Setup, Stage};
use demo::weather::{self, Forward};
use mesh::envoy;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const STORY: Switches = Switches {
    filter: true,
    routes: Routes::Story,
    forward: Forward::RequestId,
    share: Percent::NONE,
};

/// What the mesh starts this program as: an application.
#[derive(Parser)]
struct Application {
    #[command(subcommand)]
    command: Weather,
}

#[derive(Subcommand)]
enum Weather {
    Weather(weather::Options),
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("weather") => {
            let Weather::Weather(options) = Application::parse().command;
            weather::serve(options).await.unwrap();
        }
        // `cargo test NAME` runs this only if it is meant.
        Some(argument)
            if argument == "--list"
                || !argument.starts_with('-') && !"status".contains(argument) => {}
        _ => {
            the_story().await;
            a_track_that_is_lost().await;
            println!("status: 2 passed");
        }
    }
}

/// What is found: code and workload.
type Findings = BTreeSet<(String, String)>;

fn findings(expected: &[(&str, &str)]) -> Findings {
    expected.iter().map(|(code, workload)| ((*code).to_owned(), (*workload).to_owned())).collect()
}

async fn the_story() {
    let (copy, mut stage) = start(&[]).await;
    send(&stage, STORY.forward).await;
    let well = status(&stage, &[]);
    assert!(well.status.success(), "{}", text(&well));
    assert_eq!(found(&well), Findings::new());
    let report: Value = serde_json::from_slice(&well.stdout).unwrap();
    let proxies = report["proxies"].as_array().unwrap();
    assert_eq!(proxies.len(), stage.mesh().pods().len());
    let states: BTreeSet<_> =
        proxies.iter().map(|proxy| proxy["state"].as_str().unwrap()).collect();
    assert!(matches!(states.first(), Some(state) if state.parse::<u32>().is_ok()), "{states:?}");
    assert_eq!(states.len(), 1);
    let kinds = proxies.iter().filter(|proxy| proxy["kind"] == "gateway").count();
    assert_eq!(kinds, 1);

    // The file that is in force, and one that is not.
    let plugin = copy.path().join("wasmplugin/wasmplugin.yaml");
    let plugin_file = plugin.to_str().unwrap();
    assert_eq!(found(&status(&stage, &["--config", plugin_file])), Findings::new());
    let other = copy.path().join("other.yaml");
    fs::write(&other, fs::read_to_string(&plugin).unwrap().replace("exact: tester", "exact: t"))
        .unwrap();
    let differs = status(&stage, &["--config", other.to_str().unwrap()]);
    assert_eq!(
        (found(&differs), differs.status.code()),
        (findings(&[("configurations", "")]), Some(1))
    );

    // An application that forwards nothing.
    stage.set(Switches { forward: Forward::None, ..STORY }).await.unwrap();
    let lost = in_this_time(&stage, Forward::None, &[]).await;
    let at =
        ["frontend v2", "forecast v2"].map(|workload| ("workload", format!("weather/{workload}")));
    let at: Vec<_> = at.iter().map(|(code, workload)| (*code, &**workload)).collect();
    assert_eq!((found(&lost), lost.status.code()), (findings(&at), Some(1)));

    // No subset of that name: 503, and nothing arrives.
    let forecast = copy.path().join("examples/weather/app/forecast.yaml");
    let there = fs::read_to_string(&forecast).unwrap();
    fs::write(&forecast, there.replace("name: v2\n", "name: version-2\n")).unwrap();
    stage.set(STORY).await.unwrap();
    let refused = in_this_time(&stage, STORY.forward, &["--config", plugin_file]).await;
    let named = [("not-arrived", ""), ("not-reached", "weather/forecast v2")];
    assert_eq!((found(&refused), refused.status.code()), (findings(&named), Some(1)));
    fs::write(&forecast, there).unwrap();

    // No route for the track.
    let routes = copy.path().join("examples/weather/routes.yaml");
    let route = "  - match:\n    - headers: {x-release-track: {exact: v2}}\n    route:\n    - \
                 destination: {host: forecast, subset: v2}\n";
    let text = fs::read_to_string(&routes).unwrap();
    assert!(text.contains(route));
    fs::write(&routes, text.replace(route, "")).unwrap();
    stage.set(STORY).await.unwrap();
    let crossed = in_this_time(&stage, STORY.forward, &[]).await;
    let named = findings(&[("crossed", "weather/forecast v1")]);
    assert_eq!((found(&crossed), crossed.status.code()), (named, Some(1)));

    // No filter anywhere.
    stage.set(Switches { filter: false, ..STORY }).await.unwrap();
    let absent = status(&stage, &[]);
    assert_eq!((found(&absent), absent.status.code()), (findings(&[("no-filter", "")]), Some(1)));
    stage.stop().await;
}

/// Frontend v1 is a pod on baseline in the middle of v3's chain, with an SDK that starts a trace where
/// none arrives.
async fn a_track_that_is_lost() {
    let (copy, mut stage) = start(&["examples/weather/v3"]).await;
    let plugin = copy.path().join("examples/weather/v3/wasmplugin.yaml");
    let plugin = ["--config", plugin.to_str().unwrap()];
    let carried = in_this_time(&stage, STORY.forward, &plugin).await;
    assert_eq!((found(&carried), carried.status.code()), (Findings::new(), Some(0)));
    stage.set(Switches { forward: Forward::TracecontextSdk, ..STORY }).await.unwrap();
    let lost = in_this_time(&stage, Forward::TracecontextSdk, &plugin).await;
    // On frontend v2's pod v2's own track stands in.
    let named = [("not-reached", "weather/forecast v3"), ("workload", "weather/frontend v2")];
    assert_eq!((found(&lost), lost.status.code()), (findings(&named), Some(1)));
    let message = text(&lost);
    assert!(message.contains("it ends at weather/frontend v1"), "{message}");
    stage.stop().await;
}

/// The project's manifests, to be changed, on a mesh.
async fn start(overlays: &[&str]) -> (tempfile::TempDir, Stage) {
    let copy = tempfile::tempdir().unwrap();
    let Project { manifests, filter, .. } = Project::here().unwrap();
    for folder in ["examples", "wasmplugin"] {
        let from = manifests.join(folder);
        let copied = Command::new("cp").arg("-r").arg(from).arg(copy.path()).status().unwrap();
        assert!(copied.success());
    }
    let setup = Setup {
        envoy: envoy::Options::new(envoy::find().unwrap()),
        project: Project {
            manifests: copy.path().into(),
            overlays: overlays.iter().map(|overlay| copy.path().join(overlay)).collect(),
            filter,
            preview_key: None,
        },
        gateway_port: None,
        program: std::env::current_exe().unwrap(),
        switches: STORY,
    };
    let stage = Stage::start(setup, |_, _| {}).await.unwrap();
    (copy, stage)
}

async fn send(stage: &Stage, forward: Forward) {
    let options = load::Options {
        url: format!("http://{}/", stage.mesh().gateway()).parse().unwrap(),
        requests: 224,
        connections: 8,
        http: vec![load::Http::One],
        forward,
        rate: None,
    };
    load::run(&options, |_| {}).await.unwrap();
}

fn command(stage: &Stage, more: &[&str]) -> Command {
    let pods = stage.mesh().pods().iter();
    let addresses: Vec<_> = pods.map(|pod| pod.proxy().admin.to_string()).collect();
    let mut command = Command::new(Path::new(env!("CARGO_BIN_EXE_release-track")));
    command.args(["status", "--output", "json", "--admin", &addresses.join(",")]).args(more);
    command
}

fn status(stage: &Stage, more: &[&str]) -> Output {
    command(stage, more).output().unwrap()
}

/// What it says of a time in which requests were sent, from its first reading on.
async fn in_this_time(stage: &Stage, forward: Forward, more: &[&str]) -> Output {
    let mut command = command(stage, &[&["--over", "6s"], more].concat());
    let asked = tokio::task::spawn_blocking(move || command.output().unwrap());
    // The first reading has long been taken.
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    send(stage, forward).await;
    asked.await.unwrap()
}

fn found(output: &Output) -> Findings {
    let report: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(output)));
    let findings = report["findings"].as_array().unwrap().iter();
    let of = |finding: &Value, field: &str| finding[field].as_str().unwrap_or_default().to_owned();
    findings.map(|finding| (of(finding, "code"), of(finding, "workload"))).collect()
}

fn text(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).concat()
}
