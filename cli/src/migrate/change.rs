//! The changed text of a VirtualService: edited where it stands, and then read again, since it has
//! to mean what was planned.

use super::edit::{Edit, Text};
use super::entry::{Following, test};
use super::plan::{Change, Plan};
use super::routes::{VirtualService, alone};
use crate::emit::flow;
use crate::input::yaml::{self, Node};
use serde_json::{Value as Json, json};

pub(super) struct Changed {
    pub(super) text: String,
    /// Without its comments: an anchor or a form that could not be edited.
    pub(super) is_new: bool,
}

pub(super) fn changed(
    service: &VirtualService<'_>,
    changes: &[Change],
    plan: &Plan<'_>,
    following: &Following<'_>,
) -> Changed {
    let change = Changing { service, changes, plan, following, text: Text(&service.file.text) };
    let expected = change.expected();
    let text = change.edited();
    let means = yaml::documents(&text).ok().filter(|documents| documents.len() == 1);
    match means.and_then(|documents| Some(documents.first()?.to_json())) {
        Some(json) if json == expected => Changed { text, is_new: false },
        _ => Changed { text: serde_saphyr::to_string(&expected).unwrap_or_default(), is_new: true },
    }
}

struct Changing<'a> {
    service: &'a VirtualService<'a>,
    changes: &'a [Change],
    plan: &'a Plan<'a>,
    following: &'a Following<'a>,
    text: Text<'a>,
}

