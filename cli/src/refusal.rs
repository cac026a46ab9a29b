//! Why there is no configuration in what somebody handed in.

use crate::failure::Failure;
use crate::input::manifest::{Bare, Configuration, Manifests, Object};
use crate::input::yaml::Node;
use crate::input::{File, place};
use crate::report::Diagnostic;
use regex::Regex;
use release_track::config::{Config, Error};
use std::sync::LazyLock;

/// The only configuration in files that the filter takes; otherwise, why there is none.
pub(crate) fn the_one(files: &[File]) -> Result<(Configuration<'_>, Config), Failure> {
    if let Some(diagnostic) = files.iter().find_map(not_valid) {
        return Err(Failure::report(diagnostic.render()));
    }
    let mut manifests = Manifests::of(files, Bare::Named);
    let [source] = &*manifests.configurations else {
        let names: Vec<_> = manifests.configurations.iter().map(Configuration::name).collect();
        return Err(match &*names {
            [] => Failure::refused(nothing(&manifests, files)),
            names => Failure::usage(format!(
                "one configuration is expected, and here are {}: {}",
                names.len(),
                names.join(", ")
            )),
        });
    };
    match source.parse() {
        Ok(config) => Ok((manifests.configurations.remove(0), config)),
        Err(error) => Err(Failure::report(refused(source, &error).render())),
    }
}

pub(crate) fn nothing(manifests: &Manifests<'_>, files: &[File]) -> String {
    let names: Vec<_> = files.iter().map(|file| &*file.name).collect();
    let mut message = format!("no configuration of release-track in {}", names.join(", "));
    for object in &manifests.foreign {
        message += &format!("\n{}", foreign(object));
    }
    for (file, document) in manifests.others.iter().filter(|(file, _)| file.named) {
        let name = &file.name;
        message +=
            &format!("\n{name}: a document without kind is a configuration if it has tracks");
        let mut names = document.members().iter().map(|member| &member.name);
        if let Some(like) = names.find(|name| strsim::jaro_winkler(name, "tracks") > 0.8) {
            message += &format!("; it has {like}");
        }
    }
    message
}

pub(crate) fn foreign(object: &Object<'_>) -> String {
    format!(
        "{}: {object} is passed over: neither its name, url or pluginName has release-track in it, nor its pluginConfig tracks",
        object.file.name
    )
}

/// Go's templates, as Helm has them, and Jinja's, as Ansible has them.
static TEMPLATE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\{\{[^{}\n]*\}\}|\{%[^\n]*%\}").expect("it compiles"));

pub(crate) fn not_valid(file: &File) -> Option<Diagnostic<'_>> {
    let error = file.documents.as_ref().err()?;
    if let Some(found) = TEMPLATE.find(&file.text) {
        let message = "this is a template, whose values are not there yet".to_owned();
        return Some(Diagnostic {
            // In a folder it may have nothing to do with the filter.
            is_error: file.named,
            code: "template",
            file,
            span: found.range(),
            path: String::new(),
            value: None,
            message,
            hint: Some("render it first: helm template CHART | release-track check -".to_owned()),
        });
    }
    let (code, format) = if file.is_json() { ("json", "JSON") } else { ("yaml", "YAML") };
    Some(Diagnostic {
        is_error: true,
        code,
        file,
        span: error.span.clone(),
        path: String::new(),
        value: None,
        message: format!("not valid {format}: {}", error.message),
        hint: error.message.contains("tab").then(|| "indent with spaces alone".to_owned()),
    })
}

pub(crate) const CLAIMS: &str = "claims of a JWT are no header: write them into one (outputClaimToHeaders of the \
                      RequestAuthentication), match on that, and use phase: AUTHZ, which comes after it";

/// What somebody meant who wrote a plain value where an object is expected.
fn shorthand(path: &str, node: &Node, written: &str) -> Option<String> {
    if written.is_empty() || written.contains(['{', '[', '\n']) {
        return None;
    }
    // As in `match[0].uri`, and `match[0].headers["x-group"]`.
    let (parent, name) = match path.strip_suffix("\"]") {
        Some(path) => path.rsplit_once("[\"")?,
        None => path.rsplit_once('.')?,
    };
    let field = match (name, parent.rsplit('.').next()?) {
        ("share", _) => "percent",
        ("uri" | "method" | "authority", _) => "exact",
        (_, "cookies" | "withoutCookies" | "headers" | "withoutHeaders" | "queryParams") => "exact",
        _ => return None,
    };
    let written = written.trim_end_matches('%');
    Some(match field {
        "exact" if node.text().is_none() => format!("write {{exact: '{written}'}}"),
        field => format!("write {{{field}: {written}}}"),
    })
}

/// One of the filter's own errors.
pub(crate) fn refused<'a>(source: &'a Configuration<'a>, error: &Error) -> Diagnostic<'a> {
    let place = place::find(source.node, &error.path);
    let written = source.file.text.get(place.node.span.clone()).unwrap_or_default();
    let hint = match (place.unknown, place.field) {
        _ if error.path.contains("@request.auth.") => Some(CLAIMS.to_owned()),
        (Some((name, known)), _) => known
            .into_iter()
            .map(|known| (strsim::jaro_winkler(name, known), known))
            .filter(|(likeness, _)| *likeness > 0.8)
            .max_by(|one, other| one.0.total_cmp(&other.0))
            .map(|(_, name)| format!("did you mean {name}?")),
        (None, Some(_)) if error.allowed.contains("quote it") && !written.contains('\n') => {
            let kind = place.node.kind();
            Some(format!("YAML takes {written} for {kind}: write '{written}'"))
        }
        (None, Some((name, meaning))) => shorthand(&error.path, place.node, written)
            .or_else(|| Some(format!("{name}: {meaning}"))),
        (None, None) => None,
    };
    Diagnostic {
        is_error: true,
        code: "refused",
        file: source.file,
        span: place.span,
        path: if error.path.is_empty() { "pluginConfig".to_owned() } else { error.path.clone() },
        value: Some(error.found.clone()),
        message: error.allowed.clone(),
        hint,
    }
}
