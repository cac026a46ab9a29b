//! Whether a track fails more than it may.

use super::limits::Limits;
use super::record::{Record, Seen, Tally};
use std::fmt;

/// What a guard stops for: responses of the last slices, and how many of them failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failing(Seen);

impl fmt::Display for Failing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Seen { track, baseline } = self.0;
        write!(f, "{} of its last {} responses failed, ", track.failed, track.all)?;
        write!(f, "and {} of {} on baseline", baseline.failed, baseline.all)
    }
}

/// The most recent responses that are reason enough, if any are. Asking from the newest slice
/// backwards, a track that served well for the rest of the window is stopped as soon as one that has
/// just begun.
pub(super) fn failing(record: &Record, limits: Limits) -> Option<Failing> {
    let mut seen = Seen::default();
    record.slices.iter().find_map(|slice| {
        seen.track.add(slice.track);
        seen.baseline.add(slice.baseline);
        is_too_much(seen, limits).then_some(Failing(seen))
    })
}

/// The doubt that is left where a guard decides by 100 responses or more: e^-10. By chance alone it
/// is far less, since the inequality is no equation.
const CERTAINTY: f64 = 10.0;

/// Whether the track's part of failed responses exceeds baseline's by more than it may, and by more
/// than chance explains if the two were alike (Bernstein's inequality). How certain that has to be
/// grows with `minimum`, so that `minimum` responses that fail where those of baseline do not are
/// always enough. Where baseline has none, it counts as one that never fails.
fn is_too_much(Seen { track, baseline }: Seen, limits: Limits) -> bool {
    if track.all < limits.minimum.max(1) {
        return false;
    }
    let part = |Tally { all, failed }: Tally| f64::from(failed) / f64::from(all.max(1));
    let mut both = track;
    both.add(baseline);
    let (all, both) = (f64::from(track.all), part(both));
    let excess = f64::from(track.failed) - all * part(baseline);
    let certainty = CERTAINTY.min(f64::from(limits.minimum) / 10.0);
    let by_chance = 2.0 * certainty * (all * both * (1.0 - both) + excess / 3.0);
    excess > all * f64::from(limits.errors) / 10_000.0 && excess * excess > by_chance
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(errors: u32, minimum: u32) -> Limits {
        Limits { errors, minimum, over_ms: 60_000, retry_ms: 0 }
    }

    /// Failed and all.
    fn stops(track: (u32, u32), baseline: (u32, u32), limits: Limits) -> bool {
        let tally = |(failed, all)| Tally { all, failed };
        is_too_much(Seen { track: tally(track), baseline: tally(baseline) }, limits)
    }

    #[test]
    fn what_fails_and_baseline_does_not_stops_at_the_minimum() {
        for minimum in [1, 2, 3, 5, 10, 33, 100, 1000, 1_000_000] {
            for baseline in [(0, 0), (0, 1), (0, minimum), (minimum / 100, minimum)] {
                let limits = limits(500, minimum);
                assert!(stops((minimum, minimum), baseline, limits), "{minimum} {baseline:?}");
                let fewer = minimum - 1;
                assert!(!stops((fewer, fewer), baseline, limits), "{minimum} {baseline:?}");
            }
        }
    }

    #[test]
    fn what_fails_on_baseline_as_well_does_not_stop() {
        for (track, baseline) in [
            ((100, 100), (7, 7)),
            ((100, 100), (990, 1000)),
            ((500, 1000), (4_990, 10_000)),
            ((50, 1000), (0, 1000)),
            ((0, 1000), (1000, 1000)),
        ] {
            assert!(!stops(track, baseline, limits(500, 100)), "{track:?} {baseline:?}");
        }
    }

    #[test]
    fn the_more_responses_the_nearer_to_what_is_allowed() {
        // The fewest failed ones that stop, in percent, where one of a hundred fails on baseline.
        let percent = [100, 1_000, 10_000, 100_000].map(|all| {
            let stops = |failed: &u32| stops((*failed, all), (1_000, 100_000), limits(500, 100));
            (0..=all).find(stops).map(|failed| f64::from(failed) * 100.0 / f64::from(all))
        });
        assert_eq!(percent, [Some(10.0), Some(6.1), Some(6.01), Some(6.001)]);
    }

    #[test]
    fn few_responses_decide_where_few_are_asked_for() {
        assert!(stops((2, 4), (0, 4), limits(500, 4)));
        assert!(!stops((0, 4), (0, 4), limits(500, 4)));
        assert!(stops((6, 10), (0, 10), limits(5000, 10)));
        assert!(!stops((5, 10), (0, 10), limits(5000, 10)));
    }
}
