//! Requests, most of their headers such that the filter reads.

use crate::words;
use arbitrary::{Result, Unstructured};
use release_track::carrier::request_id::{Tag, Uuid};
use release_track::config::Config;
use release_track::decide::token;
use release_track::exchange::{Lines, Request};
use release_track::istio::peer::{self, CallerField};
use release_track::track::Name;

type U<'a, 'b> = &'a mut Unstructured<'b>;

pub(crate) fn arbitrary(u: U<'_, '_>, config: Option<&Config>, now_ms: u64) -> Result<Request> {
    let after_ms = *u.choose(&[0, 0, 1, 999, 30_000, 59_999, 60_000, 86_400_000])?;
    Ok(Request {
        after_ms,
        direction: *u.choose(&[2, 1, 2, 1, 2, 1, 0, 7])?,
        cluster: u.choose(&words::CLUSTERS)?.map(Into::into),
        tracked_cluster: u.choose(&words::CLUSTERS)?.map(Into::into),
        mtls: u.arbitrary()?,
        properties: Vec::new(),
        headers: headers(u, config, now_ms + after_ms)?,
        response: response(u)?,
    })
}

/// Who calls a waypoint, and the endpoint that it chooses.
pub(crate) fn peers(u: U<'_, '_>) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut properties = Vec::new();
    let mut property = |path: &[u8], value: String| properties.push((path.into(), value.into()));
    let namespaces = ["weather", "weather", "other", ""];
    for (field, values) in [
        (CallerField::App, &words::APPS),
        (CallerField::Version, &words::VERSIONS),
        (CallerField::Namespace, &namespaces),
    ] {
        // Istio's object has no field that is empty.
        if let Some(value) = Some(*u.choose(values)?).filter(|value| !value.is_empty()) {
            property(field.property(), value.into());
        }
    }
    let (namespace, app) = (u.choose(&namespaces)?, u.choose(&words::APPS)?);
    match u.int_in_range(0..=3)? {
        0 => {}
        1 => property(peer::ENDPOINT, format!("{app}-1;{namespace}")),
        _ => {
            let version = u.choose(&words::VERSIONS)?;
            property(peer::ENDPOINT, format!("{app}-1;{namespace};{app};{version};Kubernetes"));
        }
    }
    Ok(properties)
}

fn headers(u: U<'_, '_>, config: Option<&Config>, now_ms: u64) -> Result<Lines> {
    let mut lines: Lines = Vec::new();
    let mut add = |name: &str, value: Vec<u8>| lines.push((name.into(), value));
    add(":method", u.choose(&["GET", "POST", "GET"])?.as_bytes().into());
    add(":path", path(u, now_ms)?);
    add(":authority", u.choose(&["weather.example", "a-shadow:80", "a:80", ""])?.as_bytes().into());
    let header = config.map_or("x-release-track", |config| &config.header);
    for _ in 0..u.int_in_range(0..=9)? {
        match u.int_in_range(0..=11)? {
            0 => add("x-request-id", id(u, config)?),
            1 => add(header, said(u, config)?),
            2 => add("baggage", baggage(u, config)?),
            3 | 4 => add("cookie", cookies(u, now_ms)?),
            5 | 6 => {
                let (name, value) = *u.choose(&words::TRACES)?;
                add(name, value.into());
            }
            7 => add("accept", "text/html, */*".into()),
            8 => add("x-forwarded-proto", u.choose(&["https", "http"])?.as_bytes().into()),
            // What an application cannot tell from a carrier.
            9 => {
                let aliases = ["x_release_track", "x_request-id", "x-track", "x_b3_traceid"];
                add(u.choose(&aliases)?, said(u, config)?);
            }
            10 => {
                let name = u.choose(words::keys("headers"))?.to_ascii_lowercase();
                add(&name, u.choose(&words::VALUES)?.as_bytes().into());
            }
            _ => add(u.choose(&["x", "baggage", "cookie", "b3", "x-request-id"])?, junk(u)?),
        }
    }
    Ok(lines)
}

fn response(u: U<'_, '_>) -> Result<Lines> {
    let mut lines = vec![(b":status".to_vec(), b"200".to_vec())];
    let mut add = |name: &str, value: &str| lines.push((name.into(), value.into()));
    for _ in 0..u.int_in_range(0..=2)? {
        match u.int_in_range(0..=3)? {
            0 => add("cache-control", u.choose(&["public, max-age=1", "no-store", ""])?),
            1 => add("vary", u.choose(&["Accept", "*", "Cookie, x-group"])?),
            2 => add("set-cookie", "session=1"),
            _ => add("x-release-track", "upstream"),
        }
    }
    Ok(lines)
}

fn junk(u: U<'_, '_>) -> Result<Vec<u8>> {
    let length = u.int_in_range(0..=16)?.min(u.len());
    let mut bytes = u.bytes(length)?.to_vec();
    // No proxy lets these pass.
    bytes.retain(|b| !matches!(b, b'\0' | b'\r' | b'\n'));
    Ok(bytes)
}

