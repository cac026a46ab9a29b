//! Preview links, for testers without an account: a request that brings a valid token sees the
//! track that the token is for.

use super::identity::redirected_internally;
use super::set_cookie::Scope;
use super::token::{Token, Tokens};
use crate::carrier::view::View;
use crate::host::Facts;
use crate::host::explain::{Place, Step};
use crate::istio::cluster::{Egress, Leads};
use crate::plan::Effects;
use crate::syntax::{cookie, target};
use crate::track::{Carried, Names};
use crate::vocabulary::Event;

/// Whom a request's preview is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) names: &'a Names,
    pub(super) egress: &'a Egress,
    /// Only gateways set cookies.
    pub(super) sets_cookies: bool,
    /// A track that is believed came with the request. A cookie may be older than that, and only
    /// a link says otherwise.
    pub(super) is_decided: bool,
}

/// What a request's preview says.
#[derive(Debug)]
pub(super) struct Preview<'a> {
    pub(super) says: Carried,
    token: &'a [u8],
    /// Seconds for which it is valid.
    rest: u64,
    place: Place,
    leads: Leads,
}

/// In place of a token: the preview ends.
const OFF: &[u8] = b"off";

impl Tokens {
    /// What the request's preview says, link before cookie. The application never sees the
    /// parameter.
    #[inline(never)]
    pub(super) fn visit<'a>(
        &self,
        facts: &mut impl Facts,
        view: &View<'a>,
        asked: Asked<'_>,
        effects: &mut Effects,
    ) -> Option<Preview<'a>> {
        let path = view.headers.first(b":path").unwrap_or_default();
        let link = target::parameter(target::split(path).1, self.parameter.as_bytes());
        let name = self.cookie.name.as_bytes();
        let pairs = view.headers.lines(b"cookie").flat_map(cookie::pairs);
        let cookies: Vec<&[u8]> =
            pairs.filter(|(known, _)| *known == name).map(|(_, token)| token).collect();
        if link.is_none() && cookies.is_empty() {
            return None;
        }
        let leads = asked.egress.leads(facts);
        if leads == Leads::Outside {
            return None;
        }
        // A redirect, or a response of the proxy itself, may need the path as it came.
        if link.is_some() && leads == Leads::Inside {
            effects.set_path(target::without_parameter(path, self.parameter.as_bytes()));
        }
        let now = facts.now_ms().ok()? / 1000;
        let names = asked.names;
        if let Some(token) = link.filter(|link| *link != OFF) {
            let valid = self.valid(names, token, now);
            let track = valid.map(|(says, _)| names.label(says));
            facts.explain(Step::Token { place: Place::Link, track });
            if let Some((says, rest)) = valid {
                return Some(Preview { says, token, rest, place: Place::Link, leads });
            }
            effects.happen(Event::TokenInvalid);
        }
        // In a cookie only where the first pass of a request left it there.
        let is_off = |token: &&[u8]| *token == OFF && redirected_internally(view);
        if link == Some(OFF) || cookies.iter().any(is_off) {
            facts.explain(Step::PreviewEnds);
            let is_kept = link.is_some() && asked.sets_cookies && !cookies.is_empty();
            if is_kept && leads == Leads::Inside {
                effects.set_cookie(self.joined(view, OFF));
            }
            self.clear(facts, view, asked, effects, leads);
            return None;
        }
        if cookies.is_empty() || asked.is_decided && !asked.sets_cookies {
            return None;
        }
        let mut cookies = cookies.into_iter();
        let valid =
            cookies.find_map(|token| self.valid(names, token, now).map(|valid| (token, valid)));
        let track = valid.map(|(_, (says, _))| names.label(says));
        facts.explain(Step::Token { place: Place::Cookie, track });
        if valid.is_none() {
            self.clear(facts, view, asked, effects, leads);
            effects.happen(Event::TokenInvalid);
        }
        let (token, (says, rest)) = valid?;
        Some(Preview { says, token, rest, place: Place::Cookie, leads })
    }

    /// What a token says, and for how many seconds, if its track is still there.
    fn valid(&self, names: &Names, token: &[u8], now: u64) -> Option<(Carried, u64)> {
        let Token { track, rest } = self.verify(token, now)?;
        match names.read(track)? {
            Carried::Other => None,
            says @ (Carried::Track(_) | Carried::Baseline) => Some((says, rest)),
        }
    }

    /// Keeps a preview that is followed for the rest of its life.
    ///
    /// Envoy may redirect the request internally, and it then passes the filter anew, without the
    /// link. So the request bears the cookie too, and its last response is the one that sets it.
    pub(super) fn keep(
        &self,
        facts: &mut impl Facts,
        view: &View<'_>,
        asked: Asked<'_>,
        effects: &mut Effects,
        preview: &Preview<'_>,
    ) {
        let Preview { token, rest, place, leads, .. } = *preview;
        let is_link = place == Place::Link;
        if !asked.sets_cookies || !is_link && !redirected_internally(view) {
            return;
        }
        if is_link && leads == Leads::Inside {
            effects.set_cookie(self.joined(view, token));
        }
        self.set(facts, view, effects, leads, token, rest);
    }

    fn clear(
        &self,
        facts: &mut impl Facts,
        view: &View<'_>,
        asked: Asked<'_>,
        effects: &mut Effects,
        leads: Leads,
    ) {
        if asked.sets_cookies {
            self.set(facts, view, effects, leads, b"", 0);
        }
    }

    fn set(
        &self,
        facts: &mut impl Facts,
        view: &View<'_>,
        effects: &mut Effects,
        leads: Leads,
        token: &[u8],
        max_age: u64,
    ) {
        let (name, token) = (&self.cookie.name, token.escape_ascii());
        self.cookie.set(facts, view, effects, leads, |Scope { place, site }| {
            format!("{name}={token}; Max-Age={max_age}; {place}; HttpOnly; {site}")
        });
    }

    /// The request's Cookie with this token alone.
    fn joined(&self, view: &View<'_>, token: &[u8]) -> Vec<u8> {
        let name = self.cookie.name.as_bytes();
        cookie::with(cookie::without(view.headers.lines(b"cookie"), name), name, token)
    }
}
