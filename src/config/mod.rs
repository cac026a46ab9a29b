//! `pluginConfig`: parsed once, into types that cannot be wrong.
//!
//! Readers of parts are `#[cold]`, so that none becomes part of another: a proxy compiles a function
//! in memory that grows with it, and keeps what that took.

mod reader;
pub mod schema;

pub use reader::{Error, field_path, item_path};

use crate::carrier::propagator::{Orphans, Propagation};
use crate::carrier::request_id::{Key, Tagger};
use crate::carrier::trace_id::{Correlate, Source};
use crate::decide::identity::Identity;
use crate::decide::rules::{Condition, Rule, Rules, Subject, Test};
use crate::decide::share::{Share, Shares, WHOLE};
use crate::decide::token::{self, PreviewConfig, PreviewKeys};
use crate::istio::cluster::Domains;
use crate::istio::node::{App, Labels, Workload};
use crate::syntax::pattern::Pattern;
use crate::track::{Name, Names, RESERVED, TrackId};
use reader::Node;

/// A valid configuration.
#[derive(Debug)]
pub struct Config {
    pub names: Names,
    /// By track.
    pub workloads: Vec<Vec<Workload>>,
    pub rules: Rules,
    /// Lower case.
    pub header: Box<str>,
    pub edge: Edge,
    pub labels: Labels,
    pub trust_incoming: bool,
    pub propagation: Propagation,
    pub identity: Identity,
    pub shares: Shares,
    pub preview: Option<PreviewConfig>,
    pub vary: bool,
    pub expose: bool,
    pub isolation: Isolation,
    pub egress: Egress,
    pub dry_run: bool,
    /// By track: its decisions are counted, and the search goes on.
    pub dry_tracks: Vec<bool>,
}

/// What happens to a request that crossed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// It is counted.
    Observe,
    /// It is counted, and answered with 421.
    Enforce,
}

#[derive(Debug)]
pub struct Egress {
    pub strip: bool,
    /// `None`: derived from the node.
    pub mesh_domains: Option<Domains>,
}

/// The proxies that decide.
#[derive(Debug)]
pub struct Edge {
    pub gateway: bool,
    pub inbound: Vec<App>,
}

/// Ten years: no sum with the time of day overflows.
const MAX_DURATION_MS: u64 = 10 * 365 * 24 * 60 * 60 * 1000;

impl Config {
    /// Parses the JSON that the proxy hands to the filter. The first error is returned.
    pub fn parse(json: &[u8]) -> Result<Self, Error> {
        let value = serde_json::from_slice(json).map_err(|error| {
            let expected = "an object with the field tracks is expected";
            let (found, allowed) = match json {
                [] => ("nothing", expected.to_owned()),
                _ => ("no JSON", format!("{expected} ({error})")),
            };
            Error { path: String::new(), found: found.to_owned(), allowed }
        })?;
        Self::read(&Node::root(&value))
    }

    fn read(root: &Node<'_>) -> Result<Self, Error> {
        let config = root.object(schema::CONFIG)?;
        let tracks = config.required("tracks")?;
        let mut names: Vec<Name> = Vec::new();
        let mut rules = Vec::new();
        let mut workloads = Vec::new();
        let mut dry_tracks = Vec::new();
        let mut shares = Vec::new();
        let mut whole = 0;
        for node in tracks.list()? {
            let track = node.object(schema::TRACK)?;
            let id = u16::try_from(names.len())
                .map(TrackId)
                .map_err(|_| node.error("there are too many tracks"))?;
            let name = track_name(&track.required("name")?, &names)?;
            if let Some(matches) = track.get("match") {
                for (index, entry) in matches.list()?.enumerate() {
                    rules.push(Rule { track: id, index, conditions: conditions(&entry)? });
                }
            }
            workloads.push(match track.get("workloads") {
                Some(node) => read_workloads(&node, &name)?,
                None => Vec::new(),
            });
            if let Some(node) = track.get("share") {
                let share = share(&node)?;
                whole += share.largest();
                if whole > WHOLE {
                    return Err(node.error("the shares of all tracks together exceed 100 percent"));
                }
                shares.push((id, share));
            }
            dry_tracks.push(flag(track.get("dryRun"), false)?);
            names.push(name);
        }
        if names.is_empty() {
            return Err(tracks.error("at least one track is required"));
        }
        let names = Names::new(names);
        let (identity, salt) = match config.get("identity") {
            Some(node) => read_identity(&node)?,
            None => (Identity::Cookie("release-track-id".into()), String::new()),
        };
        Ok(Self {
            propagation: read_propagation(config.get("propagation"), &names)?,
            names,
            rules: Rules::new(rules),
            header: match config.get("header") {
                Some(node) => header(&node)?,
                None => "x-release-track".into(),
            },
            edge: match config.get("edge") {
                Some(node) => edge(&node)?,
                None => Edge { gateway: true, inbound: Vec::new() },
            },
            labels: match config.get("labels") {
                Some(node) => labels(&node)?,
                None => Labels { app: "app".into(), version: "version".into() },
            },
            trust_incoming: flag(config.get("trustIncoming"), false)?,
            shares: Shares::new(shares, &salt),
            preview: match config.get("preview") {
                Some(node) => Some(read_preview(&node, &identity)?),
                None => None,
            },
            identity,
            vary: flag(config.get("vary"), false)?,
            expose: flag(config.get("expose"), false)?,
            isolation: match config.get("isolation") {
                Some(node) => isolation(&node, &workloads)?,
                None => Isolation::Observe,
            },
            egress: match config.get("egress") {
                Some(node) => egress(&node)?,
                None => Egress { strip: true, mesh_domains: None },
            },
            dry_run: flag(config.get("dryRun"), false)?,
            workloads,
            dry_tracks,
        })
    }
}

