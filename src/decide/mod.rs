//! Deciding which track a request follows, where it enters: a preview link, a carrier that is
//! believed, a rule, a share; the first that says something.

pub mod identity;
mod preview;
pub mod rules;
pub mod share;
pub mod token;

use crate::carrier::view::{Extracted, View};
use crate::host::Facts;
use crate::host::explain::Step;
use crate::istio::cluster::{Egress, Leads};
use crate::plan::Effects;
use crate::track::{Carried, Names, TrackId};
use crate::vocabulary::Reason;
use identity::Identity;
use preview::Asked;
use rules::Rules;
use share::Shares;
use token::Tokens;

/// What decides, under one configuration.
#[derive(Debug)]
pub(crate) struct Decider {
    pub(crate) names: Names,
    pub(crate) rules: Rules,
    pub(crate) shares: Shares,
    pub(crate) identity: Identity,
    pub(crate) preview: Option<Tokens>,
    /// By track: its decisions are counted, and the search goes on.
    pub(crate) dry_tracks: Vec<bool>,
    /// Only gateways set cookies.
    pub(crate) sets_cookies: bool,
    /// A client without an identity is given one: some share may be followed.
    pub(crate) gives_identities: bool,
    /// The carriers that a request brings are believed, wherever it comes from.
    pub(crate) trusts: bool,
}

/// What a request follows, why, and what else comes of it.
#[derive(Debug)]
pub(crate) struct Decided {
    pub(crate) follows: Carried,
    pub(crate) reason: Reason,
    pub(crate) effects: Effects,
}

impl Decider {
    /// Decides. `carried` is what a carrier says that is believed here.
    pub(crate) fn decide(
        &self,
        facts: &mut impl Facts,
        view: &View<'_>,
        carried: Option<Extracted>,
        egress: &Egress,
    ) -> Decided {
        let mut effects = Effects::default();
        let (follows, reason) = self.search(facts, view, carried, egress, &mut effects);
        Decided { follows, reason, effects }
    }

    fn search(
        &self,
        facts: &mut impl Facts,
        view: &View<'_>,
        carried: Option<Extracted>,
        egress: &Egress,
        effects: &mut Effects,
    ) -> (Carried, Reason) {
        if let Some(tokens) = &self.preview {
            let asked = Asked {
                names: &self.names,
                egress,
                sets_cookies: self.sets_cookies,
                is_decided: carried.is_some(),
            };
            if let Some(preview) = tokens.visit(facts, view, asked, effects)
                && self.takes(facts, preview.says, Reason::Preview, effects)
            {
                if let Some(cookie) = preview.kept {
                    effects.of_response().set_cookie(cookie);
                }
                return (preview.says, Reason::Preview);
            }
        }
        if let Some(carried) = carried {
            return (carried.says, Reason::Trusted);
        }
        let matched = self.rules.first(facts, view.headers, &self.names, |facts, track| {
            self.takes(facts, Carried::Track(track), Reason::Match, effects)
        });
        if self.rules.was_too_long() {
            effects.meet_regex_limit();
        }
        if let Some(track) = matched {
            return (Carried::Track(track), Reason::Match);
        }
        if let Some(track) = self.share(facts, view, egress, effects)
            && self.takes(facts, Carried::Track(track), Reason::Share, effects)
        {
            return (Carried::Track(track), Reason::Share);
        }
        (Carried::Baseline, Reason::Baseline)
    }

    /// Whether a decision counts. One for a dry track is only counted, once for a request, and the
    /// search goes on.
    fn takes(
        &self,
        facts: &mut impl Facts,
        follows: Carried,
        reason: Reason,
        effects: &mut Effects,
    ) -> bool {
        let is_dry = match follows {
            Carried::Track(track) => self.dry_tracks.get(track.index()).copied().unwrap_or(false),
            Carried::Baseline | Carried::Other => false,
        };
        if is_dry && effects.pass_over(follows, reason) {
            facts.explain(Step::Dry { track: self.names.label(follows), reason });
        }
        !is_dry
    }

    /// The track in whose share the request's identity lies. A client that opens a page without an
    /// identity is given one, and the page is decided by it already.
    #[inline(never)]
    fn share(
        &self,
        facts: &mut impl Facts,
        view: &View<'_>,
        egress: &Egress,
        effects: &mut Effects,
    ) -> Option<TrackId> {
        if self.shares.is_empty() {
            return None;
        }
        let found = self.identity.find(view);
        let gives = found.is_none()
            && self.gives_identities
            && self.identity.can_be_given(view)
            && egress.leads(facts) != Leads::Outside;
        let random = if gives { facts.random().ok() } else { None };
        let minted = random.and_then(|random| self.identity.mint(view, random));
        let identity = found.or(minted.as_ref().map(|minted| minted.id.as_bytes()));
        // A ramp whose clock fails stands at its start.
        let moves = self.shares.move_with_the_clock();
        let now = if moves { facts.now_ms().unwrap_or_default() } else { 0 };
        let track = identity.and_then(|identity| self.shares.track_of(identity, now));
        facts.explain(Step::Identity {
            identity,
            is_new: minted.is_some(),
            track: track.map(|track| self.names.of(track)),
        });
        if let Some(minted) = minted {
            effects.set_cookie(minted.cookie);
            effects.of_response().set_cookie(minted.set_cookie);
        } else if let Some(identity) = identity
            && self.gives_identities
            && let Some(cookie) = self.identity.give_again(view, identity)
            && egress.leads(facts) != Leads::Outside
        {
            effects.of_response().set_cookie(cookie);
        }
        track
    }
}
