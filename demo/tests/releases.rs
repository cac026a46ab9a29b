//! The releases of `docs/from-plain-istio.md` on real Envoys: who gets which version, with a track.
//! The one by the clock is left out.

mod page;

use demo::call::{Call, Served};
use demo::control::Switches;
use demo::stage::{Project, Setup, Stage};
use mesh::envoy;
use std::collections::BTreeSet;
use std::fs;

#[tokio::test(flavor = "multi_thread")]
async fn a_release_reaches_whom_it_is_for() {
    let mut project = Project::here().unwrap();
    let releases = project.manifests.join("examples/releases");
    let folder = tempfile::tempdir().unwrap();
    let [way_in, track] = ["gateway.yaml", "track.yaml"].map(|name| folder.path().join(name));
    let apply =
        |release: &str| fs::copy(releases.join(release).join("track.yaml"), &track).unwrap();
    fs::copy(releases.join("gateway.yaml"), &way_in).unwrap();
    apply("canary");
    project.overlays = vec![way_in, track.clone()];
    let setup = Setup {
        envoy: envoy::Options::new(envoy::find().unwrap()),
        project,
        gateway_port: None,
        program: env!("CARGO_BIN_EXE_demo").into(),
        switches: Switches::STORY,
    };
    let mut stage = Stage::start(setup, |_, _| {}).await.unwrap();

    // A part of everybody, in a service that the gateway does not see.
    let mut seen = BTreeSet::new();
    for visitor in visitors() {
        seen.insert(twice(&stage, &[("cookie", &visitor)], both).await);
    }
    let expected = ["frontend v1, forecast v1", "frontend v1, forecast v2"];
    assert_eq!(seen, BTreeSet::from(expected.map(String::from)));

    apply("ab");
    stage.set(Switches::STORY).await.unwrap();
    for (cookie, version) in [
        ("group=b", "v2"),
        ("city=oslo; group=b", "v2"),
        ("group=a", "v1"),
        ("group=bb", "v1"),
        ("city=oslo", "v1"),
    ] {
        assert_eq!(twice(&stage, &[("cookie", cookie)], frontend).await, version, "{cookie}");
    }

    apply("android");
    stage.set(Switches::STORY).await.unwrap();
    let mut seen = BTreeSet::new();
    for visitor in visitors() {
        let from = |agent: &'static str| [("user-agent", agent), ("cookie", visitor.as_str())];
        seen.insert(twice(&stage, &from("Mozilla/5.0 (Linux; Android 16)"), frontend).await);
        assert_eq!(twice(&stage, &from("Mozilla/5.0 (iPhone)"), frontend).await, "v1");
    }
    assert_eq!(seen, BTreeSet::from(["v1", "v2"].map(String::from)));
    stage.stop().await;
}

/// So many that a share of a fifth and its rest are both among them.
fn visitors() -> impl Iterator<Item = String> {
    (0..30).map(|number| format!("release-track-id=visitor-{number}"))
}

fn frontend(served: &Served) -> String {
    served.version.clone()
}

fn both(served: &Served) -> String {
    let Call::Served(forecast) = &served.calls[1] else { panic!("{served}") };
    format!("frontend {}, {} {}", served.version, forecast.service, forecast.version)
}

/// What is told of the response, of two that are alike.
async fn twice(stage: &Stage, headers: &[(&str, &str)], told: fn(&Served) -> String) -> String {
    let [first, second] = [ask(stage, headers).await, ask(stage, headers).await].map(|s| told(&s));
    assert_eq!(first, second, "{headers:?}");
    first
}

async fn ask(stage: &Stage, headers: &[(&str, &str)]) -> Served {
    serde_json::from_slice(&page::get(stage, "/", headers).await.1).unwrap()
}
