//! The request target: path and query, raw.
//!
//! ```
//! use release_track::syntax::target;
//!
//! let (path, query) = target::split(b"/weather?city=Oslo&city=Rome");
//! assert_eq!(path, b"/weather");
//! assert_eq!(target::parameter(query, b"city"), Some(&b"Oslo"[..]));
//! ```

/// A request target's path, and its query without the `?` (RFC 9110 section 7.1; a fragment,
/// which no client should send, belongs to neither).
pub fn split(target: &[u8]) -> (&[u8], &[u8]) {
    let target = target.split(|b| *b == b'#').next().unwrap_or_default();
    match target.iter().position(|b| *b == b'?').and_then(|at| target.split_at_checked(at)) {
        Some((path, query)) => (path, query.get(1..).unwrap_or_default()),
        None => (target, &[]),
    }
}

/// The parameters of a query, raw, in order. One without `=` has an empty value.
pub fn pairs(query: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    query.split(|b| *b == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
        match pair.iter().position(|b| *b == b'=').and_then(|at| pair.split_at_checked(at)) {
            Some((name, value)) => (name, value.get(1..).unwrap_or_default()),
            None => (pair, [].as_slice()),
        }
    })
}

/// The first value of a parameter.
pub fn parameter<'a>(query: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    pairs(query).find(|(n, _)| *n == name).map(|(_, value)| value)
}

/// The target without any parameter of this name, everything else byte for byte; `/` where nothing
/// is left (RFC 9112, section 3.2.1).
pub fn without_parameter(target: &[u8], name: &[u8]) -> Vec<u8> {
    let (path, query) = split(target);
    let fragment = target.get(path.len()..).unwrap_or_default();
    let fragment = fragment.iter().position(|b| *b == b'#').and_then(|at| fragment.get(at..));
    let is_other = |pair: &&[u8]| pair.split(|b| *b == b'=').next() != Some(name);
    let kept: Vec<&[u8]> = query.split(|b| *b == b'&').filter(is_other).collect();
    let query = kept.join(&b"&"[..]);
    let mark: &[u8] = if query.is_empty() { b"" } else { b"?" };
    let target = [path, mark, &query, fragment.unwrap_or_default()].concat();
    if target.is_empty() { b"/".to_vec() } else { target }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_split_at_the_first_question_mark() {
        assert_eq!(split(b"/a?b=c?d"), (&b"/a"[..], &b"b=c?d"[..]));
        assert_eq!(split(b"/a#x?b"), (&b"/a"[..], &b""[..]));
        assert_eq!(split(b"/a?b#x"), (&b"/a"[..], &b"b"[..]));
        assert_eq!(split(b"*"), (&b"*"[..], &b""[..]));
        assert_eq!(split(b""), (&b""[..], &b""[..]));
    }

    #[test]
    fn the_first_value_counts_raw() {
        assert_eq!(parameter(b"a=1&a=2", b"a"), Some(&b"1"[..]));
        assert_eq!(parameter(b"&b=%31", b"b"), Some(&b"%31"[..]));
        assert_eq!(parameter(b"a", b"a"), Some(&b""[..]));
        assert_eq!(parameter(b"%61=1", b"a"), None);
        assert_eq!(parameter(b"", b""), None);
    }

    #[test]
    fn only_the_named_parameter_is_removed() {
        for (target, want) in [
            ("/?t=1", "/"),
            ("/p?a=1&t=x&b=2", "/p?a=1&b=2"),
            ("/p?t=1&a=%20&t=2&t", "/p?a=%20"),
            ("/p?tt=1&a&&", "/p?tt=1&a&&"),
            ("/p?t=1#f", "/p#f"),
            ("/p?a=1&t=1#f?t=2", "/p?a=1#f?t=2"),
            ("/p", "/p"),
        ] {
            assert_eq!(without_parameter(target.as_bytes(), b"t").escape_ascii().to_string(), want);
        }
    }
}