/// What the header or the baggage says.
fn said(u: U<'_, '_>, config: Option<&Config>) -> Result<Vec<u8>> {
    let names = config.map(|config| &config.names).filter(|names| !names.is_empty());
    Ok(match (names, u.int_in_range(0..=5)?) {
        (_, 5) => junk(u)?,
        (Some(names), 0..=2) => {
            let names: Vec<_> = names.iter().map(|(_, name)| name.as_bytes()).collect();
            u.choose(&names)?.to_vec()
        }
        _ => u.choose(&words::SAID)?.as_bytes().to_vec(),
    })
}

/// An id, tagged or not, whole or spoilt, in any case; one or two.
fn id(u: U<'_, '_>, config: Option<&Config>) -> Result<Vec<u8>> {
    let mut id = u.choose(&words::IDS)?.as_bytes().to_vec();
    if let (Some(config), Some(uuid)) = (config, Uuid::parse(&id)) {
        let mut tags = vec![None, Some(Tag::Baseline)];
        tags.extend(config.names.iter().map(|(track, _)| Some(Tag::Track(track))));
        let tag = *u.choose(&tags)?;
        let tagged = tag.and_then(|tag| config.propagation.tagger.inject(uuid, tag));
        id = tagged.map_or_else(|| id.clone(), Into::into);
    }
    let digit = *u.choose(b"049af")?;
    match u.int_in_range(0..=7)? {
        0 => id.make_ascii_uppercase(),
        1 => id[14] = digit,
        2 => id[usize::from(u.int_in_range(0..=35u8)?)] = digit,
        3 => id.extend(b", job-1"),
        4 => id.truncate(35),
        _ => {}
    }
    Ok(id)
}

fn baggage(u: U<'_, '_>, config: Option<&Config>) -> Result<Vec<u8>> {
    let mut members = Vec::new();
    for _ in 0..u.int_in_range(0..=3)? {
        let keys = ["release-track=", "release%2Dtrack=", " release-track\t= ", "Release-Track="];
        members.push(match u.int_in_range(0..=3)? {
            0 | 1 => [u.choose(&keys)?.as_bytes(), &said(u, config)?].concat(),
            2 => u.choose(&["a=1", "b=2 ; p", "oops", "", "k=\"x\""])?.as_bytes().to_vec(),
            _ => junk(u)?,
        });
    }
    if u.int_in_range(0..=31)? == 31 {
        members.extend((0..63).map(|n| format!("k{n}=v").into_bytes()));
    }
    Ok(members.join(&b","[..]))
}

fn cookies(u: U<'_, '_>, now_ms: u64) -> Result<Vec<u8>> {
    let mut pairs = Vec::new();
    for _ in 0..u.int_in_range(1..=3)? {
        let name =
            *u.choose(&["user", "a", "release-track-id", "release-track", "$Version", ""])?;
        let value = match name {
            "release-track" => token(u, now_ms)?.into_bytes(),
            _ if u.int_in_range(0..=5)? == 5 => junk(u)?,
            _ => u.choose(&words::VALUES)?.as_bytes().to_vec(),
        };
        let form = *u.choose(&[("", "=", ""), (" ", "=", " "), ("", "=\"", "\""), ("", "", "")])?;
        let (before, between, after) = form;
        pairs.push(
            [before.as_bytes(), name.as_bytes(), between.as_bytes(), &value, after.as_bytes()]
                .concat(),
        );
    }
    Ok(pairs.join(*u.choose(&[&b"; "[..], b";", b","])?))
}

/// A preview token: valid, expired, of another key, cut short, or the word that ends a preview.
fn token(u: U<'_, '_>, now_ms: u64) -> Result<String> {
    let track = u.choose(&["v2", "v3", "baseline", "v9", "canary"])?;
    let key = token::Key::parse(u.choose(&words::KEYS)?);
    let seconds = now_ms / 1000;
    let expiry = *u.choose(&[seconds + 600, seconds, seconds + 1, u64::MAX, 0])?;
    let mut token = match (key, Name::parse(track)) {
        (Some(key), Some(track)) => key.sign(&track, expiry),
        _ => String::new(),
    };
    match u.int_in_range(0..=7)? {
        5 => token.truncate(token.len() / 2),
        6 => token.make_ascii_lowercase(),
        7 => token = "off".into(),
        _ => {}
    }
    Ok(token)
}

fn path(u: U<'_, '_>, now_ms: u64) -> Result<Vec<u8>> {
    let mut path = u.choose(&["/", "/weather", "*", ""])?.to_string();
    for _ in 0..u.int_in_range(0..=2)? {
        path.push(if path.contains('?') { '&' } else { '?' });
        let name = u.choose(&["user", "p", "release-track", "x%20y", "release-track="])?;
        let value = match *name {
            "release-track" => token(u, now_ms)?,
            _ => u.choose(&words::VALUES)?.to_string(),
        };
        path.push_str(&format!("{name}={value}"));
    }
    if u.int_in_range(0..=15)? == 15 {
        path.push_str("#part?release-track=off");
    }
    Ok(path.into_bytes())
}