#[cold]
fn flag(node: Option<Node<'_>>, default: bool) -> Result<bool, Error> {
    node.map_or(Ok(default), |node| node.boolean())
}

#[cold]
fn track_name(node: &Node<'_>, earlier: &[Name]) -> Result<Name, Error> {
    let text = node.text()?;
    let name = Name::parse(text)
        .ok_or_else(|| node.error("a track's name is 1 to 63 characters of A-Z a-z 0-9 . _ -"))?;
    if RESERVED.contains(&text) {
        return Err(node.error(format!("this name is reserved, as are {}", RESERVED.join(", "))));
    }
    if earlier.contains(&name) {
        return Err(node.error("another track has this name already"));
    }
    Ok(name)
}

#[cold]
fn conditions(entry: &Node<'_>) -> Result<Vec<Condition>, Error> {
    let rule = entry.object(schema::RULE)?;
    let mut conditions = Vec::new();
    for (field, negated) in [("cookies", false), ("withoutCookies", true)] {
        if let Some(node) = rule.get(field) {
            for (name, node) in node.map()? {
                let valid =
                    name.trim_ascii() == name && !name.is_empty() && !name.contains([';', '=']);
                if !valid {
                    return Err(node
                        .error("a cookie's name has no ; and no = and no white space around it"));
                }
                let subject = Subject::Cookie(name.as_bytes().into());
                conditions.push(Condition { subject, test: test(&node)?, negated });
            }
        }
    }
    for (field, negated) in [("headers", false), ("withoutHeaders", true)] {
        if let Some(node) = rule.get(field) {
            for (name, node) in node.map()? {
                if !is_header_name(name) {
                    return Err(node.error(
                        "this is no header name; for :path, :method and :authority there are uri, method and authority",
                    ));
                }
                let subject = Subject::Header(name.to_ascii_lowercase().into_bytes().into());
                conditions.push(Condition { subject, test: test(&node)?, negated });
            }
        }
    }
    for (field, subject) in
        [("uri", Subject::Uri), ("method", Subject::Method), ("authority", Subject::Authority)]
    {
        if let Some(node) = rule.get(field) {
            conditions.push(Condition { subject, test: test(&node)?, negated: false });
        }
    }
    if let Some(node) = rule.get("queryParams") {
        for (name, node) in node.map()? {
            let subject = Subject::QueryParam(name.as_bytes().into());
            conditions.push(Condition { subject, test: test(&node)?, negated: false });
        }
    }
    if conditions.is_empty() {
        return Err(entry
            .error("an empty rule would match every request; remove it, or say what must hold"));
    }
    Ok(conditions)
}

