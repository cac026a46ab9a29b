//! What the tokens of a file tell: lines of code and of comments, and how often a name is asked.

use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

/// Counted without blank lines, and without what only tests have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Lines with code on them.
    pub code: usize,
    /// Lines with nothing but a comment, documentation included.
    pub comments: usize,
    /// How often each name is read; not where it is declared or bound.
    pub asked: BTreeMap<String, usize>,
}

/// Counts in a file; `tests` are the lines to leave out.
pub(crate) fn count(text: &str, tests: &[RangeInclusive<usize>]) -> Counts {
    let mut counter = Counter { tests, code: BTreeSet::new(), asked: BTreeMap::new() };
    // It was parsed before.
    if let Ok(tokens) = text.parse() {
        counter.walk(tokens, false);
    }
    let lines = (1..).zip(text.lines());
    let comments = lines
        .filter(|(line, text)| !text.trim().is_empty() && !counter.code.contains(line))
        .filter(|(line, _)| !counter.is_test(*line))
        .count();
    Counts { code: counter.code.len(), comments, asked: counter.asked }
}

struct Counter<'a> {
    tests: &'a [RangeInclusive<usize>],
    code: BTreeSet<usize>,
    asked: BTreeMap<String, usize>,
}

impl Counter<'_> {
    fn is_test(&self, line: usize) -> bool {
        self.tests.iter().any(|lines| lines.contains(&line))
    }

    fn add(&mut self, span: Span) {
        let lines = span.start().line..=span.end().line;
        self.code.extend(lines.filter(|line| !self.tests.iter().any(|tests| tests.contains(line))));
    }

    fn walk(&mut self, tokens: TokenStream, in_braces: bool) {
        let tokens: Vec<_> = tokens.into_iter().collect();
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            if let Some(length) = documentation(&tokens[at..]) {
                at += length;
                continue;
            }
            match token {
                TokenTree::Group(group) => {
                    self.add(group.span_open());
                    self.add(group.span_close());
                    self.walk(group.stream(), group.delimiter() == Delimiter::Brace);
                }
                TokenTree::Ident(name) => {
                    self.add(token.span());
                    let is_test = self.is_test(name.span().start().line);
                    if !is_test && !is_declared(&tokens, at, in_braces) {
                        *self.asked.entry(name.to_string()).or_default() += 1;
                    }
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => self.add(token.span()),
            }
            at += 1;
        }
    }
}

/// Whether the name at this place is given there, not read: `name: T`, `fn name`, `let name`, or a
/// field by its own name, in a pattern or a literal.
fn is_declared(tokens: &[TokenTree], at: usize, in_braces: bool) -> bool {
    let before = at.checked_sub(1).map(|before| &tokens[before]);
    let after = tokens.get(at + 1);
    let has_type = after.is_some_and(|token| is(token, ':'))
        && !tokens.get(at + 2).is_some_and(|token| is(token, ':'));
    let is_bound = matches!(before, Some(TokenTree::Ident(word))
        if ["fn", "let", "mut", "ref"].iter().any(|binds| word == binds));
    let stands_alone = |beside: Option<&TokenTree>| beside.is_none_or(|token| is(token, ','));
    has_type || is_bound || in_braces && stands_alone(before) && stands_alone(after)
}

fn is(token: &TokenTree, c: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == c)
}

/// How many tokens at the front are a documentation comment: `#[doc = ".."]` or `#![doc = ".."]`.
fn documentation(tokens: &[TokenTree]) -> Option<usize> {
    let (hash, rest) = tokens.split_first()?;
    if !is(hash, '#') {
        return None;
    }
    let inner = rest.first().is_some_and(|token| is(token, '!'));
    match rest.get(usize::from(inner))? {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket => {
            let is_doc = matches!(group.stream().into_iter().next(), Some(TokenTree::Ident(name)) if name == "doc");
            is_doc.then_some(2 + usize::from(inner))
        }
        _ => None,
    }
}
