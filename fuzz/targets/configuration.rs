#![no_main]
//! Text that may be a configuration.

use libfuzzer_sys::fuzz_target;
use release_track::config::schema::{CONFIG, Field, Shape};
use release_track::config::{Config, Isolation};
use release_track::exchange::{Lines, Request, exchange};
use release_track::filter::Filter;
use release_track::host::fake::FakeHost;
use release_track::track::RESERVED;
use serde_json::{Map, Value};

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
    assert!(object_fits(&value, CONFIG), "the tables know nothing of {value}");
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
                ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
            ];
            let headers: Lines = headers.map(|(name, value)| (name.into(), value.into())).into();
            exchange(&filter, &mut host, &Request { direction, headers, ..Request::default() });
        }
    }
}

fn object_fits(value: &Value, fields: &[Field]) -> bool {
    let Some(object) = value.as_object() else { return false };
    let fits = |(name, value): (&String, &Value)| {
        fields.iter().any(|field| field.name == name && shape_fits(value, field.shape))
    };
    let required = |field: &&Field| field.default.is_none();
    object.iter().all(fits) && fields.iter().filter(required).all(|f| object.contains_key(f.name))
}

fn shape_fits(value: &Value, shape: &Shape) -> bool {
    match shape {
        Shape::Object(fields) => object_fits(value, fields),
        Shape::List(items) => {
            value.as_array().is_some_and(|list| list.iter().all(|item| shape_fits(item, items)))
        }
        Shape::Map { values, .. } => {
            let fits = |map: &Map<String, Value>| map.values().all(|v| shape_fits(v, values));
            value.as_object().is_some_and(fits)
        }
        Shape::Text(_) => value.is_string(),
        Shape::OneOf(texts) => value
            .as_str()
            .is_some_and(|text| texts.iter().any(|known| known.eq_ignore_ascii_case(text))),
        Shape::Bool => value.is_boolean(),
        Shape::Integer(from, to) => {
            value.as_f64().is_some_and(|n| (f64::from(*from)..=f64::from(*to)).contains(&n))
        }
        Shape::Percent => value.as_f64().is_some_and(|n| (0.0..=100.0).contains(&n)),
        Shape::Either(shapes) => shapes.iter().any(|shape| shape_fits(value, shape)),
    }
}
