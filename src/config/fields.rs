//! The fields of `pluginConfig` as they are written: what may stand where, what is there if nothing
//! is, and what it means. serde reads these types; the JSON Schema and the tables in the
//! documentation are made of them (feature `schema`).

use super::valid::Isolation;
use super::values::{
    AppName, CookieDomain, CookieName, CookiePath, Correlated, DateTime, Domain, Duration,
    HeaderName, LabelName, MatchedCookie, MatchedHeader, Minimum, ParameterName, Percent,
    PreviewKey, Regex, Retry, Slots, TagKey, Text, TrackHeader, TrackName,
};
use crate::carrier::mint::Mint;
use crate::carrier::propagator::Orphans;
use crate::carrier::request_id::Key;
use crate::carrier::trace_id;
use crate::decide::identity::Identity as Source;
use crate::decide::rules::{Condition, Subject, Test};
use crate::decide::set_cookie::{self, Cookie, SameSite};
use crate::decide::share;
#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{self, Deserializer, Error as _, MapAccess, SeqAccess, Visitor, value};
use std::fmt;
use std::marker::PhantomData;

/// pluginConfig
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PluginConfig {
    /// the tracks; the first one whose rule a request satisfies is the request's
    pub(super) tracks: Vec<Track>,
    /// the request header that carries the track
    #[serde(default)]
    pub(super) header: TrackHeader,
    /// who decides: gateways, and the inbound side of these apps' sidecars
    #[serde(default = "gateways")]
    pub(super) edge: Vec<Edge>,
    /// which pod labels name a workload
    #[serde(default)]
    pub(super) labels: Labels,
    /// believe the carriers that a request brings to the edge
    #[serde(default)]
    pub(super) trust_incoming: bool,
    /// how a track is carried on
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = {})))]
    pub(super) propagation: Propagation,
    /// what shares hash; a missing cookie is set on page navigations
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = {"cookie": IDENTITY_COOKIE})))]
    pub(super) identity: Identity,
    /// signed links for testers without an account; absent: none are read
    pub(super) preview: Option<Preview>,
    /// add what the rules read to the Vary of every response at the edge
    #[serde(default)]
    pub(super) vary: bool,
    /// tracked responses carry the header, as TRACK; reason=REASON
    #[serde(default)]
    pub(super) expose: bool,
    /// what happens to a request that crosses: observe counts it, enforce also responds with 421
    #[serde(default)]
    pub(super) isolation: Isolation,
    /// what leaves the mesh
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = {})))]
    pub(super) egress: Egress,
    /// decide and count, but stamp nothing
    #[serde(default)]
    pub(super) dry_run: bool,
}

/// One entry of `tracks`.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Track {
    /// the value of the header; not off, baseline, none or other
    pub(super) name: TrackName,
    /// rules, of which one must hold; without any, the track is carried but never decided
    #[serde(default, rename = "match")]
    #[cfg_attr(feature = "schema", schemars(extend("default" = [])))]
    pub(super) rules: Vec<Rule>,
    /// a sticky part of everybody whom no rule decides
    pub(super) share: Option<Share>,
    /// the pods that belong to the track: app (or namespace/app) to version label, or several; a list of apps means the
    /// track's own name as version
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = {})))]
    pub(super) workloads: Workloads,
    /// stops the track's shares, and those of its rules, where too many of its responses fail
    pub(super) guard: Option<Guard>,
    /// apps (or namespace/app) whose pods on baseline may stand in for the track's own
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = [])))]
    pub(super) fallback: Vec<AppName>,
    /// count who would follow this track, and go on to the next
    #[serde(default)]
    pub(super) dry_run: bool,
}

/// One entry of `match`: all of it must hold.
#[derive(Deserialize)]
#[serde(try_from = "RuleFields")]
pub(super) struct Rule {
    pub(super) conditions: Vec<Condition>,
    pub(super) share: Option<share::Share>,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RuleFields {
    /// by name: some cookie of that name, on any Cookie line, satisfies it
    #[serde(default)]
    cookies: Map<MatchedCookie, StringMatch>,
    /// by name: no cookie of that name satisfies it
    #[serde(default)]
    without_cookies: Map<MatchedCookie, StringMatch>,
    /// by name: some line of that header satisfies it
    #[serde(default)]
    headers: Map<MatchedHeader, StringMatch>,
    /// by name: no line of that header satisfies it
    #[serde(default)]
    without_headers: Map<MatchedHeader, StringMatch>,
    /// the path without its query
    uri: Option<StringMatch>,
    /// the HTTP method
    method: Option<StringMatch>,
    /// the authority as sent, with its port
    authority: Option<StringMatch>,
    /// by name: the first value of that parameter, raw
    #[serde(default)]
    query_params: Map<Box<str>, StringMatch>,
    /// the rule takes a sticky part of whom it fits, and the rest goes on to the next rule
    share: Option<Share>,
}

impl TryFrom<RuleFields> for Rule {
    type Error = &'static str;

