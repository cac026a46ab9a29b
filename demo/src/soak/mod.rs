//! `make soak`: very many requests through the mesh, while it is updated, killed and drained; every answer is checked
//! against what the applications saw, and the filter's counters against the answers.

mod expected;
mod memory;
mod verdict;

use crate::{
    control::{Routes, Switches},
    counters::{self, Counters},
    graph::Releases,
    load::{self, Answer},
    release::Percent,
    stage::{Project, Setup, Stage},
    weather::Forward,
};
use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use hyper::Uri;
use indicatif::{ProgressBar, ProgressStyle};
use mesh::envoy;
use serde::Serialize;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use verdict::Tally;

/// Sends very many mixed requests through the mesh, in every mode of forwarding, while a configuration is updated, a
/// sidecar killed and an Envoy replaced. Prints a report; fails if anything crossed, was lost or failed that should not.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// In all, spread evenly over what the applications forward.
    #[arg(long, env = "REQUESTS", default_value_t = 1_000_000)]
    pub requests: u64,
    #[arg(long, default_value_t = 16)]
    pub connections: usize,
    /// Seconds between two updates of the filter's configuration.
    #[arg(long, default_value_t = 30)]
    pub update: u64,
    /// Takes this carrier out of the filter's configuration: the run must then report losses.
    #[arg(long, value_enum, env = "BREAK")]
    pub r#break: Option<Broken>,
    /// Leaves out the comparison of memory, which needs a second mesh.
    #[arg(long)]
    pub no_memory: bool,
}

/// A carrier that can be taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Broken {
    RequestId,
    Baggage,
    Remembered,
}

/// What the applications forward, in turn.
pub const MODES: [Forward; 7] = [
    Forward::RequestId,
    Forward::Baggage,
    Forward::Header,
    Forward::None,
    Forward::Trace,
    Forward::B3,
    Forward::Datadog,
];

