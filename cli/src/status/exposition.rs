//! Prometheus' text format, as proxies and their agents write it.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>

/// One line.
pub(super) struct Sample<'a> {
    pub(super) name: &'a str,
    pub(super) labels: Vec<(&'a str, String)>,
    pub(super) value: f64,
}

impl Sample<'_> {
    pub(super) fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(known, _)| *known == name).map(|(_, value)| &**value)
    }
}

/// What a text has; lines that have no such form are passed over.
pub(super) fn samples(text: &str) -> impl Iterator<Item = Sample<'_>> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(sample)
}

/// `name{label="value",...} value [time]`
fn sample(line: &str) -> Option<Sample<'_>> {
    let name = &line[..line.find(['{', ' '])?];
    let mut rest = &line[name.len()..];
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once("=\"")?;
            let (value, after) = quoted(after)?;
            labels.push((label.trim(), value));
            rest = after.strip_prefix(',').unwrap_or(after);
        }
        rest = &rest[1..];
    }
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some(Sample { name, labels, value })
}

/// Up to the closing quote, and what is behind it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match characters.next()?.1 {
                'n' => value.push('\n'),
                escaped => value.push(escaped),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_comments_and_nonsense_passed_over() {
        let text = "# TYPE a counter\n\
                    a{x=\"1\",y=\"a \\\"b\\\" \\\\ c\\n}\",} 2\n\
                    b 1e3 1700000000000\n\
                    \n\
                    c{x=\"1\" 2\n\
                    d{x=\"1\n\
                    e\n\
                    f{} NaN\n";
        let read: Vec<_> = samples(text).map(|sample| sample.name).collect();
        assert_eq!(read, ["a", "b", "f"]);
        let values: Vec<_> = samples(text).map(|sample| sample.value.to_string()).collect();
        assert_eq!(values, ["2", "1000", "NaN"]);
        let first = samples(text).next().unwrap();
        assert_eq!(first.label("x"), Some("1"));
        assert_eq!(first.label("y"), Some("a \"b\" \\ c\n}"));
        assert_eq!(first.label("z"), None);
    }
}
