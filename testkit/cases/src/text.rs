//! Text of a case file as bytes: escapes, repetitions, and what is only known when it is seen.

use crate::Bindings;

/// The bytes of a header value, with holes for what no case can know beforehand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Bytes(Vec<u8>),
    /// `$(id)`
    Id,
    /// `$(span)`
    Span,
    /// `$(number)`
    Number,
}

/// Digits of an id, and of a span's.
const ID: usize = 32;
const SPAN: usize = 16;

impl Text {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut bytes = Vec::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if let Some(escaped) = rest.strip_prefix('\\') {
                let (byte, tail) = unescape(escaped).ok_or_else(|| {
                    format!("{text:?}: after a backslash only xNN and \\ are allowed")
                })?;
                bytes.push(byte);
                rest = tail;
            } else if let Some(inner) = rest.strip_prefix("$(") {
                let (inner, tail) =
                    inner.split_once(')').ok_or_else(|| format!("{text:?}: $( has no end"))?;
                rest = tail;
                let hole = match inner {
                    "id" => Piece::Id,
                    "span" => Piece::Span,
                    "number" => Piece::Number,
                    _ => {
                        bytes.extend(repeat(inner).ok_or_else(|| {
                            format!("$({inner}): id, span, number or COUNT * TEXT is allowed there")
                        })?);
                        continue;
                    }
                };
                pieces.push(Piece::Bytes(std::mem::take(&mut bytes)));
                pieces.push(hole);
            } else {
                let (character, tail) = rest.split_at(first.len_utf8());
                bytes.extend(character.as_bytes());
                rest = tail;
            }
        }
        pieces.push(Piece::Bytes(bytes));
        pieces.retain(|piece| *piece != Piece::Bytes(Vec::new()));
        Ok(Self(pieces))
    }

    /// Its bytes, with what is bound in the holes.
    pub fn fill(&self, bindings: &Bindings) -> Vec<u8> {
        let mut bytes = Vec::new();
        for piece in &self.0 {
            match piece {
                Piece::Bytes(more) => bytes.extend(more),
                Piece::Id => bytes.extend(bindings.id.iter().flatten()),
                Piece::Span | Piece::Number => {}
            }
        }
        bytes
    }

    /// Whether `bytes` are these, and whatever stands in a hole is what stood there before.
    pub(crate) fn is(&self, bytes: &[u8], bindings: &mut Bindings) -> bool {
        let is_hex = |b: &u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        let mut rest = bytes;
        for piece in &self.0 {
            let length = match piece {
                Piece::Bytes(want) if rest.starts_with(want) => want.len(),
                Piece::Bytes(_) => return false,
                Piece::Number => rest.iter().take_while(|b| b.is_ascii_digit()).count(),
                Piece::Span => {
                    rest.iter().take(SPAN).take_while(|b| is_hex(b)).count() / SPAN * SPAN
                }
                Piece::Id => {
                    let id = rest.get(..ID).unwrap_or_default();
                    let known = bindings.id.get_or_insert_with(|| id.to_vec());
                    if id.len() != ID || *known != id || !id.iter().all(is_hex) {
                        return false;
                    }
                    ID
                }
            };
            if length == 0 {
                return false;
            }
            rest = &rest[length..];
        }
        rest.is_empty()
    }

    pub(crate) fn shown(&self) -> String {
        let pieces = self.0.iter().map(|piece| match piece {
            Piece::Bytes(bytes) => crate::check::shown(bytes),
            Piece::Id => "$(id)".into(),
            Piece::Span => "$(span)".into(),
            Piece::Number => "$(number)".into(),
        });
        pieces.collect()
    }
}

fn unescape(text: &str) -> Option<(u8, &str)> {
    match text.strip_prefix('x') {
        Some(hex) => {
            let (digits, tail) = hex.split_at_checked(2)?;
            Some((u8::from_str_radix(digits, 16).ok()?, tail))
        }
        None => Some((b'\\', text.strip_prefix('\\')?)),
    }
}

/// `COUNT * TEXT`; every `@` in the text is the number of the repetition, from 1.
fn repeat(inner: &str) -> Option<Vec<u8>> {
    let (count, text) = inner.split_once(" * ")?;
    let count: usize = count.parse().ok()?;
    Some((1..=count).flat_map(|n| numbered(text, n).into_bytes()).collect())
}

pub(crate) fn numbered(text: &str, n: usize) -> String {
    text.replace('@', &n.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        Text::parse(text).unwrap().fill(&Bindings::default())
    }

    #[test]
    fn escapes_and_repetitions() {
        assert_eq!(bytes(r"a\xe9\\x$"), b"a\xe9\\x$");
        assert_eq!(bytes("é"), "é".as_bytes());
        assert_eq!(bytes("$(3 * c@=1; )user=x"), b"c1=1; c2=1; c3=1; user=x");
        for wrong in [r"\x1", r"\n", "$(", "$(x)", "$(x * y)"] {
            assert!(Text::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_id_is_the_same_wherever_it_stands() {
        let mut bindings = Bindings::default();
        let text = Text::parse("a=$(id); b=$(number)").unwrap();
        let id = "0123456789abcdef0123456789abcdef";
        assert!(!text.is(b"a=x; b=1", &mut Bindings::default()));
        assert!(text.is(format!("a={id}; b=17").as_bytes(), &mut bindings));
        assert!(!text.is(format!("a={id}; b=").as_bytes(), &mut bindings));
        assert!(!text.is(format!("a={}; b=17", id.replace('0', "1")).as_bytes(), &mut bindings));
        assert_eq!(Text::parse("<$(id)>").unwrap().fill(&bindings), format!("<{id}>").as_bytes());
    }
}
