//! What the edge adds to a request's response.

use crate::host::header_map::HeaderMap;
use crate::track::Carried;
use crate::vocabulary::Reason;

/// Decided with the request, kept until its response comes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// What the request follows, if that was decided here.
    pub(super) decided: Option<Carried>,
    /// What the request follows that passes a waypoint, if that is not baseline.
    pub(super) passes: Option<Carried>,
    /// The header was written, so that the proxy chose the route again.
    pub(super) is_stamped: bool,
    pub(super) additions: Additions,
}

impl Response {
    /// Whether the request left nothing to be done with its response.
    #[inline]
    pub(crate) fn is_done(&self) -> bool {
        self.decided.is_none() && self.passes.is_none() && !self.is_stamped
    }

    /// What the request follows, if that was decided here.
    pub(crate) fn decided(&self) -> Option<Carried> {
        self.decided
    }

    /// Values of Set-Cookie that the response is given.
    pub fn cookies(&self) -> &[String] {
        if self.decided.is_some() { &self.additions.cookies } else { &[] }
    }
}

/// What a response is given. For most it is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Additions {
    /// Values of Set-Cookie. A response that sets one is for this client alone.
    pub(super) cookies: Vec<String>,
    /// `TRACK; reason=REASON`
    pub(super) exposed: Option<String>,
}

impl Additions {
    /// Sets a cookie: `NAME=VALUE; ATTRIBUTES` (RFC 6265 section 4.1).
    pub(crate) fn set_cookie(&mut self, cookie: String) {
        self.cookies.push(cookie);
    }

    pub(super) fn expose(&mut self, track: &str, reason: Reason) {
        self.exposed = Some(format!("{track}; reason={}", reason.label()));
    }

    pub(super) fn are_private(&self) -> bool {
        !self.cookies.is_empty()
    }
}

/// The lists among a response's headers that have to say more than they do: name and value.
pub(super) fn merged<'a>(
    headers: &'a HeaderMap<'_>,
    additions: &Additions,
    vary: &[Box<str>],
) -> Vec<(&'a [u8], Vec<u8>)> {
    let list = |name: &[u8]| headers.lines(name).collect::<Vec<_>>().join(&b","[..]);
    let mut merged = Vec::new();
    if additions.are_private() {
        let mut controls: Vec<&[u8]> = vec![b"cache-control"];
        for (name, _) in headers.iter().filter(|(name, _)| is_targeted(name)) {
            if !controls.contains(&name) {
                controls.push(name);
            }
        }
        merged.extend(controls.iter().filter_map(|name| Some((*name, private(&list(name))?))));
    }
    merged.extend(merge_vary(&list(b"vary"), vary).map(|value| (&b"vary"[..], value)));
    merged
}

/// Headers that some caches go by in place of Cache-Control: RFC 9213 (`CDN-Cache-Control`, and a
/// vendor's own of such a name), and `Surrogate-Control` before it.
fn is_targeted(name: &[u8]) -> bool {
    name.ends_with(b"-cache-control") || name == b"surrogate-control"
}

/// RFC 9110 section 12.5.5: `vary` with these names added; `None` where it says so already.
fn merge_vary(list: &[u8], names: &[Box<str>]) -> Option<Vec<u8>> {
    let mut merged = list.to_vec();
    let items: Vec<&[u8]> = items(list).collect();
    let known = |name: &str| items.iter().any(|item| item.eq_ignore_ascii_case(name.as_bytes()));
    if known("*") {
        return None;
    }
    for name in names.iter().filter(|name| !known(name)) {
        if !merged.is_empty() {
            merged.extend(b", ");
        }
        merged.extend(name.as_bytes());
    }
    (merged != list).then_some(merged)
}

/// RFC 9111 section 5.2.2: no shared cache may keep the response. `None` where it says so already;
/// `private="NAMES"` does not, it is about those headers alone.
fn private(list: &[u8]) -> Option<Vec<u8>> {
    let name = |item: &[u8]| {
        item.split(|b| *b == b'=').next().unwrap_or_default().trim_ascii().to_ascii_lowercase()
    };
    let mut kept: Vec<&[u8]> = items(list).collect();
    if kept.iter().any(|item| matches!(&*item.to_ascii_lowercase(), b"private" | b"no-store")) {
        return None;
    }
    kept.retain(|item| !matches!(&*name(item), b"public" | b"s-maxage"));
    kept.push(b"private");
    Some(kept.join(&b", "[..]))
}

fn items(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|b| *b == b',').map(<[u8]>::trim_ascii).filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: Option<Vec<u8>>) -> Option<String> {
        bytes.map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn vary_is_merged() {
        let names: [Box<str>; 2] = ["cookie".into(), "x-group".into()];
        let merged = |list: &str| text(merge_vary(list.as_bytes(), &names));
        assert_eq!(merged("").unwrap(), "cookie, x-group");
        assert_eq!(merged("Accept-Encoding").unwrap(), "Accept-Encoding, cookie, x-group");
        assert_eq!(merged("X-Group , Cookie"), None);
        assert_eq!(merged("Cookie").unwrap(), "Cookie, x-group");
        assert_eq!(merged("*"), None);
        assert_eq!(text(merge_vary(b"Accept", &[])), None);
    }

    #[test]
    fn a_shared_cache_may_not_keep_it() {
        let private = |list: &str| text(private(list.as_bytes()));
        assert_eq!(private("").unwrap(), "private");
        assert_eq!(private("public, max-age=60, s-maxage=5").unwrap(), "max-age=60, private");
        assert_eq!(private("Private, max-age=1"), None);
        assert_eq!(private("private=\"x\"").unwrap(), "private=\"x\", private");
        assert_eq!(private("no-store"), None);
    }
}