impl Changing<'_> {
    fn names(&self, tracks: &[usize]) -> Vec<&str> {
        tracks.iter().filter_map(|track| Some(&*self.plan.tracks.get(*track)?.name)).collect()
    }

    /// The entries of an item that follow tracks, and what each comes to.
    fn followed(&self, of: usize) -> Vec<(usize, Vec<&str>, Json)> {
        let entries = self.changes.iter().filter_map(|change| match change {
            Change::Follow { item, entry, tracks } if *item == of => {
                let node = self.service.items.get(of)?.entries.get(*entry)?;
                let names = self.names(tracks);
                let expected = self.following.expected(node, &names);
                Some((*entry, names, expected))
            }
            _ => None,
        });
        let mut entries: Vec<_> = entries.collect();
        entries.sort_by_key(|(entry, ..)| *entry);
        entries
    }

    /// Entries that say what an earlier one says.
    fn doubles(&self, of: usize) -> Vec<usize> {
        let followed = self.followed(of);
        let is_double = |index: &usize| {
            let (before, rest) = followed.split_at(*index);
            let one = rest.first().map(|(.., json)| json);
            before.iter().any(|(.., json)| Some(json) == one)
        };
        let doubles = (0..followed.len()).filter(is_double);
        doubles.filter_map(|index| Some(followed.get(index)?.0)).collect()
    }

    // === The text ===

    fn edited(&self) -> String {
        let document = self.service.document;
        let mut edits = Vec::new();
        for (index, item) in self.service.items.iter().enumerate() {
            let doubles = self.doubles(index);
            for (entry, names, _) in self.followed(index) {
                let Some(node) = item.entries.get(entry) else { continue };
                if !doubles.contains(&entry) {
                    edits.extend(self.following.edits(self.text, node, &names));
                }
            }
            if let Some(list) = item.node.get("match")
                && !doubles.is_empty()
            {
                edits.extend(self.text.remove_items(list, &doubles));
            }
        }
        for change in self.changes {
            match change {
                Change::Follow { .. } => {}
                Change::Share { item, parts, is_routed } => {
                    edits.extend(self.share(*item, parts, *is_routed));
                }
                Change::Only { item, destination } => {
                    edits.extend(self.only(*item, *destination));
                }
                Change::Last { item } => edits.extend(self.last(*item)),
            }
        }
        let text = if self.service.is_root {
            self.text.apply(&self.text.document(document), &edits)
        } else {
            let text = self.text.apply(&document.span, &edits);
            self.text.unindented(document, &text)
        };
        format!("{}\n", text.trim_start_matches(['\n', '\r']).trim_end())
    }

    fn share(&self, item: usize, parts: &[(usize, usize)], is_routed: bool) -> Vec<Edit> {
        let Some(one) = self.service.items.get(item) else { return Vec::new() };
        let (Some(list), Some(routes)) = (self.service.list, one.node.get("route")) else {
            return Vec::new();
        };
        let gone: Vec<_> = parts.iter().map(|(destination, _)| *destination).collect();
        let mut edits = self.text.remove_items(routes, &gone);
        for (index, destination) in one.destinations.iter().enumerate() {
            let weight = destination.node.get("weight");
            if let Some(weight) =
                weight.filter(|_| !gone.contains(&index) && destination.weight > 0.0)
            {
                edits.push(self.text.replace(weight, "100"));
            }
        }
        if is_routed {
            return edits;
        }
        for (destination, track) in parts {
            let names = self.names(&[*track]);
            let mut copy = self.only(item, *destination);
            if one.entries.is_empty() {
                copy.extend(self.matching(one.node, &names));
            }
            copy.extend(one.entries.iter().map(|e| self.following.added(self.text, e, &names)));
            edits.push(self.text.copy_item(list, item, &copy));
        }
        edits
    }

    /// One destination of an item, which gets all.
    fn only(&self, item: usize, destination: usize) -> Vec<Edit> {
        let Some(one) = self.service.items.get(item) else { return Vec::new() };
        let Some(routes) = one.node.get("route") else { return Vec::new() };
        let others: Vec<_> =
            (0..one.destinations.len()).filter(|other| *other != destination).collect();
        let mut edits = self.text.remove_items(routes, &others);
        if let Some(node) = one.destinations.get(destination).map(|one| one.node) {
            let weight = node.members().iter().position(|member| member.name == "weight");
            let weight: Vec<_> = weight.into_iter().collect();
            edits.extend(self.text.remove_members(node, &weight));
        }
        edits
    }

    /// A `match` for an item that has none.
    fn matching(&self, item: &Node, names: &[&str]) -> Option<Edit> {
        if item.get("match").is_some() {
            return None;
        }
        let value = json!([{"headers": {self.following.header: test(names)}}]);
        let first = item.members().first()?.key.start;
        Some(match self.text.of(&item.span).as_bytes() {
            [b'{', b'"', ..] => self.text.insert_member(item, "match", &value.to_string()),
            [b'{', ..] => self.text.insert_member(item, "match", &flow(&value)),
            _ => {
                let white = " ".repeat(self.text.column(first));
                let entry = flow(value.get(0)?);
                let entry = entry.strip_prefix('{')?.strip_suffix('}')?;
                (first..first, format!("match:\n{white}- {entry}\n{white}"))
            }
        })
    }

    fn last(&self, item: usize) -> Vec<Edit> {
        let (Some(one), Some(list)) = (self.service.items.get(item), self.service.list) else {
            return Vec::new();
        };
        let matches = one.node.members().iter().position(|member| member.name == "match");
        let matches: Vec<_> = matches.into_iter().collect();
        let edits = self.text.remove_members(one.node, &matches);
        if item + 1 == self.service.items.len() {
            return edits;
        }
        let mut moved = self.text.remove_items(list, &[item]);
        moved.extend(self.text.append_item(list, item, &edits));
        moved
    }

    // === What it has to mean ===

    fn expected(&self) -> Json {
        let mut document = self.service.document.to_json();
        let Some(list) = document.pointer_mut("/spec/http").and_then(Json::as_array_mut) else {
            return document;
        };
        let mut items = Vec::new();
        let mut last = Vec::new();
        for (index, mut item) in std::mem::take(list).into_iter().enumerate() {
            let doubles = self.doubles(index);
            if let Some(entries) = item.get_mut("match").and_then(Json::as_array_mut) {
                for (entry, _, json) in self.followed(index) {
                    if let Some(old) = entries.get_mut(entry) {
                        *old = json;
                    }
                }
                doubles.iter().rev().for_each(|entry| drop(entries.remove(*entry)));
            }
            let of_item = self.changes.iter().find(|change| match change {
                Change::Share { item, .. } | Change::Only { item, .. } | Change::Last { item } => {
                    *item == index
                }
                Change::Follow { .. } => false,
            });
            match of_item {
                Some(Change::Share { parts, is_routed, .. }) => {
                    if !is_routed {
                        items.extend(parts.iter().map(|(d, track)| self.routed(&item, *d, *track)));
                    }
                    self.take_out(&mut item, index, parts);
                    items.push(item);
                }
                Some(Change::Only { destination, .. }) => {
                    alone(&mut item, *destination);
                    items.push(item);
                }
                Some(Change::Last { .. }) => {
                    if let Some(fields) = item.as_object_mut() {
                        fields.remove("match");
                    }
                    last.push(item);
                }
                _ => items.push(item),
            }
        }
        items.extend(last);
        *list = items;
        document
    }

    fn routed(&self, item: &Json, destination: usize, track: usize) -> Json {
        let mut copy = item.clone();
        let headers = json!({self.following.header: test(&self.names(&[track]))});
        alone(&mut copy, destination);
        match copy.get_mut("match").and_then(Json::as_array_mut).filter(|list| !list.is_empty()) {
            Some(entries) => entries.iter_mut().for_each(|entry| {
                if let Some(fields) = entry.as_object_mut() {
                    fields.insert("headers".to_owned(), headers.clone());
                }
            }),
            None => {
                if let Some(fields) = copy.as_object_mut() {
                    fields.insert("match".to_owned(), json!([{"headers": headers}]));
                }
            }
        }
        copy
    }

    fn take_out(&self, item: &mut Json, index: usize, parts: &[(usize, usize)]) {
        let destinations = self.service.items.get(index).map(|item| &item.destinations);
        let Some(routes) = item.get_mut("route").and_then(Json::as_array_mut) else { return };
        for (place, route) in routes.iter_mut().enumerate() {
            let weight = destinations.and_then(|all| all.get(place)).map(|one| one.weight);
            if let (Some(fields), true) = (route.as_object_mut(), weight > Some(0.0)) {
                fields.insert("weight".to_owned(), json!(100));
            }
        }
        let mut gone: Vec<_> = parts.iter().map(|(destination, _)| *destination).collect();
        gone.sort_unstable();
        gone.into_iter().rev().for_each(|place| drop(routes.remove(place)));
    }
}
