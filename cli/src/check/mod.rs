//! `check`: what the filter will say to a configuration, and what will surprise its author.

mod errors;
mod guard;
mod image;
mod options;
mod pattern;
mod plugin;
mod reach;
mod rollout;
mod routes;
mod rules;
mod sdk;
mod tracks;
mod valid;
mod workloads;

use crate::failure::{Failure, REFUSED};
use crate::input;
use crate::input::manifest::{Bare, Configuration, Manifests};
use crate::output::{Output, say, to_json};
use crate::refusal::{foreign, not_valid, nothing, refused, the_one};
use crate::report::{Diagnostic, Record};
use crate::routing::Routing;
use crate::sdk::{self as sdks, Sdk};
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;
use valid::Valid;

const EXAMPLES: &str = "\
Examples:
  Before applying, with the routes that follow the header:
    release-track check wasmplugin.yaml virtualservices.yaml destinationrules.yaml
  A whole folder of manifests, warnings count as errors:
    release-track check --strict deploy/
  Does this change let proxies disagree while it rolls out?
    kubectl get wasmplugin release-track -n istio-system -o yaml > old.yaml
    release-track check --previous old.yaml wasmplugin.yaml
  Do my applications carry a track, with what their SDKs hand on?
    release-track check --sdk otel-b3 --sdk datadog wasmplugin.yaml
  Will the proxies find the image, and is it what was built?
    release-track check --image dist/wasmplugin/wasmplugin.yaml
  What helm or kustomize makes:
    kustomize build deploy | release-track check -

Exit codes: 0 valid (there may be warnings), 1 refused (with --strict, or warned
of), 2 wrong usage.";

/// Check configurations with the code that the filter runs
///
/// Reads WasmPlugin, TrafficExtension, or a configuration by itself (YAML or JSON, any number of
/// documents). Other documents are passed over, but the routes among them (VirtualService, HTTPRoute,
/// GRPCRoute) are compared with the tracks, and read with the DestinationRules, Services and
/// workloads that are there.
#[derive(Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Check {
    /// Files, folders (all .yaml, .yml and .json in them), or - for standard input
    ///
    /// Of a folder with a kustomization.yaml, folders with one of their own that it does not name are
    /// left out.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// What is in force now: warn of changes that take two steps
    #[arg(long, value_name = "OLD")]
    previous: Option<PathBuf>,
    /// What the applications are instrumented with: warn where one on baseline loses a track
    ///
    /// Any number of them; docs/applications.md has what each was seen to carry.
    #[arg(long, value_name = "NAME", value_parser = sdks::parser())]
    sdk: Vec<&'static Sdk>,
    /// Ask the registry for the image that each plugin names, as the proxies will
    ///
    /// With the login that docker or podman has for it; REGISTRY_AUTH_FILE and DOCKER_CONFIG name
    /// other places. An image that cannot be fetched is 403 for every request, also after an update.
    #[arg(long)]
    image: bool,
    /// What the image's module is compared with [default: dist/release-track.wasm, if it is there]
    #[arg(long, value_name = "FILE", requires = "image")]
    module: Option<PathBuf>,
    /// Believe any certificate of the registry, and speak plain HTTP if it does
    #[arg(long, requires = "image")]
    insecure: bool,
    /// Exit with 1 on warnings, too
    #[arg(long)]
    strict: bool,
    /// For a person, or for a program
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Serialize)]
struct Report<'a> {
    configurations: Vec<Summary<'a>>,
    /// With `--image` only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<image::Fetched<'a>>,
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
        let mut diagnostics: Vec<_> = files.iter().filter_map(not_valid).collect();
        let manifests = Manifests::of(&files, Bare::WithTracks);
        let routing = Routing::of(&manifests.objects);
        let mut valid = Vec::new();
        for source in &manifests.configurations {
            match source.parse() {
                Ok(config) => valid.push(Valid { source, config }),
                Err(error) => {
                    let errors = errors::all(source, error);
                    diagnostics.extend(errors.iter().map(|error| refused(source, error)));
                }
            }
        }
        for valid in &valid {
            diagnostics.extend(rules::check(valid));
            diagnostics.extend(options::check(valid));
            diagnostics.extend(plugin::check(valid, &manifests.objects));
            diagnostics.extend(workloads::check(valid, &routing.versions));
            diagnostics.extend(guard::check(valid));
            diagnostics.extend(sdk::check(valid, &self.sdk));
        }
        diagnostics.extend(reach::twice(&manifests.configurations, &manifests.objects));
        diagnostics.extend(routes::check(&valid, &routing));
        let image = self.image.then(|| image::Check::new(self.module.as_deref(), self.insecure));
        let image = image.transpose()?;
        let mut images = Vec::new();
        if let Some(check) = &image {
            for source in &manifests.configurations {
                images.extend(check.run(source, &mut diagnostics));
            }
        }
        if self.previous.is_some() {
            let (old, _) = the_one(&previous)?;
            for valid in &valid {
                diagnostics.extend(rollout::check(&old, valid));
            }
        }
        if manifests.configurations.is_empty() && !diagnostics.iter().any(|d| d.is_error) {
            return Err(Failure::refused(nothing(&manifests, &files)));
        }
        let order = |d: &Diagnostic<'_>| {
            let file = files.iter().position(|file| std::ptr::eq(file, d.file));
            (file, d.span.start, !d.is_error)
        };
        diagnostics.sort_by_cached_key(order);
        let errors = diagnostics.iter().filter(|d| d.is_error).count();
        let warnings = diagnostics.len() - errors;
        let summaries = manifests.configurations.iter().map(|source| summary(source, &valid));
        let report = Report {
            configurations: summaries.collect(),
            images,
            diagnostics: diagnostics.iter().map(Diagnostic::record).collect(),
            errors,
            warnings,
        };
        match self.output {
            Output::Json => say!("{}", to_json(&report)),
            Output::Human => print(&report, &diagnostics, &manifests),
        }
        let refused = errors > 0 || self.strict && warnings > 0;
        Ok(if refused { ExitCode::from(REFUSED) } else { ExitCode::SUCCESS })
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
    for object in &manifests.foreign {
        say!("{}", foreign(object));
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
    for image in &report.images {
        say!("{image}");
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
