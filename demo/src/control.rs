//! The handle on a running demo: its switches, and what its applications saw.

use crate::call::Event;
use crate::counters::{Counters, InForce};
use crate::release::Percent;
use crate::weather::Forward;
use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

/// Which manifests route the traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Routes {
    /// By the header `x-release-track`, which the filter writes.
    Story,
    /// The classical set-up: a cookie regex and `sourceLabels`, without the filter.
    Original,
}

/// How the demo is switched at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Switches {
    /// Whether the filter is in the Envoys. With [`Routes::Original`] it never is, whatever this
    /// says.
    pub filter: bool,
    pub routes: Routes,
    pub forward: Forward,
    /// How many of everybody else follow the first track; only where there are preview links, and
    /// the filter.
    pub share: Percent,
}

impl Switches {
    /// The story as it is told first.
    pub const STORY: Self = Self {
        filter: true,
        routes: Routes::Story,
        forward: Forward::RequestId,
        share: Percent::NONE,
    };
}

/// Something that a [`Control`] asks of the mesh.
pub(crate) enum Ask {
    /// Answered once it is in force everywhere.
    Switch {
        to: Switches,
        done: oneshot::Sender<Result<()>>,
    },
    /// Whether version 2 of the forecast fails; answered once it does, or does no more.
    Fail {
        to: bool,
        done: oneshot::Sender<Result<()>>,
    },
    Count {
        counted: oneshot::Sender<Result<(Counters, InForce)>>,
    },
}

/// Clones share one demo.
#[derive(Clone)]
pub struct Control {
    gateway: SocketAddr,
    switches: watch::Receiver<Switches>,
    fails: watch::Receiver<bool>,
    ask: mpsc::Sender<Ask>,
    events: broadcast::Sender<Event>,
}

impl Control {
    pub(crate) fn new(
        gateway: SocketAddr,
        switches: watch::Receiver<Switches>,
        fails: watch::Receiver<bool>,
        ask: mpsc::Sender<Ask>,
        events: broadcast::Sender<Event>,
    ) -> Self {
        Control { gateway, switches, fails, ask, events }
    }

    /// Where the mesh takes requests.
    pub fn gateway(&self) -> SocketAddr {
        self.gateway
    }

    /// What is in force now; `changed()` on the receiver waits for the next change, by whomever.
    pub fn switches(&self) -> watch::Receiver<Switches> {
        self.switches.clone()
    }

    /// Whether version 2 of the forecast fails.
    pub fn fails(&self) -> watch::Receiver<bool> {
        self.fails.clone()
    }

    /// Every request that any application process serves from now on.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Returns when every Envoy has it; requests that are under way keep what they have.
    pub async fn set_filter(&self, filter: bool) -> Result<()> {
        let now = *self.switches.borrow();
        self.set(Switches { filter, ..now }).await
    }

    /// As [`Control::set_filter`].
    pub async fn set_routes(&self, routes: Routes) -> Result<()> {
        let now = *self.switches.borrow();
        self.set(Switches { routes, ..now }).await
    }

    /// Returns when every application process has it.
    pub async fn set_forward(&self, forward: Forward) -> Result<()> {
        let now = *self.switches.borrow();
        self.set(Switches { forward, ..now }).await
    }

    /// As [`Control::set_filter`].
    pub async fn set_share(&self, share: Percent) -> Result<()> {
        let now = *self.switches.borrow();
        self.set(Switches { share, ..now }).await
    }

    /// Has version 2 of the forecast answer 500 from now on, or serve again.
    pub async fn set_fails(&self, to: bool) -> Result<()> {
        let (done, answer) = oneshot::channel();
        self.ask(Ask::Fail { to, done }, answer).await
    }

    async fn set(&self, to: Switches) -> Result<()> {
        let (done, answer) = oneshot::channel();
        self.ask(Ask::Switch { to, done }, answer).await
    }

    /// What the filter has counted so far, in all Envoys that run, and what is in force.
    pub(crate) async fn counters(&self) -> Result<(Counters, InForce)> {
        let (counted, answer) = oneshot::channel();
        self.ask(Ask::Count { counted }, answer).await
    }

    async fn ask<T>(&self, ask: Ask, answer: oneshot::Receiver<Result<T>>) -> Result<T> {
        self.ask.send(ask).await.ok().context("the mesh has stopped")?;
        answer.await.context("the mesh has stopped")?
    }
}
