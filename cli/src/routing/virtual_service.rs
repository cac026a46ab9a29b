//! <https://istio.io/latest/docs/reference/config/networking/virtual-service/>

use super::Host;
use super::table::{
    Action, Callers, Condition, Delegate, Destination, HeaderEdit, Match, Place, Route,
    StringMatch, Table,
};
use crate::input::manifest::Object;
use crate::input::yaml::{Member, Node};

pub(super) fn read<'a>(object: &Object<'a>) -> Table<'a> {
    let hosts = object.list(&["spec", "hosts"]).filter_map(Node::text);
    let mut callers = Callers::default();
    for gateway in object.list(&["spec", "gateways"]).filter_map(Node::text) {
        match gateway.split_once('/') {
            _ if gateway == "mesh" => callers.mesh = true,
            Some((namespace, name)) => {
                callers.gateways.insert((Some(namespace), name, ""));
            }
            None => {
                callers.gateways.insert((object.namespace, gateway, ""));
            }
        }
    }
    callers.mesh |= callers.gateways.is_empty();
    Table {
        object: *object,
        hosts: hosts.map(|host| Host::of(host, object.namespace)).collect(),
        callers,
        ordered: true,
        routes: object.list(&["spec", "http"]).map(|route| read_route(object, route)).collect(),
    }
}

fn read_route<'a>(object: &Object<'a>, node: &'a Node) -> Route<'a> {
    let destinations = list(node, "route").map(|route| destination(object, route));
    let action = if let Some(delegate) = node.get("delegate") {
        let text = |name| delegate.get(name).and_then(Node::text);
        let namespace = text("namespace").or(object.namespace);
        let name = text("name").unwrap_or_default();
        Action::Delegate(Delegate { name, namespace, node: delegate })
    } else if node.get("redirect").is_some() || node.get("directResponse").is_some() {
        Action::Respond
    } else {
        Action::Forward(destinations.collect())
    };
    let mut matches: Vec<_> = list(node, "match").map(read_match).collect();
    if matches.is_empty() {
        matches.push(Match::default());
    }
    let mirror = node.get("mirror").map(|mirror| mirror_to(object, mirror));
    let mirrors = list(node, "mirrors").filter_map(|mirror| mirror.get("destination"));
    let mirrors = mirror.into_iter().chain(mirrors.map(|mirror| mirror_to(object, mirror)));
    Route { object: *object, node, matches, action, mirrors: mirrors.collect(), edits: edits(node) }
}

fn list<'a>(node: &'a Node, name: &str) -> impl Iterator<Item = &'a Node> + use<'a> {
    node.get(name).into_iter().flat_map(Node::items)
}

fn read_match(node: &Node) -> Match<'_> {
    Match { conditions: node.members().iter().flat_map(conditions).collect() }
}

fn conditions(member: &Member) -> Vec<Condition<'_>> {
    let node = &member.node;
    let place = Place(member.key.clone());
    match &*member.name {
        "name" | "statPrefix" | "ignoreUriCase" => Vec::new(),
        "uri" if StringMatch::read(node).is_every_path() => Vec::new(),
        field @ ("headers" | "withoutHeaders") => {
            let headers = node.members().iter();
            let condition = headers.map(|header| Condition::Header {
                name: header.name.to_lowercase(),
                test: StringMatch::read(&header.node),
                negated: field == "withoutHeaders",
                place: Place(header.key.start..header.node.span.end.max(header.key.end)),
            });
            condition.collect()
        }
        "sourceLabels" => {
            let labels = node.members().iter();
            let labels = labels.filter_map(|label| Some((&*label.name, label.node.text()?)));
            vec![Condition::SourceLabels { labels: labels.collect(), place }]
        }
        field @ ("gateways" | "sourceNamespace") => {
            vec![Condition::Source { field, value: node.to_json().to_string(), place }]
        }
        field => vec![Condition::Other { field, value: node.to_json().to_string() }],
    }
}

fn destination<'a>(object: &Object<'a>, route: &'a Node) -> Destination<'a> {
    let weight = route.get("weight").and_then(Node::number);
    let to = route.get("destination").unwrap_or(route);
    Destination { weight: weight.unwrap_or(0.0), edits: edits(route), ..mirror_to(object, to) }
}

fn mirror_to<'a>(object: &Object<'a>, to: &'a Node) -> Destination<'a> {
    let host = to.get("host");
    let written = host.and_then(Node::text).unwrap_or_default();
    let subset = to.get("subset");
    Destination {
        node: to,
        host: Host::of(written, object.namespace),
        written,
        host_span: host.unwrap_or(to).span.clone(),
        subset: subset.and_then(|subset| Some((subset.text()?, subset.span.clone()))),
        weight: 1.0,
        edits: Vec::new(),
    }
}

/// `headers.request` of a route or of one of its destinations.
fn edits(node: &Node) -> Vec<HeaderEdit<'_>> {
    let Some(request) = node.at(&["headers", "request"]) else { return Vec::new() };
    let written = ["set", "add"].iter().filter_map(|field| request.get(field));
    let written = written.flat_map(Node::members).map(|header| HeaderEdit {
        header: header.name.to_lowercase(),
        value: Some(&header.node),
        span: header.key.start..header.node.span.end.max(header.key.end),
    });
    let removed = list(request, "remove").filter_map(|header| {
        let name = header.text()?.to_lowercase();
        Some(HeaderEdit { header: name, value: None, span: header.span.clone() })
    });
    written.chain(removed).collect()
}
