//! Telling clients apart, for shares: whose request this is, and a new id where it is nobody's.

use super::set_cookie::{Cookie, Scope};
use crate::carrier::view::View;
use crate::syntax::{cookie, target};

/// One year, in seconds.
const MAX_AGE: u32 = 365 * 24 * 60 * 60;

/// Where a request's identity stands, which shares hash.
#[derive(Debug)]
pub enum Identity {
    /// It is set where it is missing.
    Cookie(Cookie),
    /// Lower case.
    Header(Box<str>),
    QueryParam(Box<str>),
}

impl Identity {
    /// The request's identity; an empty one is none.
    pub(super) fn find<'a>(&self, view: &View<'a>) -> Option<&'a [u8]> {
        let headers = view.headers;
        let found = match self {
            Self::Cookie(Cookie { name, .. }) => headers
                .lines(b"cookie")
                .flat_map(cookie::pairs)
                .find(|(n, value)| *n == name.as_bytes() && !value.is_empty())
                .map(|(_, value)| value),
            Self::Header(name) => headers.first(name.as_bytes()),
            Self::QueryParam(name) => headers
                .first(b":path")
                .and_then(|path| target::parameter(target::split(path).1, name.as_bytes())),
        };
        found.filter(|identity| !identity.is_empty())
    }

    /// The cookie that a client is given with the page that it opens, if it may be without one: a
    /// cookie that its next request for the page does not bear would be another each time.
    pub(super) fn of_page(&self, view: &View<'_>) -> Option<&Cookie> {
        match self {
            Self::Cookie(cookie) if opens_a_page(view) => {
                let path = view.headers.first(b":path").unwrap_or(b"/");
                cookie.covers(target::split(path).0).then_some(cookie)
            }
            Self::Cookie(_) | Self::Header(_) | Self::QueryParam(_) => None,
        }
    }
}

/// The identity that 128 random bits make.
pub(super) fn new(random: [u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(random))
}

/// An identity that this very request may have been given, where Envoy redirects it internally: it
/// passes the filter anew, with the cookie that was added to it, and what its first response was to
/// be given is lost. A client that had the identity before gets it once more.
pub(super) fn may_be_new<'a>(view: &View<'_>, id: &'a [u8]) -> Option<&'a str> {
    let is_ours =
        redirected_internally(view) && id.len() == 32 && id.iter().all(u8::is_ascii_hexdigit);
    std::str::from_utf8(id).ok().filter(|_| is_ours)
}

/// The Set-Cookie of an identity.
pub(super) fn line(cookie: &Cookie, id: &str, Scope { place, site }: Scope) -> String {
    format!("{}={id}; {place}; Max-Age={MAX_AGE}; {site}", cookie.name)
}

/// Whether Envoy has redirected the request itself (`ConnectionManagerImpl::ActiveStream::recreateStream`).
/// It adds this header as it does, and an edge removes it from what clients send
/// (`ConnectionManagerUtility::cleanInternalHeaders`).
pub(super) fn redirected_internally(view: &View<'_>) -> bool {
    view.headers.first(b"x-envoy-original-url").is_some()
}

/// A GET that asks for `text/html`: a person goes to a page.
fn opens_a_page(view: &View<'_>) -> bool {
    let is_html = |range: &[u8]| {
        let media_type = range.split(|b| *b == b';').next().unwrap_or_default();
        media_type.trim_ascii().eq_ignore_ascii_case(b"text/html")
    };
    view.headers.first(b":method") == Some(b"GET")
        && view.headers.lines(b"accept").any(|line| line.split(|b| *b == b',').any(is_html))
}
