//! The JSON Schema: its copy in the documentation, and whether it agrees with the parser.

use jsonschema::Validator;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::{env, fs};

fn printed(format: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_release-track"));
    let output = command.args(["schema", "--format", format]).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

fn validator() -> Validator {
    jsonschema::draft7::new(&serde_json::from_str(&printed("json-schema")).unwrap()).unwrap()
}

#[test]
fn the_documentation_has_a_copy() {
    is_copied("json-schema", "docs/schema.json");
}

#[test]
fn the_installation_has_the_admission_policy() {
    is_copied("admission-policy", "wasmplugin/admission-policy.yaml");
}

#[test]
fn the_chart_has_the_schema_of_its_values() {
    is_copied("helm-values", "chart/values.schema.json");
}

fn is_copied(format: &str, file: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
    let printed = printed(format);
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(path, printed).unwrap();
    } else {
        let copy = fs::read_to_string(path).unwrap();
        assert!(copy == printed, "{file} is behind: UPDATE_DOCS=1 cargo test --test schema");
    }
}

#[test]
fn it_is_a_schema() {
    let schema = serde_json::from_str(&printed("json-schema")).unwrap();
    assert!(jsonschema::meta::is_valid(&schema));
}

/// Whatever the filter takes in a case is valid here.
#[test]
fn it_refuses_nothing_that_the_filter_takes() {
    let validator = validator();
    let mut taken = 0;
    for case in cases::load(cases::FOLDER).unwrap() {
        if matches!(case.act, cases::Act::Refused(_)) || case.neutral.is_some() {
            continue;
        }
        // The filter skips a byte order mark.
        let text = case.config.strip_prefix('\u{feff}').unwrap_or(&case.config);
        let config = serde_json::from_str(text).unwrap();
        let wrong: Vec<_> = validator.iter_errors(&config).map(|e| e.to_string()).collect();
        assert!(wrong.is_empty(), "{}: {}: {wrong:?}", case.file, case.name);
        taken += 1;
    }
    assert!(taken > 0);
}

fn in_objects(config: &Value) -> [Value; 4] {
    [
        config.clone(),
        json!({"pluginConfig": config}),
        json!({"kind": "WasmPlugin", "spec": {"url": "oci://x", "pluginConfig": config}}),
        json!({"kind": "TrafficExtension", "spec": {"wasm": {"pluginConfig": config}}}),
    ]
}

#[test]
fn it_refuses_what_an_editor_can_see() {
    let validator = validator();
    let good = json!({"tracks": [{"name": "v2"}]});
    in_objects(&good).iter().for_each(|good| assert!(validator.is_valid(good), "{good}"));
    for bad in [
        json!({}),
        json!({"tracks": [{}]}),
        json!({"tracks": [{"name": "v 2"}]}),
        json!({"tracks": [{"name": "v2", "mach": []}]}),
        json!({"tracks": [{"name": "v2", "match": [{"cookies": {"user": {"exact": 5}}}]}]}),
        json!({"tracks": [{"name": "v2", "match": [{"uri": {"exact": "a", "prefix": "b"}}]}]}),
        json!({"tracks": [{"name": "v2", "share": {"percent": 101}}]}),
        json!({"tracks": [{"name": "v2", "workloads": {"frontend": 2}}]}),
        json!({"tracks": [{"name": "v2"}], "edge": ["gate"]}),
        json!({"tracks": [{"name": "v2"}], "propagation": {"slots": 0}}),
        json!({"tracks": [{"name": "v2"}], "propagation": {"ttl": "60"}}),
        json!({"tracks": [{"name": "v2"}], "dryRun": "yes"}),
    ] {
        in_objects(&bad).iter().for_each(|bad| assert!(!validator.is_valid(bad), "{bad}"));
    }
}

/// A file may have other documents too.
#[test]
fn other_documents_are_none_of_its_business() {
    let validator = validator();
    assert!(validator.is_valid(&json!({"kind": "VirtualService", "spec": {"http": []}})));
}
