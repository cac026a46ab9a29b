//! Every set-up in the mesh.

use crate::chain::{Protocol, Told};
use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use clients::setups::{Format, Outcome, Port, Setup, Setups};
use futures_util::StreamExt;
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::{Request, header};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use mesh::manifest::Manifests;
use mesh::process::Process;
use mesh::{App, Config, Mesh, Pod, Settings, envoy};
use release_track::istio::stats::Stat;
use release_track::vocabulary::{Carrier, Family};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tokio::process::Command;

/// How many applications are in the mesh at a time, so that it fits into a small machine.
const AT_A_TIME: usize = 12;
/// For a first request, of a program that is still compiling itself.
const PATIENCE: Duration = Duration::from_secs(60);
const TRACK: &str = "v2";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Holds setups.yaml, mesh.yaml and launch.sh.
    #[arg(long)]
    folder: PathBuf,
    /// What was installed for the applications.
    #[arg(long)]
    installed: PathBuf,
    /// The compiled filter.
    #[arg(long)]
    filter: PathBuf,
    /// Only set-ups whose name in the mesh (`default-flask`) contains this.
    #[arg(long, env = "ONLY", default_value = "")]
    only: String,
}

/// One application of a set-up.
struct Middle<'a> {
    /// In the mesh.
    name: String,
    setup: &'a Setup,
    /// As launch.sh knows it.
    application: &'a str,
    port: Port,
}

/// The requests of one kind to one middle, and what came of each.
struct Measured {
    what: String,
    outcomes: Vec<Result<Outcome>>,
}

pub(crate) async fn run(options: Options) -> Result<ExitCode> {
    let setups = Setups::load(&options.folder)?;
    let mut broker =
        Process::spawn("The broker", Command::new(options.installed.join("go/broker"))).await?;
    let broker = (broker.stdout().recv().await, broker);
    let (Some(address), _running) = broker else { bail!("The broker says nothing") };
    let (mut passed, mut failed) = (0, 0);
    for (list, remembers) in [(&setups.setups, true), (&setups.messages, false)] {
        let of = |setup, name| Middle::new(setup, name, setups.applications[name].port);
        let middles = list.iter().flat_map(|s| s.applications.iter().map(move |name| of(s, name)));
        let middles: Vec<_> = middles.filter(|m| m.name.contains(&options.only)).collect();
        for some in middles.chunks(AT_A_TIME) {
            for Measured { what, outcomes } in measure(&options, &address, some, remembers).await? {
                let said = outcomes.into_iter().map(|outcome| match outcome {
                    Ok(outcome) => {
                        passed += 1;
                        outcome.to_string()
                    }
                    Err(error) => {
                        failed += 1;
                        format!("\n  FAILED: {error:#}\n ")
                    }
                });
                println!("{what}: {}", said.collect::<Vec<_>>().join(", "));
            }
        }
    }
    println!("{passed} passed; {failed} failed");
    let all = failed == 0 && passed > 0;
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl<'a> Middle<'a> {
    fn new(setup: &'a Setup, application: &'a str, port: Port) -> Self {
        Middle { name: format!("{}-{application}", setup.id), setup, application, port }
    }

    fn protocols(&self) -> &'static [Protocol] {
        match self.port {
            Port::Http | Port::Http2 => &[Protocol::Http],
            Port::Grpc => &[Protocol::Unary, Protocol::Stream],
        }
    }

    /// Its Service and its Deployment, on baseline.
    fn manifests(&self) -> String {
        let Middle { name, setup, application, port } = self;
        let environment = setup.environment.iter();
        let environment: Vec<_> =
            environment.map(|(name, value)| json!({"name": name, "value": value})).collect();
        let metadata = json!({"name": name, "namespace": "clients"});
        let labels = json!({"app": name, "version": "v1"});
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": metadata,
            "spec": {"selector": {"app": name}, "ports": [{"name": port.name(), "port": 3000}]},
        });
        let deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
            "spec": {"selector": {"matchLabels": labels}, "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{
                    "name": name, "image": application, "args": [setup.sdk, application],
                    "env": environment, "ports": [{"containerPort": 3000}],
                }]},
            }},
        });
        format!("---\n{service}\n---\n{deployment}\n")
    }
}

