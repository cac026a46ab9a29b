//! <https://gateway-api.sigs.k8s.io/reference/spec/#httproute>, and GRPCRoute.

use super::Host;
use super::table::{
    Action, Callers, Condition, Destination, HeaderEdit, Match, Place, Route, StringMatch, Table,
};
use crate::input::manifest::Object;
use crate::input::yaml::{Member, Node};

/// A table for each parent and host, all with the same routes.
pub(super) fn read<'a>(object: &Object<'a>) -> Vec<Table<'a>> {
    let routes: Vec<_> = object.list(&["spec", "rules"]).map(|rule| route(object, rule)).collect();
    let table = |hosts, callers| Table {
        object: *object,
        hosts,
        callers,
        ordered: false,
        routes: routes.clone(),
    };
    let names = object.list(&["spec", "hostnames"]).filter_map(Node::text);
    let names: Vec<_> = names.map(Host::Other).collect();
    let mut tables = Vec::new();
    for parent in object.list(&["spec", "parentRefs"]) {
        let text = |name| parent.get(name).and_then(Node::text);
        let namespace = text("namespace").or(object.namespace);
        let name = text("name").unwrap_or_default();
        if text("kind") == Some("Service") {
            let callers = Callers { mesh: true, ..Callers::default() };
            tables.push(table(vec![Host::Service { name, namespace }], callers));
            continue;
        }
        let listener = text("sectionName").unwrap_or_default();
        let gateways = [(namespace, name, listener)].into();
        let callers = Callers { mesh: false, gateways };
        if names.is_empty() {
            tables.push(table(Vec::new(), callers.clone()));
        }
        tables.extend(names.iter().map(|host| table(vec![*host], callers.clone())));
    }
    if tables.is_empty() {
        tables.push(table(names, Callers::default()));
    }
    tables
}

fn list<'a>(node: &'a Node, name: &str) -> impl Iterator<Item = &'a Node> + use<'a> {
    node.get(name).into_iter().flat_map(Node::items)
}

fn filters<'a>(node: &'a Node, name: &str) -> impl Iterator<Item = &'a Node> {
    list(node, "filters").filter_map(move |filter| filter.get(name))
}

fn route<'a>(object: &Object<'a>, node: &'a Node) -> Route<'a> {
    let responds = filters(node, "requestRedirect").next().is_some();
    let destinations = list(node, "backendRefs").map(|backend| destination(object, backend));
    let action = match responds {
        true => Action::Respond,
        false => Action::Forward(destinations.collect()),
    };
    let mut matches: Vec<_> = list(node, "matches").map(read_match).collect();
    if matches.is_empty() {
        matches.push(Match::default());
    }
    let mirrors = filters(node, "requestMirror").filter_map(|mirror| mirror.get("backendRef"));
    Route {
        object: *object,
        node,
        matches,
        action,
        mirrors: mirrors.map(|backend| destination(object, backend)).collect(),
        edits: edits(node),
    }
}

fn read_match(node: &Node) -> Match<'_> {
    Match { conditions: node.members().iter().flat_map(conditions).collect() }
}

fn conditions(member: &Member) -> Vec<Condition<'_>> {
    let node = &member.node;
    if member.name == "headers" {
        let headers = node.items().iter().map(|header| {
            let text = |name| header.get(name).and_then(Node::text).unwrap_or_default();
            let value = text("value");
            let test = match text("type") {
                "RegularExpression" => StringMatch::Regex(value),
                _ => StringMatch::Exact(value),
            };
            let name = text("name").to_lowercase();
            Condition::Header { name, test, negated: false, place: Place(header.span.clone()) }
        });
        return headers.collect();
    }
    if member.name == "path" {
        let text = |name| node.get(name).and_then(Node::text);
        let value = text("value").unwrap_or("/");
        let test = match text("type") {
            Some("Exact") => StringMatch::Exact(value),
            Some("RegularExpression") => StringMatch::Regex(value),
            _ => StringMatch::Prefix(value),
        };
        if test.is_every_path() {
            return Vec::new();
        }
    }
    vec![Condition::Other { field: &member.name, value: node.to_json().to_string() }]
}

fn destination<'a>(object: &Object<'a>, backend: &'a Node) -> Destination<'a> {
    let text = |name| backend.get(name).and_then(Node::text);
    let name = backend.get("name");
    let written = name.and_then(Node::text).unwrap_or_default();
    let namespace = text("namespace").or(object.namespace);
    // Istio's own kind of backend is a host.
    let host = match text("kind") {
        Some("Hostname") => Host::of(written, namespace),
        _ => Host::Service { name: written, namespace },
    };
    Destination {
        node: backend,
        host,
        written,
        host_span: name.unwrap_or(backend).span.clone(),
        subset: None,
        weight: backend.get("weight").and_then(Node::number).unwrap_or(1.0),
        edits: edits(backend),
    }
}

fn edits(node: &Node) -> Vec<HeaderEdit<'_>> {
    let mut edits = Vec::new();
    for modifier in filters(node, "requestHeaderModifier") {
        let written = list(modifier, "set").chain(list(modifier, "add"));
        edits.extend(written.filter_map(|header| {
            let name = header.get("name")?.text()?.to_lowercase();
            Some(HeaderEdit { header: name, value: header.get("value"), span: header.span.clone() })
        }));
        edits.extend(list(modifier, "remove").filter_map(|header| {
            let name = header.text()?.to_lowercase();
            Some(HeaderEdit { header: name, value: None, span: header.span.clone() })
        }));
    }
    edits
}
