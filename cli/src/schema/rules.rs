//! What the filter asks of a configuration and its JSON Schema does not say.
//!
//! A rule sees only what is right otherwise, as `self`: it needs to guard nothing.

use super::cel::{first_without, list, literal, step};
use release_track::config::{HEADERS_WITH_MEANING, MOST_GUARDS, PREFIXES_WITH_MEANING};
use release_track::track::RESERVED;

/// A rule for one place of the configuration.
pub(super) struct Rule {
    /// `tracks[].name`: fields by name, `[]` for items, `.*` for values of maps; the empty string
    /// for the whole. `**` at the beginning is any place that ends so.
    pub(super) at: &'static str,
    pub(super) says: Says,
    /// What is wrong, or what is allowed.
    pub(super) allowed: String,
}

/// Expressions of CEL.
pub(super) enum Says {
    /// Wrong unless this holds.
    Unless(String),
    /// The places that are wrong, relative to the rule's; not for scalars.
    Where(String),
}

/// More tracks than this are not compared with each other: it takes the square of them.
const COMPARED: usize = 200;

/// RFC 9110 section 5.6.2: a token.
const TOKEN: &str = "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$";

pub(super) fn rules() -> Vec<Rule> {
    let nonempty = |at| unless(at, "self != ''", "an empty string is not allowed here");
    let matches = |at, pattern: &str, allowed: &str| {
        unless(at, format!("self.matches({})", literal(pattern)), allowed)
    };
    let mut rules = vec![
        // Tracks.
        unless("tracks", "self.size() > 0", "at least one track is required"),
        unless(
            "tracks[].name",
            format!("!(self in {})", list(&RESERVED)),
            format!("this name is reserved, as are {}", RESERVED.join(", ")),
        ),
        Rule {
            at: "tracks",
            says: Says::Where(format!(
                "self.size() > {COMPARED} ? [] : [self.map(track, track.name)].map(names,
  names.filter(name, names.indexOf(name) != names.lastIndexOf(name))
    .map(name, '[' + string(names.lastIndexOf(name)) + '].name'))[0]"
            )),
            allowed: "another track has this name already".to_owned(),
        },
        // Rules.
        unless(
            "tracks[].match[]",
            "['uri', 'method', 'authority'].exists(field, field in self) ||
['cookies', 'withoutCookies', 'headers', 'withoutHeaders', 'queryParams']
  .exists(field, field in self && self[field].size() > 0)",
            "an empty rule would match every request; remove it, or say what must hold",
        ),
        nonempty("**.prefix"),
        nonempty("**.regex"),
        matches("**.regex", r"^[\x00-\x7F]*$", r"bytes above ASCII are written as \xNN"),
        unless(
            "**.regex",
            format!(
                "self.matches('[(][?][a-z-]*x') || self.matches({})",
                literal(&EXPRESSION.concat())
            ),
            r"expected a regular expression without \p, \Q, \C and octal numbers; { and [ in classes are written as \{ and \[",
        ),
        // Workloads, edge, labels.
        keys(
            "tracks[].workloads",
            r"key.matches('^([^/]+/)?[^/]+$')",
            "an app is named as app or namespace/app",
        ),
        matches("tracks[].workloads[]", "^([^/]+/)?[^/]+$", "an app is named as app or namespace/app"),
        matches("edge[].inbound[]", "^([^/]+/)?[^/]+$", "an app is named as app or namespace/app"),
        nonempty("labels.app"),
        nonempty("labels.version"),
        matches("labels.app", "^[^\\x00]*$", "a label's name has no NUL"),
        matches("labels.version", "^[^\\x00]*$", "a label's name has no NUL"),
        // The header.
        unless(
            "header",
            format!(
                "!(self.lowerAscii() in {}) && !self.lowerAscii().matches({})",
                list(&HEADERS_WITH_MEANING),
                literal(&format!("^({})", PREFIXES_WITH_MEANING.join("|")))
            ),
            "this header has a meaning of its own and may not be written; use one such as x-release-track",
        ),
        // Propagation.
        matches("propagation.correlate[]", TOKEN, HEADER),
        duration("propagation.ttl"),
        unless("propagation.keys", "self.size() > 0", "at least one key is required"),
        // Shares and identity.
        unless(
            "**.share",
            "has(self.percent) != has(self.ramp)",
            "either percent or ramp is expected here",
        ),
        percentage("**.share.percent"),
        percentage("**.ramp.from"),
        percentage("**.ramp.to"),
        unless("**.ramp.start", DATE, "there is no such date or time"),
        duration("**.ramp.over"),
        Rule {
            at: "tracks",
            says: Says::Where(format!(
                "self.map(track, {LARGEST}).sum() <= 10000 ? [] :
  self.size() > {COMPARED} ? [''] :
  self.filter(last, self.filter(track, self.indexOf(track) <= self.indexOf(last))
      .map(track, {LARGEST}).sum() > 10000)
    .map(track, '[' + string(self.indexOf(track)) + '].share')"
            )),
            allowed: "the shares of all tracks together exceed 100 percent".to_owned(),
        },
        // Guards and fallbacks.
        Rule {
            at: "tracks[]",
            says: Says::Where(
                "!has(self.guard) || has(self.share) ||
has(self.match) && self.match.exists(rule, has(rule.share)) ? [] : ['.guard']"
                    .to_owned(),
            ),
            allowed: "this guard has nothing to stop: neither the track nor any of its rules has a share"
                .to_owned(),
        },
        Rule {
            at: "tracks",
            says: Says::Where(format!(
                "self.filter(track, has(track.guard)).size() <= {MOST_GUARDS} ? [] :
  self.size() > {COMPARED} ? [''] :
  self.filter(last, has(last.guard) &&
      self.filter(track, has(track.guard) && self.indexOf(track) <= self.indexOf(last)).size() > {MOST_GUARDS})
    .map(track, '[' + string(self.indexOf(track)) + '].guard')"
            )),
            allowed: format!("at most {MOST_GUARDS} are allowed"),
        },
        percentage("tracks[].guard.errors"),
        duration("tracks[].guard.over"),
        unless(
            "tracks[].guard.retry",
            format!("self.matches('^0(ms|s|m|h|d)$') || {DURATION}"),
            "expected a duration such as 10m: a number and ms, s, m, h or d, at most 3650d; or 0s",
        ),
        matches("tracks[].fallback[]", "^([^/]+/)?[^/]+$", "an app is named as app or namespace/app"),
        unless(
            "identity",
            "['cookie', 'header', 'queryParam'].filter(field, field in self).size() <= 1",
            "only one of cookie, header and queryParam is allowed here",
        ),
        unless(
            "identity",
            "!has(self.attributes) || !has(self.header) && !has(self.queryParam)",
            "attributes are those of a cookie, and none is set here",
        ),
        matches("identity.cookie", TOKEN, COOKIE),
        matches("identity.header", TOKEN, HEADER),
        nonempty("identity.queryParam"),
        // Preview.
        unless(
            "preview",
            "has(self.keys) != has(self.keysFrom)",
            "either keys or keysFrom is required here",
        ),
        unless("preview.keys", "self.size() > 0", "at least one key is required"),
        nonempty("preview.keysFrom"),
        matches(
            "preview.parameter",
            "^[A-Za-z0-9._~-]+$",
            "a parameter's name is made of letters, digits and - . _ ~",
        ),
        matches("preview.cookie", TOKEN, COOKIE),
        Rule {
            at: "",
            says: Says::Where(
                "!has(self.preview) || has(self.identity) && (has(self.identity.header) || has(self.identity.queryParam)) ||
(has(self.preview.cookie) ? self.preview.cookie : 'release-track') !=
(has(self.identity) && has(self.identity.cookie) ? self.identity.cookie : 'release-track-id')
? [] : ['.preview.cookie']"
                    .to_owned(),
            ),
            allowed: "this is identity.cookie too; each needs a cookie of its own".to_owned(),
        },
        // Isolation and egress.
        Rule {
            at: "",
            says: Says::Where(
                "!has(self.isolation) || self.isolation != 'enforce' ||
self.tracks.exists(track, has(track.workloads) && track.workloads.size() > 0)
? [] : ['.isolation']"
                    .to_owned(),
            ),
            allowed: "enforce needs to know which pods belong to a track: add workloads to the tracks"
                .to_owned(),
        },
        nonempty("egress.meshDomains[]"),
        unless(
            "egress.meshDomains[]",
            "!self.contains('*') || !self.matches('^[*.]*$')",
            "for every host to be inside, write strip: false instead",
        ),
        matches(
            "egress.meshDomains[]",
            "^([*][.])*[.]*([A-Za-z0-9_-]+[.])*[A-Za-z0-9_-]*[A-Za-z_-][A-Za-z0-9_-]*[.]*$",
            "a domain such as corp.example is expected here, for all hosts under it: no address, range, port, URL or other pattern",
        ),
    ];
    for at in ["tracks[].match[].cookies", "tracks[].match[].withoutCookies"] {
        let says = "a cookie's name has no ; and no = and no white space around it";
        rules.push(keys(at, r"key.matches('^[^;=\\s]([^;=]*[^;=\\s])?$')", says));
    }
    for at in ["tracks[].match[].headers", "tracks[].match[].withoutHeaders"] {
        let says = "expected a header's name; for :path, :method and :authority there are uri, method and authority";
        rules.push(keys(at, &format!("key.matches({})", literal(TOKEN)), says));
    }
    rules
}

