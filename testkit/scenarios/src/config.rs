//! A configuration, by the tables that say what one may hold.

use crate::words;
use arbitrary::{Result, Unstructured};
use release_track::config::schema::{self, Field, Shape};
use serde_json::{Map, Value, json};

/// Fields of which an object may have one only. Of the first two groups it needs one.
const ONE_OF: [&[&str]; 4] = [
    &["percent", "ramp"],
    &["keys", "keysFrom"],
    &["exact", "prefix", "regex", "in"],
    &["cookie", "header", "queryParam"],
];
const NEEDED: usize = 2;

/// Buckets of remembered ids cost time, and three show what thousands do.
const BUCKETS: u32 = 3;

pub(crate) fn arbitrary(u: &mut Unstructured<'_>) -> Result<String> {
    let mut config = object(u, schema::CONFIG)?;
    if let Some(tracks) = config.get_mut("tracks").and_then(Value::as_array_mut) {
        let mut names = Vec::new();
        tracks.retain(|track| {
            let name = track.get("name").cloned();
            let is_new = !names.contains(&name);
            names.push(name);
            is_new
        });
    }
    let propagation = config.entry("propagation").or_insert_with(|| json!({}));
    if let Some(propagation) = propagation.as_object_mut() {
        propagation.entry("slots").or_insert(BUCKETS.into());
    }
    Ok(Value::Object(config).to_string())
}

/// Once in many times, when there are bytes left.
fn rarely(u: &mut Unstructured<'_>) -> Result<bool> {
    Ok(u.int_in_range(0..=255)? == 255)
}

fn object(u: &mut Unstructured<'_>, fields: &[Field]) -> Result<Map<String, Value>> {
    let mut object = Map::new();
    for field in fields {
        let required = field.default.is_none();
        let least = if matches!(field.name, "match" | "workloads") { 1 } else { 2 };
        let wanted = if required { !rarely(u)? } else { u.int_in_range(0..=2)? >= least };
        let taken = |group: &&[&str]| group.iter().any(|name| object.contains_key(*name));
        let group = group_of(field, fields);
        if !wanted || group.filter(taken).is_some() && !rarely(u)? {
            continue;
        }
        object.insert(field.name.into(), value(u, field.name, field.shape)?);
    }
    for group in ONE_OF.iter().take(NEEDED) {
        let of_group = |field: &&Field| group_of(field, fields) == Some(*group);
        let first = fields.iter().find(of_group);
        if let Some(field) = first.filter(|_| !group.iter().any(|n| object.contains_key(*n))) {
            object.insert(field.name.into(), value(u, field.name, field.shape)?);
        }
    }
    Ok(object)
}

/// The alternatives that a field is one of, where the object has several of them.
fn group_of(field: &Field, fields: &[Field]) -> Option<&'static [&'static str]> {
    let has = |name: &&str| fields.iter().any(|field| field.name == *name);
    ONE_OF
        .into_iter()
        .find(|group| group.contains(&field.name) && group.iter().filter(|n| has(n)).count() > 1)
}

fn value(u: &mut Unstructured<'_>, field: &str, shape: &Shape) -> Result<Value> {
    if rarely(u)? {
        return Ok(u.choose(&[json!(null), json!(7), json!("?"), json!([]), json!({})])?.clone());
    }
    Ok(match shape {
        Shape::Object(fields) => {
            let mut object = object(u, fields)?;
            // A rule asks for something.
            if field == "match" && object.is_empty() {
                object.insert("method".into(), json!({"exact": "GET"}));
            }
            Value::Object(object)
        }
        Shape::List(items) => {
            let least = u8::from(matches!(field, "tracks" | "match" | "keys"));
            let count = u.int_in_range(least..=3)?;
            (0..count).map(|_| value(u, field, items)).collect::<Result<_>>()?
        }
        Shape::Map { values, .. } => {
            let mut map = Map::new();
            for _ in 0..u.int_in_range(1..=2)? {
                let key = *u.choose(words::keys(field))?;
                map.insert(key.into(), value(u, "release", values)?);
            }
            Value::Object(map)
        }
        Shape::Text(_) => (*u.choose(words::texts(field))?).into(),
        Shape::OneOf(texts) => (*u.choose(texts)?).into(),
        Shape::Bool => u.arbitrary::<bool>()?.into(),
        Shape::Integer(from, to) => u.int_in_range(*from..=(*to).min(*from + 7))?.into(),
        Shape::Percent => u.choose(&[json!(50), json!(2.5), json!(0), json!(33.33)])?.clone(),
        Shape::Either(shapes) => {
            let shape = u.choose(shapes)?;
            value(u, field, shape)?
        }
    })
}
