//! The cost of a request: every variant of every situation, in small blocks by turns.

use crate::client::{self, Connection};
use crate::plan::{Direction, Plan, Route, Run, Situation};
use crate::proxy::{Place, Proxy, places};
use crate::statistics::{Block, Figure, figure, median};
use crate::variant::{Filters, Variant};
use anyhow::{Context as _, Result, bail};
use http_body_util::Empty;
use hyper::Request;
use hyper::body::Bytes;
use indicatif::ProgressBar;
use std::collections::BTreeMap;
use std::path::Path;

/// A situation, and what all its variants took.
pub(crate) struct Measured {
    pub(crate) situation: Situation,
    /// By variant, the block of every round.
    blocks: Vec<(Variant, Vec<Block>)>,
}

/// Which of a block's times.
pub(crate) type Time = fn(&Block) -> f64;

impl Measured {
    pub(crate) fn variants(&self) -> impl Iterator<Item = &Variant> {
        self.blocks.iter().map(|(variant, _)| variant)
    }

    pub(crate) fn find(&self, label: &str) -> Option<&Variant> {
        self.variants().find(|variant| variant.label() == label)
    }

    /// What the variant adds to a request, in microseconds.
    pub(crate) fn cost(&self, variant: &Variant, time: Time) -> Figure {
        figure(self.of(variant).len(), |rounds| self.cost_in(variant, time, rounds))
    }

    /// By how many times as much as another.
    pub(crate) fn ratio(&self, variant: &Variant, to: &Variant, time: Time) -> Figure {
        figure(self.of(variant).len(), |rounds| {
            self.cost_in(variant, time, rounds) / self.cost_in(to, time, rounds)
        })
    }

    fn cost_in(&self, variant: &Variant, time: Time, rounds: &[usize]) -> f64 {
        let (with, without) = (self.of(variant), self.of(&Variant::None));
        median(rounds.iter().map(|n| time(&with[*n]) - time(&without[*n])))
    }

    fn of(&self, variant: &Variant) -> &[Block] {
        let found = self.blocks.iter().find(|(known, _)| known == variant);
        found.map_or(&[], |(_, blocks)| blocks)
    }
}

/// A connection to a variant, and what is sent there.
struct Lane {
    connection: Connection,
    request: Request<Empty<Bytes>>,
    /// The route that has to come of it, where that is known.
    reaches: Option<Route>,
    before: Option<(Connection, Request<Empty<Bytes>>)>,
}

impl Lane {
    async fn open(proxy: &Proxy, situation: &Situation, variant: &Variant) -> Result<Self> {
        let open = async |direction, headers: &[_]| {
            let place = Place { direction, variant: variant.clone() };
            let connection = Connection::open(proxy.address(&place)?, situation.protocol).await?;
            Ok::<_, anyhow::Error>((connection, client::request(situation.protocol, headers)?))
        };
        let (connection, request) = open(situation.direction, &situation.headers).await?;
        let before = match &situation.before {
            Some(headers) => Some(open(Direction::Inbound, headers).await?),
            None => None,
        };
        let reaches = match variant {
            Variant::Lua(_) | Variant::Ours(_) | Variant::OursNative(_) => Some(situation.reaches),
            Variant::None
            | Variant::NoOp
            | Variant::Reader
            | Variant::NoOpNative
            | Variant::Peer => None,
        };
        Ok(Self { connection, request, reaches, before })
    }

    async fn block(&mut self, run: Run) -> Result<Block> {
        if let Some((connection, request)) = &mut self.before {
            connection.ask(request).await?;
        }
        let mut times = Vec::with_capacity(run.requests);
        for number in 0..run.warm_up + run.requests {
            let (route, took) = self.connection.ask(&self.request).await?;
            if let Some(wanted) = self.reaches.filter(|wanted| *wanted != route) {
                bail!("a request took the route to {route:?} instead of {wanted:?}");
            }
            if number >= run.warm_up {
                times.push(took.as_secs_f64() * 1e6);
            }
        }
        Ok(Block::of(&mut times))
    }
}

/// Measures all situations of the plan.
pub(crate) async fn measure(
    binary: &Path,
    plan: &Plan,
    filters: &Filters,
    progress: &ProgressBar,
) -> Result<Vec<Measured>> {
    let mut proxies = BTreeMap::new();
    for (name, node) in &plan.nodes {
        let here = plan.situations.iter().filter(|situation| situation.node == *name);
        let places = here.flat_map(|situation| places(situation, &filters.variants(situation)));
        let proxy = Proxy::start(binary, name, node, 1, filters, places).await?;
        proxy.ready().await?;
        proxies.insert(name, proxy);
    }
    let mut all = Vec::new();
    for situation in &plan.situations {
        let proxy = proxies.get(&situation.node).context("a node without a proxy")?;
        let mut lanes = Vec::new();
        for variant in filters.variants(situation) {
            let lane = Lane::open(proxy, situation, &variant).await?;
            lanes.push((variant, lane, Vec::with_capacity(plan.run.rounds)));
        }
        all.push((situation, lanes));
    }
    progress.set_length(plan.run.rounds as u64);
    for _ in 0..plan.run.rounds {
        fastrand::shuffle(&mut all);
        for (situation, lanes) in &mut all {
            fastrand::shuffle(lanes);
            for (variant, lane, blocks) in lanes {
                let block = lane.block(plan.run).await;
                let what =
                    || format!("{}, {}: {}", situation.name, situation.shape, variant.label());
                blocks.push(block.with_context(what)?);
            }
        }
        progress.inc(1);
    }
    for (_, proxy) in proxies {
        proxy.stop().await;
    }
    let place = |name: &Situation| {
        plan.situations.iter().position(|s| s.name == name.name && s.shape == name.shape)
    };
    all.sort_by_key(|(situation, _)| place(situation));
    Ok(all
        .into_iter()
        .map(|(situation, mut lanes)| {
            lanes.sort_by(|(a, ..), (b, ..)| a.cmp(b));
            let blocks = lanes.into_iter().map(|(variant, _, blocks)| (variant, blocks));
            Measured { situation: situation.clone(), blocks: blocks.collect() }
        })
        .collect())
}
