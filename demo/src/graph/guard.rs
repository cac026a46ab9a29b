//! What the gateway's guard sees of a release's share, and whether it has stopped it.

use crate::control::Switches;
use crate::counters::{Counters, InForce};
use crate::release::Percent;
use release_track::track::BASELINE;
use serde::Serialize;

/// What is told of it; `assets/graph.js` reads it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Guard {
    has_stopped: bool,
    /// The share that is in force, in percent.
    in_force: f64,
    track: Responses,
    baseline: Responses,
}

/// Responses since the last switch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct Responses {
    all: u64,
    failed: u64,
}

impl Guard {
    /// `None`, where there is no share to guard.
    pub(super) fn of(
        track: &str,
        switches: Switches,
        counted: &Counters,
        in_force: &InForce,
    ) -> Option<Self> {
        let share = *in_force.shares.get(track)? as f64 / 100.0;
        (switches.share != Percent::NONE).then(|| Self {
            has_stopped: in_force.stopped.contains(track),
            in_force: share,
            track: Responses::of(track, counted),
            baseline: Responses::of(BASELINE, counted),
        })
    }
}

impl Responses {
    fn of(follows: &str, counted: &Counters) -> Self {
        let mut responses = Self::default();
        for (_, counter, count) in counted.iter() {
            let Some(class) = counter.strip_prefix(&format!("answers {follows} ")) else {
                continue;
            };
            responses.all += count;
            if matches!(class, "5xx" | "grpc") {
                responses.failed += count;
            }
        }
        responses
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tells_what_the_gateway_saw() {
        let mut counted = Counters::default();
        for (counter, count) in [
            ("answers v2 2xx", 3),
            ("answers v2 5xx", 9),
            ("answers v2 grpc", 1),
            ("answers v22 5xx", 100),
            ("answers baseline 4xx", 7),
            ("decisions v2 share", 13),
        ] {
            counted.count("istio-ingressgateway", counter.to_owned(), count);
        }
        let mut in_force = InForce::default();
        in_force.shares.insert("v2".to_owned(), 250);
        let mut switches = Switches { share: 5.try_into().unwrap(), ..Switches::STORY };
        let guard = Guard::of("v2", switches, &counted, &in_force).unwrap();
        let expected = Guard {
            has_stopped: false,
            in_force: 2.5,
            track: Responses { all: 13, failed: 10 },
            baseline: Responses { all: 7, failed: 0 },
        };
        assert_eq!(guard, expected);
        in_force.stopped.insert("v2".to_owned());
        assert!(Guard::of("v2", switches, &counted, &in_force).unwrap().has_stopped);
        switches.share = Percent::NONE;
        assert_eq!(Guard::of("v2", switches, &counted, &in_force), None);
    }
}