    #[cold]
    fn try_from(rule: RuleFields) -> Result<Self, &'static str> {
        let mut conditions = Vec::new();
        let mut add = |subject, StringMatch(test), negated| {
            conditions.push(Condition { subject, test, negated });
        };
        for (cookies, negated) in [(rule.cookies, false), (rule.without_cookies, true)] {
            for (MatchedCookie(name), test) in cookies.0 {
                add(Subject::Cookie(name.into()), test, negated);
            }
        }
        for (headers, negated) in [(rule.headers, false), (rule.without_headers, true)] {
            for (MatchedHeader(name), test) in headers.0 {
                add(Subject::Header(name.into()), test, negated);
            }
        }
        for (subject, test) in [
            (Subject::Uri, rule.uri),
            (Subject::Method, rule.method),
            (Subject::Authority, rule.authority),
        ] {
            if let Some(test) = test {
                add(subject, test, false);
            }
        }
        for (name, test) in rule.query_params.0 {
            add(Subject::QueryParam(name.into()), test, false);
        }
        match conditions.is_empty() {
            true => {
                Err("an empty rule would match every request; remove it, or say what must hold")
            }
            false => Ok(Self { conditions, share: rule.share.map(Into::into) }),
        }
    }
}

/// What a value has to be: at most one of these.
#[derive(Deserialize)]
#[serde(try_from = "StringMatchFields")]
pub(super) struct StringMatch(Test);

/// A string match is one of these, or `{}`: the cookie, header or parameter is there.
#[derive(Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(JsonSchema),
    schemars(title = "string match", extend("maxProperties" = 1))
)]
#[serde(deny_unknown_fields)]
pub(super) struct StringMatchFields {
    /// the whole value
    exact: Option<Box<str>>,
    /// how the value begins
    prefix: Option<Text>,
    /// a regular expression (RE2 syntax) that the whole value matches
    regex: Option<Regex>,
    /// the value is one of these, thousands at the cost of one
    r#in: Option<Vec<Box<str>>>,
}

impl TryFrom<StringMatchFields> for StringMatch {
    type Error = &'static str;

    #[cold]
    fn try_from(fields: StringMatchFields) -> Result<Self, &'static str> {
        let StringMatchFields { exact, prefix, regex, r#in } = fields;
        let test = match (exact, prefix, regex, r#in) {
            (None, None, None, None) => Test::Present,
            (Some(exact), None, None, None) => Test::OneOf(vec![exact.into()]),
            (None, Some(Text(prefix)), None, None) => Test::Prefix(prefix.into()),
            (None, None, Some(Regex(pattern)), None) => Test::Regex(pattern),
            (None, None, None, Some(list)) => {
                Test::OneOf(list.into_iter().map(Into::into).collect())
            }
            _ => return Err("only one of exact, prefix, regex and in is allowed here"),
        };
        Ok(Self(test))
    }
}

/// `share`: one of these. All tracks together have at most 100 %.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(rename_all = "camelCase", expecting = "either percent or ramp")]
pub(super) enum Share {
    /// how large it is, in steps of 0.01
    Percent(Percent),
    /// it moves with the clock
    Ramp(Ramp),
}

/// `share.ramp`
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Ramp {
    /// the share before and at the start
    from: Percent,
    /// the share at the end and after it
    to: Percent,
    /// when it begins to move (RFC 3339, 2026-11-24T09:00:00Z)
    start: DateTime,
    /// how long it moves
    over: Duration,
}

/// `guard`
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Guard {
    /// percentage points that the track's failed responses may exceed those of baseline
    pub(super) errors: Percent,
    /// the window that is looked at
    pub(super) over: Duration,
    /// responses of the track in the window before anything is decided
    pub(super) minimum: Minimum,
    /// try again after this; 0s: stay stopped until the track's configuration changes
    pub(super) retry: Retry,
}

impl Default for Guard {
    fn default() -> Self {
        Self {
            errors: Percent(500),
            over: Duration(60_000),
            minimum: Minimum::default(),
            retry: Retry(0),
        }
    }
}

