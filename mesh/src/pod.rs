//! A pod: an application and its sidecar, or a gateway.

use crate::envoy::{self, Envoy};
use crate::error::{Error, io_error};
use crate::manifest::{Deployment, Labels, Object};
use crate::ports::Port;
use crate::process::Process;
use crate::translate::{self, Endpoint, File, Proxy, Role, discovery_response};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::sync::mpsc;

/// How long anything may take that normally takes a second: machines are busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// How long a process is asked to end before it is made to.
pub(crate) const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// What a pod's container is run as: this program with the container's `args`, in the container's
/// environment and this one, in which `LISTEN` is where to serve and `EGRESS` where the sidecar
/// takes the application's own calls.
#[derive(Clone, Debug)]
pub struct App {
    pub program: PathBuf,
    pub environment: Vec<(String, String)>,
}

/// A line that an application printed.
#[derive(Clone, Debug)]
pub struct Line {
    pub pod: String,
    pub line: String,
}

/// A gateway, or an application with its sidecar.
pub struct Pod {
    pub(crate) proxy: Proxy,
    /// Of its bootstrap and its discovery files.
    pub(crate) folder: PathBuf,
    /// None between its end and its restart.
    pub(crate) envoy: Option<Envoy>,
    /// Updates that this Envoy has refused.
    pub(crate) refused: u64,
    /// None for a gateway.
    pub(crate) application: Option<Application>,
    /// Held for as long as the pod exists.
    pub(crate) _ports: Vec<Port>,
}

/// What one Envoy discovers.
pub(crate) struct Translated {
    pub(crate) clusters: Vec<Value>,
    pub(crate) routes: Value,
    pub(crate) filter: Value,
}

/// The one container of a pod.
pub(crate) struct Application {
    pub(crate) deployment: Object<Deployment>,
    pub(crate) listen: SocketAddr,
    pub(crate) process: Option<Process>,
}

impl Pod {
    /// `frontend-v1-0`, or `istio-ingressgateway`.
    pub fn name(&self) -> &str {
        &self.proxy.name
    }

    pub fn labels(&self) -> &Labels {
        &self.proxy.labels
    }

    pub fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    /// None while it is being restarted.
    pub fn envoy(&self) -> Option<&Envoy> {
        self.envoy.as_ref()
    }

    /// None for a gateway.
    pub fn app(&self) -> Option<&Process> {
        self.application.as_ref()?.process.as_ref()
    }

    pub fn is_gateway(&self) -> bool {
        self.application.is_none()
    }

    pub(crate) fn endpoint(&self) -> Option<Endpoint> {
        let Role::Sidecar { inbound, .. } = &self.proxy.role else {
            return None;
        };
        Some(Endpoint {
            namespace: self.proxy.namespace.clone(),
            labels: self.proxy.labels.clone(),
            ports: inbound.iter().map(|i| (i.port, i.listen)).collect(),
        })
    }

    /// Writes a discovery file, so that its watcher never sees half of it.
    pub(crate) fn publish(
        &self,
        file: File,
        version: u64,
        resources: Vec<Value>,
    ) -> Result<(), Error> {
        let path = self.folder.join(file.name());
        let text = discovery_response(version, resources).to_string();
        let part = path.with_extension("part");
        std::fs::write(&part, text)
            .and_then(|()| std::fs::rename(&part, &path))
            .map_err(io_error(path.display().to_string()))
    }

    pub(crate) fn publish_all(&self, version: u64, all: Translated) -> Result<(), Error> {
        self.publish(File::Clusters, version, all.clusters)?;
        self.publish(File::Routes, version, vec![all.routes])?;
        self.publish(File::Filter, version, vec![all.filter])
    }

    /// Returns its name when it serves.
    pub(crate) async fn start(
        &mut self,
        options: &envoy::Options,
        app: &App,
        lines: &mpsc::Sender<Line>,
    ) -> Result<&str, Error> {
        let name = self.proxy.name.clone();
        let outbound = match self.proxy.role {
            Role::Sidecar { outbound, .. } => outbound,
            Role::Router { listen } => listen,
        };
        if let Some(application) = &mut self.application {
            application.start(name, outbound, app, lines).await?;
        }
        self.start_envoy(options).await?;
        Ok(self.name())
    }

