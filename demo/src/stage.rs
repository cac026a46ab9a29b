//! The weather app on a mesh, switchable while it runs.

use crate::call::Event;
use crate::control::{Ask, Control, Routes, Switches};
use crate::counters::{Counters, InForce};
use crate::release::{self, PreviewKey};
use anyhow::{Context, Result, anyhow, bail};
use clap::ValueEnum;
use mesh::manifest::Manifests;
use mesh::process::Ended;
use mesh::{App, Config, Line, Mesh, Settings, envoy};
use serde_json::Value;
use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, watch};

/// How long the applications may take to answer a switch.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the demo has fail.
const FAILING: (&str, &str) = ("forecast", "v2");

/// What a stage is made of.
#[derive(Clone, Debug)]
pub struct Setup {
    pub envoy: envoy::Options,
    pub project: Project,
    /// Default: any free one.
    pub gateway_port: Option<u16>,
    /// This program: it is the weather app, too.
    pub program: PathBuf,
    pub switches: Switches,
}

/// The files that it plays.
#[derive(Clone, Debug)]
pub struct Project {
    /// Holds `examples/weather` and `wasmplugin`.
    pub manifests: PathBuf,
    /// Applied on top of the story.
    pub overlays: Vec<PathBuf>,
    /// The compiled filter.
    pub filter: PathBuf,
    /// With it there are preview links and a share; without, the plugin is what its file says.
    pub preview_key: Option<PreviewKey>,
}

impl Project {
    /// The one whose folder the working directory is, or lies in.
    pub fn here() -> Result<Self> {
        let here = std::env::current_dir()?;
        let root = here.ancestors().find(|folder| folder.join("examples/weather").is_dir());
        let root = root.with_context(|| {
            format!(
                "There is no examples/weather in {} or above it: run this within the project.",
                here.display()
            )
        })?;
        Ok(Project {
            manifests: root.into(),
            overlays: Vec::new(),
            filter: root.join("dist/release-track.wasm"),
            preview_key: None,
        })
    }

    /// The filter as a dynamic module, in place of the one in WebAssembly.
    pub fn as_dynamic_module(&mut self) {
        self.filter.set_file_name("librelease-track.so");
    }

    fn story(&self) -> Result<Manifests> {
        let story = ["examples/weather", "wasmplugin"].map(|folder| self.manifests.join(folder));
        Ok(Manifests::load(story.iter().chain(&self.overlays))?)
    }

    /// What the story's plugin is told, as the filter itself reads it.
    pub fn plugin_config(&self) -> Result<release_track::config::Config> {
        let manifests = self.story()?;
        let plugin = manifests.wasm_plugins.first().context("wasmplugin has no WasmPlugin")?;
        let json = Value::Object(plugin.spec.plugin_config.clone()).to_string();
        release_track::config::Config::parse(json.as_bytes())
            .map_err(|error| anyhow!("{}: spec.pluginConfig: {error}", plugin.file.display()))
    }

    /// As the files are now.
    pub fn config(&self, switches: &Switches) -> Result<Config> {
        let mut manifests = match switches.routes {
            Routes::Story => self.story()?,
            Routes::Original => {
                Manifests::load([self.manifests.join("examples/weather/original")])?
            }
        };
        let filter = switches.filter && switches.routes == Routes::Story;
        if filter && !self.filter.is_file() {
            let path = self.filter.display();
            bail!("There is no filter at {path}: `make build` or `make native` builds it.");
        }
        if let (Some(key), Some(plugin)) = (&self.preview_key, manifests.wasm_plugins.first_mut()) {
            release::overlay(&mut plugin.spec.plugin_config, key, switches.share);
        }
        Ok(Config { manifests, filter: filter.then(|| self.filter.clone()) })
    }

    /// What the weather app needs to make preview links.
    fn preview(&self) -> Result<Vec<(String, String)>> {
        let Some(key) = &self.preview_key else { return Ok(Vec::new()) };
        let manifests = self.story()?;
        let plugin = manifests.wasm_plugins.first().context("wasmplugin has no WasmPlugin")?;
        let track = release::track(&plugin.spec.plugin_config)?;
        Ok(vec![
            (release::PREVIEW_KEY.into(), key.hex().into()),
            (release::PREVIEW_TRACK.into(), track.into()),
        ])
    }
}

/// A running mesh; dropping it kills everything.
pub struct Stage {
    mesh: Mesh,
    project: Project,
    switches: watch::Sender<Switches>,
    fails: watch::Sender<bool>,
    events: broadcast::Sender<Event>,
    /// What applications answer when they are switched: pod and line.
    answers: mpsc::UnboundedReceiver<Line>,
}

