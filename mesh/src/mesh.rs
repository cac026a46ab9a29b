//! A gateway and pods, on one machine.

use crate::envoy::{self, Envoy};
use crate::error::{Error, io_error};
use crate::manifest::{Deployment, Manifests, Object};
use crate::pod::{App, Application, Line, PATIENCE, Pod, Translated};
use crate::ports::Port;
use crate::process::Ended;
use crate::translate::{self, File, Inbound, Proxy, Registry, Role};
use futures_util::StreamExt;
use futures_util::future::{join_all, select_all};
use futures_util::stream::FuturesUnordered;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use tempfile::TempDir;
use tokio::sync::mpsc;

/// What does not change while a mesh runs.
#[derive(Clone, Debug)]
pub struct Settings {
    pub envoy: envoy::Options,
    /// Default: any free one.
    pub gateway_port: Option<u16>,
    pub app: App,
}

/// What may change.
#[derive(Clone, Debug)]
pub struct Config {
    /// Deployments are looked at when the mesh starts, and then no more.
    pub manifests: Manifests,
    /// The compiled filter; `None` leaves it out whatever the manifests say.
    pub filter: Option<PathBuf>,
}

/// Dropping it kills everything.
pub struct Mesh {
    settings: Settings,
    config: Config,
    gateway: SocketAddr,
    pods: Vec<Pod>,
    folder: TempDir,
    /// Of the discovery files.
    version: u64,
    lines: mpsc::Sender<Line>,
    /// How many pods a deployment has ever had: no two share a name.
    instances: BTreeMap<String, usize>,
}

impl Mesh {
    /// Returns when every pod serves, with everything that the applications print from then on.
    ///
    /// `progress` is told the name of each pod that has come up, and of how many.
    pub async fn start(
        settings: Settings,
        config: Config,
        mut progress: impl FnMut(&str, usize),
    ) -> Result<(Self, mpsc::Receiver<Line>), Error> {
        let listen = match settings.gateway_port {
            Some(port) => exactly(port)?,
            None => any_port()?,
        };
        let folder = tempfile::Builder::new().prefix("mesh-").tempdir();
        let (lines, printed) = mpsc::channel(4096);
        let mut mesh = Mesh {
            settings,
            config,
            gateway: listen.address(),
            pods: Vec::new(),
            folder: folder.map_err(io_error("a temporary folder"))?,
            version: 1,
            lines,
            instances: BTreeMap::new(),
        };
        let gateway = mesh.new_gateway(listen)?;
        mesh.pods.push(gateway);
        for deployment in mesh.config.manifests.deployments.clone() {
            for _ in 0..deployment.spec.replicas {
                let pod = mesh.new_pod(&deployment)?;
                mesh.pods.push(pod);
            }
        }
        mesh.publish()?;
        // Nobody is let in before everybody serves.
        let [gateway, ..] = &mesh.pods[..] else { return Err(Error::NoGateway) };
        let closed = translate::no_routes(&gateway.proxy);
        gateway.publish(File::Routes, 0, vec![closed])?;

        let count = mesh.pods.len();
        let Settings { envoy, app, .. } = &mesh.settings;
        let starting = mesh.pods.iter_mut();
        let mut starting: FuturesUnordered<_> =
            starting.map(|pod| pod.start(envoy, app, &mesh.lines)).collect();
        while let Some(started) = starting.next().await {
            progress(started?, count);
        }
        drop(starting);
        mesh.publish()?;
        mesh.have_taken(&File::ALL).await?;
        Ok((mesh, printed))
    }

    /// Where the gateway listens.
    pub fn gateway(&self) -> SocketAddr {
        self.gateway
    }

