//! What is wrong with a file, or surprising in it: for a person, and for a program.

use crate::input::File;
use crate::input::yaml::{Node, Span, Value};
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use regex::{Captures, Regex};
use serde::Serialize;
use std::sync::LazyLock;

pub(crate) struct Diagnostic<'a> {
    pub(crate) is_error: bool,
    /// `never-matches`: a name to look for in the documentation.
    pub(crate) code: &'static str,
    pub(crate) file: &'a File,
    pub(crate) span: Span,
    /// The JSON path in the configuration, or the object; empty for the document itself.
    pub(crate) path: String,
    /// What stands there, if it is to be repeated.
    pub(crate) value: Option<String>,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

/// A diagnostic as `--output json` has it.
#[derive(Serialize)]
pub(crate) struct Record<'a> {
    level: &'static str,
    code: &'static str,
    file: &'a str,
    line: usize,
    column: usize,
    path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

impl Diagnostic<'_> {
    pub(crate) fn record(&self) -> Record<'_> {
        let (line, column) = self.file.position(self.span.start);
        Record {
            level: if self.is_error { "error" } else { "warning" },
            code: self.code,
            file: &self.file.name,
            line,
            column,
            path: &self.path,
            value: self.value.as_deref(),
            message: &self.message,
            hint: self.hint.as_deref(),
        }
    }

    /// The lines in question, with what is wrong underlined.
    pub(crate) fn render(&self) -> String {
        // Its lines, and some around them, are enough.
        let span = self.first_line();
        let first = self.file.line(span.start).saturating_sub(LINES_AROUND).max(1);
        let window =
            self.file.start(first)..self.file.start(self.file.line(span.end) + LINES_AROUND + 1);
        let source = self.file.masked.get_or_init(|| masked(self.file));
        let source = source.get(window.clone()).unwrap_or_default();
        let level = if self.is_error { Level::ERROR } else { Level::WARNING };
        let mut group: Group<'_> = level.primary_title(&*self.message).id(self.code).element(
            Snippet::source(source).path(&*self.file.name).line_start(first).annotation(
                AnnotationKind::Primary.span(span.start - window.start..span.end - window.start),
            ),
        );
        if !self.path.is_empty() {
            let found = self.value.as_ref().map(|value| format!(": {value}")).unwrap_or_default();
            group =
                group.element(Level::NOTE.with_name("at").message(format!("{}{found}", self.path)));
        }
        if let Some(hint) = &self.hint {
            group = group.element(Level::HELP.with_name("hint").message(&**hint));
        }
        Renderer::styled().term_width(width()).render(&[group])
    }

    /// What is longer than a line is marked on its first one.
    fn first_line(&self) -> Span {
        let text = self.file.text.get(self.span.clone()).unwrap_or_default();
        let line = text.lines().next().unwrap_or_default();
        self.span.start..self.span.start + line.trim_end().len()
    }
}

/// Of the terminal, or of a page where there is none.
fn width() -> usize {
    terminal_size::terminal_size().map_or(100, |(width, _)| width.0.into())
}

/// What looks like a key, or is the digest of an image.
static KEY: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"(sha256: ?["']?)?[0-9A-Fa-f]{24,}"#).expect("it compiles"));

/// Whether a field is one of keys, or was meant to be.
fn names_key(field: &str) -> bool {
    let field = field.to_ascii_lowercase();
    field != "keysfrom" && (field.contains("key") || field.contains("secret"))
}

/// How many lines around the one in question are read: no report shows more.
const LINES_AROUND: usize = 3;

/// The file's text with asterisks for keys: reports end up in build logs.
fn masked(file: &File) -> String {
    let stars = |found: &Captures<'_>| match found.get(1) {
        Some(_) => found[0].to_owned(),
        None => "*".repeat(found[0].len()),
    };
    let mut text = KEY.replace_all(&file.text, stars).into_owned();
    for document in file.documents.iter().flatten() {
        mask(document, false, &mut text);
    }
    text
}

fn mask(node: &Node, is_key: bool, text: &mut String) {
    match &node.value {
        Value::List(items) => items.iter().for_each(|item| mask(item, is_key, text)),
        Value::Map(members) => members.iter().for_each(|member| {
            mask(&member.node, is_key || names_key(&member.name), text);
        }),
        _ if is_key => {
            let stars = text[node.span.clone()].chars().map(|c| match c {
                '\n' => '\n',
                _ => '*',
            });
            // As many bytes as before, so that all other places stay where they are.
            let stars: String = stars.collect();
            let rest = node.span.len().saturating_sub(stars.len());
            text.replace_range(node.span.clone(), &(stars + &"*".repeat(rest)));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_not_shown() {
        let secret = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
        let text = format!("a: {{keys: [{secret}, 'shört'], b: [1}}");
        for text in [text.replace("[1", "1"), text] {
            let file = File::new("f".into(), text, true);
            let masked = masked(&file);
            assert!(!masked.contains(secret), "{masked}");
            assert_eq!(masked.len(), file.text.len());
            assert!(file.documents.is_err() || !masked.contains("rt"), "{masked}");
        }
    }
}
