//! Telling clients apart, for shares: whose request this is, and a new id where it is nobody's.

use crate::answer::Answer;
use crate::carrier::Edit;
use crate::config::Identity;
use crate::cookie;
use crate::egress::Leads;
use crate::host::Host;
use crate::instance::{Instance, apply};
use crate::node::Kind;
use crate::request::Request;
use crate::uri;

/// One year, in seconds.
const MAX_AGE: u32 = 365 * 24 * 60 * 60;

/// The request's identity; an empty one is none.
pub(crate) fn find<'a>(instance: &Instance, request: &Request<'a>) -> Option<&'a [u8]> {
    let headers = request.headers;
    let found = match &instance.config.identity {
        Identity::Cookie(name) => headers
            .lines(b"cookie")
            .flat_map(cookie::pairs)
            .find(|(n, value)| *n == name.as_bytes() && !value.is_empty())
            .map(|(_, value)| value),
        Identity::Header(name) => headers.first(name.as_bytes()),
        Identity::QueryParam(name) => headers
            .first(b":path")
            .and_then(|path| uri::parameter(uri::split(path).1, name.as_bytes())),
    };
    found.filter(|identity| !identity.is_empty())
}

/// A new identity for a client that opens a page. It is in this request's Cookie too, so that the
/// page and the calls that it makes agree. None is made for a dry run, nor for another's pages.
pub(crate) fn mint(
    instance: &Instance,
    host: &mut impl Host,
    request: &Request<'_>,
    answer: &mut Answer,
) -> Option<String> {
    let Identity::Cookie(name) = &instance.config.identity else { return None };
    let config = &instance.config;
    let dry = config.dry_run || config.shares.tracks().all(|track| config.is_dry(track));
    if instance.node.kind != Kind::Gateway || dry || !opens_a_page(request) {
        return None;
    }
    if instance.leads(host) == Leads::Outside {
        return None;
    }
    let id = format!("{:032x}", u128::from_be_bytes(host.random().ok()?));
    let mut line = request.headers.lines(b"cookie").collect::<Vec<_>>().join(&b"; "[..]);
    if !line.is_empty() {
        line.extend(b"; ");
    }
    line.extend(format!("{name}={id}").as_bytes());
    apply(host, b"cookie", Edit::Set(line));
    let secure = secure(request);
    answer.cookies.push(format!("{name}={id}; Path=/; Max-Age={MAX_AGE}; SameSite=Lax{secure}"));
    answer.private = true;
    Some(id)
}

/// The attribute of a cookie that is set by an answer to this request.
pub(crate) fn secure(request: &Request<'_>) -> &'static str {
    let by_tls = request
        .headers
        .first(b"x-forwarded-proto")
        .is_some_and(|proto| proto.eq_ignore_ascii_case(b"https"));
    if by_tls { "; Secure" } else { "" }
}

/// A GET that asks for `text/html`: a person goes to a page.
fn opens_a_page(request: &Request<'_>) -> bool {
    let is_html = |range: &[u8]| {
        let media_type = range.split(|b| *b == b';').next().unwrap_or_default();
        media_type.trim_ascii().eq_ignore_ascii_case(b"text/html")
    };
    request.headers.first(b":method") == Some(b"GET")
        && request.headers.lines(b"accept").any(|line| line.split(|b| *b == b',').any(is_html))
}
