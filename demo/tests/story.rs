//! The story, on real Envoys: who gets which version, at every hop.

use demo::control::{Routes, Switches};
use demo::load::{self, Http, Report, VISITORS};
use demo::stage::{Project, Setup, Stage};
use demo::weather::Forward;
use mesh::envoy;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

const REQUESTS: u64 = 2_000;

const V1: &str = "frontend v1 (advertisement v1, forecast v1)";
const V2: &str = "frontend v2 @v2 (advertisement v1 @v2, forecast v2 @v2 (recommendation v1 @v2))";

/// Kinds of visitors whose account is `tester`; every other kind must not get further than
/// baseline.
const TESTERS: [&str; 4] =
    ["tester, first", "tester, in the middle", "tester, last", "tester, on a second line"];
/// With `none` a sidecar knows the track by its own pod (carrier 5): every pod that makes calls for
/// a tester belongs to it. Only a baseline pod in the middle of a chain would lose it, and this
/// story has none.
const MODES: [Forward; 7] = [
    Forward::RequestId,
    Forward::Baggage,
    Forward::Header,
    Forward::None,
    Forward::Trace,
    Forward::B3,
    Forward::Datadog,
];

#[tokio::test(flavor = "multi_thread")]
async fn testers_get_v2_and_nobody_else_does_whatever_the_applications_forward() {
    let mut stage = stage(project(), Switches::STORY).await;
    for forward in MODES {
        stage.set(Switches { forward, ..Switches::STORY }).await.unwrap();
        let report = load(&stage, REQUESTS, forward).await;
        assert_eq!((report.requests, report.failed), (REQUESTS, 0), "{forward:?}");
        everybody_is_served(&report, forward, |visitor, _| match TESTERS.contains(&visitor) {
            true => V2,
            false => V1,
        });
    }
    stage.stop().await;
}

/// An older Envoy does not tell a dynamic module on which side of a pod it stands, and here one
/// configuration is for both.
#[tokio::test(flavor = "multi_thread")]
async fn as_a_dynamic_module_it_is_the_same_story() {
    if envoy::version(&envoy::find().unwrap()).unwrap() < (1, 40) {
        return;
    }
    let mut project = project();
    project.filter.set_file_name("librelease-track.so");
    let mut stage = stage(project, Switches::STORY).await;
    for forward in MODES {
        stage.set(Switches { forward, ..Switches::STORY }).await.unwrap();
        let report = load(&stage, REQUESTS, forward).await;
        assert_eq!((report.requests, report.failed), (REQUESTS, 0), "{forward:?}");
        everybody_is_served(&report, forward, |visitor, _| match TESTERS.contains(&visitor) {
            true => V2,
            false => V1,
        });
    }
    stage.stop().await;
}

/// Frontend v1 is a baseline pod in the middle of v3's chain: here the applications must forward
/// something.
#[tokio::test(flavor = "multi_thread")]
async fn a_track_crosses_a_baseline_pod_by_what_its_application_forwards() {
    const V3: &str =
        "frontend v1 @v3 (advertisement v1 @v3, forecast v3 @v3 (recommendation v1 @v3))";
    const LOST: &str = "frontend v1 @v3 (advertisement v1, forecast v1)";
    let mut project = project();
    project.overlays.push(project.manifests.join("examples/weather/v3"));
    let mut stage = stage(project, Switches::STORY).await;
    for forward in MODES {
        stage.set(Switches { forward, ..Switches::STORY }).await.unwrap();
        let report = load(&stage, REQUESTS, forward).await;
        assert_eq!((report.requests, report.failed), (REQUESTS, 0), "{forward:?}");
        everybody_is_served(&report, forward, |visitor, _| match (visitor, forward) {
            ("tester-v3, first" | "tester-v3, last", Forward::None) => LOST,
            ("tester-v3, first" | "tester-v3, last", _) => V3,
            _ if TESTERS.contains(&visitor) => V2,
            _ => V1,
        });
    }
    stage.stop().await;
}

