//! Cookie pairs as servers read them (RFC 6265 section 5.4, and what clients really send).
//!
//! `;` ends a pair wherever it stands, also inside quotes; white space around name and value is
//! trimmed; one pair of double quotes around a value is removed and nothing is unescaped. A
//! comma, a percent sign and any byte above ASCII are plain text; `$Version` is a cookie like
//! any other. What has no `=` or no name is no cookie.
//!
//! ```
//! use release_track::syntax::cookie;
//!
//! let pairs: Vec<_> = cookie::pairs(b"session=1; user=\"tester\"; lonely").collect();
//! assert_eq!(pairs, [(&b"session"[..], &b"1"[..]), (b"user", b"tester")]);
//! ```

/// The pairs of name and value of one Cookie line, in order.
pub fn pairs(line: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    line.split(|b| *b == b';').filter_map(|pair| {
        let equals = pair.iter().position(|b| *b == b'=')?;
        let (name, value) = pair.split_at_checked(equals)?;
        let name = trim(name);
        (!name.is_empty()).then(|| (name, unquote(trim(value.get(1..).unwrap_or_default()))))
    })
}

/// One line in place of all these, without the cookies of this name, everything else byte for byte.
pub fn without<'a>(lines: impl Iterator<Item = &'a [u8]>, name: &[u8]) -> Vec<u8> {
    let is_other = |pair: &&[u8]| pair.split(|b| *b == b'=').next().map(trim) != Some(name);
    let kept = lines.map(|line| line.split(|b| *b == b';').filter(is_other).collect::<Vec<_>>());
    let kept = kept.map(|pairs| pairs.join(&b";"[..]));
    kept.filter(|line| !trim(line).is_empty()).collect::<Vec<_>>().join(&b"; "[..])
}

/// A line with one more cookie, behind the others.
pub fn with(mut line: Vec<u8>, name: &[u8], value: &[u8]) -> Vec<u8> {
    if !line.is_empty() {
        line.extend(b"; ");
    }
    [&line, name, b"=", value].concat()
}

fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

fn unquote(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inner @ .., b'"'] => inner,
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    fn pairs(line: &str) -> Vec<(String, String)> {
        super::pairs(line.as_bytes())
            .map(|(n, v)| (n.escape_ascii().to_string(), v.escape_ascii().to_string()))
            .collect()
    }

    fn check(line: &str, want: &[(&str, &str)]) {
        let want: Vec<_> = want.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
        assert_eq!(pairs(line), want, "{line:?}");
    }

    #[test]
    fn anywhere_in_the_line_with_or_without_a_space() {
        check("a=b; user=tester", &[("a", "b"), ("user", "tester")]);
        check("a=b;user=tester;c=d", &[("a", "b"), ("user", "tester"), ("c", "d")]);
        check(";; user=tester ;", &[("user", "tester")]);
    }

    #[test]
    fn white_space_is_trimmed_around_name_and_value() {
        check("\tuser \t= tester\t ;x = y", &[("user", "tester"), ("x", "y")]);
        check("user=te ster", &[("user", "te ster")]);
    }

    #[test]
    fn one_pair_of_quotes_is_removed_and_a_lone_one_stays() {
        check(r#"a="x""#, &[("a", "x")]);
        check(r#"a=" x ""#, &[("a", " x ")]);
        check(r#"a=""x"""#, &[("a", r#"\"x\""#)]);
        check(r#"a="x"#, &[("a", r#"\"x"#)]);
        check(r#"a="""#, &[("a", "")]);
        check("a=\"", &[("a", "\\\"")]);
        check(r#"a="x;y""#, &[("a", r#"\"x"#)]);
    }

    #[test]
    fn what_has_no_equals_sign_or_no_name_is_no_cookie() {
        check("user; =x;  = y; a=1", &[("a", "1")]);
        check("a=b=c", &[("a", "b=c")]);
        check("a=", &[("a", "")]);
    }

    #[test]
    fn a_cookie_takes_the_place_of_others_of_its_name() {
        for (lines, want) in [
            (&[][..], "c=1"),
            (&["a=b"], "a=b; c=1"),
            (&["a=b;x= y ;z", "d=e"], "a=b;x= y ;z; d=e; c=1"),
            (&["c=0; a=b;C=2", " c =\"3\"", "cc=4;c"], " a=b;C=2; cc=4; c=1"),
        ] {
            let lines = lines.iter().map(|line| line.as_bytes());
            let line = super::with(super::without(lines, b"c"), b"c", b"1");
            assert_eq!(line.escape_ascii().to_string(), want);
        }
    }

    #[test]
    fn nothing_else_is_special() {
        check("a=1,user=tester", &[("a", "1,user=tester")]);
        check("user=%74ester; $Version=1", &[("user", "%74ester"), ("$Version", "1")]);
        check("u=\u{e9}", &[("u", "\\xc3\\xa9")]);
    }
}