/// The sidecar that is killed: every request calls it, and it makes no call that could be lost.
const KILLED: &str = "advertisement-v1";
/// The pod that is drained and replaced: it makes calls, for one track only.
const REPLACED: &str = "forecast-v2";

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub requests: u64,
    pub seconds: f64,
    pub requests_per_second: f64,
    pub broken: Option<Broken>,
    pub modes: Vec<Mode>,
    pub updates: u64,
    pub killed: Option<Killed>,
    pub replaced: Option<String>,
    pub memory: Option<memory::Report>,
    /// Everything that should not be; empty is good.
    pub faults: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Mode {
    pub forward: Forward,
    pub seconds: f64,
    #[serde(flatten)]
    pub tally: Tally,
    /// Counters of the filter that are not what the answers say: pod, counter, expected, counted.
    pub differences: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Killed {
    pub pod: String,
    /// What nobody has scraped before it was killed.
    pub arrivals_not_scraped: u64,
    /// How many there can be at the most.
    pub bound: u64,
    pub calls_failed: u64,
}

pub async fn run(options: Options) -> Result<()> {
    let report = soak(&options).await?;
    println!("{}", serde_json::to_string_pretty(&report)?);
    ensure!(report.faults.is_empty(), "{} faults: see the report", report.faults.len());
    Ok(())
}

/// The run itself; what it finds is in the report.
pub async fn soak(options: &Options) -> Result<Report> {
    let mut project = Project::here()?;
    project.overlays.push(project.manifests.join("examples/weather/v3"));
    let releases = Releases::new(&project.plugin_config()?);
    let mut soak = Soak {
        stage: stage(project.clone(), true).await?,
        releases,
        options: options.clone(),
        bar: bar(options.requests)?,
        updates: 0,
        killed: None,
        replaced: None,
    };
    let start = Instant::now();
    let mut modes = Vec::new();
    for (turn, forward) in (0..).zip(MODES) {
        modes.push(soak.mode(turn, forward).await.with_context(|| format!("{forward:?}"))?);
    }
    let seconds = start.elapsed().as_secs_f64();
    let memory = match options.no_memory {
        true => None,
        false => Some(memory::compare(&mut soak.stage, &project, options).await?),
    };
    let Soak { stage, bar, updates, killed, replaced, .. } = soak;
    stage.stop().await;
    bar.finish_and_clear();
    let requests = modes.iter().map(|mode| mode.tally.requests).sum();
    let mut report = Report {
        requests,
        seconds,
        requests_per_second: requests as f64 / seconds,
        broken: options.r#break,
        modes,
        updates,
        killed,
        replaced,
        memory,
        faults: Vec::new(),
    };
    report.faults = verdict::faults(&report);
    Ok(report)
}

async fn stage(project: Project, filter: bool) -> Result<Stage> {
    let mut envoy = envoy::Options::new(envoy::find()?);
    envoy.workers = 2;
    let share = Percent::NONE;
    let switches = Switches { filter, routes: Routes::Story, forward: MODES[0], share };
    let program = std::env::current_exe()?;
    let setup = Setup { envoy, project, gateway_port: None, program, switches };
    Stage::start(setup, |_, _| ()).await
}

fn bar(requests: u64) -> Result<ProgressBar> {
    let bar = ProgressBar::new(requests);
    let style = "{msg:12} {wide_bar} {human_pos}/{human_len} {per_sec} {eta}";
    bar.set_style(ProgressStyle::with_template(style)?);
    bar.enable_steady_tick(Duration::from_millis(500));
    Ok(bar)
}

struct Soak {
    stage: Stage,
    releases: Releases,
    options: Options,
    bar: ProgressBar,
    updates: u64,
    killed: Option<Killed>,
    replaced: Option<String>,
}

impl Soak {
    /// An even share of the requests, with what the applications forward now.
    async fn mode(&mut self, turn: u64, forward: Forward) -> Result<Mode> {
        let share = Percent::NONE;
        let switches = Switches { filter: true, routes: Routes::Story, forward, share };
        self.stage.set(switches).await?;
        self.update().await?;
        let modes = MODES.len() as u64;
        let requests =
            self.options.requests / modes + u64::from(turn < self.options.requests % modes);
        let load = options(&self.stage, &self.options, forward, requests)?;
        self.bar.set_message(format!("{forward:?}"));

        let before = Counters::scrape(&self.stage).await?;
        let start = Instant::now();
        let (sender, mut answers) = tokio::sync::mpsc::unbounded_channel::<Answer>();
        let sending = tokio::spawn(async move {
            load::run(&load, |answer| drop(sender.send(answer.clone()))).await
        });
        let mut tally = Tally::new(forward, self.releases.clone());
        let mut disturbance = Disturbance::of(turn, requests);
        let mut counted = Counters::default();
        let mut last = (before.clone(), 0);
        let mut updates = tokio::time::interval(Duration::from_secs(self.options.update.max(1)));
        let mut scrapes = tokio::time::interval(Duration::from_secs(5));
        updates.tick().await;
        loop {
            tokio::select! {
                answer = answers.recv() => {
                    let Some(answer) = answer else { break };
                    self.bar.inc(1);
                    tally.add(&answer);
                }
                _ = updates.tick() => self.update().await?,
                _ = scrapes.tick() => last = (Counters::scrape(&self.stage).await?, sent(&tally, &answers)),
            }
            if disturbance.is_due(tally.requests) {
                match disturbance.take() {
                    Some(Act::Kill) => {
                        let now = sent(&tally, &answers);
                        let pod = self.pod(KILLED)?;
                        self.stage.mesh_mut().kill_envoy(&pod).await?;
                        // Its counters begin anew: what was scraped last is all that is left of the old ones.
                        counted.add(&last.0.of(KILLED).since(&before.of(KILLED)));
                        counted.forget(KILLED);
                        let bound = now - last.1 + 2 * self.options.connections as u64;
                        let bound = bound + sent(&tally, &answers) - now;
                        self.killed =
                            Some(Killed { pod, arrivals_not_scraped: 0, bound, calls_failed: 0 });
                    }
                    Some(Act::Replace) => {
                        let pod = self.pod(REPLACED)?;
                        let mut end = Ok(Counters::default());
                        let end_of = &mut end;
                        let replaced = self
                            .stage
                            .mesh_mut()
                            .replace(&pod, async move |old| {
                                *end_of = Counters::of_pod(old).await;
                            })
                            .await;
                        let new = replaced?;
                        counted.add(&end?.since(&before.of(REPLACED)));
                        counted.forget(REPLACED);
                        self.replaced = Some(format!("{pod} by {new}"));
                    }
                    None => {}
                }
            }
        }
        sending.await??;
        let seconds = start.elapsed().as_secs_f64();
        let after = Counters::scrape(&self.stage).await?;
        counted.add(&after.since(&before.without(counted.forgotten())));
        let mut differences = tally.counters().differences(&counted);
        if let Some(killed) = self.killed.as_mut().filter(|_| counted.forgotten().contains(&KILLED))
        {
            killed.calls_failed = tally.calls_failed;
            killed.arrivals_not_scraped = tally.counters().missing(&counted, KILLED);
            let too_many = killed.arrivals_not_scraped > killed.bound;
            differences.retain(|difference| too_many || !difference.starts_with(KILLED));
        }
        Ok(Mode { forward, seconds, tally, differences })
    }

    fn pod(&self, deployment: &str) -> Result<String> {
        let mut pods = self.stage.mesh().pods().iter().map(|pod| pod.name());
        let pod = pods.find(|name| counters::deployment(name) == deployment);
        Ok(pod.with_context(|| format!("there is no pod of {deployment}"))?.to_owned())
    }

    /// A configuration that says the same in other words, or with a carrier less where that is asked for.
    async fn update(&mut self) -> Result<()> {
        self.updates += 1;
        let mut propagation = json!({"ttl": format!("{}s", 60 + self.updates % 2)});
        match self.options.r#break {
            Some(Broken::RequestId) => propagation["requestId"] = Value::Bool(false),
            Some(Broken::Baggage) => propagation["baggage"] = Value::Bool(false),
            Some(Broken::Remembered) => propagation["correlate"] = json!([]),
            None => {}
        }
        let mut config = self.stage.mesh().config().clone();
        for plugin in &mut config.manifests.wasm_plugins {
            plugin.spec.plugin_config.insert("propagation".into(), propagation.clone());
        }
        self.stage.mesh_mut().apply(config).await?;
        Ok(())
    }
}

