//! Deciding which track a request follows, where it enters: a preview link, a carrier that is
//! believed, a rule, a share; the first that says something.

pub mod identity;
mod preview;
pub mod rules;
pub mod set_cookie;
pub mod share;
pub mod token;

use crate::carrier::view::{Extracted, View};
use crate::guard::Guards;
use crate::host::Facts;
use crate::host::explain::Step;
use crate::istio::cluster::{Egress, Leads};
use crate::plan::Effects;
use crate::syntax::cookie;
use crate::track::{Carried, Names, TrackId};
use crate::vocabulary::{Event, Reason};
use identity::Identity;
use preview::Asked;
use rules::{Held, Rules, Take};
use set_cookie::Cookie;
use share::{Share, Shares};
use token::Tokens;

/// What decides, under one configuration.
#[derive(Debug)]
pub(crate) struct Decider {
    pub(crate) names: Names,
    pub(crate) rules: Rules,
    pub(crate) shares: Shares,
    /// What may have stopped them.
    pub(crate) guards: Guards,
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

/// Whose request it is, for shares: found out once for a request, if any share is looked at.
#[derive(Debug)]
struct Client<'a> {
    found: Option<&'a [u8]>,
    /// It had no identity, and is given this one.
    minted: Option<String>,
    /// The time that shares go by, in milliseconds of the Unix epoch.
    now_ms: u64,
}

impl Client<'_> {
    fn identity(&self) -> Option<&[u8]> {
        self.found.or(self.minted.as_deref().map(str::as_bytes))
    }
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
                tokens.keep(facts, view, asked, effects, &preview);
                return (preview.says, Reason::Preview);
            }
        }
        if let Some(carried) = carried {
            return (carried.says, Reason::Trusted);
        }
        let mut client = None;
        let matched = self.rules.first(facts, view.headers, &self.names, |facts, held| {
            if let Some(share) = held.share
                && !self.rule_takes(facts, view, egress, effects, &mut client, held, share)
            {
                return Take::NotIt;
            }
            match self.takes(facts, Carried::Track(held.track), Reason::Match, effects) {
                true => Take::It,
                false => Take::NotItsTrack,
            }
        });
        if self.rules.was_too_long() {
            effects.happen(Event::RegexLimit);
        }
        if let Some(track) = matched {
            return (Carried::Track(track), Reason::Match);
        }
        if let Some(track) = self.share(facts, view, egress, effects, client)
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

    /// The track in whose share the request's identity lies, unless its guard has stopped that.
    #[inline(never)]
    fn share(
        &self,
        facts: &mut impl Facts,
        view: &View<'_>,
        egress: &Egress,
        effects: &mut Effects,
        client: Option<Client<'_>>,
    ) -> Option<TrackId> {
        if !self.shares.are_of_tracks() {
            return None;
        }
        let client = client.unwrap_or_else(|| self.identify(facts, view, egress, effects));
        let identity = client.identity();
        let track = identity.and_then(|identity| self.shares.track_of(identity, client.now_ms));
        facts.explain(Step::Identity {
            identity,
            is_new: client.minted.is_some(),
            track: track.map(|track| self.names.of(track)),
        });
        track.filter(|track| !self.guards.stop(facts, &self.names, *track))
    }

    /// Whether a rule that holds takes the request into its share, too.
    #[inline(never)]
    #[expect(clippy::too_many_arguments, reason = "what is known of the request, and the rule")]
    fn rule_takes<'a>(
        &self,
        facts: &mut impl Facts,
        view: &View<'a>,
        egress: &Egress,
        effects: &mut Effects,
        client: &mut Option<Client<'a>>,
        Held { track, rule, .. }: Held,
        share: Share,
    ) -> bool {
        let client = &*client.get_or_insert_with(|| self.identify(facts, view, egress, effects));
        let identity = client.identity();
        let lies = identity
            .is_some_and(|identity| self.shares.rule_takes(track, share, identity, client.now_ms));
        facts.explain(Step::RuleShare {
            track: self.names.of(track),
            rule,
            identity,
            is_new: client.minted.is_some(),
            lies,
        });
        lies && !self.guards.stop(facts, &self.names, track)
    }

    /// Whose request it is. A client that opens a page without an identity is given one, and the
    /// page is decided by it already.
    fn identify<'a>(
        &self,
        facts: &mut impl Facts,
        view: &View<'a>,
        egress: &Egress,
        effects: &mut Effects,
    ) -> Client<'a> {
        let found = self.identity.find(view);
        let again = found.and_then(|found| identity::may_be_new(view, found));
        let mut minted = None;
        if self.gives_identities
            && (found.is_none() || again.is_some())
            && let Some(page) = self.identity.of_page(view)
        {
            minted = self.give(facts, view, egress, effects, page, again);
        }
        // A ramp whose clock fails stands at its start.
        let moves = self.shares.move_with_the_clock();
        let now_ms = if moves { facts.now_ms().unwrap_or_default() } else { 0 };
        Client { found, minted, now_ms }
    }

    /// Gives a client that opens a page an identity: a new one, or the one that it was given as this
    /// request came by before. The request bears it too, so that the page and the calls that it
    /// makes agree.
    #[cold]
    fn give(
        &self,
        facts: &mut impl Facts,
        view: &View<'_>,
        egress: &Egress,
        effects: &mut Effects,
        page: &Cookie,
        again: Option<&str>,
    ) -> Option<String> {
        let leads = egress.leads(facts);
        if leads == Leads::Outside {
            return None;
        }
        let id = match again {
            Some(id) => id.to_owned(),
            None => identity::new(facts.random().ok()?),
        };
        let line = |scope| identity::line(page, &id, scope);
        if !page.set(facts, view, effects, leads, line) || again.is_some() {
            return None;
        }
        let cookies = view.headers.lines(b"cookie").collect::<Vec<_>>().join(&b"; "[..]);
        effects.set_cookie(cookie::with(cookies, page.name.as_bytes(), id.as_bytes()));
        Some(id)
    }
}