#[cold]
fn test(node: &Node<'_>) -> Result<Test, Error> {
    let fields = node.object(schema::TEST)?;
    let mut tests = Vec::new();
    if let Some(exact) = fields.get("exact") {
        tests.push(Test::OneOf(vec![exact.text()?.as_bytes().into()]));
    }
    if let Some(prefix) = fields.get("prefix") {
        tests.push(Test::Prefix(prefix.some_text()?.as_bytes().into()));
    }
    if let Some(regex) = fields.get("regex") {
        tests.push(Test::Regex(pattern(&regex)?));
    }
    if let Some(list) = fields.get("in") {
        let values: Result<_, Error> =
            list.list()?.map(|value| Ok(value.text()?.as_bytes().into())).collect();
        tests.push(Test::OneOf(values?));
    }
    match (tests.pop(), tests.is_empty()) {
        (None, _) => Ok(Test::Present),
        (Some(test), true) => Ok(test),
        (Some(_), false) => {
            Err(node.error("only one of exact, prefix, regex and in is allowed here"))
        }
    }
}

fn pattern(node: &Node<'_>) -> Result<Pattern, Error> {
    Pattern::parse(node.some_text()?).map_err(|reason| {
        node.error(format!("this is no regular expression that can be used: {reason}"))
    })
}

#[cold]
fn app(name: &str, node: &Node<'_>) -> Result<App, Error> {
    let (namespace, app) = match name.split_once('/') {
        Some((namespace, app)) => (Some(namespace), app),
        None => (None, name),
    };
    if app.is_empty() || app.contains('/') || namespace == Some("") {
        return Err(node.error("an app is named as app or namespace/app"));
    }
    Ok(App { namespace: namespace.map(Into::into), app: app.into() })
}

#[cold]
fn read_workloads(node: &Node<'_>, track: &Name) -> Result<Vec<Workload>, Error> {
    if node.is_list() {
        let version = |item: Node<'_>| {
            Ok(Workload { app: app(item.text()?, &item)?, version: track.as_str().into() })
        };
        return node.list()?.map(version).collect();
    }
    node.map()?
        .map(|(name, node)| {
            Ok(Workload { app: app(name, &node)?, version: node.some_text()?.into() })
        })
        .collect()
}

#[cold]
fn edge(node: &Node<'_>) -> Result<Edge, Error> {
    let mut edge = Edge { gateway: false, inbound: Vec::new() };
    for item in node.list()? {
        if item.as_text().is_some_and(|text| text != "gateway") {
            return Err(item.error("gateway, or {inbound: [app, ...]} is allowed here"));
        }
        if item.as_text().is_some() {
            edge.gateway = true;
            continue;
        }
        for name in item.object(schema::INBOUND)?.required("inbound")?.list()? {
            edge.inbound.push(app(name.text()?, &name)?);
        }
    }
    Ok(edge)
}

#[cold]
fn labels(node: &Node<'_>) -> Result<Labels, Error> {
    let labels = node.object(schema::LABELS)?;
    let label = |name: &'static str| -> Result<Box<str>, Error> {
        match labels.get(name) {
            Some(node) if node.text()?.contains('\0') => {
                Err(node.error("a label's name has no NUL"))
            }
            Some(node) => Ok(node.some_text()?.into()),
            None => Ok(name.into()),
        }
    };
    Ok(Labels { app: label("app")?, version: label("version")? })
}

#[cold]
fn read_propagation(node: Option<Node<'_>>, names: &Names) -> Result<Propagation, Error> {
    let mut keys = Vec::new();
    let mut orphans = Orphans::Workload;
    let (mut request_id, mut baggage) = (true, true);
    let mut sources = Source::ALL.to_vec();
    let (mut ttl_ms, mut slots) = (60_000, 4096);
    if let Some(node) = node {
        let propagation = node.object(schema::PROPAGATION)?;
        request_id = flag(propagation.get("requestId"), true)?;
        baggage = flag(propagation.get("baggage"), true)?;
        if let Some(node) = propagation.get("orphans") {
            orphans = match node.text()? {
                "workload" => Orphans::Workload,
                "baseline" => Orphans::Baseline,
                _ => return Err(node.error("workload or baseline is allowed here")),
            };
        }
        if let Some(node) = propagation.get("correlate") {
            sources = node.list()?.map(|node| source(&node)).collect::<Result<_, _>>()?;
        }
        if let Some(node) = propagation.get("ttl") {
            ttl_ms = duration_ms(&node)?;
        }
        if let Some(node) = propagation.get("slots") {
            slots = node.integer(1, 65_536)?;
        }
        if let Some(node) = propagation.get("keys") {
            if !node.is_list() {
                return Err(node.secret_error("a list of keys is expected here"));
            }
            for node in node.list()? {
                let key = node.as_text().and_then(Key::parse);
                keys.push(key.ok_or_else(|| node.secret_error("a key is 32 hex digits"))?);
            }
            if keys.is_empty() {
                return Err(node.error(
                    "at least one key is required; leave the field out for the published one",
                ));
            }
        }
    }
    if keys.is_empty() {
        keys.push(Key::DEFAULT);
    }
    let correlate = Correlate::new(sources, keys.first().copied().unwrap_or(Key::DEFAULT));
    let tagger = Tagger::new(&keys, names).map_err(|(one, other)| Error {
        path: "tracks".to_owned(),
        found: format!("{one:?} and {other:?}"),
        allowed:
            "these names have the same code in a tagged request id; rename one, or use another key"
                .to_owned(),
    });
    Ok(Propagation { request_id, baggage, orphans, tagger: tagger?, correlate, ttl_ms, slots })
}

