//! `make demo`: the whole mesh in one command.

use crate::control::{Control, Routes, Switches};
use crate::graph::{self, Workload};
use crate::parents;
use crate::prometheus::{self, Prometheus};
use crate::release::{Percent, PreviewKey};
use crate::stage::{Project, Setup, Stage, name_of};
use crate::weather::Forward;
use anyhow::{Context, Result, anyhow};
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use mesh::envoy;
use mesh::manifest::Labels;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Runs the weather app on a mesh of seven Envoys, until Ctrl-C.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The gateway's port on 127.0.0.1; 0 is any.
    #[arg(long, env = "PORT", default_value_t = 8080)]
    pub port: u16,
    /// The traffic graph's port on 127.0.0.1; 0 is any.
    #[arg(long, env = "GRAPH_PORT", default_value_t = 8081)]
    pub graph_port: u16,
    /// What the applications pass on.
    #[arg(long, value_enum, env = "FORWARD", default_value = "request-id")]
    pub forward: Forward,
    #[arg(long, value_enum, env = "FILTER", default_value = "on")]
    pub filter: Filter,
    #[arg(long, value_enum, env = "ROUTES", default_value = "story")]
    pub routes: Routes,
    /// Whether a Prometheus scrapes the Envoys.
    #[arg(long, value_enum, env = "PROMETHEUS", default_value = "off")]
    pub prometheus: Started,
    /// Its port on 127.0.0.1; 0 is any.
    #[arg(long, env = "PROMETHEUS_PORT", default_value_t = 9090)]
    pub prometheus_port: u16,
    /// Its program.
    #[arg(long, env = "PROMETHEUS_BINARY", default_value = "prometheus", hide_env_values = true)]
    pub prometheus_binary: PathBuf,
    /// Manifests to apply on top of the story, as in `examples/weather/v3`.
    #[arg(long, env = "WITH", value_delimiter = ',')]
    pub with: Vec<PathBuf>,
}

/// Whether the filter is in the Envoys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Filter {
    On,
    Off,
    /// On, as a dynamic module.
    Native,
}

/// Whether something is started, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Started {
    On,
    Off,
}

pub async fn run(options: Options) -> Result<()> {
    let ports = [
        (options.port, "PORT"),
        (options.graph_port, "GRAPH_PORT"),
        (options.prometheus_port, "PROMETHEUS_PORT"),
    ];
    perform(options).await.map_err(|error| {
        let Some(mesh::Error::PortInUse(busy)) = error.downcast_ref() else { return error };
        let names = ports.iter().filter(|(port, _)| port == busy).map(|(_, name)| *name);
        let names = names.collect::<Vec<_>>().join(" or ");
        anyhow!("Port {busy} is in use: choose another with {names}, or stop what listens there.")
    })
}

async fn perform(options: Options) -> Result<()> {
    let mut end = std::pin::pin!(told_to_end()?);
    let graph = TcpListener::bind((Ipv4Addr::LOCALHOST, options.graph_port)).await;
    let graph = graph.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => mesh::Error::PortInUse(options.graph_port),
        _ => mesh::Error::Io { what: format!("port {}", options.graph_port), cause: error },
    })?;
    let mut project = Project::here()?;
    project.overlays = options.with;
    if options.filter == Filter::Native {
        project.as_dynamic_module();
    }
    project.preview_key = Some(PreviewKey::random()?);
    let config = project.plugin_config()?;
    let prometheus = (options.prometheus == Started::On).then(|| prometheus::Setup {
        binary: options.prometheus_binary,
        rules: project.manifests.join("wasmplugin/monitoring/alerts.yaml"),
        port: (options.prometheus_port != 0).then_some(options.prometheus_port),
    });
    let setup = Setup {
        envoy: envoy::Options::new(envoy::find()?),
        project,
        gateway_port: (options.port != 0).then_some(options.port),
        program: std::env::current_exe()?,
        switches: Switches {
            filter: options.filter != Filter::Off,
            routes: options.routes,
            forward: options.forward,
            share: Percent::NONE,
        },
    };
    let stage = tokio::select! {
        stage = start(setup) => stage?,
        () = &mut end => return Ok(()),
    };
    let prometheus = match prometheus {
        Some(setup) => Some(Prometheus::start(setup, stage.mesh()).await?),
        None => None,
    };
    let pods = stage.mesh().pods().iter();
    let workloads: Vec<_> = pods.filter_map(|pod| workload(pod.labels())).collect();
    let act = async move |control: Control| {
        let scraped_by = prometheus.as_ref().map(Prometheus::address);
        welcome(&control, graph.local_addr().map_or(0, |address| address.port()), scraped_by);
        let router = graph::router(control, config, workloads);
        tokio::select! {
            _ = axum::serve(graph, router) => {},
            () = end => {},
        }
    };
    stage.run(act).await.context("The demo has stopped")
}

async fn start(setup: Setup) -> Result<Stage> {
    let bar = ProgressBar::new(7).with_message("Starting Envoys and applications");
    bar.set_style(ProgressStyle::with_template("{spinner} {msg} {wide_bar} {pos}/{len}")?);
    bar.enable_steady_tick(Duration::from_millis(100));
    let stage = Stage::start(setup, |_, count| {
        bar.set_length(count as u64);
        bar.inc(1);
    });
    let stage = stage.await;
    bar.finish_and_clear();
    stage
}

fn workload(labels: &Labels) -> Option<Workload> {
    let (service, version) = (labels.get("app")?.clone(), labels.get("version")?.clone());
    Some(Workload { service, version })
}

fn welcome(control: &Control, graph_port: u16, prometheus: Option<SocketAddr>) {
    let gateway = control.gateway();
    let Switches { filter, routes, forward, .. } = *control.switches().borrow();
    let filter = if filter && routes == Routes::Story { "on" } else { "off" };
    // Its own pages are not in there: they are built with Node.
    let prometheus = prometheus.map(|address| {
        format!("Prometheus:        http://{address}/, its API alone: release-track status --prometheus http://{address}\n")
    });
    let prometheus = prometheus.unwrap_or_default();
    println!(
        "The weather app:   http://{gateway}/    log in as `tester` for version 2\n\
         The traffic graph: http://127.0.0.1:{graph_port}/\n\
         {prometheus}\n\
         curl -H 'Accept: application/json' -H 'Cookie: theme=light; user=tester' http://{gateway}/\n\
         \n\
         Filter {filter}, routes {}, applications forward {}; the graph's page switches that.\n\
         Ctrl-C stops everything.",
        name_of(routes),
        name_of(forward),
    );
}

/// Ctrl-C, a polite kill, a closed terminal, or the end of make.
fn told_to_end() -> Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {},
            _ = terminate.recv() => {},
            _ = hangup.recv() => {},
            () = parents::make_has_ended() => {},
        }
    })
}
