//! The cookies that responses set, and their attributes (RFC 6265 section 4.1.2; `SameSite` and what it
//! asks of `Secure`: RFC 6265bis section 4.1.2.7; `Partitioned`: CHIPS).
//!
//! A cookie is cleared with the attributes that it was set with: a browser takes it for another one
//! otherwise.

use crate::carrier::view::View;
use crate::host::Facts;
use crate::host::explain::Step;
use crate::istio::cluster::Leads;
use crate::plan::Effects;
use crate::vocabulary::Event;
use serde::Deserialize;

/// A cookie that is set.
#[derive(Debug)]
pub struct Cookie {
    pub name: Box<str>,
    pub attributes: Attributes,
}

/// `identity.attributes`, `preview.attributes`
#[derive(Debug)]
pub struct Attributes {
    /// In lower case, without a dot at its ends; `None`: the cookie is the request's host's alone.
    pub domain: Option<Box<str>>,
    pub path: Box<str>,
    pub same_site: SameSite,
    pub partitioned: bool,
}

impl Default for Attributes {
    fn default() -> Self {
        let same_site = SameSite::default();
        Self { domain: None, path: "/".into(), same_site, partitioned: false }
    }
}

/// When other sites' requests bear a cookie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema, serde::Serialize))]
#[serde(rename_all = "camelCase", expecting = "lax, strict or none")]
pub enum SameSite {
    /// Where a person goes to a page.
    #[default]
    Lax,
    /// Never.
    Strict,
    /// Always.
    None,
}

/// The attributes of a cookie that the response to one request sets.
#[derive(Debug)]
pub(super) struct Scope {
    /// `Path=PATH[; Domain=DOMAIN]`
    pub(super) place: String,
    /// `SameSite=SITE[; Secure][; Partitioned]`
    pub(super) site: String,
}

impl Cookie {
    /// One of this name, with the attributes that are there by default.
    pub fn named(name: &str) -> Self {
        Self { name: name.into(), attributes: Attributes::default() }
    }

    /// Has the response set it: `line` makes the whole of it. `false` if it may not be set at all.
    ///
    /// Without TLS a browser takes no cookie with some attributes, and with weaker ones it would
    /// keep that, so that the right one is never set. That is no news where the proxy responds
    /// itself, for most such responses are redirects to TLS. A host may set none for a domain that
    /// it is not under: it gets one for itself.
    pub(super) fn set(
        &self,
        facts: &mut impl Facts,
        view: &View<'_>,
        effects: &mut Effects,
        leads: Leads,
        line: impl FnOnce(Scope) -> String,
    ) -> bool {
        let Attributes { domain, path, same_site, partitioned } = &self.attributes;
        let mut happens = |event| {
            facts.explain(Step::Cookie { name: &self.name, event });
            effects.happen(event);
        };
        let is_secure = is_secure(view);
        if !is_secure && (*same_site == SameSite::None || *partitioned) {
            if leads == Leads::Inside {
                happens(Event::CookieWithoutTls);
            }
            return false;
        }
        let authority = view.headers.first(b":authority").unwrap_or_default();
        let place = match domain {
            Some(domain) if is_under(authority, domain) => format!("Path={path}; Domain={domain}"),
            Some(_) => {
                happens(Event::CookieOutsideDomain);
                format!("Path={path}")
            }
            None => format!("Path={path}"),
        };
        let site = match same_site {
            SameSite::Lax => "Lax",
            SameSite::Strict => "Strict",
            SameSite::None => "None",
        };
        let secure = if is_secure { "; Secure" } else { "" };
        let jar = if *partitioned { "; Partitioned" } else { "" };
        let site = format!("SameSite={site}{secure}{jar}");
        effects.of_response().set_cookie(line(Scope { place, site }));
        true
    }

    /// Whether clients bring the cookie along when they ask for this path (RFC 6265 section 5.1.4).
    pub(super) fn covers(&self, path: &[u8]) -> bool {
        let own = self.attributes.path.as_bytes();
        match path.strip_prefix(own) {
            Some(rest) => own.ends_with(b"/") || rest.is_empty() || rest.starts_with(b"/"),
            None => false,
        }
    }
}

/// The request came by TLS.
fn is_secure(view: &View<'_>) -> bool {
    let proto = view.headers.first(b"x-forwarded-proto");
    proto.is_some_and(|proto| proto.eq_ignore_ascii_case(b"https"))
}

/// Whether a host, perhaps with a port, is this domain or one below it (RFC 6265 section 5.1.3).
fn is_under(authority: &[u8], domain: &str) -> bool {
    let host = authority.split(|b| *b == b':').next().unwrap_or_default();
    let Some(at) = host.len().checked_sub(domain.len()) else { return false };
    let (below, end) = host.split_at_checked(at).unwrap_or_default();
    end.eq_ignore_ascii_case(domain.as_bytes()) && (below.is_empty() || below.ends_with(b"."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_under_its_own_domain_and_those_above_it() {
        for (authority, domain, want) in [
            ("app.example", "app.example", true),
            ("App.Example:8443", "app.example", true),
            ("api.app.example", "app.example", true),
            ("xapp.example", "app.example", false),
            ("app.example.evil", "app.example", false),
            ("example", "app.example", false),
            ("[::1]:80", "app.example", false),
            ("", "app.example", false),
        ] {
            assert_eq!(is_under(authority.as_bytes(), domain), want, "{authority} {domain}");
        }
    }

    #[test]
    fn a_path_covers_what_is_below_it() {
        let covers = |own: &str, path: &str| {
            let attributes = Attributes { path: own.into(), ..Attributes::default() };
            Cookie { name: "c".into(), attributes }.covers(path.as_bytes())
        };
        assert!(
            covers("/", "/") && covers("/", "/a") && covers("/a", "/a") && covers("/a", "/a/b")
        );
        assert!(covers("/a/", "/a/b"));
        assert!(!covers("/a", "/ab") && !covers("/a", "/") && !covers("/a/", "/a"));
    }
}