fn source(node: &Node<'_>) -> Result<Source, Error> {
    let name = node.text()?;
    let found = Source::ALL.into_iter().find(|source| source.header().eq_ignore_ascii_case(name));
    found.ok_or_else(|| {
        let allowed: Vec<_> = Source::ALL.iter().map(|source| source.header()).collect();
        node.error(format!("one of these is allowed here: {}", allowed.join(", ")))
    })
}

/// `[0-9]+(ms|s|m|h|d)`, as milliseconds, not zero.
#[cold]
fn duration_ms(node: &Node<'_>) -> Result<u64, Error> {
    let text = node.text()?;
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).unwrap_or_default();
    let factor = match unit {
        "ms" => Some(1),
        "s" => Some(1000),
        "m" => Some(60 * 1000),
        "h" => Some(60 * 60 * 1000),
        "d" => Some(24 * 60 * 60 * 1000),
        _ => None,
    };
    let number: Option<u64> = number.parse().ok();
    let duration = number.zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
    duration.filter(|duration| (1..=MAX_DURATION_MS).contains(duration)).ok_or_else(|| {
        node.error("a duration such as 60s is expected here: a number and ms, s, m, h or d")
    })
}

#[cold]
fn isolation(node: &Node<'_>, workloads: &[Vec<Workload>]) -> Result<Isolation, Error> {
    match node.text()? {
        "observe" => Ok(Isolation::Observe),
        "enforce" if workloads.iter().all(Vec::is_empty) => Err(node.error(
            "enforce needs to know which pods belong to a track: add workloads to the tracks",
        )),
        "enforce" => Ok(Isolation::Enforce),
        _ => Err(node.error("observe or enforce is allowed here")),
    }
}

#[cold]
fn egress(node: &Node<'_>) -> Result<Egress, Error> {
    let egress = node.object(schema::EGRESS)?;
    let strip = flag(egress.get("strip"), true)?;
    let domain = |node: Node<'_>| -> Result<Box<str>, Error> {
        let domain = node.some_text()?.trim_start_matches("*.").trim_matches('.');
        if domain.is_empty() {
            return Err(node.error("a domain such as svc.cluster.local is expected here"));
        }
        Ok(domain.to_ascii_lowercase().into())
    };
    let mesh_domains = match egress.get("meshDomains") {
        Some(node) => Some(Domains::new(node.list()?.map(domain).collect::<Result<_, _>>()?)),
        None => None,
    };
    Ok(Egress { strip, mesh_domains })
}

#[cold]
fn share(node: &Node<'_>) -> Result<Share, Error> {
    let share = node.object(schema::SHARE)?;
    match (share.get("percent"), share.get("ramp")) {
        (Some(percent), None) => Ok(Share::Fixed(percent.percent()?)),
        (None, Some(ramp)) => {
            let ramp = ramp.object(schema::RAMP)?;
            Ok(Share::Ramp {
                from: ramp.required("from")?.percent()?,
                to: ramp.required("to")?.percent()?,
                start_ms: rfc_3339(&ramp.required("start")?)?,
                over_ms: duration_ms(&ramp.required("over")?)?,
            })
        }
        _ => Err(node.error("either percent or ramp is expected here")),
    }
}

/// RFC 3339 section 5.6, as milliseconds of the Unix epoch.
fn rfc_3339(node: &Node<'_>) -> Result<u64, Error> {
    date_time(node.text()?.as_bytes()).ok_or_else(|| {
        node.error("a date and time with its offset is expected here, such as 2026-11-24T09:00:00Z")
    })
}

