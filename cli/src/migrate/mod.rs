//! `migrate`: from cookie expressions, header matches and `sourceLabels` to tracks.

mod change;
mod edit;
mod entry;
mod plan;
mod plugin;
mod routes;

use crate::failure::{Failure, REFUSED};
use crate::input::{self, File, yaml};
use crate::output::say;
use crate::refusal::not_valid;
use clap::Args;
use edit::Text;
use entry::Following;
use plan::{Plan, Told};
use plugin::Stage;
use release_track::config::Config;
use routes::SetUp;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  What would replace the routes of a cluster?
    kubectl get virtualservices,destinationrules,services -A -o yaml | \\
      release-track migrate > new.yaml
  The same from files, and what the filter says to it:
    release-track migrate deploy/ > new.yaml && release-track check new.yaml
  Step by step, each when every proxy has the one before:
    release-track migrate deploy/ --step 1 | kubectl apply -f -

Exit codes: 0 translated, or there was nothing to translate, 1 a file is not valid
YAML, or the filter would refuse the result, 2 wrong usage.";

/// Translate classical routes into tracks
///
/// Reads VirtualServices that choose a version by a cookie expression, a header, the labels of the
/// caller or weights, and prints what replaces them: a WasmPlugin with the rules and workloads of
/// each track, and every VirtualService that changes, with its comments and all other fields.
/// DestinationRules say which pods a subset means, and Services which app. Standard output is YAML
/// to apply; in which order, what each expression got wrong and what could not be translated is
/// said on standard error. Nothing is written or applied.
#[derive(Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Migrate {
    /// Files, folders (all .yaml, .yml and .json in them), or - for standard input, the default
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The filter's image, as make push got it
    #[arg(long, default_value = concat!("registry.example.com/release-track:", env!("CARGO_PKG_VERSION")))]
    image: String,
    /// Only what is to be applied in this step: 1 to 4
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=4))]
    step: Option<u8>,
}

impl Migrate {
    pub(crate) fn run(&self) -> Result<ExitCode, Failure> {
        let stdin = [PathBuf::from("-")];
        let paths = if self.files.is_empty() { &stdin } else { self.files.as_slice() };
        if self.files.is_empty() && std::io::stdin().is_terminal() {
            return Err(Failure::usage(
                "name files or folders, or pipe manifests in: \
                 kubectl get vs,dr -A -o yaml | release-track migrate",
            ));
        }
        let files = input::load(paths)?;
        let mut is_refused = false;
        for diagnostic in files.iter().filter_map(not_valid) {
            is_refused = true;
            anstream::eprintln!("{}\n", diagnostic.render());
        }
        let set_up = SetUp::read(&files);
        let header = header(&set_up);
        let following = Following { header: &header, version_label: &set_up.version_label };
        let mut plan = Plan::of(&set_up, &following);
        let documents = self.documents(&mut plan, &set_up, &following)?;
        let printed: Vec<_> =
            documents.iter().filter(|document| document.is_printed(self.step)).collect();
        for (index, document) in printed.iter().enumerate() {
            let separator = if index == 0 { "" } else { "---\n" };
            say!("{separator}{}", document.text.trim_end());
        }
        tell(&plan.told, &files);
        order(&documents, set_up.plugins.is_empty());
        if documents.is_empty() {
            anstream::eprintln!("Nothing to translate in {}.", names(&files));
        }
        Ok(if is_refused { ExitCode::from(REFUSED) } else { ExitCode::SUCCESS })
    }

