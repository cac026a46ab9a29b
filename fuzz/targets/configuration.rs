#![no_main]
//! Text that may be a configuration.

use libfuzzer_sys::fuzz_target;
use release_track::config::{Config, Isolation, schema};
use release_track::exchange::{Lines, Request, exchange};
use release_track::filter::Filter;
use release_track::host::fake::FakeHost;
use release_track::track::RESERVED;
use serde_json::Value;
use std::sync::LazyLock;

static SCHEMA: LazyLock<Value> = LazyLock::new(schema::document);

/// More buckets than this take too long to make.
const MOST_SLOTS: u32 = 64;

fuzz_target!(|json: &[u8]| {
    let config = match Config::parse(json) {
        Ok(config) => config,
        Err(error) => {
            // 64 bytes of the value, quoted and escaped (an escape has ten characters at most).
            assert!(error.found.chars().count() <= 64 * 10 + 5, "{error}");
            assert!(!error.allowed.is_empty() && !error.to_string().contains('\n'), "{error}");
            return;
        }
    };
    let value: Value = serde_json::from_slice(json).expect("it was accepted");
    assert!(fits(&value, &SCHEMA), "the schema knows nothing of {value}");
    let names: Vec<_> = config.names.iter().map(|(_, name)| name.as_str()).collect();
    assert!(!names.is_empty() && !names.iter().any(|name| RESERVED.contains(name)));
    assert!((1..names.len()).all(|n| !names[..n].contains(&names[n])), "{names:?}");
    assert_eq!([config.workloads.len(), config.dry_tracks.len()], [names.len(); 2]);
    assert_eq!(*config.header, config.header.to_ascii_lowercase());
    assert!(config.propagation.ttl_ms > 0);
    assert!(
        config.isolation == Isolation::Observe || config.workloads.iter().any(|w| !w.is_empty())
    );
    if config.propagation.slots <= MOST_SLOTS {
        runs(json);
    }
});

/// It works on every kind of proxy.
fn runs(json: &[u8]) {
    for (kind, directions) in [("router", 2..=2), ("sidecar", 0..=2), ("waypoint", 1..=1)] {
        let node = format!("{kind}~10.0.0.1~frontend-1.weather~weather.svc.cluster.local");
        let mut host = FakeHost::node(&node, &[("app", "frontend"), ("version", "v2")]);
        host.now_ms = 1_800_000_000_000;
        let filter = Filter::configure(&mut host, json).expect("it is valid");
        for direction in directions {
            let headers: [(&str, &str); 7] = [
                (":method", "GET"),
                (":path", "/weather?user=tester"),
                (":authority", "weather.example"),
                ("accept", "text/html"),
                ("cookie", "user=tester"),
                ("x-release-track", "v2"),
                ("traceparent", "00-9f2b6c1e77b34da6e3ce829d0e0a4731-00f067aa0ba902b7-01"),
            ];
            let headers: Lines = headers.map(|(name, value)| (name.into(), value.into())).into();
            exchange(&filter, &mut host, &Request { direction, headers, ..Request::default() });
        }
    }
}

/// Whether the schema allows a value: of strings, any that is not one of several names.
fn fits(value: &Value, schema: &Value) -> bool {
    if let Some(choices) = schema["oneOf"].as_array().or(schema["anyOf"].as_array()) {
        return choices.iter().any(|schema| fits(value, schema));
    }
    if let Some(constant) = schema.get("const") {
        return value == constant;
    }
    let bounds = || Some(schema["minimum"].as_f64()?..=schema["maximum"].as_f64()?);
    match schema["type"].as_str() {
        Some("object") => {
            let Some(object) = value.as_object() else { return false };
            let field = |name: &str| match schema["properties"].get(name) {
                Some(schema) => Some(schema),
                None => Some(&schema["additionalProperties"]).filter(|schema| schema.is_object()),
            };
            let required = schema["required"].as_array().into_iter().flatten();
            let mut required = required.filter_map(Value::as_str);
            required.all(|name| object.contains_key(name))
                && object
                    .iter()
                    .all(|(name, value)| field(name).is_some_and(|schema| fits(value, schema)))
        }
        Some("array") => value
            .as_array()
            .is_some_and(|items| items.iter().all(|item| fits(item, &schema["items"]))),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer" | "number") => {
            value.as_f64().zip(bounds()).is_some_and(|(number, bounds)| bounds.contains(&number))
        }
        _ => false,
    }
}