#[cold]
fn date_time(text: &[u8]) -> Option<u64> {
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = text.get(from..to)?;
        let plain = digits.iter().all(u8::is_ascii_digit);
        std::str::from_utf8(digits).ok().filter(|_| plain)?.parse().ok()
    };
    let mark = |at: usize, marks: &[u8]| text.get(at).filter(|b| marks.contains(b));
    mark(4, b"-")
        .and(mark(7, b"-"))
        .and(mark(10, b"Tt"))
        .and(mark(13, b":"))
        .and(mark(16, b":"))?;
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let valid = (1..=12).contains(&month) && (1..=days).contains(&day) && hour < 24 && minute < 60;
    if !valid || second > 60 {
        return None;
    }
    // A fraction of a second moves no share by a step.
    let mut at = 19;
    if mark(at, b".").is_some() {
        at += 1;
        at += text.get(at..)?.iter().take_while(|b| b.is_ascii_digit()).count();
        mark(at - 1, b"0123456789")?;
    }
    let offset = match text.get(at)? {
        b'Z' | b'z' if text.len() == at + 1 => 0,
        sign @ (b'+' | b'-') if text.len() == at + 6 => {
            mark(at + 3, b":")?;
            let (hours, minutes) = (number(at + 1, at + 3)?, number(at + 4, at + 6)?);
            let offset = (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)?;
            if *sign == b'+' { offset } else { -offset }
        }
        _ => return None,
    };
    // Days since the epoch in the proleptic Gregorian calendar, years counted from March.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days =
        365 * y + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400) + (153 * m + 2) / 5 + day
            - 1
            - 719_468;
    let seconds = ((days * 24 + hour) * 60 + minute - offset) * 60 + second;
    u64::try_from(seconds).ok()?.checked_mul(1000)
}

fn cookie_name(node: &Node<'_>) -> Result<Box<str>, Error> {
    let name = node.text()?;
    if !is_header_name(name) {
        return Err(node.error("a cookie's name is a token of letters, digits and -_. or the like"));
    }
    Ok(name.into())
}

/// RFC 3986 section 2.3: characters that no client encodes.
fn parameter_name(node: &Node<'_>) -> Result<Box<str>, Error> {
    let name = node.text()?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    if name.is_empty() || !name.bytes().all(plain) {
        return Err(node.error("a parameter's name is made of letters, digits and - . _ ~"));
    }
    Ok(name.into())
}

#[cold]
fn read_identity(node: &Node<'_>) -> Result<(Identity, String), Error> {
    let fields = node.object(schema::IDENTITY)?;
    let mut found = Vec::new();
    if let Some(node) = fields.get("cookie") {
        found.push(Identity::Cookie(cookie_name(&node)?));
    }
    if let Some(node) = fields.get("header") {
        let name = node.text()?.to_ascii_lowercase();
        if !is_header_name(&name) {
            return Err(node.error("this is no header name"));
        }
        found.push(Identity::Header(name.into()));
    }
    if let Some(node) = fields.get("queryParam") {
        found.push(Identity::QueryParam(node.some_text()?.into()));
    }
    let salt = fields.get("salt").map_or(Ok(""), |node| node.text())?.to_owned();
    match (found.pop(), found.is_empty()) {
        (Some(identity), true) => Ok((identity, salt)),
        (None, _) => Ok((Identity::Cookie("release-track-id".into()), salt)),
        (Some(_), false) => {
            Err(node.error("only one of cookie, header and queryParam is allowed here"))
        }
    }
}

#[cold]
fn read_preview(node: &Node<'_>, identity: &Identity) -> Result<PreviewConfig, Error> {
    let fields = node.object(schema::PREVIEW)?;
    let keys = match (fields.get("keys"), fields.get("keysFrom")) {
        (Some(list), None) if list.is_list() => {
            let keys: Vec<_> =
                list.list()?.map(|node| preview_key(&node)).collect::<Result<_, _>>()?;
            if keys.is_empty() {
                return Err(list.error("at least one key is required"));
            }
            PreviewKeys::Given(keys)
        }
        (Some(keys), None) => return Err(keys.secret_error("a list of keys is expected here")),
        (None, Some(name)) => PreviewKeys::From(name.some_text()?.into()),
        // The keys are not repeated.
        _ => {
            return Err(Error {
                found: "an object".to_owned(),
                ..node.error("either keys or keysFrom is required here")
            });
        }
    };
    let parameter = match fields.get("parameter") {
        Some(node) => parameter_name(&node)?,
        None => "release-track".into(),
    };
    let cookie = match fields.get("cookie") {
        Some(node) => cookie_name(&node)?,
        None => "release-track".into(),
    };
    if matches!(identity, Identity::Cookie(name) if *name == cookie) {
        return Err(Error {
            path: "preview.cookie".to_owned(),
            found: format!("{cookie:?}"),
            allowed: "this is identity.cookie too; each needs a cookie of its own".to_owned(),
        });
    }
    Ok(PreviewConfig { keys, parameter, cookie })
}

