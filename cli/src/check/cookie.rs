//! Expressions that look for a cookie in the whole header, and what they get wrong.

/// The cookie in the usual expressions: `^(.*?;)?(user=tester)(;.*)?$`.
pub(super) fn pair(expression: &str) -> Option<(&str, &str)> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-=".contains(c);
    let pairs = expression.split(|c| !is_plain(c)).filter_map(|part| part.split_once('='));
    let mut pairs = pairs.filter(|(name, value)| !name.is_empty() && !value.is_empty());
    pairs.next().filter(|_| pairs.next().is_none())
}

/// Headers that an expression judges otherwise than a rule would.
pub(super) struct Wrong {
    /// It has the cookie, and does not pass.
    pub(super) missed: Option<String>,
    /// It has another one, and passes.
    pub(super) taken: Option<String>,
}

/// Tries the places that a cookie can have in a header (RFC 6265 section 4.2.1), and others like it.
pub(super) fn wrong(name: &str, value: &str, passes: impl Fn(&str) -> bool) -> Wrong {
    let cookie = format!("{name}={value}");
    let with = [
        cookie.clone(),
        format!("a=b; {cookie}"),
        format!("{cookie}; a=b"),
        format!("a=b; {cookie}; c=d"),
        format!("a=b;{cookie}"),
    ];
    let without = [
        format!("x{cookie}"),
        format!("{cookie}2"),
        format!("a=b; x{cookie}"),
        format!("a=b; {cookie}2"),
        format!("x{cookie}; a=b"),
    ];
    Wrong {
        missed: with.into_iter().find(|header| !passes(header)),
        taken: without.into_iter().find(|header| passes(header)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_usual_expressions_get_wrong() {
        for (expression, missed, taken) in [
            ("^(.*?;)?(user=tester)(;.*)?$", Some("a=b; user=tester"), None),
            (".*user=tester.*", None, Some("xuser=tester")),
            (r"^(.*;\s*)?user=tester(\s*;.*)?$", None, None),
            ("^(.*;.)?(user=tester)(;.*)?$", Some("a=b;user=tester"), None),
            ("user=tester", Some("a=b; user=tester"), None),
        ] {
            let regex = crate::routing::whole(expression).unwrap();
            let (name, value) = pair(expression).unwrap();
            let wrong = wrong(name, value, |header| regex.is_match(header));
            assert_eq!(wrong.missed.as_deref(), missed, "{expression}");
            assert_eq!(wrong.taken.as_deref(), taken, "{expression}");
        }
    }
}
