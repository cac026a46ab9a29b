//! The form of `pluginConfig`, as data: which fields there are, what may stand in them, and what
//! they mean. The parser refuses what is not in these tables, and the documentation is made from
//! them.

/// What may stand in a place of the configuration.
#[derive(Debug)]
pub enum Shape {
    Object(&'static [Field]),
    List(&'static Shape),
    /// Any keys, of this form.
    Map {
        keys: &'static str,
        values: &'static Shape,
    },
    /// Text, with a regular expression for it, or an empty one.
    Text(&'static str),
    /// One of these texts.
    OneOf(&'static [&'static str]),
    Bool,
    /// A whole number from .. to.
    Integer(u32, u32),
    /// A percentage, in steps of 0.01.
    Percent,
    /// One of several forms.
    Either(&'static [Shape]),
}

/// One field of an object.
#[derive(Debug)]
pub struct Field {
    pub name: &'static str,
    pub shape: &'static Shape,
    /// As YAML; `None`: the field is required. `Some("")`: absent by default.
    pub default: Option<&'static str>,
    pub meaning: &'static str,
}

const fn field(
    name: &'static str,
    shape: &'static Shape,
    default: Option<&'static str>,
    meaning: &'static str,
) -> Field {
    Field { name, shape, default, meaning }
}

const ANY_TEXT: Shape = Shape::Text("");
const TEXTS: Shape = Shape::List(&ANY_TEXT);

/// The whole of `pluginConfig`.
pub const CONFIG: &[Field] = &[
    field(
        "tracks",
        &Shape::List(&Shape::Object(TRACK)),
        None,
        "the tracks; the first one whose rule a request satisfies is the request's",
    ),
    field(
        "header",
        &Shape::Text("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"),
        Some("x-release-track"),
        "the request header that carries the track",
    ),
    field(
        "edge",
        &Shape::List(&EDGE),
        Some("[gateway]"),
        "who decides: gateways, and the inbound side of these apps' sidecars",
    ),
    field(
        "labels",
        &Shape::Object(LABELS),
        Some("{app: app, version: version}"),
        "which pod labels name a workload",
    ),
    field(
        "trustIncoming",
        &Shape::Bool,
        Some("false"),
        "believe the carriers that a request brings to the edge",
    ),
    field("propagation", &Shape::Object(PROPAGATION), Some("{}"), "how a track is carried on"),
    field(
        "identity",
        &Shape::Object(IDENTITY),
        Some("{cookie: release-track-id}"),
        "what shares hash; a missing cookie is set on page navigations",
    ),
    field(
        "preview",
        &Shape::Object(PREVIEW),
        Some(""),
        "signed links for testers without an account; absent: none are read",
    ),
    field(
        "vary",
        &Shape::Bool,
        Some("false"),
        "add what the rules read to the Vary of every answer at the edge",
    ),
    field(
        "expose",
        &Shape::Bool,
        Some("false"),
        "tracked answers carry the header, as TRACK; reason=REASON",
    ),
    field(
        "isolation",
        &Shape::OneOf(&["observe", "enforce"]),
        Some("observe"),
        "what happens to a request that crosses: observe counts it, enforce also answers 421",
    ),
    field("egress", &Shape::Object(EGRESS), Some("{}"), "what leaves the mesh"),
    field("dryRun", &Shape::Bool, Some("false"), "decide and count, but stamp nothing"),
];

/// One entry of `tracks`.
pub const TRACK: &[Field] = &[
    field(
        "name",
        &Shape::Text("^[A-Za-z0-9._-]{1,63}$"),
        None,
        "the value of the header; not off, baseline, none or other",
    ),
    field(
        "match",
        &Shape::List(&Shape::Object(RULE)),
        Some("[]"),
        "rules, of which one must hold; without any, the track is carried but never decided",
    ),
    field(
        "share",
        &Shape::Object(SHARE),
        Some(""),
        "a sticky part of everybody whom no rule decides",
    ),
    field(
        "workloads",
        &WORKLOADS,
        Some("{}"),
        "the pods that belong to the track: app (or namespace/app) to version label; a list means the track's own name as version",
    ),
    field(
        "dryRun",
        &Shape::Bool,
        Some("false"),
        "count who would follow this track, and go on to the next",
    ),
];

/// `share`: one of these. All tracks together have at most 100 %.
pub const SHARE: &[Field] = &[
    field("percent", &Shape::Percent, Some(""), "how large it is, in steps of 0.01"),
    field("ramp", &Shape::Object(RAMP), Some(""), "it moves with the clock"),
];

/// `share.ramp`
pub const RAMP: &[Field] = &[
    field("from", &Shape::Percent, None, "the share before and at the start"),
    field("to", &Shape::Percent, None, "the share at the end and after it"),
    field(
        "start",
        &Shape::Text(RFC_3339),
        None,
        "when it begins to move (RFC 3339, 2026-11-24T09:00:00Z)",
    ),
    field("over", &DURATION, None, "how long it moves"),
];

const RFC_3339: &str = "^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})$";
const DURATION: Shape = Shape::Text("^[0-9]+(ms|s|m|h|d)$");

/// One entry of `match`: all of it must hold.
pub const RULE: &[Field] = &[
    field(
        "cookies",
        &MATCHES,
        Some(""),
        "by name: some cookie of that name, on any Cookie line, satisfies it",
    ),
    field("withoutCookies", &MATCHES, Some(""), "by name: no cookie of that name satisfies it"),
    field("headers", &MATCHES, Some(""), "by name: some line of that header satisfies it"),
    field("withoutHeaders", &MATCHES, Some(""), "by name: no line of that header satisfies it"),
    field("uri", &STRING_MATCH, Some(""), "the path without its query"),
    field("method", &STRING_MATCH, Some(""), "the HTTP method"),
    field("authority", &STRING_MATCH, Some(""), "the authority as sent, with its port"),
    field("queryParams", &MATCHES, Some(""), "by name: the first value of that parameter, raw"),
];

const MATCHES: Shape = Shape::Map { keys: "", values: &STRING_MATCH };
const STRING_MATCH: Shape = Shape::Object(TEST);

/// A StringMatch: one of these, or `{}` for presence.
pub const TEST: &[Field] = &[
    field("exact", &ANY_TEXT, Some(""), "the whole value"),
    field("prefix", &ANY_TEXT, Some(""), "how the value begins"),
    field(
        "regex",
        &ANY_TEXT,
        Some(""),
        "a regular expression (RE2 syntax) that the whole value matches",
    ),
    field("in", &TEXTS, Some(""), "the value is one of these, thousands at the cost of one"),
];

const WORKLOADS: Shape =
    Shape::Either(&[Shape::Map { keys: "", values: &ANY_TEXT }, Shape::List(&ANY_TEXT)]);

const EDGE: Shape = Shape::Either(&[Shape::OneOf(&["gateway"]), Shape::Object(INBOUND)]);

/// An entry of `edge` that is not `gateway`.
pub const INBOUND: &[Field] = &[field(
    "inbound",
    &TEXTS,
    None,
    "apps (or namespace/app) whose sidecars decide for requests that arrive without a track",
)];

/// `labels`
pub const LABELS: &[Field] = &[
    field("app", &ANY_TEXT, Some("app"), "the pod label that names the app"),
    field("version", &ANY_TEXT, Some("version"), "the pod label that names the version"),
];

/// `identity`: at most one of cookie, header and queryParam.
pub const IDENTITY: &[Field] = &[
    field("cookie", &ANY_TEXT, Some("release-track-id"), "this cookie's value"),
    field("header", &ANY_TEXT, Some(""), "this request header's value"),
    field("queryParam", &ANY_TEXT, Some(""), "this query parameter's value"),
    field("salt", &ANY_TEXT, Some(""), "makes these shares independent of those of another salt"),
];

/// `preview`: keys or keysFrom.
pub const PREVIEW: &[Field] = &[
    field(
        "keys",
        &Shape::List(&Shape::Text("^([0-9A-Fa-f]{2}){16,64}$")),
        Some(""),
        "keys of the tokens, 32 to 128 hex digits each; the first signs, all verify",
    ),
    field(
        "keysFrom",
        &ANY_TEXT,
        Some(""),
        "the environment variable of the proxy (vmConfig.env) that holds them, separated by commas",
    ),
    field("parameter", &ANY_TEXT, Some("release-track"), "the query parameter of a link"),
    field("cookie", &ANY_TEXT, Some("release-track"), "the cookie that keeps a link's token"),
];

/// `egress`
pub const EGRESS: &[Field] = &[
    field(
        "strip",
        &Shape::Bool,
        Some("true"),
        "remove the header and the baggage member from what leaves the mesh",
    ),
    field(
        "meshDomains",
        &TEXTS,
        Some(""),
        "the domains whose hosts are inside; by default the mesh's own and svc.clusterset.local",
    ),
];

/// `propagation`
pub const PROPAGATION: &[Field] = &[
    field("requestId", &Shape::Bool, Some("true"), "tag x-request-id, and read tags"),
    field("baggage", &Shape::Bool, Some("true"), "write and read the baggage member release-track"),
    field(
        "correlate",
        &Shape::List(&Shape::Text("")),
        Some(
            "[traceparent, b3, x-b3-traceid, x-datadog-trace-id, x-cloud-trace-context, uber-trace-id, x-amzn-trace-id, x-request-id]",
        ),
        "headers whose ids are remembered, in the order in which they are looked up",
    ),
    field("ttl", &DURATION, Some("60s"), "how long an id is remembered"),
    field(
        "slots",
        &Shape::Integer(1, 65_536),
        Some("4096"),
        "buckets for remembered ids, of 4 entries each",
    ),
    field(
        "orphans",
        &Shape::OneOf(&["workload", "baseline"]),
        Some("workload"),
        "what a call follows when no carrier says anything: the calling pod's own track (workload), or baseline",
    ),
    field(
        "keys",
        &Shape::List(&Shape::Text("^[0-9A-Fa-f]{32}$")),
        Some("[000102030405060708090a0b0c0d0e0f]"),
        "keys of tagged ids, 32 hex digits each; the first writes, all read",
    ),
];
