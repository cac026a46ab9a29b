//! What the edge has to add to a request's answer.

use crate::host::Host;
use crate::instance::Instance;

/// Decided with the request, kept until its answer comes. For most requests it is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The request was decided here.
    pub at_edge: bool,
    /// Values of Set-Cookie.
    pub cookies: Vec<String>,
    /// The answer is for this client alone.
    pub private: bool,
    /// `TRACK; reason=REASON`
    pub exposed: Option<String>,
}

/// The answer's headers have arrived.
pub(crate) fn complete(instance: &Instance, host: &mut impl Host, answer: &Answer) {
    if !answer.at_edge {
        return;
    }
    for cookie in &answer.cookies {
        let _ = host.add_response_header(b"set-cookie", cookie.as_bytes());
    }
    if let Some(exposed) = &answer.exposed {
        let _ = host.set_response_header(instance.config.header.as_bytes(), exposed.as_bytes());
    }
    let vary = &instance.vary;
    if vary.is_empty() && !answer.private {
        return;
    }
    let Ok(headers) = host.response_headers() else { return };
    let list = |name: &'static [u8]| headers.lines(name).collect::<Vec<_>>().join(&b","[..]);
    if answer.private
        && let Some(value) = private(&list(b"cache-control"))
    {
        let _ = host.set_response_header(b"cache-control", &value);
    }
    if let Some(value) = merge_vary(&list(b"vary"), vary) {
        let _ = host.set_response_header(b"vary", &value);
    }
}

/// RFC 9110 section 12.5.5: `vary` with these names added; `None` where it says so already.
fn merge_vary(list: &[u8], names: &[Box<str>]) -> Option<Vec<u8>> {
    let mut merged = list.to_vec();
    let known = |name: &str| items(list).any(|item| item.eq_ignore_ascii_case(name.as_bytes()));
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

/// RFC 9111 section 5.2.2: no shared cache may keep the answer. `None` where it says so already;
/// `private="NAMES"` does not, it is about those headers alone.
fn private(list: &[u8]) -> Option<Vec<u8>> {
    let name = |item: &[u8]| {
        item.split(|b| *b == b'=').next().unwrap_or_default().trim_ascii().to_ascii_lowercase()
    };
    if items(list).any(|item| matches!(&*item.to_ascii_lowercase(), b"private" | b"no-store")) {
        return None;
    }
    let mut kept: Vec<&[u8]> =
        items(list).filter(|item| !matches!(&*name(item), b"public" | b"s-maxage")).collect();
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
