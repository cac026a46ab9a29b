//! `check`: what the filter will say to a configuration, and what will surprise its author.

mod options;
mod pattern;
mod rollout;
mod routes;
mod rules;

use crate::failure::{Failure, REFUSED};
use crate::input::manifest::{Configuration, Manifests};
use crate::input::{self, File, place};
use crate::report::{Diagnostic, Record};
use crate::{Output, say};
use clap::Args;
use release_track::config::Config;
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  Before applying, with the routes that follow the header:
    release-track check wasmplugin.yaml virtualservices.yaml
  A whole folder of manifests, warnings count as errors:
    release-track check --strict deploy/
  Does this change let proxies disagree while it rolls out?
    kubectl get wasmplugin release-track -n istio-system -o yaml > old.yaml
    release-track check --previous old.yaml wasmplugin.yaml
  What helm or kustomize makes:
    kustomize build deploy | release-track check -

Exit codes: 0 valid (there may be warnings), 1 refused (with --strict: or warned of), 2 wrong usage.";

/// Check configurations with the code that the filter runs
///
/// Reads WasmPlugin, TrafficExtension, or a configuration by itself (YAML or JSON, any number of
/// documents). Other documents are passed over, but the VirtualServices and HTTPRoutes among them
/// are compared with the tracks.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Check {
    /// Files, folders (all .yaml, .yml and .json in them), or - for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// What is in force now: warn of changes that take two steps
    #[arg(long, value_name = "OLD")]
    previous: Option<PathBuf>,
    /// Exit with 1 on warnings, too
    #[arg(long)]
    strict: bool,
    /// For a person, or for a program
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// A configuration that the filter takes.
struct Valid<'a> {
    source: &'a Configuration<'a>,
    config: Config,
}

#[derive(Serialize)]
struct Report<'a> {
    configurations: Vec<Summary<'a>>,
    diagnostics: Vec<Record<'a>>,
    errors: usize,
    warnings: usize,
}

#[derive(Serialize)]
struct Summary<'a> {
    file: &'a str,
    line: usize,
    name: &'a str,
    valid: bool,
    tracks: Vec<&'a str>,
}

impl Check {
    pub(crate) fn run(&self) -> Result<ExitCode, Failure> {
        let files = input::load(&self.files)?;
        let previous = input::load(self.previous.as_slice())?;
        let mut diagnostics: Vec<_> = files.iter().filter_map(no_yaml).collect();
        let manifests = Manifests::of(&files);
        let mut valid = Vec::new();
        for source in &manifests.configurations {
            match source.parse() {
                Ok(config) => valid.push(Valid { source, config }),
                Err(error) => diagnostics.push(refused(source, &error)),
            }
        }
        for valid in &valid {
            diagnostics.extend(rules::check(valid));
            diagnostics.extend(options::check(valid));
        }
        diagnostics.extend(options::twice(&manifests.configurations));
        diagnostics.extend(routes::check(&valid, &manifests.routes));
        if self.previous.is_some() {
            diagnostics.extend(previous.iter().filter_map(no_yaml));
            let old = Manifests::of(&previous);
            let old = the_one(&old, &previous)
                .map_err(|problem| Failure::usage(format!("--previous: {problem}")))?;
            for valid in &valid {
                diagnostics.extend(rollout::check(old, valid));
            }
        }
        if manifests.configurations.is_empty() && !diagnostics.iter().any(|d| d.is_error) {
            return Err(Failure::refused(nothing(&manifests, &files)));
        }
        let order = |d: &Diagnostic<'_>| {
            let file = files.iter().position(|file| std::ptr::eq(file, d.file));
            (file, d.span.start, !d.is_error)
        };
        diagnostics.sort_by_key(order);
        let errors = diagnostics.iter().filter(|d| d.is_error).count();
        let warnings = diagnostics.len() - errors;
        let summaries = manifests.configurations.iter().map(|source| summary(source, &valid));
        let report = Report {
            configurations: summaries.collect(),
            diagnostics: diagnostics.iter().map(Diagnostic::record).collect(),
            errors,
            warnings,
        };
        match self.output {
            Output::Json => say!("{}", crate::json(&report)),
            Output::Human => print(&report, &diagnostics, &manifests),
        }
        let refused = errors > 0 || self.strict && warnings > 0;
        Ok(if refused { ExitCode::from(REFUSED) } else { ExitCode::SUCCESS })
    }
}

