//! Preview links, for testers without an account: a request that brings a valid token sees the
//! track that the token is for.

use super::identity;
use super::token::{Token, Tokens};
use crate::carrier::view::View;
use crate::host::Facts;
use crate::host::explain::{Place, Step};
use crate::istio::cluster::{Egress, Leads};
use crate::plan::Effects;
use crate::syntax::{cookie, target};
use crate::track::{Carried, Names};

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
pub(super) struct Preview {
    pub(super) says: Carried,
    /// The cookie that keeps a link for the rest of its life.
    pub(super) kept: Option<String>,
}

impl Tokens {
    /// What the request's preview says, link before cookie. The application never sees the
    /// parameter.
    #[inline(never)]
    pub(super) fn visit(
        &self,
        facts: &mut impl Facts,
        view: &View<'_>,
        asked: Asked<'_>,
        effects: &mut Effects,
    ) -> Option<Preview> {
        let path = view.headers.first(b":path").unwrap_or_default();
        let link = target::parameter(target::split(path).1, self.parameter.as_bytes());
        let mut cookies = view
            .headers
            .lines(b"cookie")
            .flat_map(cookie::pairs)
            .filter(|(name, _)| *name == self.cookie.as_bytes())
            .map(|(_, token)| token)
            .peekable();
        if link.is_none() && cookies.peek().is_none() {
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
        if let Some(token) = link {
            if token == b"off" {
                facts.explain(Step::PreviewEnds);
                self.clear(view, asked, effects);
                return None;
            }
            let valid = self.valid(names, token, now);
            let track = valid.map(|(says, _)| names.label(says));
            facts.explain(Step::Token { place: Place::Link, track });
            if let Some((says, rest)) = valid {
                let token = token.escape_ascii().to_string();
                let kept = asked.sets_cookies.then(|| self.set_cookie(view, &token, rest));
                return Some(Preview { says, kept });
            }
            effects.invalid_token();
        }
        if asked.is_decided && !asked.sets_cookies {
            return None;
        }
        cookies.peek()?;
        let valid = cookies.find_map(|token| self.valid(names, token, now));
        let track = valid.map(|(says, _)| names.label(says));
        facts.explain(Step::Token { place: Place::Cookie, track });
        if valid.is_none() {
            self.clear(view, asked, effects);
            effects.invalid_token();
        }
        valid.map(|(says, _)| Preview { says, kept: None })
    }

    /// What a token says, and for how many seconds, if its track is still there.
    fn valid(&self, names: &Names, token: &[u8], now: u64) -> Option<(Carried, u64)> {
        let Token { track, rest } = self.verify(token, now)?;
        match names.read(track)? {
            Carried::Other => None,
            says @ (Carried::Track(_) | Carried::Baseline) => Some((says, rest)),
        }
    }

    fn clear(&self, view: &View<'_>, asked: Asked<'_>, effects: &mut Effects) {
        if asked.sets_cookies {
            effects.of_response().set_cookie(self.set_cookie(view, "", 0));
        }
    }

    fn set_cookie(&self, view: &View<'_>, value: &str, max_age: u64) -> String {
        let (name, secure) = (&self.cookie, identity::secure(view));
        format!("{name}={value}; Max-Age={max_age}; Path=/; HttpOnly; SameSite=Lax{secure}")
    }
}