    pub(crate) async fn start_envoy(&mut self, options: &envoy::Options) -> Result<(), Error> {
        let bootstrap = self.folder.join("bootstrap.json");
        let text = translate::bootstrap(&self.proxy, &self.folder).to_string();
        std::fs::write(&bootstrap, text).map_err(io_error(bootstrap.display().to_string()))?;
        let name = match self.is_gateway() {
            true => format!("The Envoy of {}", self.name()),
            false => format!("The Envoy of pod {}", self.name()),
        };
        self.refused = 0;
        let envoy = Envoy::start(&name, options, &bootstrap, self.proxy.admin).await?;
        self.envoy.insert(envoy).ready(PATIENCE).await?;
        Ok(())
    }

    /// Ends its processes; returns when that is done.
    pub(crate) async fn stop(&mut self) {
        let application = self.application.as_mut();
        if let Some(process) = application.and_then(|a| a.process.take()) {
            process.stop(STOP_PATIENCE).await;
        }
        if let Some(envoy) = self.envoy.take() {
            envoy.stop(STOP_PATIENCE).await;
        }
    }

    /// Waits until Envoy has this version of these discovery files.
    pub(crate) async fn has_taken(&mut self, version: u64, files: &[File]) -> Result<(), Error> {
        let Some(envoy) = &self.envoy else {
            return Ok(());
        };
        let refused = self.refused;
        let poll = async {
            loop {
                let state = Subscriptions::of(envoy, version, files).await?;
                if state.taken || state.refused > refused {
                    return Ok::<_, Error>(state);
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let state = tokio::select! {
            ended = envoy.process().ended() => return Err(ended.into()),
            state = tokio::time::timeout(PATIENCE, poll) => state,
        };
        let name = envoy.process().name().to_owned();
        let state = match state {
            Ok(state) => state?,
            Err(_) => return Err(Error::Slow { name, after: PATIENCE }),
        };
        if state.refused > refused {
            let log = envoy.process().log();
            self.refused = state.refused;
            return Err(Error::Refused { name, log });
        }
        Ok(())
    }
}

impl Application {
    /// Returns when it listens.
    async fn start(
        &mut self,
        pod: String,
        egress: SocketAddr,
        app: &App,
        lines: &mpsc::Sender<Line>,
    ) -> Result<(), Error> {
        let [container] = &self.deployment.spec.template.spec.containers;
        let mut command = Command::new(&app.program);
        command
            .args(&container.args)
            .envs(container.env.iter().map(|e| (&e.name, &e.value)))
            .envs(app.environment.iter().map(|(name, value)| (name, value)))
            .env("LISTEN", self.listen.to_string())
            .env("EGRESS", egress.to_string());
        let process = Process::spawn(format!("The application of pod {pod}"), command)
            .await
            .map_err(io_error(app.program.display().to_string()))?;
        let process = self.process.insert(process);
        let (mut said, lines) = (process.stdout(), lines.clone());
        tokio::spawn(async move {
            while let Some(line) = said.recv().await {
                let pod = pod.clone();
                // Without a reader the lines go nowhere.
                let _ = lines.send(Line { pod, line }).await;
            }
        });
        let connect = async {
            while TcpStream::connect(self.listen).await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            ended = process.ended() => Err(ended.into()),
            () = connect => Ok(()),
        }
    }
}

/// What an Envoy says of its discovery files.
struct Subscriptions {
    /// It has the version that was asked about.
    taken: bool,
    /// How many updates it has ever refused.
    refused: u64,
}

impl Subscriptions {
    async fn of(envoy: &Envoy, version: u64, files: &[File]) -> Result<Self, Error> {
        let admin = envoy.admin();
        let stats =
            admin.stats(r"(\.cds|\.rds\..*|^extension_config_.*)\.(version_text|update_rejected)$");
        let mut subscriptions = Subscriptions { taken: true, refused: 0 };
        for (name, value) in stats.await? {
            let file = match name.split('.').next() {
                Some("cluster_manager") => File::Clusters,
                Some("extension_config_discovery") => File::Filter,
                _ => File::Routes,
            };
            match &value {
                Value::String(has) if files.contains(&file) => {
                    subscriptions.taken &= *has == version.to_string();
                }
                _ => subscriptions.refused += value.as_u64().unwrap_or_default(),
            }
        }
        Ok(subscriptions)
    }
}
