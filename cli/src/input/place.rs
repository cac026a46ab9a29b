//! From the JSON path in one of the filter's errors to the place in the text that is meant.

use super::yaml::{Node, Span};
use release_track::config::{field_path, item_path, schema};
use serde_json::Value as Schema;
use std::iter;
use std::sync::LazyLock;

static SCHEMA: LazyLock<Schema> = LazyLock::new(schema::document);

/// What is at a path.
pub(crate) struct Place<'a> {
    /// What a person should look at: the value; the name, where that is unknown; both, where it
    /// is free.
    pub(crate) span: Span,
    /// The value; where there is none, the nearest around it.
    pub(crate) node: &'a Node,
    /// The field that it is in: its name, and what that means.
    pub(crate) field: Option<(&'static str, &'static str)>,
    /// A name that the format does not know, and those that may stand there.
    pub(crate) unknown: Option<(&'a str, Vec<&'static str>)>,
}

/// Finds a path of the filter's (`tracks[0].match[1].uri`) in a configuration.
pub(crate) fn find<'a>(configuration: &'a Node, path: &str) -> Place<'a> {
    let start =
        Place { span: configuration.span.clone(), node: configuration, field: None, unknown: None };
    descend(start, &SCHEMA, "", path)
}

fn descend<'a>(place: Place<'a>, schema: &'static Schema, here: &str, path: &str) -> Place<'a> {
    let leads = |there: &str| {
        path.strip_prefix(there).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    for (index, node) in place.node.items().iter().enumerate() {
        let there = item_path(here, index);
        if leads(&there) {
            let items = forms(schema).find_map(|form| form.get("items")).unwrap_or(&Schema::Null);
            let place = Place { span: node.span.clone(), node, ..place };
            return descend(place, items, &there, path);
        }
    }
    for member in place.node.members() {
        let there = field_path(here, &member.name);
        if !leads(&there) {
            continue;
        }
        let node = &member.node;
        let value_span = member.key.start..node.span.end.max(member.key.end);
        let known = fields(schema).find(|(name, _)| **name == member.name);
        let any = forms(schema).map(|form| &form["additionalProperties"]).find(|s| s.is_object());
        return match (known, any) {
            (Some((name, schema)), _) => {
                let field = Some((&**name, schema["description"].as_str().unwrap_or_default()));
                let place = Place { span: node.span.clone(), node, field, unknown: None };
                descend(place, schema, &there, path)
            }
            // Either the name is wrong or the value.
            (None, Some(schema)) => {
                let place = Place { span: value_span, node, field: place.field, unknown: None };
                descend(place, schema, &there, path)
            }
            (None, None) => {
                let names: Vec<_> = fields(schema).map(|(name, _)| &**name).collect();
                let is_object = !names.is_empty();
                let span = if is_object { member.key.clone() } else { value_span };
                let unknown = is_object.then_some((&*member.name, names));
                let place = Place { span, node, field: place.field, unknown };
                descend(place, &Schema::Null, &there, path)
            }
        };
    }
    place
}

/// A schema, and those of which it takes one.
fn forms(schema: &'static Schema) -> impl Iterator<Item = &'static Schema> {
    let choices = schema["oneOf"].as_array().or(schema["anyOf"].as_array());
    iter::once(schema).chain(choices.into_iter().flatten())
}

/// The fields that an object may have.
fn fields(schema: &'static Schema) -> impl Iterator<Item = (&'static String, &'static Schema)> {
    forms(schema).filter_map(|form| form["properties"].as_object()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::yaml;
    use release_track::config::Config;

    /// Each text has one thing wrong; what is marked is shown.
    #[test]
    fn every_error_of_the_filter_has_its_place() {
        for (text, marked) in [
            ("tracks: []", "[]"),
            ("trackz: [{name: v2}]", "trackz"),
            ("header: x-t", "header: x-t"),
            ("tracks:\n- name: v 2", "v 2"),
            ("tracks:\n- name: v2\n- name: v2", "v2"),
            ("tracks:\n- name: v2\n  mach: []", "mach"),
            ("tracks:\n- match: []", "match: []"),
            ("tracks:\n- name: v2\n  match: [{}]", "{}"),
            ("tracks:\n- name: v2\n  match:\n  - cookies:\n      us er: {exct: a}", "exct"),
            ("tracks:\n- name: v2\n  match:\n  - cookies: {'a;b': {}}", "'a;b': {}"),
            ("tracks:\n- name: v2\n  match:\n  - headers: {x: {exact: 5}}", "5"),
            ("tracks:\n- name: v2\n  match:\n  - headers: {x: {regex: '('}}", "'('"),
            (
                "tracks:\n- name: v2\n  match:\n  - uri: {exact: a, prefix: b}",
                "{exact: a, prefix: b}",
            ),
            ("tracks:\n- name: v2\n  share: {percent: 101}", "101"),
            ("tracks:\n- name: v2\n  workloads: {frontend: 2}", "frontend: 2"),
            ("tracks: [{name: v2}]\npropagation: {slots: 1.5}", "1.5"),
            ("tracks: [{name: v2}]\nedge: [gateway, {inbound: [a/b/c]}]", "a/b/c"),
            ("tracks: [{name: v2}]\nedge: [gate]", "gate"),
        ] {
            let documents = yaml::documents(text).unwrap();
            let error = Config::parse(documents[0].to_json().to_string().as_bytes()).unwrap_err();
            let place = find(&documents[0], &error.path);
            assert_eq!(&text[place.span.clone()], marked, "{text}: {error}");
        }
    }
}
