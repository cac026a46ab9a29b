//! `schema`: a JSON Schema of the configuration, made of the tables that the parser itself reads.

use crate::failure::Failure;
use crate::input::yaml;
use crate::output::{say, to_json};
use clap::Args;
use release_track::config::schema::{CONFIG, Field, Shape, TEST};
use serde_json::{Map, Value, json};
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  Completion and checks in an editor (any with the YAML language server):
    release-track schema > release-track.schema.json
  and as the first line of the manifest:
    # yaml-language-server: $schema=release-track.schema.json

It describes WasmPlugin and TrafficExtension with the filter's pluginConfig, and the configuration
by itself. What a schema cannot say, such as colliding names, release-track check does.";

/// Print a JSON Schema of the configuration, for editors
#[derive(Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Schema {}

impl Schema {
    pub(crate) fn run(&self) -> Result<ExitCode, Failure> {
        say!("{}", to_json(&document()));
        Ok(ExitCode::SUCCESS)
    }
}

/// Draft 7 is what editors know best.
fn document() -> Value {
    let configuration = json!({"$ref": "#/definitions/configuration"});
    let within = |way: &[&str]| {
        way.iter()
            .rev()
            .fold(configuration.clone(), |inner, name| json!({"properties": {*name: inner}}))
    };
    let of_kind =
        |kind: &str| json!({"required": ["kind"], "properties": {"kind": {"const": kind}}});
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "release-track",
        "type": "object",
        "if": of_kind("WasmPlugin"),
        "then": within(&["spec", "pluginConfig"]),
        "else": {
            "if": of_kind("TrafficExtension"),
            "then": within(&["spec", "wasm", "pluginConfig"]),
            "else": {
                // Other documents may stand in the same file.
                "if": {"required": ["kind"]},
                "else": {
                    "if": {"required": ["pluginConfig"]},
                    "then": within(&["pluginConfig"]),
                    "else": configuration,
                },
            },
        },
        "definitions": {
            "configuration": object(CONFIG),
            "stringMatch": object(TEST),
        },
    })
}

fn object(fields: &[Field]) -> Value {
    let properties: Map<_, _> =
        fields.iter().map(|field| (field.name.to_owned(), property(field))).collect();
    let required: Vec<_> =
        fields.iter().filter(|field| field.default.is_none()).map(|field| field.name).collect();
    let mut object = json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    if is_string_match(fields) {
        object["maxProperties"] = json!(1);
    }
    object
}

fn property(field: &Field) -> Value {
    let mut property = match shape(field.shape) {
        // Beside a $ref nothing else counts.
        reference if reference.get("$ref").is_some() => json!({"allOf": [reference]}),
        shape => shape,
    };
    property["description"] = json!(field.meaning);
    if let Some(default) = field.default.filter(|default| !default.is_empty()) {
        let documents = yaml::documents(default).expect("a default is YAML");
        property["default"] = documents.first().map_or(Value::Null, yaml::Node::to_json);
    }
    property
}

fn shape(of: &Shape) -> Value {
    match of {
        Shape::Object(fields) if is_string_match(fields) => {
            json!({"$ref": "#/definitions/stringMatch"})
        }
        Shape::Object(fields) => object(fields),
        Shape::List(items) => json!({"type": "array", "items": shape(items)}),
        Shape::Map { keys: "", values } => {
            json!({"type": "object", "additionalProperties": shape(values)})
        }
        Shape::Map { keys, values } => json!({
            "type": "object",
            "propertyNames": {"pattern": keys},
            "additionalProperties": shape(values),
        }),
        Shape::Text("") => json!({"type": "string"}),
        Shape::Text(pattern) => json!({"type": "string", "pattern": pattern}),
        Shape::OneOf(texts) => json!({"enum": texts}),
        Shape::Bool => json!({"type": "boolean"}),
        Shape::Integer(from, to) => json!({"type": "integer", "minimum": from, "maximum": to}),
        // Validators disagree about multiples of 0.01, which no double is.
        Shape::Percent => json!({"type": "number", "minimum": 0, "maximum": 100}),
        Shape::Either(shapes) => {
            json!({"anyOf": shapes.iter().map(shape).collect::<Vec<_>>()})
        }
    }
}

fn is_string_match(fields: &[Field]) -> bool {
    fields.iter().map(|field| field.name).eq(TEST.iter().map(|field| field.name))
}
