//! A plan: what a request follows, why, and what comes of it.

use super::arrivals::Arrivals;
use super::response::Additions;
use crate::carrier::memory::Renewal;
use crate::carrier::propagator::Treatment;
use crate::carrier::view::View;
use crate::host::Facts;
use crate::host::explain::Step;
use crate::track::{Carried, Names};
use crate::vocabulary::{Carrier, Event, Outcome, Reason};

/// What is to be done about a request.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(super) follows: Carried,
    pub(super) source: Source,
    pub(super) treatment: Treatment,
    pub(super) effects: Effects,
    /// What the carriers say afterwards: in a dry run that is not what was decided.
    pub(super) stamps: Carried,
    /// What was decided is only counted, among the decisions of a dry run.
    pub(super) is_dry: bool,
    pub(super) arrival: Arrival,
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
    /// It leaves the mesh, and follows nothing any more: at an edge, whatever was decided.
    Left(Option<(Carried, Reason)>),
    /// No good configuration has come yet.
    Neutral,
}

/// Whether a request arrives at a pod, and belongs there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It only passes by, or that is of no interest.
    None,
    /// It only passes by, and which pod it meets is known when the response comes.
    Later,
    /// It does, and that is to be seen.
    Open,
    /// It is counted,
    Counted(Outcome),
    /// or counted, and the proxy responds in place of the upstream.
    Refused(Outcome),
}

/// What applies to all requests of a proxy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mode {
    /// `dryRun`: decide and count, but stamp nothing.
    pub(crate) dry_run: bool,
    /// `expose`: responses to tracked requests say so.
    pub(crate) expose: bool,
    /// `isolation: enforce`: the proxy responds to what crossed.
    pub(crate) enforce: bool,
}

impl Plan {
    /// A request that follows this is treated so.
    #[inline]
    pub(crate) fn new(
        follows: Carried,
        source: Source,
        treatment: Treatment,
        effects: Effects,
    ) -> Self {
        let (stamps, is_dry, arrival) = (follows, false, Arrival::None);
        Self { follows, source, treatment, effects, stamps, is_dry, arrival }
    }

    /// The request leaves the mesh. What was decided is counted, and nothing is stamped.
    pub(crate) fn leaving(
        decided: Option<(Carried, Reason)>,
        treatment: Treatment,
        effects: Effects,
    ) -> Self {
        Self::new(Carried::Baseline, Source::Left(decided), treatment, effects)
    }

    /// The request arrives at a pod.
    #[inline]
    pub(crate) fn arriving(mut self) -> Self {
        self.arrival = Arrival::Open;
        self
    }

    /// The request passes on to a pod that is still to be chosen.
    pub(crate) fn passing(mut self) -> Self {
        self.arrival = Arrival::Later;
        self
    }

    /// Settles what depends on the whole proxy.
    #[inline]
    pub(crate) fn settle(
        &mut self,
        facts: &mut impl Facts,
        view: &View<'_>,
        names: &Names,
        arrivals: &Arrivals,
        mode: Mode,
    ) {
        let Mode { mut expose, mut enforce, dry_run } = mode;
        let decided = match self.source {
            Source::Decided(reason) => Some((self.follows, reason)),
            Source::Left(decided) => decided,
            Source::Carried(_) | Source::Unsaid | Source::Neutral => None,
        };
        if let Some((follows, reason)) = decided {
            facts.explain(Step::Decided { track: names.label(follows), reason });
        }
        if let Source::Left(_) = self.source {
            facts.explain(Step::LeavesTheMesh);
        }
        if dry_run {
            // What was decided is not followed, and nothing is stamped or given to anybody; what a
            // client sent is removed all the same.
            if matches!(self.source, Source::Decided(reason) if reason != Reason::Trusted) {
                self.stamps = Carried::Baseline;
            }
            self.is_dry = true;
            self.treatment = self.treatment.without_stamps();
            self.effects.give_nothing();
            (expose, enforce) = (false, false);
        }
        if let (Source::Decided(reason), Carried::Track(_)) = (self.source, self.stamps)
            && expose
        {
            self.effects.of_response().expose(names.label(self.stamps), reason);
        }
        if self.arrival == Arrival::Open {
            self.arrival = match arrivals.outcome(view, self.stamps) {
                None => Arrival::None,
                Some(outcome) => {
                    facts.explain(Step::Arrived { track: names.label(self.stamps), outcome });
                    match outcome {
                        Outcome::Crossed | Outcome::Mirrored if enforce => {
                            Arrival::Refused(outcome)
                        }
                        Outcome::Match
                        | Outcome::Baseline
                        | Outcome::Crossed
                        | Outcome::Stray
                        | Outcome::Fallback
                        | Outcome::Mirrored => Arrival::Counted(outcome),
                    }
                }
            };
        }
    }
}

/// What else comes of deciding: for most requests, nothing.
#[derive(Debug, Default)]
pub(crate) struct Effects(pub(super) Option<Box<Rare>>);

#[derive(Debug, Default)]
pub(super) struct Rare {
    /// The request's new `:path`.
    pub(super) path: Option<Vec<u8>>,
    /// The request's new `cookie`.
    pub(super) cookie: Option<Vec<u8>>,
    pub(super) response: Additions,
    /// Dry tracks that would have been followed.
    pub(super) passed_over: Vec<(Carried, Reason)>,
    /// What is counted besides.
    pub(super) events: Vec<Event>,
    /// A hit in the memory.
    pub(super) renewal: Option<Renewal>,
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

    pub(crate) fn happen(&mut self, event: Event) {
        self.rare().events.push(event);
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
