//! What a person says of a request, and what Envoy makes of it before the filter sees it.

use crate::failure::Failure;
use release_track::exchange::Lines;
use url::Url;

/// A request as a client sends it.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) method: String,
    pub(super) url: Url,
    /// Names in lower case.
    pub(super) headers: Vec<(String, String)>,
}

/// The example of the documentation.
const ID: &str = "73cf9109-747e-4c23-92e0-3376878b904e";

impl Sent {
    /// The headers as Envoy has them. Where a client's request enters the mesh, it adds two.
    pub(super) fn lines(self, enters: bool) -> Lines {
        let Self { method, url, mut headers } = self;
        let host = headers.extract_if(.., |(name, _)| name == "host").last();
        let authority = match host {
            Some((_, host)) => host,
            None => url[url::Position::BeforeHost..url::Position::AfterPort].to_owned(),
        };
        let path = url[url::Position::BeforePath..url::Position::AfterQuery].to_owned();
        let scheme = url.scheme().to_owned();
        let mut lines = vec![
            (":method".to_owned(), method),
            (":scheme".to_owned(), scheme.clone()),
            (":authority".to_owned(), authority),
            (":path".to_owned(), path),
        ];
        let added = [("x-forwarded-proto", scheme), ("x-request-id", ID.to_owned())];
        let missing = added
            .into_iter()
            .filter(|(name, _)| enters && !headers.iter().any(|(known, _)| known == name));
        let missing: Vec<_> = missing.map(|(name, value)| (name.to_owned(), value)).collect();
        lines.extend(headers);
        lines.extend(missing);
        lines.into_iter().map(|(name, value)| (name.into_bytes(), value.into_bytes())).collect()
    }
}

/// As curl does: without a scheme it is http.
pub(super) fn url(text: &str) -> Result<Url, Failure> {
    let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let refused = |why: String| Failure::usage(format!("{text:?} is no URL that is meant: {why}"));
    let url = Url::parse(&whole).map_err(|error| refused(error.to_string()))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        other => Err(refused(format!("{other} is neither http nor https"))),
    }
}

/// As curl's `-H`: `NAME: VALUE`; `NAME;` for an empty value; `NAME:` for none at all.
pub(super) fn header(line: &str) -> Result<(String, Option<String>), Failure> {
    let (name, value) = match (line.split_once(':'), line.strip_suffix(';')) {
        (Some((name, value)), _) => (name, Some(value.trim()).filter(|value| !value.is_empty())),
        (None, Some(name)) => (name, Some("")),
        (None, None) => ("", None),
    };
    let name = name.trim();
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Err(Failure::usage(format!("{line:?} is no header: 'NAME: VALUE' is expected")));
    }
    Ok((name.to_lowercase(), value.map(str::to_owned)))
}