    /// What there is to be applied, in this order.
    fn documents<'a>(
        &self,
        plan: &mut Plan<'a>,
        set_up: &'a SetUp<'a>,
        following: &Following<'_>,
    ) -> Result<Vec<Document>, Failure> {
        let mut documents = Vec::new();
        if plan.tracks.iter().any(|track| !track.is_given) {
            let [carried, decided] =
                [Stage::Carried, Stage::Decided].map(|stage| match set_up.plugins.first() {
                    Some((file, node)) => extended(file, node, plan, set_up, stage),
                    None => Some(plugin::written(plan, set_up, &self.image, stage)),
                });
            match (carried, decided) {
                (Some(carried), Some(decided)) => {
                    refused(&decided)?;
                    documents.push(Document::new(Step::Carry, "WasmPlugin", carried));
                    documents.push(Document::new(Step::Decide, "WasmPlugin", decided));
                }
                _ => {
                    let tracks = plugin::tracks(plan, set_up, Stage::Decided, 0);
                    if let Some((file, node)) = set_up.plugins.first() {
                        plan.told.push(Told {
                            file,
                            at: node.span.start,
                            object: "WasmPlugin".to_owned(),
                            message: format!("its list of tracks is not one that can be added to; add by hand:\n{tracks}"),
                            is_left: true,
                        });
                    }
                }
            }
        }
        for (track, added) in plan.missing(set_up) {
            let Some((file, node)) = set_up.plugins.first() else { continue };
            plan.told.push(Told {
                file,
                at: node.span.start,
                object: "WasmPlugin".to_owned(),
                message: format!("add to track {track} by hand: {added}"),
                is_left: true,
            });
        }
        for at_gateway in [true, false] {
            for (service, changes) in set_up.services.iter().zip(&plan.changes) {
                if service.at_gateway != at_gateway || changes.is_empty() {
                    continue;
                }
                let changed = change::changed(service, changes, plan, following);
                if changed.is_new {
                    plan.told.push(Told {
                        file: service.file,
                        at: service.document.span.start,
                        object: service.object(),
                        message: "is written anew, without comments: an anchor, or a form that \
                                  cannot be edited"
                            .to_owned(),
                        is_left: false,
                    });
                }
                let step = if at_gateway { Step::Edge } else { Step::Inside };
                documents.push(Document::new(step, &service.object(), changed.text));
            }
        }
        Ok(documents)
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Step {
    Carry = 1,
    Decide,
    Edge,
    Inside,
}

struct Document {
    step: Step,
    object: String,
    text: String,
}

impl Document {
    fn new(step: Step, object: &str, text: String) -> Self {
        Self { step, object: object.to_owned(), text }
    }

    /// Without a step, everything as it is in the end.
    fn is_printed(&self, step: Option<u8>) -> bool {
        step.map_or(self.step != Step::Carry, |step| self.step as u8 == step)
    }
}

/// The header that routes follow.
fn header(set_up: &SetUp<'_>) -> String {
    let mut plugins = set_up.plugins.iter();
    let named =
        plugins.find_map(|(_, plugin)| routes::text(plugin, &["spec", "pluginConfig", "header"]));
    named.unwrap_or("x-release-track").to_owned()
}

/// A given plugin with the new tracks behind its own.
fn extended(
    file: &File,
    node: &yaml::Node,
    plan: &Plan<'_>,
    set_up: &SetUp<'_>,
    stage: Stage,
) -> Option<String> {
    let text = Text(&file.text);
    let list = node.at(&["spec", "pluginConfig", "tracks"])?;
    let (first, last) = (list.items().first()?, list.items().last()?);
    if text.of(&list.span).starts_with(['[', '{']) {
        return None;
    }
    let before = text.of(&(text.line_start(first.span.start)..first.span.start));
    if before.trim() != "-" {
        return None;
    }
    let column = before.len() - before.trim_start().len();
    let added = plugin::tracks(plan, set_up, stage, column);
    let end = text.line_end(text.end(last));
    let edit = (end..end, added);
    let whole = text.document(node);
    let changed = text.apply(&whole, &[edit]);
    yaml::documents(&changed).is_ok_and(|documents| documents.len() == 1).then_some(changed)
}

/// What the filter says to the configuration of a plugin.
fn refused(plugin: &str) -> Result<(), Failure> {
    let documents = yaml::documents(plugin).unwrap_or_default();
    let config = documents.first().and_then(|node| node.at(&["spec", "pluginConfig"]));
    let json = config.map(|config| config.to_json().to_string()).unwrap_or_default();
    Config::parse(json.as_bytes()).map(drop).map_err(|error| {
        Failure::refused(format!(
            "the filter would refuse what these files come to: {error}\n{plugin}"
        ))
    })
}

fn tell(told: &[Told<'_>], files: &[File]) {
    let mut told: Vec<_> = told.iter().collect();
    let place = |file: &File| files.iter().position(|other| std::ptr::eq(other, file));
    told.sort_by_key(|one| (place(one.file), one.at));
    for is_left in [false, true] {
        let mut some = told.iter().filter(|one| one.is_left == is_left).peekable();
        if some.peek().is_some() {
            let title = if is_left { "Not translated:" } else { "Translated:" };
            anstream::eprintln!("{title}");
        }
        for one in some {
            let (line, _) = one.file.position(one.at);
            anstream::eprintln!("  {}:{line}: {}: {}", one.file.name, one.object, one.message);
        }
    }
}

fn order(documents: &[Document], is_new: bool) {
    if documents.is_empty() {
        return;
    }
    let filter =
        if is_new { "the filter; look first whether its image is yours" } else { "the tracks" };
    anstream::eprintln!(
        "To be applied in this order, each when every proxy has the one before (--step N prints it):"
    );
    let steps = [
        (Step::Carry, format!("{filter}. Requests are carried, none is decided")),
        (
            Step::Decide,
            "the rules. The old routes still stand, and do not look at the header".to_owned(),
        ),
        (Step::Edge, "the way in: from here on, testers are who the rules say".to_owned()),
        (Step::Inside, "the services behind it".to_owned()),
    ];
    for (step, what) in steps {
        let objects: Vec<_> =
            documents.iter().filter(|one| one.step == step).map(|one| &*one.object).collect();
        if !objects.is_empty() {
            anstream::eprintln!("  {}. {}: {what}", step as u8, objects.join(", "));
        }
    }
}

fn names(files: &[File]) -> String {
    match files {
        [one] => one.name.clone(),
        files => format!("{} files", files.len()),
    }
}
