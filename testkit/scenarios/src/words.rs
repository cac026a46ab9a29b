//! The words that configurations and requests are made of.

/// 2027-01-15T08:00:00Z, in milliseconds of the Unix epoch.
pub const NOW_MS: u64 = 1_800_000_000_000;

pub const NODES: [&str; 7] = [
    "router~10.0.0.9~ingress.istio-system~istio-system.svc.cluster.local",
    "sidecar~10.0.0.1~frontend-1.weather~weather.svc.cluster.local",
    "router~10.0.0.9~egress.istio-system~istio-system.svc.cluster.local",
    "sidecar~10.0.0.2~forecast-1.weather~weather.svc.cluster.local",
    "waypoint~10.0.0.3~waypoint-1.weather~weather.svc.cluster.local",
    "sidecar~~~",
    "envoy",
];

pub const APPS: [&str; 4] = ["frontend", "forecast", "recommendation", ""];
pub const VERSIONS: [&str; 4] = ["v2", "v1", "v3", ""];
pub const TRACKS: [&str; 6] = ["v2", "v3", "canary", "A-b_c.9", "v20", "2"];
/// What a carrier may say beside a track's name.
pub const SAID: [&str; 8] = ["baseline", "other", "off", "v9", "", "v2 ", "v2,v2", "V2"];

pub const CLUSTERS: [Option<&str>; 6] = [
    Some("outbound|3000||frontend.weather.svc.cluster.local"),
    Some("inbound|3000||"),
    None,
    Some("PassthroughCluster"),
    Some("outbound|443||api.example.com"),
    Some(""),
];

/// Of tags and of previews: both read 32 hex digits.
pub const KEYS: [&str; 3] = [
    "000102030405060708090a0b0c0d0e0f",
    "ffffffffffffffffffffffffffffffff",
    "A0b1c2d3e4f5a6b7c8d9e0f1a2b3c4d5",
];
/// The variable that may hold keys of previews.
pub const VARIABLE: &str = "PREVIEW_KEYS";

pub const IDS: [&str; 4] = [
    "73cf9109-747e-4c23-92e0-3376878b904e",
    "73CF9109-747E-4C23-92E0-3376878B904E",
    "00000000-0000-0000-0000-000000000000",
    "a1b2c3d4-e5f6-9788-8a9b-acbdcedfe0f1",
];

/// Names and values of the headers that a trace id may stand in.
pub const TRACES: [(&str, &str); 19] = [
    ("traceparent", "00-9f2b6c1e77b34da6e3ce829d0e0a4731-00f067aa0ba902b7-01"),
    ("traceparent", "00-00000000000000000000000000000000-00f067aa0ba902b7-01"),
    ("b3", "9f2b6c1e77b34da6e3ce829d0e0a4731-00f067aa0ba902b7-1"),
    ("b3", "e3ce829d0e0a4731-00f067aa0ba902b7"),
    ("b3", "0"),
    ("x-b3-traceid", "E3CE829D0E0A4731"),
    ("x-b3-traceid", "1111111111111111e3ce829d0e0a4731"),
    ("x-datadog-trace-id", "16415201302869067569"),
    ("x-datadog-trace-id", "17"),
    ("x-cloud-trace-context", "9f2b6c1e77b34da6e3ce829d0e0a4731/1;o=1"),
    ("uber-trace-id", "9f2b6c1e77b34da6e3ce829d0e0a4731:1:0:1"),
    ("uber-trace-id", "9f2b6c1e77b34da6e3ce829d0e0a4731%3A1%3A0%3A1"),
    ("x-amzn-trace-id", "Root=1-9f2b6c1e-77b34da6e3ce829d0e0a4731;Sampled=1"),
    ("x-amzn-trace-id", "Root=1"),
    (
        "sw8",
        "1-NmFiN2M3ZTk4ZTNmNGUwZjlhNDUuNjIuMTc2NDcyMzMwMDAwMTAwMDE=-NWFi-3-ZmU=-aTE=-Lw==-MTA=",
    ),
    ("sw8", "1-dW5kZWZpbmVk-NWFi-3-ZmU=-aTE=-Lw==-MTA="),
    ("x-correlation-id", "order-4711/of-this-night"),
    ("x-correlation-id", "undefined"),
    ("x-request-id", "undefined"),
];

/// Values of cookies, headers, parameters and paths, and what rules compare them with. The last
/// is empty.
pub const VALUES: [&str; 10] =
    ["tester", "beta", "a", "/", "/weather", "GET", "weather.example", "é", "x=y z", ""];

const PATTERNS: [&str; 6] = ["tester|beta", "t.*", "(?i)TESTER", "a+b?", r"/w[a-z]+", r"\d{1,3}"];

/// Names in maps.
pub fn keys(field: &str) -> &'static [&'static str] {
    match field {
        "cookies" | "withoutCookies" => &["user", "a", "$Version", "é"],
        "headers" | "withoutHeaders" => &["x-group", "X-User", "accept", "x-forwarded-proto"],
        "queryParams" => &["user", "p", ""],
        _ => &["frontend", "weather/forecast", "forecast", "recommendation", "other/frontend"],
    }
}

/// The cookies' names if nobody says otherwise.
pub const IDENTITY: &str = "release-track-id";
pub const PREVIEW: &str = "release-track";

/// Texts. `release` is what a map of workloads holds.
pub fn texts(field: &str) -> &'static [&'static str] {
    match field {
        "name" => &TRACKS,
        "header" => &["x-release-track", "x-track", "x_track", "X-User"],
        "edge" => &["gateway"],
        "inbound" | "workloads" | "fallback" => keys("workloads"),
        "release" => &VERSIONS[..3],
        "app" => &["app", "service"],
        "version" => &["version", "app"],
        "correlate" => &[
            "traceparent",
            "b3",
            "x-b3-traceid",
            "x-datadog-trace-id",
            "x-cloud-trace-context",
            "uber-trace-id",
            "x-amzn-trace-id",
            "X-Request-Id",
            "sw8",
            "X-Correlation-Id",
        ],
        "ttl" | "over" => &["60s", "1ms", "5m", "2h"],
        "retry" => &["0s", "60s", "2h"],
        "traceparent" => &["sampled", "unsampled"],
        "b3" => &["deferred", "sampled", "unsampled"],
        "start" => &["2027-01-15T07:00:00Z", "2027-01-15T08:00:00.5+01:00", "2030-01-01T00:00:00z"],
        "orphans" => &["workload", "baseline"],
        "isolation" => &["enforce", "observe"],
        "keys" => &KEYS,
        "keysFrom" => &[VARIABLE, "UNSET"],
        "parameter" => &["release-track", "p"],
        "cookie" => &[IDENTITY, PREVIEW, "user"],
        "queryParam" => &["user", "p"],
        "salt" => &["", "salt"],
        "domain" => &["weather.example", ".Example", "other.example"],
        "path" => &["/", "/weather"],
        "meshDomains" => &["corp.example", "*.example.com", "example.com."],
        "regex" => &PATTERNS,
        "prefix" => &VALUES[..9],
        _ => &VALUES,
    }
}
