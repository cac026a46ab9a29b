//! A configuration, by the schema that says what one may hold.

use crate::words;
use arbitrary::{Result, Unstructured};
use release_track::config::schema;
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

static SCHEMA: LazyLock<Value> = LazyLock::new(schema::document);

/// Fields of which an object may have one only; of the first group it needs one.
const ONE_OF: [&[&str]; 3] = [
    &["keys", "keysFrom"],
    &["exact", "prefix", "regex", "in"],
    &["cookie", "header", "queryParam"],
];
const NEEDED: usize = 1;

/// Buckets of remembered ids cost time, and three show what thousands do.
const BUCKETS: u32 = 3;

pub(crate) fn arbitrary(u: &mut Unstructured<'_>) -> Result<String> {
    let mut config = object(u, &SCHEMA)?;
    if let Some(tracks) = config.get_mut("tracks").and_then(Value::as_array_mut) {
        let mut names = Vec::new();
        tracks.retain(|track| {
            let name = track.get("name").cloned();
            let is_new = !names.contains(&name);
            names.push(name);
            is_new
        });
        // A guard needs a share that it could stop.
        for track in tracks.iter_mut().filter_map(Value::as_object_mut) {
            let rules = track.get("match").and_then(Value::as_array);
            let in_rules =
                rules.is_some_and(|rules| rules.iter().any(|rule| !rule["share"].is_null()));
            if !in_rules && !track.contains_key("share") {
                track.remove("guard");
            }
        }
    }
    // They are those of a cookie.
    if let Some(identity) = config.get_mut("identity").and_then(Value::as_object_mut)
        && ["header", "queryParam"].iter().any(|field| identity.contains_key(*field))
    {
        identity.remove("attributes");
    }
    // Each has a cookie of its own, whose name may be that which is there if nobody says otherwise.
    let cookie = |field: &str| config.get(field).map(|of| of.get("cookie").cloned());
    if let (Some(identity), Some(preview)) = (cookie("identity"), cookie("preview"))
        && identity.or(Some(words::IDENTITY.into())) == preview.or(Some(words::PREVIEW.into()))
    {
        config.remove("preview");
    }
    // It has to know whose pods are whose.
    let has_pods = |track: &Value| {
        track["workloads"].as_object().is_some_and(|pods| !pods.is_empty())
            || track["workloads"].as_array().is_some_and(|apps| !apps.is_empty())
    };
    if !config.get("tracks").and_then(Value::as_array).is_some_and(|all| all.iter().any(has_pods)) {
        config.remove("isolation");
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

fn object(u: &mut Unstructured<'_>, schema: &Value) -> Result<Map<String, Value>> {
    let mut object = Map::new();
    let Some(fields) = schema["properties"].as_object() else { return Ok(object) };
    for (name, schema_of_field) in fields {
        let required = required(schema, name);
        let least = if matches!(&**name, "match" | "workloads" | "isolation") { 1 } else { 2 };
        let wanted = if required { !rarely(u)? } else { u.int_in_range(0..=2)? >= least };
        let taken = |group: &&[&str]| group.iter().any(|name| object.contains_key(*name));
        let group = group_of(name, fields);
        if !wanted || group.filter(taken).is_some() && !rarely(u)? {
            continue;
        }
        object.insert(name.clone(), value(u, name, schema_of_field)?);
    }
    for group in ONE_OF.iter().take(NEEDED) {
        let first = fields.iter().find(|(name, _)| group_of(name, fields) == Some(*group));
        let missing = !group.iter().any(|name| object.contains_key(*name));
        if let Some((name, schema)) = first.filter(|_| missing) {
            object.insert(name.clone(), value(u, name, schema)?);
        }
    }
    Ok(object)
}

fn required(schema: &Value, field: &str) -> bool {
    schema["required"].as_array().is_some_and(|fields| fields.iter().any(|name| name == field))
}

/// The alternatives that a field is one of, where the object has several of them.
fn group_of(field: &str, fields: &Map<String, Value>) -> Option<&'static [&'static str]> {
    let has = |name: &&&str| fields.contains_key(**name);
    ONE_OF.into_iter().find(|group| group.contains(&field) && group.iter().filter(has).count() > 1)
}

fn value(u: &mut Unstructured<'_>, field: &str, schema: &Value) -> Result<Value> {
    if rarely(u)? {
        return Ok(u.choose(&[json!(null), json!(7), json!("?"), json!([]), json!({})])?.clone());
    }
    if let Some(schemas) = schema["oneOf"].as_array().or_else(|| schema["anyOf"].as_array()) {
        let schema = u.choose(schemas)?;
        return value(u, field, schema);
    }
    if let Some(constant) = schema.get("const") {
        return Ok(constant.clone());
    }
    let bound = |name: &str| schema[name].as_u64().unwrap_or_default();
    Ok(match schema["type"].as_str().unwrap_or_default() {
        "object" if schema.get("properties").is_some() => {
            let mut object = object(u, schema)?;
            // A rule asks for something.
            if field == "match" && object.keys().all(|name| name == "share") {
                object.insert("method".into(), json!({"exact": "GET"}));
            }
            Value::Object(object)
        }
        "object" => {
            let mut map = Map::new();
            for _ in 0..u.int_in_range(1..=2)? {
                let key = *u.choose(words::keys(field))?;
                map.insert(key.into(), value(u, "release", &schema["additionalProperties"])?);
            }
            Value::Object(map)
        }
        "array" => {
            let least = u8::from(matches!(field, "tracks" | "match" | "keys" | "release"));
            let count = u.int_in_range(least..=3)?;
            (0..count).map(|_| value(u, field, &schema["items"])).collect::<Result<_>>()?
        }
        "string" => (*u.choose(words::texts(field))?).into(),
        "boolean" => u.arbitrary::<bool>()?.into(),
        "integer" => {
            let (from, to) = (bound("minimum"), bound("maximum"));
            u.int_in_range(from..=to.min(from + 7))?.into()
        }
        "number" => u.choose(&[json!(50), json!(2.5), json!(0), json!(33.33)])?.clone(),
        other => unreachable!("the configuration has no {other}: {schema}"),
    })
}
