//! Envoys that are started to be looked at: how long until they are ready, and what they weigh.

use crate::plan::{Direction, Node};
use crate::proxy::{Place, Proxy};
use crate::statistics::{Figure, figure, median};
use crate::variant::{Filters, Variant};
use anyhow::{Context as _, Result};
use indicatif::ProgressBar;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Worker threads: of a sidecar with the default of two, of a gateway with more.
const FEW: usize = 1;
const MANY: usize = 8;

/// V8's own threads go on for a moment after the start.
const SETTLE: Duration = Duration::from_millis(1500);

/// One start.
#[derive(Clone, Copy)]
struct Start {
    /// Milliseconds from the fork.
    ready: f64,
    /// Resident memory, MiB.
    memory: f64,
}

/// The starts of the variants with one number of workers, round by round.
pub(crate) struct Starts {
    pub(crate) workers: usize,
    starts: Vec<(Variant, Vec<Start>)>,
}

impl Starts {
    pub(crate) fn variants(&self) -> impl Iterator<Item = &Variant> {
        self.starts.iter().map(|(variant, _)| variant)
    }

    /// Milliseconds until ready, beyond those of another variant.
    pub(crate) fn ready_over(&self, variant: &Variant, other: &Variant) -> Figure {
        self.over(variant, other, |start| start.ready)
    }

    /// MiB of resident memory, beyond those of another variant.
    pub(crate) fn memory_over(&self, variant: &Variant, other: &Variant) -> Figure {
        self.over(variant, other, |start| start.memory)
    }

    /// MiB that each worker but the first adds, beyond no filter; `self` has few workers.
    pub(crate) fn memory_per_worker(&self, many: &Self, variant: &Variant) -> Figure {
        let rounds = self.of(variant).len().min(many.of(variant).len());
        let further = many.workers.saturating_sub(self.workers) as f64;
        figure(rounds, |rounds| {
            let over =
                |starts: &Self| starts.over_in(variant, &Variant::None, |s| s.memory, rounds);
            (over(many) - over(self)) / further
        })
    }

    fn over(&self, variant: &Variant, other: &Variant, of: fn(&Start) -> f64) -> Figure {
        figure(self.of(variant).len(), |rounds| self.over_in(variant, other, of, rounds))
    }

    fn over_in(
        &self,
        variant: &Variant,
        other: &Variant,
        of: fn(&Start) -> f64,
        rounds: &[usize],
    ) -> f64 {
        let middle = |starts: &[Start]| median(rounds.iter().map(|n| of(&starts[*n])));
        middle(self.of(variant)) - middle(self.of(other))
    }

    fn of(&self, variant: &Variant) -> &[Start] {
        let found = self.starts.iter().find(|(known, _)| known == variant);
        found.map_or(&[], |(_, starts)| starts)
    }
}

/// Starts each variant `rounds` times, by turns, with few and with many workers. Returns both.
pub(crate) async fn measure(
    binary: &Path,
    node: &Node,
    filters: &Filters,
    variants: &[Variant],
    rounds: usize,
    progress: &ProgressBar,
) -> Result<[Starts; 2]> {
    progress.set_length((2 * rounds * variants.len()) as u64);
    let mut all = [FEW, MANY].map(|workers| Starts {
        workers,
        starts: variants.iter().map(|variant| (variant.clone(), Vec::new())).collect(),
    });
    for _ in 0..rounds {
        for Starts { workers, starts } in &mut all {
            fastrand::shuffle(starts);
            for (variant, starts) in starts {
                starts.push(start(binary, node, filters, variant, *workers).await?);
                progress.inc(1);
            }
        }
    }
    for Starts { starts, .. } in &mut all {
        starts.sort_by(|(a, _), (b, _)| a.cmp(b));
    }
    Ok(all)
}

/// As Istio has it: the filter in a listener for each direction of a sidecar.
async fn start(
    binary: &Path,
    node: &Node,
    filters: &Filters,
    variant: &Variant,
    workers: usize,
) -> Result<Start> {
    let places = [Direction::Inbound, Direction::Outbound]
        .map(|direction| Place { direction, variant: variant.clone() });
    let began = Instant::now();
    let proxy = Proxy::start(binary, "envoy", node, workers, filters, places).await?;
    let process = proxy.envoy.process();
    // `Envoy::ready` looks too seldom to time it.
    while proxy.envoy.admin().get("/ready").await.is_err() {
        anyhow::ensure!(process.is_running(), process.ended().await);
        sleep(Duration::from_millis(2)).await;
    }
    let ready = began.elapsed().as_secs_f64() * 1e3;
    sleep(SETTLE).await;
    let memory = process.resident_memory().context("Envoy has ended")?;
    proxy.stop().await;
    Ok(Start { ready, memory: memory as f64 / f64::from(1 << 20) })
}
