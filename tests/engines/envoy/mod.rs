//! The compiled module, or the dynamic module, in a real Envoy: one process for every node, in it one
//! listener for every configuration, direction, cluster and kind of connection that some case needs.
//!
//! The listeners leave a request alone as far as Envoy lets them ([`bootstrap`]). What differs all
//! the same is said by the case.

mod bootstrap;
mod client;
mod upstream;

use super::{Failed, Wrong, of_step};
use bootstrap::{Listener, Plugin};
use cases::{Act, Bindings, Case, Engine, Node, Refused, Responder, Seen, Step};
use mesh::envoy::Admin;
use mesh::ports::Port;
use mesh::process::Process;
use release_track::istio::stats::{self, Stat};
use std::collections::btree_map::{BTreeMap, Entry};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::process::Command;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use upstream::Upstream;

/// Envoys at one time: each takes some 100 MB.
const AT_ONCE: usize = 4;

/// For anything that should take a moment.
const PATIENCE: Duration = Duration::from_secs(60);

/// Cases that share an Envoy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    node: Node,
    /// Of the process: a dynamic module has none of its own.
    environment: BTreeMap<String, String>,
    /// Configurations that are refused come as updates, since Envoy does not start with one.
    refused: bool,
    /// The number of a case that shares with none.
    alone: Option<usize>,
}

pub(super) fn run(engine: Engine, cases: &[&Case]) -> Result<Vec<Wrong>, Failed> {
    let binary = mesh::envoy::find()?;
    let plugin = match engine {
        Engine::EnvoyNative => Plugin::native(&binary)?,
        Engine::Native | Engine::Wasm | Engine::Envoy => Plugin::Wasm,
    };
    let mut groups: BTreeMap<Group, Vec<(usize, Case)>> = BTreeMap::new();
    for (number, case) in cases.iter().enumerate() {
        let group = Group {
            node: case.node.clone(),
            environment: match plugin {
                Plugin::Wasm => BTreeMap::new(),
                Plugin::Native { .. } => case.environment.clone(),
            },
            refused: matches!(case.act, Act::Refused(_)),
            alone: case.alone.then_some(number),
        };
        groups.entry(group).or_default().push((number, (*case).clone()));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        let mut tasks = JoinSet::new();
        for (group, cases) in groups {
            let (binary, turns, plugin) = (binary.clone(), turns.clone(), plugin.clone());
            tasks.spawn(async move {
                let _turn = turns.acquire().await.map_err(|error| error.to_string())?;
                let numbers: Vec<_> = cases.iter().map(|(number, _)| *number).collect();
                let cases: Vec<_> = cases.into_iter().map(|(_, case)| case).collect();
                let id = &group.node.id;
                let run = run_group(engine, &binary, &plugin, &group, &cases).await;
                let wrong = run.map_err(|error| format!("the Envoy of {id}: {error}"))?;
                Ok::<_, String>(numbers.into_iter().zip(wrong).collect::<Vec<_>>())
            });
        }
        let mut all = vec![Wrong::new(); cases.len()];
        while let Some(done) = tasks.join_next().await {
            for (number, wrong) in done?? {
                all[number] = wrong;
            }
        }
        Ok(all)
    })
}

async fn run_group(
    engine: Engine,
    binary: &Path,
    plugin: &Plugin,
    group: &Group,
    cases: &[Case],
) -> Result<Vec<Wrong>, String> {
    let upstream = Upstream::start().await.map_err(|error| error.to_string())?;
    let proxy = Proxy::start(binary, plugin, group, cases, &upstream).await?;
    let mut results = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        results.push(match &case.act {
            Act::Refused(refused) => proxy.refuse(number, case, refused).await?,
            Act::Requests(steps) => {
                let mut bindings = Bindings::default();
                let mut wrong = Wrong::new();
                for (number, step) in steps.iter().enumerate() {
                    match proxy.send(case, step, &bindings, &upstream).await {
                        Ok(seen) => {
                            let lines = step.check(engine, &seen, &mut bindings);
                            wrong.extend(of_step(case, number, lines));
                        }
                        Err(error) => wrong.extend(of_step(case, number, vec![error])),
                    }
                }
                wrong
            }
        });
    }
    proxy.process.stop(PATIENCE).await;
    Ok(results)
}

/// A running Envoy.
struct Proxy {
    process: Process,
    admin: Admin,
    plugin: Plugin,
    listeners: BTreeMap<Listener, Port>,
    folder: tempfile::TempDir,
}

impl Proxy {
    async fn start(
        binary: &Path,
        plugin: &Plugin,
        group: &Group,
        cases: &[Case],
        upstream: &Upstream,
    ) -> Result<Self, String> {
        let failed = |error: std::io::Error| error.to_string();
        let folder = tempfile::tempdir().map_err(failed)?;
        let admin = Port::any().map_err(failed)?;
        let mut listeners = BTreeMap::new();
        for case in cases {
            for listener in Listener::of(case) {
                if let Entry::Vacant(place) = listeners.entry(listener) {
                    place.insert(Port::any().map_err(failed)?);
                }
            }
        }
        let bootstrap = bootstrap::write(
            folder.path(),
            plugin,
            &group.node,
            admin.address(),
            &listeners,
            upstream.address(),
        );
        let (bootstrap, _inner) = bootstrap.map_err(failed)?;
        let mut command = Command::new(binary);
        command
            .envs(&group.environment)
            .arg("--config-path")
            .arg(bootstrap)
            .arg("--log-path")
            .arg(folder.path().join(LOG))
            .args(["--disable-hot-restart", "--concurrency", "1", "--log-level", "warning"])
            .args(["--log-format", "%l %v", "--file-flush-interval-msec", "20"]);
        let process = Process::spawn("envoy", command).await.map_err(failed)?;
        let admin = Admin::new("envoy", admin.address());
        let proxy = Self { process, admin, plugin: plugin.clone(), listeners, folder };
        proxy.ready().await?;
        Ok(proxy)
    }

