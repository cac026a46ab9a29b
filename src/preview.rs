//! Preview links, for testers without an account: a request that brings a valid token sees the
//! track that the token is for.

use crate::answer::Answer;
use crate::carrier::Edit;
use crate::cookie;
use crate::egress::Leads;
use crate::host::Host;
use crate::identity;
use crate::instance::{Instance, apply};
use crate::metrics::Event;
use crate::node::Kind;
use crate::request::Request;
use crate::step::Step;
use crate::token::{Token, Tokens};
use crate::track::Carried;
use crate::uri;

/// What a request's preview says, link before cookie. A valid link is kept in a cookie for the
/// rest of its life; the application never sees the parameter.
///
/// What arrives at a sidecar with a track that is believed (`decided`) has been decided: the
/// cookie may be older than that, and only a link says otherwise.
pub(crate) fn visit(
    instance: &Instance,
    host: &mut impl Host,
    request: &Request<'_>,
    decided: bool,
    answer: &mut Answer,
) -> Option<Carried> {
    let preview = instance.preview.as_ref()?;
    let target = request.headers.first(b":path").unwrap_or_default();
    let link = uri::parameter(uri::split(target).1, preview.parameter.as_bytes());
    let mut cookies = request
        .headers
        .lines(b"cookie")
        .flat_map(cookie::pairs)
        .filter(|(name, _)| *name == preview.cookie.as_bytes())
        .map(|(_, token)| token)
        .peekable();
    if link.is_none() && cookies.peek().is_none() {
        return None;
    }
    let leads = instance.leads(host);
    if leads == Leads::Outside {
        return None;
    }
    // A redirect, or an answer of the proxy itself, may need the path as it came.
    if link.is_some() && leads == Leads::Inside {
        let path = uri::without_parameter(target, preview.parameter.as_bytes());
        apply(host, b":path", Edit::Set(path));
    }
    let now = host.now_ms().ok()? / 1000;
    let secure = identity::secure(request);
    let mut set = |value: &str, max_age: u64| {
        // Only gateways set cookies, and no dry run does.
        if instance.node.kind == Kind::Gateway && !instance.config.dry_run {
            let name = &preview.cookie;
            let attributes = "Path=/; HttpOnly; SameSite=Lax";
            answer.cookies.push(format!("{name}={value}; Max-Age={max_age}; {attributes}{secure}"));
            answer.private = true;
        }
    };
    if let Some(token) = link {
        if token == b"off" {
            host.explain(Step::PreviewEnds);
            set("", 0);
            return None;
        }
        let valid = valid(preview, instance, token, now);
        let track = valid.map(|(says, _)| instance.label(says));
        host.explain(Step::Token { place: "link", track });
        match valid {
            Some((says, rest)) => {
                if !instance.is_dry(says) {
                    set(&token.escape_ascii().to_string(), rest);
                }
                return Some(says);
            }
            None => instance.metrics.happened(host, Event::TokenInvalid),
        }
    }
    if decided && instance.node.kind == Kind::Sidecar {
        return None;
    }
    cookies.peek()?;
    let valid = cookies.find_map(|token| valid(preview, instance, token, now));
    host.explain(Step::Token {
        place: "cookie",
        track: valid.map(|(says, _)| instance.label(says)),
    });
    if valid.is_none() {
        set("", 0);
        instance.metrics.happened(host, Event::TokenInvalid);
    }
    valid.map(|(says, _)| says)
}

/// What a token says, and for how many seconds, if its track is still there.
fn valid(tokens: &Tokens, instance: &Instance, token: &[u8], now: u64) -> Option<(Carried, u64)> {
    let Token { track, rest } = tokens.verify(token, now)?;
    match instance.config.names.read(track)? {
        Carried::Other => None,
        says => Some((says, rest)),
    }
}