/// `remembers`: sidecars remember trace ids. Who produces a message and who consumes it have different
/// sidecars, but are one application here.
async fn measure(
    options: &Options,
    broker: &str,
    middles: &[Middle<'_>],
    remembers: bool,
) -> Result<Vec<Measured>> {
    let file = tempfile::Builder::new().suffix(".yaml").tempfile()?;
    std::fs::write(file.path(), middles.iter().map(Middle::manifests).collect::<String>())?;
    let manifests = Manifests::load([&*options.folder.join("mesh.yaml"), file.path()])?;
    let text = |path: &Path| path.display().to_string();
    let settings = Settings {
        envoy: envoy::Options::new(envoy::find()?),
        gateway_port: None,
        app: App {
            program: options.folder.join("launch.sh"),
            environment: vec![
                ("CLIENTS".into(), text(&options.installed)),
                ("PROGRAM".into(), text(&std::env::current_exe()?)),
                ("KAFKA".into(), broker.into()),
            ],
        },
    };
    let config = |mint: bool| {
        let mut manifests = manifests.clone();
        for plugin in &mut manifests.wasm_plugins {
            let mut propagation = json!({});
            if mint {
                propagation["mint"] = json!({"traceparent": "sampled", "b3": "deferred"});
            }
            if !remembers {
                propagation["correlate"] = json!([]);
            }
            plugin.spec.plugin_config.insert("propagation".into(), propagation);
        }
        Config { manifests, filter: Some(options.filter.clone()) }
    };
    let (mut mesh, _printed) = Mesh::start(settings, config(false), |_, _| {}).await?;
    let mut measured = all(&mesh, middles, false).await;
    mesh.apply(config(true)).await?;
    measured.extend(all(&mesh, middles, true).await);
    mesh.stop().await;
    Ok(measured)
}

/// Each middle has an Envoy of its own: what one counts is no other's.
async fn all(mesh: &Mesh, middles: &[Middle<'_>], mint: bool) -> Vec<Measured> {
    let each = middles.iter().map(|middle| middle.measure(mesh, mint));
    let each = futures_util::stream::iter(each).buffered(4);
    each.concat().await
}

impl Middle<'_> {
    async fn measure(&self, mesh: &Mesh, mint: bool) -> Vec<Measured> {
        let mut measured = Vec::new();
        for &protocol in self.protocols() {
            let minted = if mint { ", minted" } else { "" };
            let what = format!("{} ({}{minted})", self.name, name_of(Some(protocol)));
            let arrivals = self.setup.arrivals().into_iter().zip(self.setup.expected(mint));
            let tested = arrivals.map(|(format, expected)| (true, format, expected));
            let baseline = (false, Some(self.setup.format), Outcome::Lost);
            let mut outcomes = Vec::new();
            for (is_tester, format, expected) in tested.chain([baseline]) {
                let seen = Call { middle: self, is_tester, protocol, format }.send(mesh).await;
                outcomes.push(seen.and_then(|(seen, told)| match seen == expected {
                    true => Ok(seen),
                    false => bail!("{seen}, and not {expected}: {told:?}"),
                }));
            }
            measured.push(Measured { what, outcomes });
        }
        measured
    }
}

/// One request through the chain.
struct Call<'a> {
    middle: &'a Middle<'a>,
    /// Else it is on baseline.
    is_tester: bool,
    protocol: Protocol,
    format: Option<Format>,
}

/// As it is written in a path.
fn name_of(value: Option<impl ValueEnum>) -> String {
    let value = value.and_then(|value| value.to_possible_value());
    value.map_or("none".into(), |value| value.get_name().to_owned())
}

impl Call<'_> {
    async fn send(&self, mesh: &Mesh) -> Result<(Outcome, Told)> {
        let name = &self.middle.name;
        let is_ours = |pod: &&Pod| pod.labels().get("app") == Some(name);
        let pod = mesh.pods().iter().find(is_ours).context("there is no such pod")?;
        let (protocol, format) = (name_of(Some(self.protocol)), name_of(self.format));
        let uri = format!("http://{}/{name}/{protocol}/{format}", mesh.gateway());
        let mut request = Request::get(uri);
        if self.is_tester {
            request = request.header(header::COOKIE, "user=tester");
        }
        let before = Counts::of(pod).await?;
        let told = tokio::time::timeout(PATIENCE, ask(request.body(Empty::new())?)).await;
        let told = told.context("no response")??;
        let (arrivals, carriers) = Counts::of(pod).await?.since(&before);
        ensure!(arrivals == u64::from(self.is_tester), "{arrivals} tracked arrivals");
        let outcome = match (&*told.version, &*carriers) {
            (TRACK, [carrier]) => Outcome::Carried(*carrier),
            ("v1", []) => Outcome::Lost,
            _ => bail!("carried by {carriers:?} to {told:?}"),
        };
        Ok((outcome, told))
    }
}

async fn ask(request: Request<Empty<Bytes>>) -> Result<Told> {
    let client: Client<HttpConnector, _> = Client::builder(TokioExecutor::new()).build_http();
    let (head, body) = client.request(request).await?.into_parts();
    let body = body.collect().await?.to_bytes();
    let told = serde_json::from_slice(&body);
    told.with_context(|| format!("{} {}", head.status, String::from_utf8_lossy(&body)))
}

/// What a sidecar has counted of the track.
struct Counts {
    arrivals: u64,
    calls: BTreeMap<Carrier, u64>,
}

impl Counts {
    async fn of(pod: &Pod) -> Result<Self> {
        let envoy = pod.envoy().context("the pod has no Envoy")?;
        let mut counts = Counts { arrivals: 0, calls: BTreeMap::new() };
        for (name, value) in envoy.admin().stats(r"release_track\.").await? {
            let (Some(stat), Some(count)) = (Stat::parse(&name), value.as_u64()) else { continue };
            if stat.track.as_deref() != Some(TRACK) {
                continue;
            }
            match (stat.family, Carrier::of_label(&stat.value)) {
                (Family::Arrivals, _) => counts.arrivals += count,
                (Family::Propagation, Some(carrier)) => drop(counts.calls.insert(carrier, count)),
                _ => {}
            }
        }
        Ok(counts)
    }

    /// How many arrivals, and the carrier of each call.
    fn since(&self, before: &Self) -> (u64, Vec<Carrier>) {
        let calls = self.calls.iter().flat_map(|(carrier, count)| {
            let before = before.calls.get(carrier).copied().unwrap_or_default();
            (before..*count).map(|_| *carrier)
        });
        (self.arrivals - before.arrivals, calls.collect())
    }
}
