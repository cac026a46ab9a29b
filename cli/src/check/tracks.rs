//! The tracks of a configuration, and the pods that belong to them, with their places.

use super::valid::Valid;
use crate::input::yaml::{Node, Span};
use std::collections::HashMap;

pub(super) struct Track<'a> {
    pub(super) place: usize,
    pub(super) name: &'a str,
    pub(super) node: &'a Node,
    pub(super) members: Vec<Member<'a>>,
    /// Apps whose pods on baseline may stand in, each with its namespace.
    fallback: Vec<(Option<&'a str>, &'a str)>,
    /// The places of an app's members.
    by_app: HashMap<&'a str, Vec<usize>>,
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
        let members = members(name, node.get("workloads"));
        let mut by_app: HashMap<_, Vec<_>> = HashMap::new();
        for (place, member) in members.iter().enumerate() {
            by_app.entry(member.app).or_default().push(place);
        }
        let fallback = node.get("fallback").into_iter().flat_map(Node::items);
        let fallback = fallback.filter_map(|item| Some(app(item.text()?))).collect();
        Some(Track { place, name, node, members, fallback, by_app })
    });
    tracks.collect()
}

/// `weather/forecast`, and `forecast` in any namespace.
fn app(written: &str) -> (Option<&str>, &str) {
    match written.split_once('/') {
        Some((namespace, app)) => (Some(namespace), app),
        None => (None, written),
    }
}

fn members<'a>(track: &'a str, workloads: Option<&'a Node>) -> Vec<Member<'a>> {
    let member = |written: &'a str, versions, span| {
        let (namespace, app) = app(written);
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

impl<'a> Track<'a> {
    /// Its entries for an app.
    pub(super) fn of<'t>(
        &'t self,
        app: &str,
        namespace: Option<&str>,
    ) -> impl Iterator<Item = &'t Member<'a>> {
        let places = self.by_app.get(app).into_iter().flatten();
        let members = places.filter_map(|place| self.members.get(*place));
        members.filter(move |member| {
            member.namespace.zip(namespace).is_none_or(|(one, other)| one == other)
        })
    }

    /// Whether an app's pods on baseline may stand in for its own.
    pub(super) fn falls_back(&self, app: &str, namespace: Option<&str>) -> bool {
        self.fallback.iter().any(|(within, name)| {
            *name == app && within.zip(namespace).is_none_or(|(one, other)| one == other)
        })
    }

    pub(super) fn has(&self, app: &str, namespace: Option<&str>) -> bool {
        self.of(app, namespace).next().is_some()
    }
}
