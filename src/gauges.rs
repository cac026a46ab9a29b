//! What is in force now, as gauges: the configuration, and the shares.

use crate::config::Fingerprint;
use crate::decide::share::Shares;
use crate::guard::Guards;
use crate::host::Host;
use crate::istio::stats;
use crate::track::{Name, Names, TrackId};

/// Tells which configuration is in force on this proxy: 0 while no good one has come.
pub(crate) fn tell_configuration(host: &mut impl Host, fingerprint: Option<Fingerprint>) {
    if let Ok(gauge) = host.define_gauge(&stats::configuration()) {
        let _ = host.record(gauge, fingerprint.map_or(0, Fingerprint::number));
    }
}

/// Gauges for each track, also for one without a share or a guard: it may have had one before.
#[derive(Debug, Default)]
pub(crate) struct ShareGauges(Vec<(TrackId, Gauges)>);

/// Their ids.
#[derive(Debug)]
struct Gauges {
    share: u32,
    guard_stopped: u32,
}

impl ShareGauges {
    pub(crate) fn define(host: &mut impl Host, names: &Names) -> Self {
        let define = |(track, name): (TrackId, &Name)| {
            let share = host.define_gauge(&stats::share(name.as_str())).ok()?;
            let guard_stopped = host.define_gauge(&stats::guard_stopped(name.as_str())).ok()?;
            Some((track, Gauges { share, guard_stopped }))
        };
        Self(names.iter().filter_map(define).collect())
    }

    /// Sets each to what is in force now: shares in 0.01 %, nothing where one is stopped or is only
    /// counted.
    pub(crate) fn tell(
        &self,
        host: &mut impl Host,
        shares: &Shares,
        guards: &Guards,
        names: &Names,
        is_dry: impl Fn(TrackId) -> bool,
    ) {
        let now = if shares.move_with_the_clock() { host.now_ms().unwrap_or_default() } else { 0 };
        for (track, gauges) in &self.0 {
            let share = if is_dry(*track) { 0 } else { shares.of(*track, now) };
            let is_stopped = share > 0 && guards.stop(host, names, *track);
            let _ = host.record(gauges.share, if is_stopped { 0 } else { share.into() });
            let _ = host.record(gauges.guard_stopped, is_stopped.into());
        }
    }
}