/// An SDK that knows one trace format starts a trace where none arrives, which nobody knows: in the
/// middle of v3's chain the track is lost, unless the filter had given the request a trace.
#[tokio::test(flavor = "multi_thread")]
async fn a_trace_that_an_sdk_starts_is_lost_and_a_minted_one_carries_the_track() {
    const V3: &str =
        "frontend v1 @v3 (advertisement v1 @v3, forecast v3 @v3 (recommendation v1 @v3))";
    const LOST: &str = "frontend v1 @v3 (advertisement v1, forecast v1)";
    for (more, served) in [(None, LOST), (Some("examples/weather/mint"), V3)] {
        let mut project = project();
        let overlays = ["examples/weather/v3"].into_iter().chain(more);
        project.overlays = overlays.map(|overlay| project.manifests.join(overlay)).collect();
        let mut stage = stage(project, Switches::STORY).await;
        for forward in [Forward::TracecontextSdk, Forward::B3Sdk] {
            stage.set(Switches { forward, ..Switches::STORY }).await.unwrap();
            let report = load(&stage, REQUESTS, forward).await;
            assert_eq!((report.requests, report.failed), (REQUESTS, 0), "{forward:?}");
            everybody_is_served(&report, forward, |visitor, _| match visitor {
                "tester-v3, first" | "tester-v3, last" => served,
                _ if TESTERS.contains(&visitor) => V2,
                _ => V1,
            });
        }
        stage.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_filter_testers_get_v1_and_a_forged_header_crosses() {
    const CROSSED: &str = "frontend v2 @v2 (advertisement v1, forecast v1)";
    let mut stage = stage(project(), Switches { filter: false, ..Switches::STORY }).await;
    for forward in [Forward::RequestId, Forward::Baggage, Forward::Header, Forward::None] {
        stage.set(Switches { filter: false, forward, ..Switches::STORY }).await.unwrap();
        let report = load(&stage, 448, forward).await;
        everybody_is_served(&report, forward, |visitor, _| match (visitor, forward) {
            ("forged header" | "forged everything", Forward::Header) => V2,
            ("forged header" | "forged everything", _) => CROSSED,
            _ => V1,
        });
    }
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_classical_routes_find_a_cookie_only_where_it_is_first() {
    // No track: nobody writes the header, and nobody removes it.
    const V2: &str = "frontend v2 (advertisement v1, forecast v2 (recommendation v1))";
    const FORGED: &str = "frontend v1 @v2 (advertisement v1, forecast v1)";
    // Envoy from 1.39 on looks at each line of a header by itself; before, it joined them with
    // commas, and over HTTP/2 the cookies of all lines are one line anyway.
    let line_by_line = envoy::version(&envoy::find().unwrap()).unwrap() >= (1, 39);
    let original = Switches { routes: Routes::Original, ..Switches::STORY };
    let stage = stage(project(), original).await;
    let report = load(&stage, 448, Switches::STORY.forward).await;
    everybody_is_served(&report, Switches::STORY.forward, |visitor, http| match (visitor, http) {
        ("tester, first", _) => V2,
        ("tester, on a second line", Http::One) if line_by_line => V2,
        ("forged header" | "forged everything", _) => FORGED,
        _ => V1,
    });
    stage.stop().await;
}

/// `release-track migrate` on the classical routes: before, a cookie is found only where it is
/// first; with what is printed, the story holds.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_classical_routes_migrate_to_tells_the_story() {
    let (copy, project) = copy();
    // `cli/tests/migrate.rs` holds it equal to what is printed.
    let root = Project::here().unwrap().manifests;
    let migrated = fs::read_to_string(root.join("cli/tests/migrate/weather/output.yaml")).unwrap();
    let (plugin, routes) = migrated.split_once("---\n").unwrap();
    fs::write(copy.path().join("wasmplugin/wasmplugin.yaml"), plugin).unwrap();
    fs::write(copy.path().join("examples/weather/routes.yaml"), routes).unwrap();
    let stage = stage(project, Switches::STORY).await;
    let report = load(&stage, 448, Switches::STORY.forward).await;
    everybody_is_served(&report, Switches::STORY.forward, |visitor, _| {
        match TESTERS.contains(&visitor) {
            true => V2,
            false => V1,
        }
    });
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_serves_what_its_manifests_say() {
    let (copy, project) = copy();
    let mut stage = stage(project, Switches::STORY).await;
    let weather = copy.path().join("examples/weather");
    assert_eq!(tester(&stage).await, V2);

    let routes = fs::read_to_string(weather.join("routes.yaml")).unwrap();
    let route = routes.rfind("  - match:").unwrap();
    let baseline = routes.rfind("  - route:").unwrap();
    let without = format!("{}{}", &routes[..route], &routes[baseline..]);
    fs::write(weather.join("routes.yaml"), without).unwrap();
    stage.set(Switches::STORY).await.unwrap();
    assert_eq!(tester(&stage).await, "frontend v2 @v2 (advertisement v1 @v2, forecast v1 @v2)");

    fs::write(weather.join("routes.yaml"), routes).unwrap();
    replace(&weather.join("app/forecast.yaml"), "name: v2\n", "name: version-2\n");
    stage.set(Switches::STORY).await.unwrap();
    let served = tester(&stage).await;
    assert!(
        served.starts_with("frontend v2 @v2 (advertisement v1 @v2, forecast: 503 "),
        "{served}"
    );

    replace(&weather.join("routes.yaml"), "subset: v2", "subset: version-2");
    replace(&weather.join("app/frontend.yaml"), "name: v2\n", "name: version-2\n");
    stage.set(Switches::STORY).await.unwrap();
    assert_eq!(tester(&stage).await, V2);

    replace(&copy.path().join("wasmplugin/wasmplugin.yaml"), "exact: tester", "prefix: test");
    stage.set(Switches::STORY).await.unwrap();
    let report = load(&stage, 224, Switches::STORY.forward).await;
    everybody_is_served(&report, Switches::STORY.forward, |visitor, _| match visitor {
        "tester2" | "tester-v3, first" | "tester-v3, last" => V2,
        visitor if TESTERS.contains(&visitor) => V2,
        _ => V1,
    });
    stage.stop().await;
}

/// The filter refuses what it does not understand; a running configuration then stays in force.
#[tokio::test(flavor = "multi_thread")]
async fn a_bad_update_changes_nothing() {
    let (_copy, project) = copy();
    let plugin = project.manifests.join("wasmplugin/wasmplugin.yaml");
    let mut stage = stage(project, Switches::STORY).await;
    let good = fs::read_to_string(&plugin).unwrap();
    replace(&plugin, "cookies:", "biscuits:");
    let refusal = stage.set(Switches::STORY).await.unwrap_err().to_string();
    assert!(refusal.contains("biscuits"), "{refusal}");
    assert_eq!(tester(&stage).await, V2);
    fs::write(&plugin, good).unwrap();
    stage.set(Switches { filter: false, ..Switches::STORY }).await.unwrap();
    assert_eq!(tester(&stage).await, V1);
    stage.set(Switches::STORY).await.unwrap();
    assert_eq!(tester(&stage).await, V2);
    stage.stop().await;
}

/// The project's manifests, to be changed.
fn copy() -> (TempDir, Project) {
    let copy = tempfile::tempdir().unwrap();
    let Project { manifests, filter, overlays, preview_key } = project();
    for folder in ["examples", "wasmplugin"] {
        let from = manifests.join(folder);
        let copied = Command::new("cp").arg("-r").arg(from).arg(copy.path()).status().unwrap();
        assert!(copied.success());
    }
    let manifests = copy.path().into();
    (copy, Project { manifests, overlays, filter, preview_key })
}

fn everybody_is_served(
    report: &Report,
    forward: Forward,
    expected: impl Fn(&str, Http) -> &'static str,
) {
    let served = served(report);
    assert_eq!(served.len(), 2 * VISITORS.len(), "every kind of visitor over both protocols");
    for ((visitor, http), served) in served {
        assert_eq!(served, [expected(visitor, http)], "{forward:?} {visitor} {http:?}");
    }
}

async fn tester(stage: &Stage) -> String {
    let report = load(stage, 224, Switches::STORY.forward).await;
    let served = served(&report);
    let [served] = served[&("tester, last", Http::One)][..] else {
        panic!("more than one answer: {served:?}");
    };
    served.to_owned()
}

fn replace(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(from));
    fs::write(file, text.replace(from, to)).unwrap();
}

fn project() -> Project {
    Project::here().unwrap()
}

async fn stage(project: Project, switches: Switches) -> Stage {
    let setup = Setup {
        envoy: envoy::Options::new(envoy::find().unwrap()),
        project,
        gateway_port: None,
        program: env!("CARGO_BIN_EXE_demo").into(),
        switches,
    };
    Stage::start(setup, |_, _| {}).await.unwrap()
}

async fn load(stage: &Stage, requests: u64, forward: Forward) -> Report {
    let options = load::Options {
        url: format!("http://{}/", stage.mesh().gateway()).parse().unwrap(),
        requests,
        connections: 16,
        http: vec![Http::One, Http::Two],
        forward,
        rate: None,
    };
    load::run(&options, |_| {}).await.unwrap()
}

/// Everything that this kind of visitor was ever served, and over which protocol.
fn served(report: &Report) -> BTreeMap<(&str, Http), Vec<&str>> {
    let mut served: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for outcome in &report.outcomes {
        served.entry((outcome.visitor, outcome.http)).or_default().push(outcome.served.as_str());
    }
    served
}
