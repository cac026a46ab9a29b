//! From the JSON path in one of the filter's errors to the place in the text that is meant.

use super::yaml::{Node, Span, Value};
use release_track::config::schema::{CONFIG, Field, Shape};
use release_track::config::{field_path, item_path};

/// What is at a path.
pub(crate) struct Place<'a> {
    /// What a person should look at: the value; the name, where that is unknown; both, where it
    /// is free.
    pub(crate) span: Span,
    /// The value; where there is none, the nearest around it.
    pub(crate) node: &'a Node,
    /// The field that it is in, as the format describes it.
    pub(crate) field: Option<&'static Field>,
    /// A name that the format does not know, and those that may stand there.
    pub(crate) unknown: Option<(&'a str, &'static [Field])>,
}

/// Finds a path of the filter's (`tracks[0].match[1].uri`) in a configuration.
pub(crate) fn find<'a>(configuration: &'a Node, path: &str) -> Place<'a> {
    let start =
        Place { span: configuration.span.clone(), node: configuration, field: None, unknown: None };
    descend(start, Some(Kind::Object(CONFIG)), "", path)
}

/// The shapes that have something inside.
#[derive(Clone, Copy)]
enum Kind {
    Object(&'static [Field]),
    List(&'static Shape),
    Map(&'static Shape),
}

fn descend<'a>(place: Place<'a>, kind: Option<Kind>, here: &str, path: &str) -> Place<'a> {
    let leads = |there: &str| {
        path.strip_prefix(there).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    for (index, node) in place.node.items().iter().enumerate() {
        let there = item_path(here, index);
        if leads(&there) {
            let inner = match kind {
                Some(Kind::List(of)) => kind_of(of, node),
                _ => None,
            };
            let place = Place { span: node.span.clone(), node, ..place };
            return descend(place, inner, &there, path);
        }
    }
    for member in place.node.members() {
        let there = field_path(here, &member.name);
        if !leads(&there) {
            continue;
        }
        let node = &member.node;
        let known = match kind {
            Some(Kind::Object(fields)) => fields.iter().find(|field| field.name == member.name),
            _ => None,
        };
        let (field, inner, unknown) = match (kind, known) {
            (_, Some(field)) => (Some(field), kind_of(field.shape, node), None),
            (Some(Kind::Object(fields)), None) => {
                (place.field, None, Some((&*member.name, fields)))
            }
            (Some(Kind::Map(values)), None) => (place.field, kind_of(values, node), None),
            _ => (place.field, None, None),
        };
        let span = match (known, unknown) {
            (Some(_), _) => node.span.clone(),
            (None, Some(_)) => member.key.clone(),
            // Either the name is wrong or the value.
            (None, None) => member.key.start..node.span.end.max(member.key.end),
        };
        return descend(Place { span, node, field, unknown }, inner, &there, path);
    }
    place
}

fn kind_of(shape: &'static Shape, node: &Node) -> Option<Kind> {
    match (shape, &node.value) {
        (Shape::Object(fields), Value::Map(_)) => Some(Kind::Object(fields)),
        (Shape::Map { values, .. }, Value::Map(_)) => Some(Kind::Map(values)),
        (Shape::List(of), Value::List(_)) => Some(Kind::List(of)),
        (Shape::Either(shapes), _) => shapes.iter().find_map(|shape| kind_of(shape, node)),
        _ => None,
    }
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