/// The parts of an expression, without what RE2 takes and the filter does not.
const EXPRESSION: [&str; 7] = [
    r"^((?s)[^\\\[{]",
    r"|\\[^0-9pPQECxuUb]",
    r"|\\[xuU]([^{]|[{][0-9A-Fa-f]+[}])",
    r"|\\b([{][a-z-]+[}])?",
    r"|[{][0-9]+(,[0-9]*)?[}]",
    r"|\[\^?\]?([^\]\\\[]|-\[|\\[^0-9pPQEC]|\[:\^?[a-z]+:\])*\]",
    r")*$",
];

const COOKIE: &str = "a cookie's name is a token of letters, digits and -_. or the like";
const HEADER: &str = "expected a header's name";

/// The largest share that a track ever has, in hundredths of a percent.
const LARGEST: &str = "!has(track.share) ? 0 : int(0.5 + 100.0 * double(\
has(track.share.percent) ? track.share.percent : \
track.share.ramp.from > track.share.ramp.to ? track.share.ramp.from : track.share.ramp.to))";

/// The schema's pattern has seen its form. RFC 3339 section 5.7: days of months, leap years.
const DATE: &str = r"
self.matches('^....-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01]).([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)') &&
self.matches('^(19[7-9]|[2-9][0-9])') &&
self.matches('([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$') &&
!self.matches('^....-(02-3|(04|06|09|11)-31)') &&
(!self.matches('^....-02-29') ||
  [int(self.substring(0, 4))].all(year, year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)))";