impl From<Share> for share::Share {
    fn from(share: Share) -> Self {
        match share {
            Share::Percent(Percent(share)) => Self::Fixed(share),
            Share::Ramp(Ramp { from, to, start, over }) => {
                Self::Ramp { from: from.0, to: to.0, start_ms: start.0, over_ms: over.0 }
            }
        }
    }
}

/// The pods of a track.
pub(super) enum Workloads {
    Versions(Map<AppName, Versions>),
    /// Their version is the track's name.
    Apps(Vec<AppName>),
}

/// The versions of an app that belong to a track; at least one.
pub(super) struct Versions(pub(super) Vec<Text>);

/// An entry of `edge`.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema, serde::Serialize))]
#[serde(rename_all = "camelCase", expecting = "gateway, or {inbound: [app, ...]}")]
pub(super) enum Edge {
    /// gateways
    Gateway,
    /// apps (or namespace/app) whose sidecars decide for requests that arrive without a track
    #[cfg_attr(feature = "schema", serde(skip_serializing))]
    Inbound(Vec<AppName>),
}

fn gateways() -> Vec<Edge> {
    vec![Edge::Gateway]
}

/// `labels`
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema, serde::Serialize))]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Labels {
    /// the pod label that names the app
    pub(super) app: LabelName,
    /// the pod label that names the version
    pub(super) version: LabelName,
}

impl Default for Labels {
    fn default() -> Self {
        Self { app: LabelName("app".into()), version: LabelName("version".into()) }
    }
}

/// `propagation`
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Propagation {
    /// tag x-request-id, and read tags
    pub(super) request_id: bool,
    /// write and read the baggage member release-track
    pub(super) baggage: bool,
    /// headers whose ids are remembered, in the order in which they are looked up: of a known form,
    /// or any others by their whole value
    #[cfg_attr(feature = "schema", schemars(extend("maxItems" = trace_id::MOST)))]
    pub(super) correlate: Vec<Correlated>,
    /// trace contexts that a tracked request is given where it has none, with the tag in their ids
    pub(super) mint: Mint,
    /// how long an id is remembered
    pub(super) ttl: Duration,
    /// buckets for remembered ids, of 4 entries each
    pub(super) slots: Slots,
    /// what a call follows when no carrier says anything: the calling pod's own track (workload),
    /// or baseline
    pub(super) orphans: Orphans,
    /// keys of tagged ids, 32 hex digits each; the first writes, all read
    #[cfg_attr(
        feature = "schema",
        schemars(extend("default" = ["000102030405060708090a0b0c0d0e0f"]))
    )]
    pub(super) keys: Secret<Vec<TagKey>>,
}

impl Default for Propagation {
    fn default() -> Self {
        Self {
            request_id: true,
            baggage: true,
            correlate: trace_id::Source::defaults().into_iter().map(Correlated).collect(),
            mint: Mint::default(),
            ttl: Duration(60_000),
            slots: Slots::default(),
            orphans: Orphans::Workload,
            keys: Secret(vec![TagKey(Key::DEFAULT)]),
        }
    }
}

/// Where a request's identity stands, and what its hash is mixed with.
#[derive(Deserialize)]
#[serde(try_from = "IdentityFields")]
pub(super) struct Identity {
    pub(super) source: Source,
    pub(super) salt: Box<str>,
}

const IDENTITY_COOKIE: &str = "release-track-id";

impl Default for Identity {
    fn default() -> Self {
        Self { source: Source::Cookie(Cookie::named(IDENTITY_COOKIE)), salt: Box::default() }
    }
}

/// `identity`: at most one of cookie, header and queryParam.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct IdentityFields {
    /// this cookie's value
    #[cfg_attr(feature = "schema", schemars(extend("default" = IDENTITY_COOKIE)))]
    cookie: Option<CookieName>,
    /// this request header's value
    header: Option<HeaderName>,
    /// this query parameter's value
    query_param: Option<Text>,
    /// of the cookie where it is set
    #[cfg_attr(feature = "schema", schemars(extend("default" = {})))]
    attributes: Option<Attributes>,
    /// makes these shares independent of those of another salt
    salt: Option<Box<str>>,
}

impl TryFrom<IdentityFields> for Identity {
    type Error = &'static str;

    #[cold]
    fn try_from(fields: IdentityFields) -> Result<Self, &'static str> {
        let IdentityFields { cookie, header, query_param, attributes, salt } = fields;
        let salt = salt.unwrap_or_default();
        let is_cookie = header.is_none() && query_param.is_none();
        if attributes.is_some() && !is_cookie {
            return Err("attributes are those of a cookie, and none is set here");
        }
        let source = match (cookie, header, query_param) {
            (cookie, None, None) => {
                let name = cookie.map_or(IDENTITY_COOKIE.into(), |CookieName(name)| name);
                Source::Cookie(Cookie { name, attributes: attributes.unwrap_or_default().into() })
            }
            (None, Some(HeaderName(name)), None) => Source::Header(name),
            (None, None, Some(Text(name))) => Source::QueryParam(name),
            _ => return Err("only one of cookie, header and queryParam is allowed here"),
        };
        Ok(Self { source, salt })
    }
}

