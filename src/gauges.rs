//! The gauges of the shares that are in force.

use crate::decide::share::Shares;
use crate::guard::Guards;
use crate::host::Host;
use crate::istio::stats;
use crate::track::{Name, Names, TrackId};

/// A gauge for each track, also for one without a share: it may have had one before.
#[derive(Debug, Default)]
pub(crate) struct ShareGauges(Vec<(TrackId, u32)>);

impl ShareGauges {
    pub(crate) fn define(host: &mut impl Host, names: &Names) -> Self {
        let define = |(track, name): (TrackId, &Name)| {
            Some((track, host.define_gauge(&stats::share(name.as_str())).ok()?))
        };
        Self(names.iter().filter_map(define).collect())
    }

    /// Sets each to what is in force now, in 0.01 %: nothing, where a share is stopped or is only
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
        for (track, gauge) in &self.0 {
            let share = if is_dry(*track) { 0 } else { shares.of(*track, now) };
            let is_stopped = share > 0 && guards.stop(host, names, *track);
            let _ = host.record(*gauge, if is_stopped { 0 } else { share.into() });
        }
    }
}
