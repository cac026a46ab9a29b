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
    /// How often each name is read as a field or called as a method: `.name`.
    pub asked: BTreeMap<String, usize>,
}

/// Counts in a file; `tests` are the lines to leave out.
pub(crate) fn count(text: &str, tests: &[RangeInclusive<usize>]) -> Counts {
    let mut counter = Counter { tests, code: BTreeSet::new(), asked: BTreeMap::new() };
    // It was parsed before.
    if let Ok(tokens) = text.parse() {
        counter.walk(tokens);
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

    fn walk(&mut self, tokens: TokenStream) {
        let tokens: Vec<_> = tokens.into_iter().collect();
        let mut rest = tokens.as_slice();
        while let Some((token, behind)) = rest.split_first() {
            if let Some(length) = documentation(rest) {
                rest = &rest[length..];
                continue;
            }
            match token {
                TokenTree::Group(group) => {
                    self.add(group.span_open());
                    self.add(group.span_close());
                    self.walk(group.stream());
                }
                TokenTree::Punct(punct) if punct.as_char() == '.' => {
                    self.add(token.span());
                    if let Some(TokenTree::Ident(name)) = behind.first()
                        && !self.is_test(name.span().start().line)
                    {
                        *self.asked.entry(name.to_string()).or_default() += 1;
                    }
                }
                _ => self.add(token.span()),
            }
            rest = behind;
        }
    }
}

/// How many tokens at the front are a documentation comment: `#[doc = ".."]` or `#![doc = ".."]`.
fn documentation(tokens: &[TokenTree]) -> Option<usize> {
    let is = |token: &TokenTree, c| matches!(token, TokenTree::Punct(p) if p.as_char() == c);
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
