//! The run: every mode in turn, and what happens to the mesh meanwhile.

use crate::memory;
use crate::options::{Broken, Filter, Options};
use crate::report::{Killed, Mode, Report};
use crate::responses::Responses;
use crate::stage::{self, MODES};
use anyhow::{Context, Result};
use demo::control::{Routes, Switches};
use demo::counters::{self, Counters};
use demo::graph::Releases;
use demo::load::{self, Response};
use demo::release::Percent;
use demo::stage::{Project, Stage};
use demo::weather::Forward;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// The sidecar that is killed: every request calls it, and it makes no call that could be lost.
const KILLED: &str = "advertisement-v1";
/// As many as one counter counts of a request at the most: what a frontend calls.
const CALLS: u64 = 2;
/// The pod that is drained and replaced: it makes calls, for one track only.
const REPLACED: &str = "forecast-v2";

/// The run itself; what it finds is in the report.
pub(crate) async fn run(options: &Options) -> Result<Report> {
    let mut project = Project::here()?;
    // Minted traces, for SDKs that forward no more than a trace.
    for overlay in ["examples/weather/v3", "examples/weather/mint"] {
        project.overlays.push(project.manifests.join(overlay));
    }
    if options.filter == Filter::Native {
        project.as_dynamic_module();
    }
    let releases = Releases::new(&project.plugin_config()?);
    let mut soak = Soak {
        stage: stage::start(project.clone(), true).await?,
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
    let requests = modes.iter().map(|mode| mode.responses.requests).sum();
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
    report.faults = report.faults();
    Ok(report)
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
        let load = stage::load(&self.stage, &self.options, forward, requests)?;
        self.bar.set_message(format!("{forward:?}"));

        let mut before = Counters::scrape(self.stage.mesh()).await?;
        let start = Instant::now();
        let (sender, mut waiting) = unbounded_channel::<Response>();
        let sending = tokio::spawn(async move {
            load::run(&load, |response| drop(sender.send(response.clone()))).await
        });
        let mut responses = Responses::new(forward, self.releases.clone());
        let mut disturbance = Disturbance::of(turn, requests);
        let mut counted = Counters::default();
        let mut last = (before.clone(), 0);
        let mut may_miss = 0;
        let mut updates = tokio::time::interval(Duration::from_secs(self.options.update.max(1)));
        let mut scrapes = tokio::time::interval(Duration::from_secs(5));
        updates.tick().await;
        loop {
            tokio::select! {
                response = waiting.recv() => {
                    let Some(response) = response else { break };
                    self.bar.inc(1);
                    responses.add(&response);
                }
                _ = updates.tick() => {
                    let end = Counters::scrape(self.stage.mesh()).await?;
                    let then = sent(&responses, &waiting);
                    self.update().await?;
                    // Those of a dynamic module may begin anew then: it is discovered by itself, and
                    // Envoy drops one configuration with its counters before the next one counts.
                    let counters = Counters::scrape(self.stage.mesh()).await?;
                    let (gone, now) = (end.gone(&counters), sent(&responses, &waiting));
                    if !gone.is_empty() {
                        counted.add(&gone.since(&before));
                        before.restart(&gone);
                        may_miss += CALLS * (now - then + 2 * self.options.connections as u64);
                    }
                    last = (counters, now);
                }
                _ = scrapes.tick() => {
                    let counters = Counters::scrape(self.stage.mesh()).await?;
                    last = (counters, sent(&responses, &waiting));
                }
            }
            if disturbance.is_due(responses.requests) {
                match disturbance.take() {
                    Some(Act::Kill) => {
                        let now = sent(&responses, &waiting);
                        let pod = self.pod(KILLED)?;
                        self.stage.mesh_mut().kill_envoy(&pod).await?;
                        // Its counters begin anew: what was scraped last is all that is left of the
                        // old ones.
                        counted.add(&last.0.of(KILLED).since(&before.of(KILLED)));
                        counted.forget(KILLED);
                        let bound = now - last.1 + 2 * self.options.connections as u64;
                        let bound = bound + sent(&responses, &waiting) - now;
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
        let after = Counters::scrape(self.stage.mesh()).await?;
        counted.add(&after.since(&before.without(counted.forgotten())));
        let mut differences = responses.counters().differences(&counted, may_miss);
        if let Some(killed) = self.killed.as_mut().filter(|_| counted.forgotten().contains(&KILLED))
        {
            killed.calls_failed = responses.calls_failed;
            killed.arrivals_not_scraped = responses.counters().missing(&counted, KILLED);
            let too_many = killed.arrivals_not_scraped > killed.bound;
            differences.retain(|difference| too_many || !difference.starts_with(KILLED));
        }
        Ok(Mode { forward, seconds, responses, may_miss, differences })
    }

    fn pod(&self, deployment: &str) -> Result<String> {
        let mut pods = self.stage.mesh().pods().iter().map(|pod| pod.name());
        let pod = pods.find(|name| counters::deployment(name) == deployment);
        Ok(pod.with_context(|| format!("there is no pod of {deployment}"))?.to_owned())
    }

    /// A configuration that says the same in other words, or with a carrier less where that is
    /// asked for.
    async fn update(&mut self) -> Result<()> {
        self.updates += 1;
        let mut config = self.stage.mesh().config().clone();
        for plugin in &mut config.manifests.wasm_plugins {
            let propagation = &mut plugin.spec.plugin_config["propagation"];
            propagation["ttl"] = format!("{}s", 60 + self.updates % 2).into();
            match self.options.r#break {
                Some(Broken::RequestId) => propagation["requestId"] = Value::Bool(false),
                Some(Broken::Baggage) => propagation["baggage"] = Value::Bool(false),
                Some(Broken::TraceId) => propagation["mint"] = json!({}),
                Some(Broken::Remembered) => propagation["correlate"] = json!([]),
                None => {}
            }
        }
        self.stage.mesh_mut().apply(config).await?;
        Ok(())
    }
}

/// How many responses there have been, counted or not.
fn sent(responses: &Responses, waiting: &UnboundedReceiver<Response>) -> u64 {
    responses.requests + waiting.len() as u64
}

#[derive(Clone, Copy)]
enum Act {
    Kill,
    Replace,
}

/// What is done to the mesh in a mode, once a third of its requests has a response.
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
