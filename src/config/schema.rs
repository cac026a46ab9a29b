//! The JSON Schema of `pluginConfig`, made of the types that it is read into.

use super::fields::{
    Identity, IdentityFields, Map, PluginConfig, Rule, RuleFields, StringMatch, StringMatchFields,
    Versions, Workloads,
};
use super::values::{AppName, Correlated, Duration, Percent, Retry, Text};
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};
use serde_json::{Map as Object, Value};
use std::borrow::Cow;

/// The schema, in draft 7, which editors know best. Nothing in it is a reference. Fields are in the
/// order in which they are declared; a description is what the field means.
///
/// ```
/// let schema = release_track::config::schema::document();
/// let header = &schema["properties"]["header"];
/// assert_eq!(header["default"], "x-release-track");
/// ```
pub fn document() -> Value {
    let settings = SchemaSettings::draft07().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let settings = settings
        .with_transform(RecursiveTransform(plain))
        .with_transform(RecursiveTransform(describe_fields));
    let mut schema = settings.into_generator().into_root_schema_for::<PluginConfig>();
    schema.remove("title");
    schema.to_value()
}

/// `null` stands nowhere, not even for a field that may be absent; lines are for a person to break.
fn plain(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else { return };
    if let Some(Value::String(description)) = object.get_mut("description") {
        *description = description.replace('\n', " ");
    }
    object.retain(|name, value| !(name == "default" && value.is_null()));
    if let Some(Value::Array(values)) = object.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    let is_null = |schema: &Value| schema.get("type").is_some_and(|kind| kind == "null");
    match object.get_mut("type") {
        Some(Value::Array(types)) => {
            types.retain(|kind| kind != "null");
            if let [kind] = &**types {
                let kind = kind.clone();
                object.insert("type".to_owned(), kind);
            }
        }
        _ => match object.shift_remove("anyOf") {
            Some(Value::Array(schemas)) if schemas.iter().any(is_null) => {
                let others = schemas.into_iter().filter(|schema| !is_null(schema));
                for (name, value) in others.filter_map(into_object).flatten() {
                    object.entry(name).or_insert(value);
                }
            }
            Some(schemas) => {
                object.insert("anyOf".to_owned(), schemas);
            }
            None => {}
        },
    }
}

/// serde's enums: what is said of a variant is said of its field.
fn describe_fields(schema: &mut Schema) {
    let Some(Value::Array(variants)) = schema.get_mut("oneOf") else { return };
    for variant in variants.iter_mut().filter_map(Value::as_object_mut) {
        let Some(description) = variant.get("description").cloned() else { continue };
        let fields = variant.get_mut("properties").and_then(Value::as_object_mut);
        let Some(fields) = fields.filter(|fields| fields.len() == 1) else { continue };
        for field in fields.values_mut().filter_map(Value::as_object_mut) {
            field.insert("description".to_owned(), description.clone());
        }
        variant.shift_remove("description");
    }
}

fn into_object(schema: Value) -> Option<Object<String, Value>> {
    match schema {
        Value::Object(object) => Some(object),
        _ => None,
    }
}

/// A type that is read by way of another has that one's schema.
macro_rules! same_as {
    ($($name:ty: $other:ty),+) => {$(
        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                <$other>::schema_name()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                <$other>::json_schema(generator)
            }
        }
    )+};
}

same_as!(Rule: RuleFields, StringMatch: StringMatchFields, Identity: IdentityFields);

impl<K, V: JsonSchema> JsonSchema for Map<K, V> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("MapTo{}", V::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "object", "additionalProperties": generator.subschema_for::<V>()})
    }
}

impl JsonSchema for Workloads {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Workloads".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let versions = generator.subschema_for::<Map<AppName, Versions>>();
        json_schema!({"anyOf": [versions, generator.subschema_for::<Vec<AppName>>()]})
    }
}

impl JsonSchema for Versions {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Versions".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut several = generator.subschema_for::<Vec<Text>>();
        several.insert("minItems".to_owned(), 1.into());
        json_schema!({"anyOf": [generator.subschema_for::<Text>(), several]})
    }
}

// For defaults.

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(ms) = self;
        match ms % 1000 {
            0 => serializer.collect_str(&format_args!("{}s", ms / 1000)),
            _ => serializer.collect_str(&format_args!("{ms}ms")),
        }
    }
}

impl Serialize for Retry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Duration(self.0).serialize(serializer)
    }
}

impl Serialize for Percent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 % 100 {
            0 => serializer.serialize_u32(self.0 / 100),
            _ => serializer.serialize_f64(f64::from(self.0) / 100.0),
        }
    }
}

impl Serialize for Correlated {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.header())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::carrier::request_id::Key;
    use crate::config::Config;
    use serde_json::json;

    /// Writes down what is there if nothing is.
    fn fill(config: &mut Value, schema: &Value) {
        let Some(properties) = schema["properties"].as_object() else { return };
        for (name, schema) in properties {
            let default = schema.get("default").cloned().unwrap_or(Value::Null);
            let field = &mut config[name];
            if field.is_null() {
                *field = default;
            }
            if field.is_object() {
                fill(field, schema);
            }
        }
        config.as_object_mut().unwrap().retain(|_, field| !field.is_null());
    }

    #[test]
    fn the_defaults_are_what_the_filter_takes() {
        let schema = document();
        let bare = json!({"tracks": [{"name": "v2"}]});
        let mut full = bare.clone();
        fill(&mut full, &schema);
        fill(&mut full["tracks"][0], &schema["properties"]["tracks"]["items"]);
        let parse = |config: &Value| {
            let config = Config::parse(config.to_string().as_bytes()).unwrap();
            // It is of what is written.
            format!("{:?}", Config { fingerprint: None, ..config })
        };
        assert!(full["propagation"]["ttl"].is_string() && full["tracks"][0]["match"].is_array());
        assert_eq!(parse(&full), parse(&bare), "{full}");
        let key = full["propagation"]["keys"][0].as_str().unwrap();
        assert!(Key::parse(key) == Some(Key::DEFAULT));
    }
}