fn preview_key(node: &Node<'_>) -> Result<token::Key, Error> {
    let key = node.as_text().and_then(token::Key::parse);
    key.ok_or_else(|| node.secret_error("a key is 32 to 128 hex digits, an even number of them"))
}

/// RFC 9110 section 5.6.2: a token.
fn is_header_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// Headers that frame, route or trace a message, or that are carriers themselves: a track
/// written there would break the request.
const NOT_OURS: [&str; 24] = [
    "authorization",
    "b3",
    "baggage",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "set-cookie",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "uber-trace-id",
    "upgrade",
    "via",
    "x-cloud-trace-context",
    "x-request-id",
];

#[cold]
fn header(node: &Node<'_>) -> Result<Box<str>, Error> {
    let name = node.text()?.to_ascii_lowercase();
    if !is_header_name(&name) {
        return Err(node.error("this is no header name"));
    }
    let taken = NOT_OURS.contains(&&*name)
        || ["x-envoy-", "x-forwarded-", "x-b3-", "x-datadog-", "x-amzn-", "sec-"]
            .iter()
            .any(|prefix| name.starts_with(prefix));
    if taken {
        return Err(node.error("this header has a meaning of its own and may not be written; use one such as x-release-track"));
    }
    Ok(name.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_milliseconds() {
        let ttl = |text: &str| {
            let json =
                format!(r#"{{"tracks":[{{"name":"v2"}}],"propagation":{{"ttl":"{text}"}}}}"#);
            Config::parse(json.as_bytes()).ok().map(|config| config.propagation.ttl_ms)
        };
        for (text, ms) in [
            ("1ms", 1),
            ("60s", 60_000),
            ("3m", 180_000),
            ("2h", 7_200_000),
            ("1d", 86_400_000),
            ("3650d", 315_360_000_000),
        ] {
            assert_eq!(ttl(text), Some(ms), "{text}");
        }
        for text in ["", "ms", "0d", "3651d", "1", "1 s", "+1s", "1S", "1sm", "307445734561826d"] {
            assert_eq!(ttl(text), None, "{text}");
        }
    }

    // The numbers are another language's.
    #[test]
    fn dates_are_milliseconds_of_the_epoch() {
        for (text, ms) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1972-02-29T23:59:59Z", 68_255_999_000),
            ("2000-03-01T00:00:00Z", 951_868_800_000),
            ("2026-11-24T09:00:00+01:00", 1_795_507_200_000),
            ("2026-11-24T09:00:00-11:45", 1_795_553_100_000),
            ("2027-01-15t08:00:00.999z", 1_800_000_000_000),
            ("2028-12-31T23:59:59Z", 1_861_919_999_000),
            ("2100-03-01T00:00:00Z", 4_107_542_400_000),
        ] {
            assert_eq!(date_time(text.as_bytes()), Some(ms), "{text}");
        }
        for text in [
            "",
            "1969-12-31T23:59:59Z",
            "2027-00-15T08:00:00Z",
            "2027-13-15T08:00:00Z",
            "2027-01-00T08:00:00Z",
            "2027-01-32T08:00:00Z",
            "2027-04-31T08:00:00Z",
            "2027-02-29T08:00:00Z",
            "2100-02-29T08:00:00Z",
            "2027-01-15T24:00:00Z",
            "2027-01-15T08:60:00Z",
            "2027-01-15T08:00:61Z",
            "2027-01-15 08:00:00Z",
            "2027/01/15T08:00:00Z",
            "2027-01-15T08-00-00Z",
            "2027-01-15T08:00:00",
            "2027-01-15T08:00:00.Z",
            "2027-01-15T08:00:00Zx",
            "2027-01-15T08:00:00+24:00",
            "2027-01-15T08:00:00+01:60",
            "2027-01-15T08:00:00+0100",
            "2027-01-15T08:00:00*01:00",
            "+027-01-15T08:00:00Z",
        ] {
            assert_eq!(date_time(text.as_bytes()), None, "{text}");
        }
    }
}
