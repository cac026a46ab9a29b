//! Telling clients apart, for shares: whose request this is, and a new id where it is nobody's.

use crate::carrier::view::View;
use crate::syntax::{cookie, target};

/// One year, in seconds.
const MAX_AGE: u32 = 365 * 24 * 60 * 60;

/// Where a request's identity stands, which shares hash.
#[derive(Debug)]
pub enum Identity {
    /// It is set where it is missing.
    Cookie(Box<str>),
    /// Lower case.
    Header(Box<str>),
    QueryParam(Box<str>),
}

/// A new identity for a client that opens a page.
#[derive(Debug)]
pub(super) struct Minted {
    pub(super) id: String,
    /// The request's Cookie with the identity in it, so that the page and the calls that it makes
    /// agree.
    pub(super) cookie: Vec<u8>,
    /// The response's Set-Cookie.
    pub(super) set_cookie: String,
}

impl Identity {
    /// The request's identity; an empty one is none.
    pub(super) fn find<'a>(&self, view: &View<'a>) -> Option<&'a [u8]> {
        let headers = view.headers;
        let found = match self {
            Self::Cookie(name) => headers
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

    /// Whether a client that opens a page without an identity can be given one.
    pub(super) fn can_be_given(&self, view: &View<'_>) -> bool {
        matches!(self, Self::Cookie(_)) && opens_a_page(view)
    }

    /// The Set-Cookie of an identity that this very request may have been given, where Envoy
    /// redirects it internally (`ConnectionManagerImpl::ActiveStream::recreateStream`): the request
    /// passes the filter anew, with the cookie that was added to it, and what its first response
    /// was to be given is lost. A client that had the identity before gets it once more.
    pub(super) fn give_again(&self, view: &View<'_>, id: &[u8]) -> Option<String> {
        if !redirected_internally(view) || !self.can_be_given(view) {
            return None;
        }
        let is_minted = id.len() == 32 && id.iter().all(u8::is_ascii_hexdigit);
        let id = std::str::from_utf8(id).ok().filter(|_| is_minted)?;
        self.set_cookie(view, id)
    }

    fn set_cookie(&self, view: &View<'_>, id: &str) -> Option<String> {
        let Self::Cookie(name) = self else { return None };
        let secure = secure(view);
        Some(format!("{name}={id}; Path=/; Max-Age={MAX_AGE}; SameSite=Lax{secure}"))
    }

    /// The cookie that gives a client this identity, from 128 random bits.
    pub(super) fn mint(&self, view: &View<'_>, random: [u8; 16]) -> Option<Minted> {
        let Self::Cookie(name) = self else { return None };
        let id = format!("{:032x}", u128::from_be_bytes(random));
        let mut cookie = view.headers.lines(b"cookie").collect::<Vec<_>>().join(&b"; "[..]);
        if !cookie.is_empty() {
            cookie.extend(b"; ");
        }
        cookie.extend(format!("{name}={id}").as_bytes());
        let set_cookie = self.set_cookie(view, &id)?;
        Some(Minted { id, cookie, set_cookie })
    }
}

/// The attribute of a cookie that is set by the response to this request.
pub(super) fn secure(view: &View<'_>) -> &'static str {
    let by_tls = view
        .headers
        .first(b"x-forwarded-proto")
        .is_some_and(|proto| proto.eq_ignore_ascii_case(b"https"));
    if by_tls { "; Secure" } else { "" }
}

/// Envoy adds this header as it redirects a request, and an edge removes it from what clients send
/// (`ConnectionManagerUtility::cleanInternalHeaders`).
fn redirected_internally(view: &View<'_>) -> bool {
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
