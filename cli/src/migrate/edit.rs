//! Changes to a YAML text at the places of its nodes, so that all else stays as somebody wrote it.

use crate::input::yaml::{Member, Node, Span, Value};

/// What stands in a place, and what comes there instead.
pub(super) type Edit = (Span, String);

/// A text that is changed, with its nodes' places.
#[derive(Clone, Copy)]
pub(super) struct Text<'a>(pub(super) &'a str);

impl Text<'_> {
    pub(super) fn of(&self, span: &Span) -> &str {
        self.0.get(span.clone()).unwrap_or_default()
    }

    fn is_flow(&self, node: &Node) -> bool {
        self.of(&node.span).starts_with(['{', '['])
    }

    pub(super) fn line_start(&self, at: usize) -> usize {
        self.0.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |end| end + 1)
    }

    /// Behind its line feed.
    pub(super) fn line_end(&self, at: usize) -> usize {
        let rest = self.0.get(at..).unwrap_or_default();
        rest.find('\n').map_or(self.0.len(), |end| at + end + 1)
    }

    pub(super) fn column(&self, at: usize) -> usize {
        at - self.line_start(at)
    }

    /// Where a value ends, without the comments and line feeds behind it.
    pub(super) fn end(&self, node: &Node) -> usize {
        let is_flow = self.is_flow(node);
        let last = match &node.value {
            Value::Map(members) if !is_flow => members.last().map(|last| self.member_end(last)),
            Value::List(items) if !is_flow => items.last().map(|last| self.end(last)),
            _ => None,
        };
        last.unwrap_or_else(|| node.span.start + self.of(&node.span).trim_end().len())
    }

    fn member_end(&self, member: &Member) -> usize {
        self.end(&member.node).max(member.key.end)
    }

    /// Part of the text with those edits that lie in it.
    pub(super) fn apply(&self, within: &Span, edits: &[Edit]) -> String {
        let mut edits: Vec<_> = edits
            .iter()
            .filter(|(span, _)| within.start <= span.start && span.end <= within.end)
            .collect();
        edits.sort_by_key(|(span, _)| (span.start, span.end));
        let mut changed = String::new();
        let mut at = within.start;
        for (span, text) in edits {
            if span.start < at {
                // Inside of what is gone already.
                continue;
            }
            changed.push_str(self.of(&(at..span.start)));
            changed.push_str(text);
            at = span.end;
        }
        changed.push_str(self.of(&(at..within.end)));
        changed
    }

    /// Takes fields out of an object; not all of them.
    pub(super) fn remove_members(&self, map: &Node, gone: &[usize]) -> Vec<Edit> {
        let members = map.members();
        let is_flow = self.is_flow(map);
        let mut edits = Vec::new();
        for &index in gone {
            let Some(member) = members.get(index) else { continue };
            let end = self.member_end(member);
            let first_kept = (0..members.len()).find(|kept| !gone.contains(kept));
            if first_kept.is_some_and(|kept| index < kept) {
                // Up to the next one, which comes into its place.
                let next = members.get(index + 1).map_or(end, |next| next.key.start);
                edits.push((member.key.start..next, String::new()));
            } else if is_flow {
                let before = members.get(index.wrapping_sub(1));
                let start = before.map_or(member.key.start, |before| self.member_end(before));
                edits.push((start..end, String::new()));
            } else {
                let start = self.line_start(member.key.start);
                edits.push((start..self.line_end(end), String::new()));
            }
        }
        edits
    }

    /// Takes items out of a list; not all of them.
    pub(super) fn remove_items(&self, list: &Node, gone: &[usize]) -> Vec<Edit> {
        let items = list.items();
        let first_kept = (0..items.len()).find(|index| !gone.contains(index)).unwrap_or(0);
        let removed = gone.iter().filter_map(|&index| {
            let item = items.get(index)?;
            let end = self.end(item);
            let place = if !self.is_flow(list) {
                self.line_start(item.span.start)..self.line_end(end)
            } else if index < first_kept {
                item.span.start..items.get(index + 1)?.span.start
            } else {
                self.end(items.get(index.checked_sub(1)?)?)..end
            };
            Some((place, String::new()))
        });
        removed.collect()
    }

    /// Puts a changed copy of an item behind all others.
    pub(super) fn append_item(&self, list: &Node, index: usize, changes: &[Edit]) -> Option<Edit> {
        let (item, last) = (list.items().get(index)?, list.items().last()?);
        if self.is_flow(list) {
            let copy = self.apply(&(item.span.start..self.end(item)), changes);
            let end = self.end(last);
            return Some((end..end, format!(", {copy}")));
        }
        let lines = self.line_start(item.span.start)..self.line_end(self.end(item));
        let copy = self.apply(&lines, changes);
        let end = self.line_end(self.end(last));
        let feed =
            if self.0.get(..end).is_some_and(|text| text.ends_with('\n')) { "" } else { "\n" };
        Some((end..end, format!("{feed}{copy}")))
    }

    /// Puts a copy of an item, itself changed, in front of it.
    pub(super) fn copy_item(&self, list: &Node, index: usize, changes: &[Edit]) -> Edit {
        let Some(item) = list.items().get(index) else { return (0..0, String::new()) };
        let end = self.end(item);
        if self.is_flow(list) {
            let copy = self.apply(&(item.span.start..end), changes);
            return (item.span.start..item.span.start, copy + ", ");
        }
        let start = self.line_start(item.span.start);
        let mut copy = self.apply(&(start..self.line_end(end)), changes);
        if !copy.ends_with('\n') {
            copy.push('\n');
        }
        (start..start, copy)
    }

    /// Puts a field in front of all others.
    pub(super) fn insert_member(&self, map: &Node, name: &str, value: &str) -> Edit {
        let Some(first) = map.members().first() else {
            return (map.span.clone(), format!("{{{}: {value}}}", self.name(map, name)));
        };
        let at = first.key.start;
        let behind = if self.is_flow(map) {
            ", ".to_owned()
        } else {
            format!("\n{}", " ".repeat(self.column(at)))
        };
        (at..at, format!("{}: {value}{behind}", self.name(map, name)))
    }

    /// A field in the place of another one.
    pub(super) fn replace_member(&self, map: &Node, index: usize, name: &str, value: &str) -> Edit {
        let Some(member) = map.members().get(index) else { return (0..0, String::new()) };
        let end = self.member_end(member);
        let space = if value.starts_with('\n') { "" } else { " " };
        (member.key.start..end, format!("{}:{space}{value}", self.name(map, name)))
    }

    pub(super) fn replace(&self, node: &Node, value: &str) -> Edit {
        (node.span.start..self.end(node), value.to_owned())
    }

    /// JSON wants quotes; where the names beside have some, so has this one.
    fn name(&self, map: &Node, name: &str) -> String {
        let is_quoted =
            map.members().first().is_some_and(|first| self.of(&first.key).starts_with('"'));
        if is_quoted { format!("\"{name}\"") } else { name.to_owned() }
    }

    /// A document with its comments: all that stands between two separators.
    pub(super) fn document(&self, root: &Node) -> Span {
        let is_separator = |line: &str| line.starts_with("---") || line.starts_with("...");
        let mut start = self.line_start(root.span.start);
        if is_separator(self.0.get(start..).unwrap_or_default()) {
            start = root.span.start;
        } else {
            while start > 0 {
                let before = self.line_start(start - 1);
                if is_separator(self.of(&(before..start))) {
                    break;
                }
                start = before;
            }
        }
        let mut end = self.line_end(self.end(root));
        while end < self.0.len() && !is_separator(self.0.get(end..).unwrap_or_default()) {
            end = self.line_end(end);
        }
        start..end
    }

    /// An item of a list as a document of its own.
    pub(super) fn unindented(&self, item: &Node, text: &str) -> String {
        let column = self.column(item.span.start);
        let mut lines = text.split_inclusive('\n');
        let mut document = lines.next().unwrap_or_default().to_owned();
        for line in lines {
            let white = line.len() - line.trim_start_matches(' ').len();
            document.push_str(line.get(white.min(column)..).unwrap_or_default());
        }
        document
    }
}