/// `identity.attributes` and `preview.attributes`
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Attributes {
    /// hosts of this domain share the cookie; by default it is the host's alone
    domain: Option<CookieDomain>,
    /// only paths from here on have it
    path: CookiePath,
    /// whether other sites' requests bear it: as a person goes to a page (lax), never (strict), or
    /// always (none, over TLS only)
    same_site: SameSite,
    /// browsers keep one for each site that embeds the page; over TLS only
    partitioned: bool,
}

impl From<Attributes> for set_cookie::Attributes {
    fn from(attributes: Attributes) -> Self {
        let Attributes { domain, path: CookiePath(path), same_site, partitioned } = attributes;
        let domain = domain.map(|CookieDomain(domain)| domain);
        Self { domain, path, same_site, partitioned }
    }
}

/// `preview`: keys or keysFrom.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Preview {
    /// keys of the tokens, 32 to 128 hex digits each; the first signs, all verify
    pub(super) keys: Option<Secret<Vec<PreviewKey>>>,
    /// the environment variable of the proxy (vmConfig.env) that holds them, separated by commas
    pub(super) keys_from: Option<Text>,
    /// the query parameter of a link
    #[serde(default)]
    pub(super) parameter: ParameterName,
    /// the cookie that keeps a link's token
    #[serde(default = "preview_cookie")]
    pub(super) cookie: CookieName,
    /// of that cookie
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = {})))]
    pub(super) attributes: Attributes,
}

fn preview_cookie() -> CookieName {
    CookieName("release-track".into())
}

/// `egress`
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Egress {
    /// remove the header and the baggage member from what leaves the mesh
    pub(super) strip: bool,
    /// domains whose hosts are inside, beside the mesh's own and svc.clusterset.local
    #[cfg_attr(feature = "schema", schemars(with = "Vec<Domain>"))]
    pub(super) mesh_domains: Vec<Domain>,
}

impl Default for Egress {
    fn default() -> Self {
        Self { strip: true, mesh_domains: Vec::new() }
    }
}

/// Values that no error repeats.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema), schemars(inline))]
pub(super) struct Secret<T>(pub(super) T);

/// The fields of an object whose names are free, in their order.
pub(super) struct Map<K, V>(pub(super) Vec<(K, V)>);

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, K: Deserialize<'de>, V: Deserialize<'de>> Deserialize<'de> for Map<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MapVisitor(PhantomData))
    }
}

struct MapVisitor<K, V>(PhantomData<(K, V)>);

impl<'de, K: Deserialize<'de>, V: Deserialize<'de>> Visitor<'de> for MapVisitor<K, V> {
    type Value = Map<K, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object (name: value)")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let mut map = Vec::new();
        while let Some(field) = fields.next_entry()? {
            map.push(field);
        }
        Ok(Map(map))
    }
}

impl Default for Workloads {
    fn default() -> Self {
        Self::Apps(Vec::new())
    }
}

impl<'de> Deserialize<'de> for Workloads {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WorkloadsVisitor)
    }
}

struct WorkloadsVisitor;

impl<'de> Visitor<'de> for WorkloadsVisitor {
    type Value = Workloads;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object (app: version), or a list of apps")
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Workloads, A::Error> {
        MapVisitor(PhantomData).visit_map(fields).map(Workloads::Versions)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Workloads, A::Error> {
        let items = value::SeqAccessDeserializer::new(items);
        Deserialize::deserialize(items).map(Workloads::Apps)
    }
}

impl<'de> Deserialize<'de> for Versions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(VersionsVisitor)
    }
}

struct VersionsVisitor;

impl<'de> Visitor<'de> for VersionsVisitor {
    type Value = Versions;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a version label, or a list of them; quote it")
    }

    fn visit_str<E: de::Error>(self, version: &str) -> Result<Versions, E> {
        Text::try_from(version).map(|version| Versions(vec![version])).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Versions, A::Error> {
        let items = value::SeqAccessDeserializer::new(items);
        let versions: Vec<_> = Deserialize::deserialize(items)?;
        match versions.is_empty() {
            true => Err(A::Error::custom("at least one version is required")),
            false => Ok(Versions(versions)),
        }
    }
}
