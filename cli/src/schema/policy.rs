//! `--format admission-policy`: a ValidatingAdmissionPolicy and its binding, with which the API
//! server refuses what the filter would refuse.

use super::cel::{Compiler, indented, literal, step};
use super::rules::rules;
use serde_json::{Value, json};
use serde_saphyr::{ser_options, to_string_multiple_with_options};

const NAME: &str = "release-track";

const ABOUT: &str = "\
# Made by `release-track schema --format admission-policy`, for Kubernetes 1.30 and later.
#
# Refuses a WasmPlugin or TrafficExtension whose pluginConfig the filter would refuse, with the place and what is
# allowed there. Whose plugin it is, is told by its image, .../release-track, or by the label
# app.kubernetes.io/name: release-track; all others are left alone.
#
# Off, at once: kubectl delete validatingadmissionpolicybinding release-track
";

/// Whose plugin it is.
const OURS: &str = r"object.kind == 'WasmPlugin' ?
  has(object.spec) && has(object.spec.url) && object.spec.url.matches(URL) || LABELLED :
  has(object.spec) && has(object.spec.wasm) &&
    (has(object.spec.wasm.url) && object.spec.wasm.url.matches(URL) || LABELLED)";
const URL: &str = "(^|/)release-track([.]wasm)?([:@?].*)?$";
const LABELLED: &str =
    "has(object.metadata.labels) && 'app.kubernetes.io/name' in object.metadata.labels &&
object.metadata.labels['app.kubernetes.io/name'] == 'release-track'";

/// What is bad already can still be annotated, and deleted with its finalizers.
const CHANGED: &str = "request.operation == 'CREATE' || object.spec != oldObject.spec";

/// Without one it is empty, and so lacks what is required.
const CONFIG: &str = "[object.kind == 'WasmPlugin' ? object.spec : object.spec.wasm].map(spec,
  has(spec.pluginConfig) && type(spec.pluginConfig) == map ? spec.pluginConfig : {})[0]";

/// An expression that costs more than 1,000,000 ends in an error, and an error refuses: what is very
/// large passes unseen. Objects (whose lists take the square of their length, in half a second for
/// these) and values are counted in the text, so in strings too.
const SMALL: &str = "['%s'.format([variables.config])].all(text,
  text.split('{').size() <= OBJECTS && text.split(',').size() <= VALUES)";
const OBJECTS: usize = 1_000;
const VALUES: usize = 12_000;

/// CEL cannot tell an error from a value. But of two errors it keeps the first one, and whatever
/// is true covers both: a key that is in no map names the place of an expression that is wrong.
fn regular_expressions() -> String {
    // An index costs as much as the list is long.
    let index = |list: &str, item: &str| {
        format!("({list}.size() > 100 ? '?' : string({list}.indexOf({item})))")
    };
    let track = index("variables.config.tracks", "track");
    let rule = index("track.match", "rule");
    let right = |regex: &str, place: &str| {
        format!(
            "!has({regex}) ||
{{}}['tracks[' + {track} + '].match[' + {rule} + '].' + field{place} + {} + {regex}] ||
{regex}.matches({}) || ''.matches({regex}) in [true, false]",
            literal(".regex: expected a regular expression: "),
            literal(&NOT_RE2.concat()),
        )
    };
    let test = right("rule[field].regex", "");
    let tests = right("rule[field][key].regex", &format!(" + {}", step("key")));
    format!(
        "variables.config.tracks.all(track, !has(track.match) || track.match.all(rule,
  ['uri', 'method', 'authority'].all(field, !(field in rule) ||
{}) &&
  ['cookies', 'withoutCookies', 'headers', 'withoutHeaders', 'queryParams'].all(field, !(field in rule) ||
    rule[field].all(key,
{}))))",
        indented(&indented(&test)),
        indented(&indented(&indented(&tests)))
    )
}

/// What the filter may take and RE2 does not: more than 1000 repetitions, also by one repetition in
/// another; a repetition of a repetition; some rare syntax.
const NOT_RE2: [&str; 6] = [
    r"[{]([0-9]+,)?([0-9]{5}|[2-9][0-9]{3}|1[0-9]{2}[1-9]|1[0-9][1-9]0|1[1-9]00)",
    r"|[{][0-9].*[)][{]",
    r"|[*+?}][?]?[*+{]|[?]{3}|[*+}][?]{2}",
    r"|[\\][uU<>]",
    r"|[\\]b[{]",
    r"|[(][?][a-zA-Z-]*[xRu]",
];

/// The policy and its binding, as YAML. The schema is the configuration's, in this document.
pub(super) fn policy(document: &Value, schema: &Value) -> String {
    let rules = rules();
    let compiler = Compiler { document, rules: &rules };
    let config = "variables.config";
    let variable = |name: &str, expression: &str| json!({"name": name, "expression": expression});
    let mut variables = vec![variable("config", CONFIG)];
    variables.push(variable(
        "small",
        &SMALL.replace("OBJECTS", &OBJECTS.to_string()).replace("VALUES", &VALUES.to_string()),
    ));
    variables.push(variable("names", &compiler.names(config, schema)));
    let mut parts = vec!["variables.names".to_owned()];
    for (name, schema) in compiler.properties(schema) {
        variables.push(variable(&name, &compiler.field(config, &name, &schema)));
        parts.push(format!("variables.{name}"));
    }
    let parts = format!("!variables.small ? [] :\n{}", indented(&parts.join(" +\n")));
    variables.push(variable("parts", &parts));
    let errors = format!(
        "!variables.small || variables.parts.size() > 0 ? variables.parts :\n{}",
        indented(&compiler.whole(config))
    );
    variables.push(variable("errors", &errors));
    variables.push(variable("regularExpressions", &regular_expressions()));
    let ours = OURS.replace("LABELLED", LABELLED).replace("URL", &literal(URL));
    let spec = json!({
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [{
            "apiGroups": ["extensions.istio.io"],
            "apiVersions": ["*"],
            "operations": ["CREATE", "UPDATE"],
            "resources": ["wasmplugins", "trafficextensions"],
        }]},
        "matchConditions": [
            {"name": "ours", "expression": ours},
            {"name": "changed", "expression": CHANGED},
        ],
        "variables": variables,
        "validations": [
            {
                "expression": "variables.errors.size() == 0",
                "messageExpression": "variables.errors.size() == 0 ? '' :
  [variables.errors[0]].map(error, error.startsWith(':') ? 'pluginConfig' + error :
    error.startsWith('.') ? error.substring(1) : error)[0]",
                "message": "pluginConfig: the filter refuses it; release-track check says why",
            },
            {"expression": "!variables.small || variables.errors.size() > 0 || variables.regularExpressions"},
        ],
    });
    let object = |kind: &str, spec: Value| {
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": kind,
            "metadata": {"name": NAME},
            "spec": spec,
        })
    };
    let objects = [
        object("ValidatingAdmissionPolicy", spec),
        object(
            "ValidatingAdmissionPolicyBinding",
            json!({"policyName": NAME, "validationActions": ["Deny"]}),
        ),
    ];
    let options = ser_options! { folded_wrap_chars: usize::MAX };
    let yaml = to_string_multiple_with_options(&objects, options).expect("objects are YAML");
    format!("{ABOUT}{yaml}")
}
