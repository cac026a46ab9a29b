//! The tracks of a configuration, and the pods that belong to them, with their places.

use super::valid::Valid;
use crate::input::yaml::{Node, Span};

pub(super) struct Track<'a> {
    pub(super) place: usize,
    pub(super) name: &'a str,
    pub(super) node: &'a Node,
    pub(super) members: Vec<Member<'a>>,
}

/// One entry of `workloads`.
pub(super) struct Member<'a> {
    /// `weather/forecast`, as it stands there.
    pub(super) written: &'a str,
    pub(super) app: &'a str,
    pub(super) namespace: Option<&'a str>,
    pub(super) versions: Vec<&'a str>,
    pub(super) span: &'a Span,
}

pub(super) fn read<'a>(valid: &Valid<'a>) -> Vec<Track<'a>> {
    let tracks = valid.source.node.get("tracks").into_iter().flat_map(Node::items);
    let tracks = tracks.enumerate().filter_map(|(place, node)| {
        let name = node.get("name")?.text()?;
        Some(Track { place, name, node, members: members(name, node.get("workloads")) })
    });
    tracks.collect()
}

fn members<'a>(track: &'a str, workloads: Option<&'a Node>) -> Vec<Member<'a>> {
    let member = |written: &'a str, versions, span| {
        let (namespace, app) = match written.split_once('/') {
            Some((namespace, app)) => (Some(namespace), app),
            None => (None, written),
        };
        Member { written, app, namespace, versions, span }
    };
    let Some(workloads) = workloads else { return Vec::new() };
    let named = workloads.members().iter().map(|entry| {
        let one = entry.node.text().into_iter();
        let versions = one.chain(entry.node.items().iter().filter_map(Node::text)).collect();
        member(&entry.name, versions, &entry.key)
    });
    let listed = workloads
        .items()
        .iter()
        .filter_map(|item| Some(member(item.text()?, vec![track], &item.span)));
    named.chain(listed).collect()
}

impl Member<'_> {
    pub(super) fn is(&self, app: &str, namespace: Option<&str>) -> bool {
        self.app == app && self.namespace.zip(namespace).is_none_or(|(one, two)| one == two)
    }
}

impl Track<'_> {
    pub(super) fn has(&self, app: &str, namespace: Option<&str>) -> bool {
        self.members.iter().any(|member| member.is(app, namespace))
    }
}