fn options(
    stage: &Stage,
    options: &Options,
    forward: Forward,
    requests: u64,
) -> Result<load::Options> {
    Ok(load::Options {
        url: format!("http://{}/", stage.mesh().gateway()).parse::<Uri>()?,
        requests,
        connections: options.connections,
        http: vec![load::Http::One, load::Http::Two],
        forward,
        rate: None,
    })
}

/// How many answers there have been, counted or not.
fn sent(tally: &Tally, waiting: &tokio::sync::mpsc::UnboundedReceiver<Answer>) -> u64 {
    tally.requests + waiting.len() as u64
}

#[derive(Clone, Copy)]
enum Act {
    Kill,
    Replace,
}

/// What is done to the mesh in a mode, once a third of its requests is answered.
struct Disturbance {
    act: Option<Act>,
    at: u64,
}

impl Disturbance {
    fn of(turn: u64, requests: u64) -> Self {
        let act = match turn {
            // A new pod starts with what the applications forwarded at first.
            0 => Some(Act::Replace),
            1 => Some(Act::Kill),
            _ => None,
        };
        Disturbance { act, at: requests / 3 }
    }

    fn is_due(&self, requests: u64) -> bool {
        self.act.is_some() && requests >= self.at
    }

    fn take(&mut self) -> Option<Act> {
        self.act.take()
    }
}
