//! `schema`: a JSON Schema of the configuration, made of the types that the filter reads it into.

mod cel;
mod policy;
mod rules;
mod values;

use crate::failure::Failure;
use crate::output::{say, to_json};
use clap::{Args, ValueEnum};
use release_track::config::schema;
use serde_json::{Value, json};
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  Completion and checks in an editor (any with the YAML language server):
    release-track schema > release-track.schema.json
  and as the first line of the manifest:
    # yaml-language-server: $schema=release-track.schema.json
  The API server refuses what the filter would refuse (Kubernetes 1.30 and later):
    release-track schema --format admission-policy | kubectl apply -f -

The JSON Schema describes WasmPlugin and TrafficExtension with the filter's pluginConfig, and the
configuration by itself. What neither can say, such as colliding codes, release-track check does.";

/// Print the configuration's form: a JSON Schema for editors or for Helm, or a policy for the API server
#[derive(Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Schema {
    /// What to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum Format {
    /// A JSON Schema, for editors
    #[default]
    JsonSchema,
    /// A ValidatingAdmissionPolicy and its binding, for the API server
    AdmissionPolicy,
    /// A JSON Schema of the Helm chart's values, for Helm
    HelmValues,
}

impl Schema {
    pub(crate) fn run(&self) -> Result<ExitCode, Failure> {
        let document = document();
        match self.format {
            Format::JsonSchema => say!("{}", to_json(&document)),
            Format::AdmissionPolicy => {
                let policy = policy::policy(&document, &document["definitions"]["configuration"]);
                say!("{}", policy.trim_end());
            }
            Format::HelmValues => {
                let values = values::document(&document["definitions"]["configuration"]);
                say!("{}", to_json(&values));
            }
        }
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
        "definitions": {"configuration": schema::document()},
    })
}