impl Stage {
    /// Returns when everything serves. `progress` as for [`Mesh::start`].
    pub async fn start(setup: Setup, progress: impl FnMut(&str, usize)) -> Result<Self> {
        let Setup { envoy, project, gateway_port, program, switches } = setup;
        let config = project.config(&switches)?;
        let mut environment = vec![
            ("FORWARD".into(), name_of(switches.forward)),
            ("SWITCHABLE".into(), "true".into()),
        ];
        environment.extend(project.preview()?);
        let app = App { program, environment };
        let settings = Settings { envoy, gateway_port, app };
        let (mesh, lines) = Mesh::start(settings, config, progress).await?;
        let events = broadcast::Sender::new(65_536);
        let (answer, answers) = mpsc::unbounded_channel();
        tokio::spawn(listen(lines, events.clone(), answer));
        let (switches, fails) = (watch::Sender::new(switches), watch::Sender::new(false));
        Ok(Stage { mesh, project, switches, fails, events, answers })
    }

    pub fn mesh(&self) -> &Mesh {
        &self.mesh
    }

    pub fn mesh_mut(&mut self) -> &mut Mesh {
        &mut self.mesh
    }

    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Reads the manifests again, too. Returns when it is in force in every Envoy and every
    /// application.
    pub async fn set(&mut self, to: Switches) -> Result<()> {
        let now = *self.switches.borrow();
        self.mesh.apply(self.project.config(&to)?).await?;
        if to.forward != now.forward {
            self.switch_applications(&format!("forward {}", name_of(to.forward))).await?;
        }
        self.switches.send_replace(to);
        Ok(())
    }

    /// The applications of these workloads (service and version) answer 500 from now on, and no
    /// others.
    pub async fn fail(&mut self, workloads: &[(&str, &str)]) -> Result<()> {
        let words = workloads.iter().map(|(service, version)| format!(" {service} {version}"));
        self.switch_applications(&format!("fail{}", words.collect::<String>())).await
    }

    async fn set_fails(&mut self, to: bool) -> Result<()> {
        self.fail(if to { &[FAILING] } else { &[] }).await?;
        self.fails.send_replace(to);
        Ok(())
    }

    async fn count(&self) -> Result<(Counters, InForce)> {
        Ok((Counters::scrape(&self.mesh).await?, InForce::scrape(&self.mesh).await?))
    }

    async fn switch_applications(&mut self, line: &str) -> Result<()> {
        let pods = self.mesh.pods().iter().filter(|pod| !pod.is_gateway());
        let mut waiting: HashSet<_> = pods.map(|pod| pod.name().to_owned()).collect();
        self.mesh.tell(line).await?;
        let all = async {
            while !waiting.is_empty() {
                let answer = self.answers.recv().await.context("the mesh has stopped")?;
                if answer.line == line {
                    waiting.remove(&answer.pod);
                }
            }
            anyhow::Ok(())
        };
        let all = tokio::time::timeout(PATIENCE, all).await;
        all.with_context(|| format!("no application takes `{line}`"))?
    }

    /// Does what `Control`s ask until `end`, or until something in the mesh ends by itself. Stops
    /// everything.
    pub async fn run<F, E>(mut self, act: F) -> Result<(), Ended>
    where
        F: FnOnce(Control) -> E,
        E: Future<Output = ()>,
    {
        let (ask, mut asked) = mpsc::channel(8);
        let (switches, fails) = (self.switches.subscribe(), self.fails.subscribe());
        let control = Control::new(self.mesh.gateway(), switches, fails, ask, self.events.clone());
        let mut end = std::pin::pin!(act(control));
        let ended = self.mesh.ended();
        let mut ended = std::pin::pin!(ended);
        let outcome = loop {
            tokio::select! {
                () = &mut end => break Ok(()),
                ended = &mut ended => break Err(ended),
                // Whoever asked may have gone.
                Some(asked) = asked.recv() => match asked {
                    Ask::Switch { to, done } => drop(done.send(self.set(to).await)),
                    Ask::Fail { to, done } => drop(done.send(self.set_fails(to).await)),
                    Ask::Count { counted } => drop(counted.send(self.count().await)),
                },
            }
        };
        self.stop().await;
        outcome
    }

    pub async fn stop(self) {
        self.mesh.stop().await;
    }
}

/// As it is written on a command line.
pub(crate) fn name_of(value: impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

async fn listen(
    mut lines: mpsc::Receiver<Line>,
    events: broadcast::Sender<Event>,
    answers: mpsc::UnboundedSender<Line>,
) {
    while let Some(line) = lines.recv().await {
        match serde_json::from_str(&line.line) {
            // Nobody has to listen.
            Ok(event) => drop(events.send(event)),
            Err(_) => drop(answers.send(line)),
        }
    }
}