    async fn ready(&self) -> Result<(), String> {
        let poll = async {
            while self.admin.get("/ready").await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let problem = tokio::select! {
            ended = self.process.ended() => ended.to_string(),
            ready = tokio::time::timeout(PATIENCE, poll) => match ready {
                Ok(()) => return Ok(()),
                Err(_) => format!("not ready after {} s", PATIENCE.as_secs()),
            },
        };
        let log = self.log()?;
        let last: Vec<_> = log.lines().rev().take(5).collect();
        Err(format!("{problem}\n  {}", last.into_iter().rev().collect::<Vec<_>>().join("\n  ")))
    }

    fn log(&self) -> Result<String, String> {
        let bytes = std::fs::read(self.folder.path().join(LOG)).map_err(|e| e.to_string())?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The configuration in force stays, whatever comes.
    async fn refuse(&self, number: usize, case: &Case, refused: &Refused) -> Result<Wrong, String> {
        let name = format!("refused-{number}");
        let before = self.rejected().await?;
        let lines_before = self.log()?.lines().count();
        bootstrap::update(self.folder.path(), &self.plugin, &name, case)
            .map_err(|error| error.to_string())?;
        let poll = async {
            while self.rejected().await? == before {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Ok::<_, String>(())
        };
        match tokio::time::timeout(PATIENCE, poll).await {
            Err(_) => return Ok(vec!["the configuration was not refused".into()]),
            Ok(polled) => polled?,
        }
        let is_ours = |line: &&str| match &self.plugin {
            Plugin::Wasm => line.contains(&format!("wasm log {name}: ")),
            Plugin::Native { .. } => line.contains("release-track: "),
        };
        let ours = || -> Result<Vec<String>, String> {
            let log = self.log()?;
            Ok(log.lines().skip(lines_before).filter(is_ours).map(str::to_owned).collect())
        };
        // Envoy writes its log a moment later.
        let poll = async {
            while ours().is_ok_and(|lines| lines.is_empty()) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let _ = tokio::time::timeout(PATIENCE, poll).await;
        Ok(refused.check(&ours()?))
    }

    /// How many updates of a plugin have been rejected.
    async fn rejected(&self) -> Result<u64, String> {
        let stats = self.admin.stats("^extension_config_discovery\\..*\\.update_rejected$").await;
        let stats = stats.map_err(|error| error.to_string())?;
        Ok(stats.iter().filter_map(|(_, value)| value.as_u64()).sum())
    }

    async fn send(
        &self,
        case: &Case,
        step: &Step,
        bindings: &Bindings,
        upstream: &Upstream,
    ) -> Result<Seen, String> {
        tokio::time::sleep(Duration::from_millis(step.after_ms)).await;
        let port = self.listeners.get(&Listener::of_step(case, step)).ok_or("no listener")?;
        let before = self.counters().await?;
        upstream.expect(step.response_headers(bindings));
        let lines = step.lines(bindings);
        let response = client::send(port.address(), &lines);
        let response = tokio::time::timeout(PATIENCE, response).await;
        let response = response.map_err(|_| "no response")?.map_err(|error| error.to_string())?;
        let responder = match upstream.seen() {
            Some(request) => {
                Responder::Upstream(without(request, &step.headers(bindings), ADDED_TO_REQUESTS))
            }
            None => Responder::Proxy { status: response.status, body: response.body },
        };
        let counts = self.counters().await?.into_iter().map(|(name, count)| {
            let by = count - before.get(&name).copied().unwrap_or_default();
            (name, by)
        });
        Ok(Seen {
            responder,
            response: without(
                response.headers,
                &step.response_headers(bindings),
                ADDED_TO_RESPONSES,
            ),
            counts: counts.collect(),
            ..Seen::default()
        })
    }

    async fn counters(&self) -> Result<BTreeMap<String, u64>, String> {
        let stats = self.admin.stats("custom\\.release_track").await;
        let stats = stats.map_err(|error| error.to_string())?;
        // A gauge may fall.
        let counter = |(name, value): (String, serde_json::Value)| {
            let Stat { family, track, value: label } = Stat::parse(&name)?;
            Some((stats::name(family, track.as_deref(), &label), value.as_u64()?))
        };
        Ok(stats.into_iter().filter_map(counter).collect())
    }
}

const LOG: &str = "envoy.log";

/// What Envoy adds on its own, where it was not sent.
const ADDED_TO_REQUESTS: &[&str] = &["x-forwarded-proto"];
const ADDED_TO_RESPONSES: &[&str] = &["content-length", "date", "server"];

fn without(
    mut lines: Vec<(String, Vec<u8>)>,
    sent: &[(String, Vec<u8>)],
    added: &[&str],
) -> Vec<(String, Vec<u8>)> {
    lines.retain(|(name, _)| {
        !added.contains(&&**name) || sent.iter().any(|(known, _)| known == name)
    });
    lines
}
