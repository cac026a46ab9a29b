//! What is to be done about a request: made from what its role decided, and applied once.
//!
//! A role reads a view of the request and facts of the host, and returns a [`Decision`]. A
//! [`Plan`] is what that comes to: every change of the request, what its response gets, and what
//! is counted. [`apply()`] writes it. A dry run is one `if` here.

mod apply;
mod arrivals;
mod metrics;
mod response;

pub(crate) use apply::{apply, respond};
pub(crate) use arrivals::Arrivals;
pub(crate) use metrics::Metrics;
pub use response::Response;

use crate::carrier::memory::Renewal;
use crate::carrier::propagator::{Change, Propagator, Treatment};
use crate::carrier::view::View;
use crate::host::Facts;
use crate::host::explain::Step;
use crate::track::Carried;
use crate::vocabulary::{Carrier, Outcome, Reason};

/// What a role decided about a request.
#[derive(Debug)]
pub(crate) struct Decision {
    pub(crate) follows: Carried,
    pub(crate) source: Source,
    pub(crate) treatment: Treatment,
    /// It arrives at a pod.
    pub(crate) arrives: bool,
    pub(crate) effects: Effects,
}

/// Where it comes from what a request follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// It was decided here, for this reason.
    Decided(Reason),
    /// A carrier brought it, or none did.
    Carried(Option<Carrier>),
    /// That is nobody's concern.
    Unsaid,
}

/// What else comes of deciding. All of it is empty for most requests.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    /// The request's new `:path`.
    pub(crate) path: Option<Vec<u8>>,
    /// The request's new `cookie`.
    pub(crate) cookie: Option<Vec<u8>>,
    pub(crate) response: Response,
    /// Dry tracks that would have been followed.
    pub(crate) passed_over: Vec<(Carried, Reason)>,
    /// Preview tokens that are not valid.
    pub(crate) invalid_tokens: usize,
    /// A hit in the memory.
    pub(crate) renewal: Option<Renewal>,
}

impl Decision {
    /// Nothing but this is done.
    pub(crate) fn treated(treatment: Treatment, effects: Effects) -> Self {
        let (follows, source) = (Carried::Baseline, Source::Unsaid);
        Self { follows, source, treatment, arrives: false, effects }
    }
}

/// What applies to all requests of a proxy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mode {
    /// `dryRun`: decide and count, but stamp nothing.
    pub(crate) dry_run: bool,
    /// `expose`: responses to tracked requests say so.
    pub(crate) expose: bool,
    /// `isolation: enforce`: what crossed is answered here.
    pub(crate) enforce: bool,
}

/// What is to be done about a request.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    decided: Option<(Carried, Reason)>,
    /// The decision is only counted, among those of a dry run.
    is_dry: bool,
    carried: Option<(Carried, Option<Carrier>)>,
    arrived: Option<(Carried, Outcome)>,
    is_stripped: bool,
    /// What the client is told in place of the upstream's response.
    refusal: Option<String>,
    changes: [Change<'a>; Carrier::ALL.len()],
    /// Headers of the request that go, since an application may take them for ours.
    aliases: Vec<&'a [u8]>,
    effects: Effects,
}

impl<'a> Plan<'a> {
    pub(crate) fn new(
        facts: &mut impl Facts,
        view: &View<'a>,
        decision: Decision,
        propagator: &'a Propagator,
        arrivals: &Arrivals,
        mode: Mode,
    ) -> Self {
        let Decision { mut follows, source, mut treatment, arrives, mut effects } = decision;
        let Mode { mut expose, mut enforce, dry_run } = mode;
        let names = propagator.names();
        let decided = match source {
            Source::Decided(reason) => Some((follows, reason)),
            Source::Carried(_) | Source::Unsaid => None,
        };
        let carried = match source {
            Source::Carried(carrier) => Some((follows, carrier)),
            Source::Decided(_) | Source::Unsaid => None,
        };
        if dry_run {
            // What was decided is not followed, and nothing is stamped or given to anybody; what a
            // client sent is removed all the same.
            if decided.is_some_and(|(_, reason)| reason != Reason::Trusted) {
                follows = Carried::Baseline;
            }
            treatment = treatment.without_stamps();
            effects.give_nothing();
            (expose, enforce) = (false, false);
        }

        if let Some((decided, reason)) = decided {
            facts.explain(Step::Decided { track: names.label(decided), reason });
            effects.response.at_edge = true;
            if expose && matches!(follows, Carried::Track(_)) {
                effects.response.expose(names.label(follows), reason);
            }
        }
        let outcome = if arrives { arrivals.outcome(view, follows) } else { None };
        if let Some(outcome) = outcome {
            facts.explain(Step::Arrived { track: names.label(follows), outcome });
        }
        let refused = enforce && outcome == Some(Outcome::Crossed);
        let changes =
            Carrier::ALL.map(|carrier| propagator.change(facts, view, carrier, treatment, follows));
        let aliases = propagator.aliases(view, treatment);
        for header in &aliases {
            facts.explain(Step::Distrusted { header });
        }
        Self {
            decided,
            is_dry: dry_run,
            carried,
            arrived: outcome.map(|outcome| (follows, outcome)),
            is_stripped: treatment == Treatment::Strip && propagator.is_borne(view),
            refusal: refused.then(|| arrivals.refusal(names.label(follows))),
            changes,
            aliases,
            effects,
        }
    }
}

impl Effects {
    /// Nobody is given an identity or a cookie.
    fn give_nothing(&mut self) {
        self.cookie = None;
        self.response = Response::default();
    }
}