    /// The gateway first.
    pub fn pods(&self) -> &[Pod] {
        &self.pods
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Writes a line to the standard input of every application.
    pub async fn tell(&mut self, line: &str) -> Result<(), Error> {
        let applications = self.pods.iter_mut().filter_map(|p| p.application.as_mut());
        for process in applications.filter_map(|a| a.process.as_mut()) {
            let name = process.name().to_owned();
            process.tell(line).await.map_err(io_error(name))?;
        }
        Ok(())
    }

    /// Resolves when one of the processes that run now has ended.
    pub fn ended(&self) -> impl Future<Output = Ended> + Send + use<> {
        let processes = self.pods.iter().flat_map(|pod| {
            let envoy = pod.envoy.as_ref().map(Envoy::process);
            envoy.into_iter().chain(pod.app())
        });
        let ended: Vec<_> = processes.map(|p| Box::pin(p.ended())).collect();
        async move { select_all(ended).await.0 }
    }

    /// Routes, clusters and filter as `config` has them, without a request that fails for it.
    /// Returns when every Envoy has them.
    ///
    /// # Errors
    /// When an Envoy refuses; then what was in force before stays so.
    pub async fn apply(&mut self, config: Config) -> Result<(), Error> {
        let applied = self.try_apply(&config).await;
        match &applied {
            Ok(()) => self.config = config,
            // An Envoy that starts later must read what the others run.
            Err(_) => {
                self.version += 1;
                self.publish()?;
                self.have_taken(&File::ALL).await?;
            }
        }
        applied
    }

    async fn try_apply(&mut self, config: &Config) -> Result<(), Error> {
        let old = self.translate(&self.config)?;
        let new = self.translate(config)?;
        // A route must never lead to a cluster that is not there yet, or no longer there.
        self.version += 1;
        for ((pod, old), new) in self.pods.iter().zip(&old).zip(&new) {
            let both = union(&new.clusters, &old.clusters);
            pod.publish(File::Clusters, self.version, both)?;
        }
        self.have_taken(&[File::Clusters]).await?;
        self.version += 1;
        for (pod, new) in self.pods.iter().zip(&new) {
            pod.publish(File::Routes, self.version, vec![new.routes.clone()])?;
            pod.publish(File::Filter, self.version, vec![new.filter.clone()])?;
        }
        self.have_taken(&[File::Routes, File::Filter]).await?;
        self.version += 1;
        for (pod, new) in self.pods.iter().zip(new) {
            pod.publish(File::Clusters, self.version, new.clusters)?;
        }
        self.have_taken(&[File::Clusters]).await
    }

    /// SIGKILL to a pod's Envoy, and another in its place.
    pub async fn kill_envoy(&mut self, pod: &str) -> Result<(), Error> {
        let index = self.index(pod)?;
        let pod = &mut self.pods[index];
        if let Some(envoy) = pod.envoy.take() {
            envoy.kill();
            envoy.process().ended().await;
        }
        pod.start_envoy(&self.settings.envoy).await
    }

    /// As a rollout does it: a new pod of the same deployment, which from then on gets the calls;
    /// the old one is drained and ends. `drained` sees it when it serves nobody any more. Returns
    /// the new pod's name.
    pub async fn replace(
        &mut self,
        pod: &str,
        drained: impl AsyncFnOnce(&Pod),
    ) -> Result<String, Error> {
        let index = self.index(pod)?;
        let Some(application) = &self.pods[index].application else {
            return Err(Error::NoPod(format!("{pod} that a Deployment made")));
        };
        let mut new = self.new_pod(&application.deployment.clone())?;
        let name = new.name().to_owned();
        new.publish_all(self.version, translated(&new, &self.pods, &self.config)?)?;
        let Settings { envoy, app, .. } = &self.settings;
        new.start(envoy, app, &self.lines).await?;
        let mut old = std::mem::replace(&mut self.pods[index], new);
        self.try_apply(&self.config.clone()).await?;
        if let Some(envoy) = &old.envoy {
            envoy.drain(PATIENCE).await?;
        }
        drained(&old).await;
        old.stop().await;
        Ok(name)
    }

    /// Ends every process; returns when that is done.
    pub async fn stop(mut self) {
        join_all(self.pods.iter_mut().map(Pod::stop)).await;
    }

    fn index(&self, pod: &str) -> Result<usize, Error> {
        let found = self.pods.iter().position(|p| p.name() == pod);
        found.ok_or_else(|| Error::NoPod(pod.into()))
    }

    fn translate(&self, config: &Config) -> Result<Vec<Translated>, Error> {
        let pods = self.pods.iter();
        pods.map(|pod| translated(pod, &self.pods, config)).collect()
    }

    fn publish(&self) -> Result<(), Error> {
        for (pod, translated) in self.pods.iter().zip(self.translate(&self.config)?) {
            pod.publish_all(self.version, translated)?;
        }
        Ok(())
    }

    async fn have_taken(&mut self, files: &[File]) -> Result<(), Error> {
        let version = self.version;
        let pods = self.pods.iter_mut();
        // All of them, so that each has counted what it refused.
        let taken = join_all(pods.map(|pod| pod.has_taken(version, files))).await;
        taken.into_iter().collect()
    }

    /// The pod that the Gateway's selector means; istioctl names it so.
    fn new_gateway(&self, listen: Port) -> Result<Pod, Error> {
        let manifests = &self.config.manifests;
        let gateway = manifests.gateways.first().ok_or(Error::NoGateway)?;
        let mut labels = gateway.spec.selector.clone();
        let app = labels.entry("app".into());
        let name = app.or_insert("istio-ingressgateway".into()).clone();
        let admin = any_port()?;
        // Where a mesh-wide setting would have them all.
        let deployments = manifests.deployments.iter();
        let stat_tags: BTreeSet<_> = deployments.flat_map(|d| stat_tags(&d.spec)).collect();
        let proxy = Proxy {
            name,
            namespace: gateway.namespace.clone(),
            labels,
            role: Role::Router { listen: listen.address() },
            admin: admin.address(),
            stat_tags: stat_tags.into_iter().collect(),
        };
        self.with_folder(proxy, None, vec![listen, admin])
    }

    fn new_pod(&mut self, deployment: &Object<Deployment>) -> Result<Pod, Error> {
        let instance = self.instances.entry(deployment.name.clone()).or_default();
        let name = format!("{}-{instance}", deployment.name);
        *instance += 1;
        let [container] = &deployment.spec.template.spec.containers;
        let [port] = &container.ports;
        let (outbound, inbound, listen, admin) =
            (any_port()?, any_port()?, any_port()?, any_port()?);
        let proxy = Proxy {
            name,
            namespace: deployment.namespace.clone(),
            labels: deployment.spec.template.metadata.labels.clone(),
            role: Role::Sidecar {
                outbound: outbound.address(),
                inbound: vec![Inbound {
                    port: port.container_port,
                    listen: inbound.address(),
                    application: listen.address(),
                }],
            },
            admin: admin.address(),
            stat_tags: stat_tags(&deployment.spec),
        };
        let application =
            Application { deployment: deployment.clone(), listen: listen.address(), process: None };
        let ports = vec![outbound, inbound, listen, admin];
        self.with_folder(proxy, Some(application), ports)
    }

    fn with_folder(
        &self,
        proxy: Proxy,
        application: Option<Application>,
        ports: Vec<Port>,
    ) -> Result<Pod, Error> {
        let folder = self.folder.path().join(&proxy.name);
        std::fs::create_dir(&folder).map_err(io_error(folder.display().to_string()))?;
        Ok(Pod { proxy, folder, envoy: None, refused: 0, application, _ports: ports })
    }
}

fn exactly(port: u16) -> Result<Port, Error> {
    Port::exactly(port).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => Error::PortInUse(port),
        _ => io_error(format!("port {port}"))(error),
    })
}

