//! The steps of a decision: what the deciding functions tell a host that listens, and their words.

use crate::vocabulary::{Carrier, Event, Outcome, Reason, Role};
use std::fmt::{self, Display, Formatter};

/// A step of a decision: what was seen, and what follows from it. Tracks are named by their names,
/// or by `baseline` and `other`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// This part of the filter has the request.
    Role(Role),
    /// A carrier was read: its lines, where it is a header, and what they said.
    Carrier { carrier: Carrier, lines: &'a [&'a [u8]], says: Option<&'a str> },
    /// What came from the client is not believed, and is removed.
    Distrusted { header: &'a [u8] },
    /// A preview token was found: the track it is good for, if any.
    Token { place: Place, track: Option<&'a str> },
    /// A link ends the preview.
    PreviewEnds,
    /// A cookie could not be set as it is configured.
    Cookie { name: &'a str, event: Event },
    /// Shares were looked at: the identity, if the request has one, and the track in whose share
    /// it lies. A new identity was drawn for a request without one.
    Identity { identity: Option<&'a [u8]>, is_new: bool, track: Option<&'a str> },
    /// A rule holds, and has a share of its own: whether the request's identity, if it has one,
    /// lies in it.
    RuleShare { track: &'a str, rule: usize, identity: Option<&'a [u8]>, is_new: bool, lies: bool },
    /// A share takes the request, and the track has a guard: whether that has stopped it.
    Guard { track: &'a str, is_stopped: bool },
    /// A condition of a rule was tested. A proxy passes over rules that cannot hold; a host that
    /// listens hears of all.
    Condition(Tested<'a>),
    /// The request satisfies a rule of this track: the place of the rule in its `match`.
    Matched { track: &'a str, rule: usize },
    /// This would have been decided; but the track's decisions are only counted.
    Dry { track: &'a str, reason: Reason },
    /// The request follows this track, for this reason.
    Decided { track: &'a str, reason: Reason },
    /// A tracked request, or one at a track's pod, has arrived.
    Arrived { track: &'a str, outcome: Outcome },
    /// It leaves the mesh: its track is removed, and nothing stamped.
    LeavesTheMesh,
    /// Nothing is done, and why.
    Nothing(&'a str),
}

/// Where a preview token stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Link,
    Cookie,
}

/// A condition of a rule, and what it saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tested<'a> {
    pub track: &'a str,
    /// Its place in the track's `match`.
    pub rule: usize,
    /// `cookie user`
    pub subject: &'a str,
    pub negated: bool,
    pub wanted: Wanted<'a>,
    /// The subject's values in the request.
    pub seen: &'a [&'a [u8]],
    pub holds: bool,
}

/// What a condition asks of a value, as it was configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted<'a> {
    OneOf(&'a [&'a [u8]]),
    Prefix(&'a [u8]),
    Regex(&'a str),
    Present,
}

impl Display for Step<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Role(role) => write!(f, "{}: {}", role.label(), role.sentence()),
            Self::Carrier { carrier, lines, says } => {
                write!(f, "carrier {}: ", carrier.label())?;
                match (carrier, lines, says) {
                    (Carrier::Remembered, _, None) => {
                        f.write_str("no id of this request is remembered")
                    }
                    (Carrier::Remembered, _, Some(says)) => {
                        write!(f, "an id of this request is remembered with {says}")
                    }
                    (Carrier::Workload, _, None) => f.write_str("the pod lends no track"),
                    (Carrier::Workload, _, Some(says)) => write!(f, "the pod belongs to {says}"),
                    (_, [], _) => f.write_str("absent"),
                    (Carrier::RequestId | Carrier::TraceId, _, None) => {
                        write!(f, "{} bears no tag", Quoted(lines))
                    }
                    (Carrier::Header | Carrier::Baggage, _, None) => {
                        write!(f, "{} says nothing", Quoted(lines))
                    }
                    (_, _, Some(says)) => write!(f, "{} says {says}", Quoted(lines)),
                }
            }
            Self::Distrusted { header } => write!(
                f,
                "{} is removed: an application may take it for one of the filter's own",
                header.escape_ascii()
            ),
            Self::Token { place, track } => {
                let place = match place {
                    Place::Link => "link",
                    Place::Cookie => "cookie",
                };
                match track {
                    Some(track) => write!(f, "preview: the {place} is valid for {track}"),
                    None => {
                        write!(f, "preview: the {place} is not valid, or no more, and is ignored")
                    }
                }
            }
            Self::PreviewEnds => f.write_str("preview: the link ends it"),
            Self::Cookie { name, event } => write!(f, "cookie {name}: {}", event.sentence()),
            Self::Identity { identity: None, .. } => {
                f.write_str("shares: the request has no identity")
            }
            Self::Identity { identity: Some(identity), is_new, track } => {
                let new = if is_new {
                    "the request has no identity and is given a random one: "
                } else {
                    ""
                };
                write!(f, "shares: {new}the identity {} ", Quoted(&[identity]))?;
                match track {
                    Some(track) => write!(f, "lies in the share of {track}"),
                    None => f.write_str("lies in no share"),
                }
            }
            Self::RuleShare { track, rule, identity: None, .. } => {
                write!(f, "rule {rule} of track {track} takes a share: the request has no identity")
            }
            Self::RuleShare { track, rule, identity: Some(identity), is_new, lies } => {
                let new = if is_new { "the new identity" } else { "the identity" };
                let lies = if lies { "lies in it" } else { "does not lie in it" };
                write!(
                    f,
                    "rule {rule} of track {track} takes a share: {new} {} {lies}",
                    Quoted(&[identity])
                )
            }
            Self::Guard { track, is_stopped: true } => write!(
                f,
                "the guard of track {track} has stopped its shares: too many of its responses failed"
            ),
            Self::Guard { track, is_stopped: false } => {
                write!(f, "the guard of track {track} has not stopped its shares")
            }
            Self::Condition(tested) => tested.fmt(f),
            Self::Matched { track, rule } => write!(f, "rule {rule} of track {track} holds"),
            Self::Dry { track, reason } => write!(
                f,
                "track {track} is in a dry run: {} is counted, and the search goes on",
                reason.label()
            ),
            Self::Decided { track, reason } => {
                write!(f, "decision: the request follows {track}, reason {}", reason.label())
            }
            Self::Arrived { track, outcome } => {
                let sentence = outcome.sentence().replace("{track}", track);
                write!(f, "arrival: {}, {sentence}", outcome.label())
            }
            Self::LeavesTheMesh => f.write_str(
                "the request leaves the mesh: its track is removed, and nothing is stamped",
            ),
            Self::Nothing(why) => write!(f, "nothing is done: {why}"),
        }
    }
}

impl Display for Tested<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "rule {} of track {}: ", self.rule, self.track)?;
        let passed = self.holds != self.negated;
        match self.seen {
            [] => write!(f, "there is no {}", self.subject)?,
            seen => {
                write!(f, "{} is {}", self.subject, Quoted(seen))?;
                match (self.wanted, passed) {
                    (Wanted::OneOf([_]) | Wanted::Present, true) | (Wanted::Present, false) => {}
                    (Wanted::OneOf(_), true) => f.write_str(", which is listed")?,
                    (Wanted::OneOf([one]), false) => write!(f, ", not {}", Quoted(&[one]))?,
                    (Wanted::OneOf([]), false) => f.write_str(", and the list is empty")?,
                    (Wanted::OneOf(list), false) => write!(f, ", none of {}", Quoted(list))?,
                    (Wanted::Prefix(prefix), passed) => {
                        let verb = if passed { "begins" } else { "does not begin" };
                        write!(f, ", which {verb} with {}", Quoted(&[prefix]))?;
                    }
                    (Wanted::Regex(regex), passed) => {
                        let verb = if passed { "matches" } else { "does not match" };
                        write!(f, ", which {verb} {regex}")?;
                    }
                }
            }
        }
        match (self.negated, self.holds) {
            (false, _) => Ok(()),
            (true, true) => f.write_str(", as it has to be"),
            (true, false) => f.write_str(", which is excluded"),
        }
    }
}

