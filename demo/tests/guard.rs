//! A guard, on real Envoys: version 2 begins to fail.

mod page;

use demo::call::Served;
use demo::control::Switches;
use demo::counters::Counters;
use demo::stage::{Project, Setup, Stage};
use mesh::envoy;
use mesh::process::Signal;
use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::process::Command;

/// Before the guard has stopped the share no more than these may fail.
const MOST_FAILED: usize = 60;

/// What became of the requests of accounts.
#[derive(Debug, Default, PartialEq, Eq)]
struct Visits {
    /// Whom version 2 of the frontend served.
    on_v2: BTreeSet<u32>,
    failed: BTreeSet<u32>,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_whose_responses_fail_stops_by_itself() {
    let copy = tempfile::tempdir().unwrap();
    let Project { manifests, filter, .. } = Project::here().unwrap();
    for folder in ["examples", "wasmplugin"] {
        let from = manifests.join(folder);
        let copied = Command::new("cp").arg("-r").arg(from).arg(copy.path()).status().unwrap();
        assert!(copied.success());
    }
    let plugin = copy.path().join("wasmplugin/wasmplugin.yaml");
    replace(
        &plugin,
        "      workloads: {frontend: v2, forecast: v2}\n",
        "      workloads: {frontend: v2, forecast: v2}\n      share: {percent: 50}\n      \
         guard: {minimum: 20, over: 10m}\n    identity: {header: x-account}\n",
    );
    let setup = Setup {
        envoy: envoy::Options { workers: 2, ..envoy::Options::new(envoy::find().unwrap()) },
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
    let mut stage = Stage::start(setup, |_, _| {}).await.unwrap();
    let at_first = visit(&stage, 0..200).await;
    let half = at_first.on_v2.len();
    assert!((60..140).contains(&half) && at_first.failed.is_empty(), "{at_first:?}");

    // What fails everywhere is no fault of version 2.
    stage.fail(&[("forecast", "v1"), ("forecast", "v2")]).await.unwrap();
    let all_fail = visit(&stage, 0..200).await;
    assert_eq!((&all_fail.on_v2, all_fail.failed.len()), (&at_first.on_v2, 200));
    stage.fail(&[]).await.unwrap();
    assert_eq!(visit(&stage, 0..200).await, at_first);
    assert_eq!(guard_stopped(&stage).await, 0);

    stage.fail(&[("forecast", "v2")]).await.unwrap();
    let Visits { on_v2, failed } = visit(&stage, 200..600).await;
    assert_eq!(on_v2, failed);
    assert!((1..=MOST_FAILED).contains(&failed.len()), "{failed:?}");
    assert_eq!(visit(&stage, 0..200).await, Visits::default());
    // Both workers of the gateway have counted, and they agree.
    let workers = r"^listener\.[0-9].*\.worker_[01]\.downstream_cx_total$";
    let taken = gateway(&stage).admin().stats(workers).await.unwrap();
    assert!(matches!(&taken[..], [(_, one), (_, other)] if *one != 0 && *other != 0), "{taken:?}");
    // A rule without a share stays.
    let tester = [("cookie", "user=tester")];
    assert_eq!(ask(&stage, &tester).await, (500, Some("v2".to_owned())));
    assert_eq!(guard_stopped(&stage).await, 1);
    let gauge = gateway(&stage).admin().stats(r"release_track\..*=v2.*;share$").await.unwrap();
    assert!(matches!(&gauge[..], [(_, share)] if *share == 0), "{gauge:?}");

    // It stays so until the track's configuration changes.
    stage.fail(&[]).await.unwrap();
    assert_eq!(visit(&stage, 0..200).await, Visits::default());
    replace(&plugin, "minimum: 20", "minimum: 21");
    stage.set(Switches::STORY).await.unwrap();
    assert_eq!(visit(&stage, 0..200).await, at_first);

    // Envoy's own responses are responses: there are no pods of version 2 any more.
    let frontend = copy.path().join("examples/weather/app/frontend.yaml");
    replace(&frontend, "name: v2\n", "name: version-2\n");
    stage.set(Switches::STORY).await.unwrap();
    stops(&stage, 2).await;

    // And so are those of a sidecar whose application was killed.
    replace(&frontend, "name: version-2\n", "name: v2\n");
    replace(&plugin, "minimum: 21", "minimum: 20");
    stage.set(Switches::STORY).await.unwrap();
    assert_eq!(visit(&stage, 0..200).await, at_first);
    let killed = stage.mesh().pods().iter().find(|pod| pod.name() == "frontend-v2-0").unwrap();
    killed.app().unwrap().signal(Signal::KILL);
    stops(&stage, 3).await;
    stage.stop().await;
}

/// Version 2 fails, and the guard stops its share, for which it has done so this often.
async fn stops(stage: &Stage, times: u64) {
    let Visits { on_v2, failed } = visit(stage, 200..600).await;
    assert!(on_v2.is_empty() && (1..=MOST_FAILED).contains(&failed.len()), "{on_v2:?} {failed:?}");
    assert_eq!(visit(stage, 0..200).await, Visits::default());
    assert_eq!(guard_stopped(stage).await, times);
}

fn replace(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(from));
    fs::write(file, text.replace(from, to)).unwrap();
}

async fn visit(stage: &Stage, accounts: Range<u32>) -> Visits {
    let mut visits = Visits::default();
    for account in accounts {
        let (status, version) = ask(stage, &[("x-account", &account.to_string())]).await;
        if version.as_deref() == Some("v2") {
            visits.on_v2.insert(account);
        }
        if status != 200 {
            visits.failed.insert(account);
        }
    }
    visits
}

/// The status, and the version of the frontend, if it was that which responded.
async fn ask(stage: &Stage, headers: &[(&str, &str)]) -> (u16, Option<String>) {
    let (status, body) = page::get(stage, "/", headers).await;
    let served = serde_json::from_slice::<Served>(&body).ok();
    (status, served.map(|served| served.version))
}

fn gateway(stage: &Stage) -> &envoy::Envoy {
    stage.mesh().pods().iter().find(|pod| pod.is_gateway()).unwrap().envoy().unwrap()
}

async fn guard_stopped(stage: &Stage) -> u64 {
    let pod = stage.mesh().pods().iter().find(|pod| pod.is_gateway()).unwrap();
    let counters = Counters::of_pod(pod).await.unwrap();
    counters.iter().filter(|(_, name, _)| *name == "events guard_stopped").map(|(.., n)| n).sum()
}
