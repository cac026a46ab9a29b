//! The filter's counters, named by Istio's convention for labels in a stat's name:
//! `release_track.LABEL=.=VALUE;.;LABEL=.=VALUE;.;NAME` (Istio: `envoy_bootstrap.json`, stats_tags).
//!
//! Every counter that can be of use on this proxy is defined with the configuration, so that it is
//! there at zero before it first counts: an alert on an increase then sees the first one too.

use crate::carrier::Carrier;
use crate::host::Host;
use crate::track::{BASELINE, Carried, Names};

/// Things that happen beside the decisions: `release_track_events_total{event}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A remembered id came in under a second track, or on baseline.
    Conflict,
    /// The baggage had no room for the track.
    BaggageFull,
    /// A preview token was wrong, expired, or for a track that is gone.
    TokenInvalid,
    /// A request left the mesh, and its track was removed.
    Stripped,
    /// A value was too long for a rule's expression to look at, so that the rule did not hold.
    RegexLimit,
}

impl Event {
    const ALL: [Self; 5] =
        [Self::Conflict, Self::BaggageFull, Self::TokenInvalid, Self::Stripped, Self::RegexLimit];

    const fn label(self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::BaggageFull => "baggage_full",
            Self::TokenInvalid => "token_invalid",
            Self::Stripped => "stripped",
            Self::RegexLimit => "regex_limit",
        }
    }
}

/// Why a request follows what it follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A preview link, or the cookie that keeps it.
    Preview,
    /// A rule of the track.
    Match,
    /// The client's identity lies in the track's share.
    Share,
    /// Nothing else.
    Baseline,
    /// A carrier that the request brought, and that is believed here.
    Trusted,
}

impl Reason {
    pub const ALL: [Self; 5] =
        [Self::Preview, Self::Match, Self::Share, Self::Baseline, Self::Trusted];

    pub const fn label(self) -> &'static str {
        match self {
            Self::Preview => "preview",
            Self::Match => "match",
            Self::Share => "share",
            Self::Baseline => "baseline",
            Self::Trusted => "trusted",
        }
    }
}

/// What the arrival of a request means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The pod belongs to the request's track.
    Match,
    /// The track has no version of its own of this service.
    Baseline,
    /// The pod is another track's, or not the version that the track lists of this service.
    Crossed,
    /// A request on baseline at a pod that belongs to a track.
    Stray,
}

impl Outcome {
    pub const ALL: [Self; 4] = [Self::Match, Self::Baseline, Self::Crossed, Self::Stray];

    pub const fn label(self) -> &'static str {
        match self {
            Self::Match => "match",
            Self::Baseline => "baseline",
            Self::Crossed => "crossed",
            Self::Stray => "stray",
        }
    }
}

/// What this proxy has to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    pub decisions: bool,
    pub dry_decisions: bool,
    pub arrivals: bool,
    pub propagation: bool,
}

/// The ids that the proxy gave to the counters.
#[derive(Debug)]
pub struct Metrics {
    decisions: Family,
    dry_decisions: Family,
    arrivals: Family,
    propagation: Family,
    events: Vec<Option<u32>>,
}

impl Metrics {
    pub fn define(host: &mut impl Host, names: &Names, counts: Counts) -> Self {
        let reasons: Vec<_> = Reason::ALL.iter().map(|reason| reason.label()).collect();
        let outcomes: Vec<_> = Outcome::ALL.iter().map(|outcome| outcome.label()).collect();
        let mut carriers: Vec<_> = Carrier::ALL.iter().map(|carrier| carrier.label()).collect();
        carriers.push("none");
        let mut family = |wanted: bool, label: &str, values: &[&'static str], name: &str| {
            if !wanted {
                return Family::default();
            }
            Family::define(host, names, label, values, name)
        };
        Self {
            decisions: family(counts.decisions, "reason", &reasons, "decisions_total"),
            dry_decisions: family(counts.dry_decisions, "reason", &reasons, "dry_decisions_total"),
            arrivals: family(counts.arrivals, "outcome", &outcomes, "arrivals_total"),
            propagation: family(counts.propagation, "carrier", &carriers, "propagation_total"),
            events: Event::ALL
                .iter()
                .map(|event| {
                    let name = format!("release_track.event=.={};.;events_total", event.label());
                    host.define_counter(&name).ok()
                })
                .collect(),
        }
    }

    pub fn decided(&self, host: &mut impl Host, follows: Carried, reason: Reason, dry: bool) {
        let family = if dry { &self.dry_decisions } else { &self.decisions };
        family.count(host, follows, reason as usize);
    }

    pub fn arrived(&self, host: &mut impl Host, follows: Carried, outcome: Outcome) {
        self.arrivals.count(host, follows, outcome as usize);
    }

    /// `None`: no carrier had anything to say.
    pub fn propagated(&self, host: &mut impl Host, follows: Carried, carrier: Option<Carrier>) {
        let column = carrier.map_or(Carrier::ALL.len(), |carrier| carrier as usize);
        self.propagation.count(host, follows, column);
    }

    pub fn happened(&self, host: &mut impl Host, event: Event) {
        if let Some(Some(id)) = self.events.get(event as usize) {
            let _ = host.increment(*id);
        }
    }
}

/// The counters of one name: a row for every track, `baseline` and `other`; a column for every
/// value of the second label.
#[derive(Debug, Default)]
struct Family {
    rows: Vec<Vec<Option<u32>>>,
}

impl Family {
    fn define(
        host: &mut impl Host,
        names: &Names,
        label: &str,
        values: &[&'static str],
        name: &str,
    ) -> Self {
        let tracks = names.iter().map(|(_, name)| name.as_str()).chain([BASELINE, "other"]);
        let rows = tracks.map(|track| {
            let define = |value: &&str| {
                let stat = format!("release_track.track=.={track};.;{label}=.={value};.;{name}");
                host.define_counter(&stat).ok()
            };
            values.iter().map(define).collect()
        });
        Self { rows: rows.collect() }
    }

    fn count(&self, host: &mut impl Host, follows: Carried, column: usize) {
        let row = match follows {
            Carried::Track(track) => Some(usize::from(track.0)),
            Carried::Baseline => self.rows.len().checked_sub(2),
            Carried::Other => self.rows.len().checked_sub(1),
        };
        let id = row.and_then(|row| self.rows.get(row)?.get(column).copied().flatten());
        if let Some(id) = id {
            let _ = host.increment(id);
        }
    }
}