/// Values in quotes, the first few of many, each as far as it can be read at a glance.
struct Quoted<'a>(&'a [&'a [u8]]);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        const MANY: usize = 4;
        const LONG: usize = 80;
        for (at, value) in self.0.iter().take(MANY).enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            match value.get(..LONG) {
                Some(start) if value.len() > LONG => {
                    write!(f, "{comma}\"{}...\"", start.escape_ascii())?;
                }
                _ => write!(f, "{comma}\"{}\"", value.escape_ascii())?,
            }
        }
        match self.0.len().checked_sub(MANY) {
            Some(more @ 1..) => write!(f, " and {more} more"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_says_what_it_saw_and_what_it_wanted() {
        let tested = |negated, wanted, seen: &[&[u8]], holds| {
            let subject = "cookie user";
            let tested = Tested { track: "v2", rule: 1, subject, negated, wanted, seen, holds };
            let words = Step::Condition(tested).to_string();
            words.strip_prefix("rule 1 of track v2: ").unwrap().to_owned()
        };
        let one = Wanted::OneOf(&[b"tester"]);
        let six = Wanted::OneOf(&[b"a", b"b", b"c", b"d", b"e", b"f"]);
        for (words, want) in [
            (tested(false, one, &[b"tester"], true), r#"cookie user is "tester""#),
            (tested(false, one, &[b"bob"], false), r#"cookie user is "bob", not "tester""#),
            (
                tested(false, one, &[b"a", b"\xff"], false),
                r#"cookie user is "a", "\xff", not "tester""#,
            ),
            (tested(false, one, &[], false), "there is no cookie user"),
            (tested(true, one, &[], true), "there is no cookie user, as it has to be"),
            (
                tested(true, one, &[b"bob"], true),
                r#"cookie user is "bob", not "tester", as it has to be"#,
            ),
            (
                tested(true, one, &[b"tester"], false),
                r#"cookie user is "tester", which is excluded"#,
            ),
            (tested(false, six, &[b"f"], true), r#"cookie user is "f", which is listed"#),
            (
                tested(false, six, &[b"g"], false),
                r#"cookie user is "g", none of "a", "b", "c", "d" and 2 more"#,
            ),
            (
                tested(false, Wanted::OneOf(&[]), &[b"g"], false),
                r#"cookie user is "g", and the list is empty"#,
            ),
            (
                tested(false, Wanted::Prefix(b"t"), &[b"g"], false),
                r#"cookie user is "g", which does not begin with "t""#,
            ),
            (
                tested(false, Wanted::Regex("t.*"), &[b"tx"], true),
                r#"cookie user is "tx", which matches t.*"#,
            ),
            (
                tested(true, Wanted::Present, &[b"x"], false),
                r#"cookie user is "x", which is excluded"#,
            ),
            (tested(false, Wanted::Present, &[b"x"], true), r#"cookie user is "x""#),
        ] {
            assert_eq!(words, want);
        }
    }
}
