//! Values as YAML on one line, as the project's own manifests have them.

use serde_json::Value as Json;

/// `{cookies: {user: {exact: tester}}}`
pub(crate) fn flow(value: &Json) -> String {
    match value {
        Json::Object(fields) => {
            let fields: Vec<_> = fields
                .iter()
                .map(|(name, value)| format!("{}: {}", text(name), flow(value)))
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
        Json::Array(items) => {
            let items: Vec<_> = items.iter().map(flow).collect();
            format!("[{}]", items.join(", "))
        }
        Json::String(value) => text(value),
        other => other.to_string(),
    }
}

/// A string, quoted where YAML would take it for something else.
pub(crate) fn text(value: &str) -> String {
    let is_plain = value.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./".contains(&b))
        && !matches!(
            value.to_ascii_lowercase().as_str(),
            "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" | "null"
        );
    if is_plain {
        value.to_owned()
    } else if value.chars().any(char::is_control) {
        Json::from(value).to_string()
    } else {
        format!("'{}'", value.replace('\'', "''"))
    }
}