fn any_port() -> Result<Port, Error> {
    Port::any().map_err(io_error("a free port"))
}

fn stat_tags(deployment: &Deployment) -> Vec<String> {
    let annotations = &deployment.template.metadata.annotations;
    let tags = annotations.get("sidecar.istio.io/extraStatTags");
    let tags = tags.into_iter().flat_map(|tags| tags.split(','));
    tags.map(|tag| tag.trim().to_owned()).collect()
}

/// What this pod's Envoy discovers beside all pods.
fn translated(pod: &Pod, all: &[Pod], config: &Config) -> Result<Translated, Error> {
    let endpoints: Vec<_> = all.iter().filter_map(Pod::endpoint).collect();
    let registry = Registry::new(&config.manifests, &endpoints);
    Ok(Translated {
        clusters: translate::clusters(&pod.proxy, &registry),
        routes: translate::routes(&pod.proxy, &registry)?,
        filter: translate::filter(&pod.proxy, &registry, config.filter.as_deref())?,
    })
}

/// All of `first`, and what only `second` has.
fn union(first: &[Value], second: &[Value]) -> Vec<Value> {
    let names: HashSet<_> = first.iter().map(|cluster| &cluster["name"]).collect();
    let only_second = second.iter().filter(|c| !names.contains(&c["name"]));
    first.iter().chain(only_second).cloned().collect()
}
