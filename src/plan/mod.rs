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
pub use response::{Additions, Response};

use crate::carrier::memory::Renewal;
use crate::carrier::propagator::Treatment;
use crate::carrier::view::View;
use crate::host::Facts;
use crate::host::explain::Step;
use crate::track::{Carried, Names};
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

/// What else comes of deciding: for most requests, nothing.
#[derive(Debug, Default)]
pub(crate) struct Effects(Option<Box<Rare>>);

#[derive(Debug, Default)]
struct Rare {
    /// The request's new `:path`.
    path: Option<Vec<u8>>,
    /// The request's new `cookie`.
    cookie: Option<Vec<u8>>,
    response: Additions,
    /// Dry tracks that would have been followed.
    passed_over: Vec<(Carried, Reason)>,
    /// Preview tokens that are not valid.
    invalid_tokens: usize,
    /// A hit in the memory.
    renewal: Option<Renewal>,
}

impl Effects {
    fn rare(&mut self) -> &mut Rare {
        self.0.get_or_insert_default()
    }

    pub(crate) fn set_path(&mut self, path: Vec<u8>) {
        self.rare().path = Some(path);
    }

    pub(crate) fn set_cookie(&mut self, cookie: Vec<u8>) {
        self.rare().cookie = Some(cookie);
    }

    /// What the response is given.
    pub(crate) fn of_response(&mut self) -> &mut Additions {
        &mut self.rare().response
    }

    /// A dry track would have been followed. `false`, if that is known already.
    pub(crate) fn pass_over(&mut self, follows: Carried, reason: Reason) -> bool {
        let passed_over = &mut self.rare().passed_over;
        let is_new = passed_over.iter().all(|(passed, _)| *passed != follows);
        if is_new {
            passed_over.push((follows, reason));
        }
        is_new
    }

    pub(crate) fn invalid_token(&mut self) {
        self.rare().invalid_tokens += 1;
    }

    pub(crate) fn renew(&mut self, renewal: Renewal) {
        self.rare().renewal = Some(renewal);
    }

    /// Nobody is given an identity or a cookie.
    fn give_nothing(&mut self) {
        if let Some(rare) = &mut self.0 {
            rare.cookie = None;
            rare.response = Additions::default();
        }
    }
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
pub(crate) struct Plan {
    decided: Option<(Carried, Reason)>,
    /// The decision is only counted, among those of a dry run.
    is_dry: bool,
    carried: Option<(Carried, Option<Carrier>)>,
    arrived: Option<Outcome>,
    /// The arrival is answered here, in place of the upstream.
    is_refused: bool,
    /// What the carriers say afterwards,
    follows: Carried,
    /// as the request is treated.
    treatment: Treatment,
    effects: Effects,
}

impl Plan {
    pub(crate) fn new(
        facts: &mut impl Facts,
        view: &View<'_>,
        decision: Decision,
        names: &Names,
        arrivals: &Arrivals,
        mode: Mode,
    ) -> Self {
        let Decision { mut follows, source, mut treatment, arrives, mut effects } = decision;
        let Mode { mut expose, mut enforce, dry_run } = mode;
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
            if expose && matches!(follows, Carried::Track(_)) {
                effects.of_response().expose(names.label(follows), reason);
            }
        }
        let arrived = if arrives { arrivals.outcome(view, follows) } else { None };
        if let Some(outcome) = arrived {
            facts.explain(Step::Arrived { track: names.label(follows), outcome });
        }
        let is_refused = enforce && arrived == Some(Outcome::Crossed);
        let is_dry = dry_run;
        Self { decided, is_dry, carried, arrived, is_refused, follows, treatment, effects }
    }
}