/// The only configuration in files that the filter takes; otherwise, why there is none.
pub(crate) fn the_one<'a>(
    manifests: &'a Manifests<'a>,
    files: &'a [File],
) -> Result<&'a Configuration<'a>, String> {
    if let Some(diagnostic) = files.iter().find_map(no_yaml) {
        return Err(format!("\n{}", diagnostic.render()));
    }
    let [source] = &*manifests.configurations else {
        let names: Vec<_> = manifests.configurations.iter().map(Configuration::name).collect();
        return Err(match &*names {
            [] => nothing(manifests, files),
            names => format!("one configuration is expected, and here are {}", names.join(", ")),
        });
    };
    match source.parse() {
        Ok(_) => Ok(source),
        Err(error) => Err(format!("\n{}", refused(source, &error).render())),
    }
}

fn nothing(manifests: &Manifests<'_>, files: &[File]) -> String {
    let names: Vec<_> = files.iter().map(|file| &*file.name).collect();
    let mut message = format!("no configuration of release-track in {}", names.join(", "));
    for (file, object) in &manifests.foreign {
        message += &format!("\n{}", foreign(file, object));
    }
    message
}

fn foreign(file: &File, object: &str) -> String {
    format!(
        "{}: {object} is passed over: neither its name, url or pluginName has release-track in it, nor its pluginConfig tracks",
        file.name
    )
}

fn no_yaml(file: &File) -> Option<Diagnostic<'_>> {
    let error = file.documents.as_ref().err()?;
    Some(Diagnostic {
        is_error: true,
        code: "yaml",
        file,
        span: error.span.clone(),
        path: String::new(),
        value: None,
        message: format!("this is no YAML: {}", error.message),
        hint: None,
    })
}

/// One of the filter's own errors.
fn refused<'a>(
    source: &'a Configuration<'a>,
    error: &release_track::config::Error,
) -> Diagnostic<'a> {
    let place = place::find(source.node, &error.path);
    let written = source.file.text.get(place.node.span.clone()).unwrap_or_default();
    let hint = match (place.unknown, place.field) {
        (Some((name, fields)), _) => fields
            .iter()
            .map(|field| (strsim::jaro_winkler(name, field.name), field.name))
            .filter(|(likeness, _)| *likeness > 0.8)
            .max_by(|one, other| one.0.total_cmp(&other.0))
            .map(|(_, name)| format!("did you mean {name}?")),
        (None, Some(_)) if error.allowed.contains("quote it") && !written.contains('\n') => {
            let kind = place.node.kind();
            Some(format!("YAML takes {written} for {kind}: write '{written}'"))
        }
        (None, Some(field)) => Some(format!("{}: {}", field.name, field.meaning)),
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

fn summary<'a>(source: &'a Configuration<'a>, valid: &'a [Valid<'a>]) -> Summary<'a> {
    let valid = valid.iter().find(|valid| std::ptr::eq(valid.source, source));
    let tracks = valid.into_iter().flat_map(|valid| valid.config.names.iter());
    Summary {
        file: &source.file.name,
        line: source.file.position(source.node.span.start).0,
        name: source.name(),
        valid: valid.is_some(),
        tracks: tracks.map(|(_, name)| name.as_str()).collect(),
    }
}

fn print(report: &Report<'_>, diagnostics: &[Diagnostic<'_>], manifests: &Manifests<'_>) {
    for diagnostic in diagnostics {
        say!("{}\n", diagnostic.render());
    }
    for (file, object) in &manifests.foreign {
        say!("{}", foreign(file, object));
    }
    for Summary { file, line, name, valid, tracks } in &report.configurations {
        let verdict = if *valid {
            let s = if tracks.len() == 1 { "" } else { "s" };
            format!("valid, track{s} {}", tracks.join(", "))
        } else {
            "refused".to_owned()
        };
        say!("{file}:{line}: {name}: {verdict}");
    }
    let count = |number: usize, what: &str| match number {
        0 => None,
        1 => Some(format!("1 {what}")),
        number => Some(format!("{number} {what}s")),
    };
    let counts: Vec<_> = [count(report.errors, "error"), count(report.warnings, "warning")]
        .into_iter()
        .flatten()
        .collect();
    if !counts.is_empty() {
        say!("{}", counts.join(", "));
    }
}