fn unless(at: &'static str, holds: impl Into<String>, allowed: impl Into<String>) -> Rule {
    Rule { at, says: Says::Unless(holds.into()), allowed: allowed.into() }
}

/// For the names in a map; what is no map is left alone.
fn keys(at: &'static str, holds: &str, allowed: &str) -> Rule {
    let first = first_without("keys", "key", &step("key"), holds);
    let places = format!(
        "type(self) != map ? [] :
  [self.map(key, key)].map(keys, false in keys.map(key, {holds}) ? {first} : [])[0]"
    );
    Rule { at, says: Says::Where(places), allowed: allowed.to_owned() }
}

/// The schema's pattern has seen its form; ten years are the most.
const DURATION: &str = "self.matches('^0*[1-9][0-9]{0,11}[a-z]') && int(self.find('[0-9]+')) <=
{'ms': 315360000000, 's': 315360000, 'm': 5256000, 'h': 87600, 'd': 3650}[self.find('[a-z]+')]";

fn duration(at: &'static str) -> Rule {
    unless(
        at,
        DURATION,
        "expected a duration such as 60s: a number and ms, s, m, h or d, at most 3650d",
    )
}

/// A decimal fraction is not exact in binary.
fn percentage(at: &'static str) -> Rule {
    let holds = "[100.0 * double(self)].all(hundredths,
  [hundredths - double(int(hundredths + 0.5))].all(rest, rest < 0.000001 && rest > -0.000001))";
    unless(at, holds, "expected a number from 0 to 100, in steps of 0.01")
}
