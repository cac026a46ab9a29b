//! What a VirtualService means, on real Envoys.

mod page;

use demo::call::{Call, Served};
use demo::control::{Routes, Switches};
use demo::release::Percent;
use demo::stage::{Project, Setup, Stage};
use demo::weather::Forward;
use mesh::envoy;
use std::fs;
use std::path::Path;
use std::process::Command;

type Headers = &'static [(&'static str, &'static str)];
/// Path and headers of each.
type Requests = &'static [(&'static str, Headers)];

/// At the gateway: an entry of `match`, and requests that it holds for, or not.
const MATCHES: [(&str, [Requests; 2]); 13] = [
    (
        "headers: {x: {exact: right}}",
        [
            &[("/", &[("x", "right")]), ("/", &[("x", "wrong"), ("x", "right")])],
            &[("/", &[]), ("/", &[("x", "right,")])],
        ],
    ),
    ("headers: {x: {prefix: ri}}", [&[("/", &[("x", "right")])], &[("/", &[("x", "bright")])]]),
    (
        "headers: {x: {regex: 'a|b.'}}",
        [&[("/", &[("x", "bc")])], &[("/", &[("x", "ab")]), ("/", &[("x", "xa")])]],
    ),
    ("headers: {x: {}}", [&[("/", &[("x", "")])], &[("/", &[])]]),
    ("headers: {x: {regex: '*'}}", [&[("/", &[("x", "anything")])], &[("/", &[])]]),
    (
        "headers: {x: {exact: a}, y: {exact: b}}",
        [&[("/", &[("x", "a"), ("y", "b")])], &[("/", &[("x", "a")])]],
    ),
    (
        "withoutHeaders: {x: {exact: right}}",
        [&[("/", &[]), ("/", &[("x", "wrong")])], &[("/", &[("x", "right")])]],
    ),
    ("withoutHeaders: {x: {}}", [&[("/", &[])], &[("/", &[("x", "wrong")])]]),
    ("queryParams: {q: {exact: a}}", [&[("/?q=a", &[])], &[("/?q=b", &[]), ("/", &[])]]),
    ("uri: {exact: /}", [&[("/", &[]), ("/?q=a", &[])], &[]]),
    ("uri: {prefix: /nothing}", [&[], &[("/", &[])]]),
    ("method: {exact: GET}", [&[("/", &[])], &[]]),
    ("authority: {prefix: weather.}", [&[("/", &[("host", "weather.example")])], &[("/", &[])]]),
];

/// In the mesh: an entry of `match` for forecast, and whether frontend v1 and frontend v2 get
/// forecast v2 by it.
const CALLERS: [(&str, [bool; 2]); 6] = [
    ("sourceLabels: {version: v2}", [false, true]),
    ("sourceLabels: {app: frontend}", [true, true]),
    ("sourceLabels: {app: frontend, version: v3}", [false, false]),
    ("sourceNamespace: weather", [true, true]),
    ("sourceNamespace: elsewhere", [false, false]),
    // Where gateways are named, the source is not looked at.
    ("{gateways: [mesh], sourceLabels: {version: v3}}", [true, true]),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_virtual_service_means_what_it_means_to_istio() {
    let copy = tempfile::tempdir().unwrap();
    let Project { manifests, filter, .. } = Project::here().unwrap();
    for folder in ["examples", "wasmplugin"] {
        let from = manifests.join(folder);
        let copied = Command::new("cp").arg("-r").arg(from).arg(copy.path()).status().unwrap();
        assert!(copied.success());
    }
    let project =
        Project { manifests: copy.path().into(), overlays: Vec::new(), filter, preview_key: None };
    let switches = Switches {
        filter: false,
        routes: Routes::Story,
        forward: Forward::Header,
        share: Percent::NONE,
    };
    let setup = Setup {
        envoy: envoy::Options::new(envoy::find().unwrap()),
        project,
        gateway_port: None,
        program: env!("CARGO_BIN_EXE_demo").into(),
        switches,
    };
    let mut stage = Stage::start(setup, |_, _| {}).await.unwrap();
    let routes = copy.path().join("examples/weather/routes.yaml");
    let story = fs::read_to_string(&routes).unwrap();
    let [weather, frontend, forecast] =
        story.split("---\n").collect::<Vec<_>>().try_into().unwrap();

    for (entry, [holding, other]) in MATCHES {
        put(&routes, &[&with_match(weather, entry), frontend, forecast]);
        stage.set(switches).await.unwrap();
        for (requests, version) in [(holding, "v2"), (other, "v1")] {
            for (path, headers) in requests {
                let served = ask(&stage, path, headers).await;
                assert_eq!(served.version, version, "{entry}: {path} {headers:?}");
            }
        }
    }
    for (entry, expected) in CALLERS {
        put(&routes, &[weather, frontend, &with_match(forecast, entry)]);
        stage.set(switches).await.unwrap();
        for (caller, is_v2) in ["v1", "v2"].into_iter().zip(expected) {
            let track: Headers = if caller == "v2" { &[("x-release-track", "v2")] } else { &[] };
            let served = ask(&stage, "/", track).await;
            assert_eq!(served.version, caller);
            let Call::Served(forecast) = &served.calls[1] else { panic!("{served}") };
            assert_eq!(forecast.version, if is_v2 { "v2" } else { "v1" }, "{entry}: {served}");
        }
    }
    stage.stop().await;
}

/// The document with `entry` in place of its one `match` entry.
fn with_match(document: &str, entry: &str) -> String {
    let (before, rest) = document.split_once("    - headers:").unwrap();
    let (_, after) = rest.split_once('\n').unwrap();
    format!("{before}    - {entry}\n{after}")
}

fn put(file: &Path, documents: &[&str]) {
    fs::write(file, documents.join("---\n")).unwrap();
}

async fn ask(stage: &Stage, path: &str, headers: &[(&str, &str)]) -> Served {
    serde_json::from_slice(&page::get(stage, path, headers).await.1).unwrap()
}
