//! The stage of a run, and what is sent to it.

use crate::options::Options;
use anyhow::Result;
use demo::control::{Routes, Switches};
use demo::load;
use demo::release::Percent;
use demo::stage::{Project, Setup, Stage};
use demo::weather::Forward;
use mesh::envoy;

/// What the applications forward, in turn.
pub(crate) const MODES: [Forward; 9] = [
    Forward::RequestId,
    Forward::Baggage,
    Forward::Header,
    Forward::None,
    Forward::Trace,
    Forward::B3,
    Forward::Datadog,
    Forward::TracecontextSdk,
    Forward::B3Sdk,
];

/// With the filter or without.
pub(crate) async fn start(project: Project, filter: bool) -> Result<Stage> {
    let mut envoy = envoy::Options::new(envoy::find()?);
    envoy.workers = 2;
    let share = Percent::NONE;
    let switches = Switches { filter, routes: Routes::Story, forward: MODES[0], share };
    let program = std::env::current_exe()?;
    let setup = Setup { envoy, project, gateway_port: None, program, switches };
    Stage::start(setup, |_, _| ()).await
}

pub(crate) fn load(
    stage: &Stage,
    options: &Options,
    forward: Forward,
    requests: u64,
) -> Result<load::Options> {
    Ok(load::Options {
        url: format!("http://{}/", stage.mesh().gateway()).parse()?,
        requests,
        connections: options.connections,
        http: vec![load::Http::One, load::Http::Two],
        forward,
        rate: None,
    })
}
