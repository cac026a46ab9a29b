//! From the fields as they are written to the configuration that the filter works with, and what
//! has to hold between them.

use super::error::{Error, Step, json_path};
use super::fields::{self, PluginConfig};
use super::json::{Node, repeated};
use super::valid::{Config, Edge, Egress, Fingerprint, Isolation};
use super::values::{
    AppName, CookieName, Correlated, Domain, LabelName, ParameterName, PreviewKey, TagKey, Text,
    TrackName,
};
use crate::carrier::propagator::Propagation;
use crate::carrier::request_id::{Key, Tagger};
use crate::carrier::trace_id::{self, Correlate};
use crate::decide::identity::Identity;
use crate::decide::rules::{Rule, Rules, Subject};
use crate::decide::set_cookie::Cookie;
use crate::decide::share::{Share, Shares, WHOLE};
use crate::decide::token::{PreviewConfig, PreviewKeys};
use crate::guard::{Guard, Guards, Limits};
use crate::istio::cluster::Domains;
use crate::istio::node::{App, Labels, Workload};
use crate::syntax::numbers::{Numbers, number};
use crate::track::{Name, Names, TrackId};

const TRACKS: Step<'_> = Step::Field("tracks");

// What a proxy can take: it does its work for each of these on the thread that all requests wait for.
const MOST_BYTES: usize = 4 << 20;
const MOST_TRACKS: usize = 1024;
const MOST_RULES: usize = 65_536;
/// Each looks at every response on baseline.
pub const MOST_GUARDS: usize = 16;
/// Cookies, headers and query parameters that rules look at.
const MOST_SUBJECTS: usize = 4096;

#[cold]
fn too_many(path: &[Step<'_>], found: String, most: usize) -> Error {
    Error { path: json_path(path), found, allowed: format!("at most {most} are allowed") }
}

impl Config {
    /// Parses the JSON that the proxy hands to the filter. The first error is returned.
    #[cold]
    pub fn parse(json: &[u8]) -> Result<Self, Error> {
        if json.len() > MOST_BYTES {
            return Err(too_many(&[], format!("{} bytes", json.len()), MOST_BYTES));
        }
        let document = Node::parse(json).map_err(|error| {
            let expected = "an object with the field tracks is expected";
            let (found, allowed) = match json {
                [] => ("nothing", expected.to_owned()),
                _ => ("not valid JSON", format!("{expected} ({error})")),
            };
            Error { path: String::new(), found: found.to_owned(), allowed }
        })?;
        let written: PluginConfig = document.read()?;
        if written.tracks.is_empty() {
            return Err(document.error(&[TRACKS], "at least one track is required"));
        }
        compile(&document, written)
    }

    /// The defaults, and no track: for a proxy that has none to follow.
    #[cold]
    pub(crate) fn neutral() -> Option<Self> {
        let document = Node::parse(br#"{"tracks":[]}"#).ok()?;
        let compiled = compile(&document, document.read().ok()?).ok()?;
        Some(Self { fingerprint: None, ..compiled })
    }
}

#[cold]
fn compile(document: &Node, written: PluginConfig) -> Result<Config, Error> {
    let PluginConfig {
        tracks,
        header,
        edge,
        labels,
        trust_incoming,
        propagation,
        identity,
        preview,
        vary,
        expose,
        isolation,
        egress,
        dry_run,
    } = written;
    let tracks = compile_tracks(document, tracks, &identity.salt)?;
    let workloads_known = tracks.workloads.iter().any(|workloads| !workloads.is_empty());
    if isolation == Isolation::Enforce && !workloads_known {
        return Err(document.error(
            &[Step::Field("isolation")],
            "enforce needs to know which pods belong to a track: add workloads to the tracks",
        ));
    }
    Ok(Config {
        fingerprint: Some(Fingerprint::of(document.fingerprint(&[]))),
        propagation: compile_propagation(document, propagation, &tracks.names)?,
        names: tracks.names,
        workloads: tracks.workloads,
        rules: Rules::new(tracks.rules),
        header: header.0,
        edge: compile_edge(edge),
        labels: compile_labels(labels),
        trust_incoming,
        preview: preview
            .map(|preview| compile_preview(document, preview, &identity.source))
            .transpose()?,
        shares: tracks.shares,
        guards: tracks.guards,
        fallbacks: tracks.fallbacks,
        identity: identity.source,
        vary,
        expose,
        isolation,
        egress: compile_egress(egress),
        dry_run,
        dry_tracks: tracks.dry,
    })
}

/// What `tracks` says, by track.
struct Tracks {
    names: Names,
    workloads: Vec<Vec<Workload>>,
    rules: Vec<Rule>,
    shares: Shares,
    guards: Guards,
    fallbacks: Vec<Vec<App>>,
    dry: Vec<bool>,
}

#[cold]
fn compile_tracks(
    document: &Node,
    written: Vec<fields::Track>,
    salt: &str,
) -> Result<Tracks, Error> {
    if written.len() > MOST_TRACKS {
        return Err(too_many(&[TRACKS], format!("{} tracks", written.len()), MOST_TRACKS));
    }
    if let Some(index) = repeated(&mut written.iter().map(|track| track.name.0.as_str())) {
        let path = [TRACKS, Step::Item(index), Step::Field("name")];
        return Err(document.error(&path, "another track has this name already"));
    }
    let mut names = Vec::new();
    let mut workloads = Vec::new();
    let mut rules = Vec::new();
    let mut shares = Vec::new();
    let mut of_rules = Vec::new();
    let mut guards = Vec::new();
    let mut fallbacks = Vec::new();
    let mut dry = Vec::new();
    let mut whole = 0;
    for (id, track) in (0..).map(TrackId).zip(written) {
        let field = |field| [TRACKS, Step::Item(id.0.into()), Step::Field(field)];
        let TrackName(name) = track.name;
        let count = rules.len() + track.rules.len();
        if count > MOST_RULES {
            return Err(too_many(&field("match"), format!("{count} rules"), MOST_RULES));
        }
        let mut shares_of_rules = Vec::new();
        for (index, fields::Rule { conditions, share }) in track.rules.into_iter().enumerate() {
            shares_of_rules.extend(share);
            rules.push(Rule { track: id, index, conditions, share });
        }
        if let Some(guard) = track.guard {
            let path = field("guard");
            if track.share.is_none() && shares_of_rules.is_empty() {
                let message = "this guard has nothing to stop: neither the track nor any of its \
                               rules has a share";
                return Err(document.error(&path, message));
            }
            if guards.len() == MOST_GUARDS {
                return Err(too_many(&path, "one more guard".to_owned(), MOST_GUARDS));
            }
            guards.push(Guard {
                track: id,
                limits: compile_limits(&guard),
                fingerprint: document.fingerprint(&[TRACKS, Step::Item(id.0.into())]),
            });
        }
        of_rules.push(shares_of_rules);
        fallbacks.push(track.fallback.into_iter().map(|AppName(app)| app).collect());
        workloads.push(compile_workloads(track.workloads, &name));
        if let Some(share) = track.share.map(Share::from) {
            whole += share.largest();
            if whole > WHOLE {
                let message = "the shares of all tracks together exceed 100 percent";
                return Err(document.error(&field("share"), message));
            }
            shares.push((id, share));
        }
        dry.push(track.dry_run);
        names.push(name);
    }
    check_subjects(&rules)?;
    let names = Names::new(names);
    let mut shares = Shares::new(shares, salt);
    for ((track, name), of_rules) in names.iter().zip(of_rules) {
        shares.add_rules(track, name, of_rules, salt);
    }
    let guards = Guards::new(guards, &names);
    Ok(Tracks { names, workloads, rules, shares, guards, fallbacks, dry })
}

fn compile_limits(guard: &fields::Guard) -> Limits {
    Limits {
        errors: guard.errors.0,
        over_ms: guard.over.0,
        minimum: guard.minimum.0,
        retry_ms: guard.retry.0,
    }
}

#[cold]
fn check_subjects(rules: &[Rule]) -> Result<(), Error> {
    let mut cookies = Numbers::default();
    let mut headers = Numbers::default();
    let mut parameters = Numbers::default();
    for rule in rules {
        for condition in &rule.conditions {
            match &condition.subject {
                Subject::Cookie(name) => number(&mut cookies, name.clone(), 0),
                Subject::Header(name) => number(&mut headers, name.clone(), 0),
                Subject::QueryParam(name) => number(&mut parameters, name.clone(), 0),
                Subject::Uri | Subject::Method | Subject::Authority => continue,
            };
        }
        let count = cookies.len() + headers.len() + parameters.len();
        if count > MOST_SUBJECTS {
            let path = [
                TRACKS,
                Step::Item(rule.track.0.into()),
                Step::Field("match"),
                Step::Item(rule.index),
            ];
            let found = format!("{count} different cookies, headers and parameters");
            return Err(too_many(&path, found, MOST_SUBJECTS));
        }
    }
    Ok(())
}

#[cold]
fn compile_workloads(workloads: fields::Workloads, track: &Name) -> Vec<Workload> {
    match workloads {
        fields::Workloads::Versions(versions) => {
            let versions =
                versions.0.into_iter().flat_map(|(AppName(app), fields::Versions(labels))| {
                    labels
                        .into_iter()
                        .map(move |Text(version)| Workload { app: app.clone(), version })
                });
            versions.collect()
        }
        fields::Workloads::Apps(apps) => {
            let apps = apps.into_iter();
            apps.map(|AppName(app)| Workload { app, version: track.as_str().into() }).collect()
        }
    }
}

#[cold]
fn compile_edge(entries: Vec<fields::Edge>) -> Edge {
    let mut edge = Edge { gateway: false, inbound: Vec::new() };
    for entry in entries {
        match entry {
            fields::Edge::Gateway => edge.gateway = true,
            fields::Edge::Inbound(apps) => {
                edge.inbound.extend(apps.into_iter().map(|AppName(app)| app));
            }
        }
    }
    edge
}

fn compile_labels(labels: fields::Labels) -> Labels {
    let fields::Labels { app: LabelName(app), version: LabelName(version) } = labels;
    Labels { app, version }
}

#[cold]
fn compile_propagation(
    document: &Node,
    propagation: fields::Propagation,
    names: &Names,
) -> Result<Propagation, Error> {
    let keys: Vec<Key> = propagation.keys.0.into_iter().map(|TagKey(key)| key).collect();
    let Some(first) = keys.first() else {
        return Err(document.error(
            &[Step::Field("propagation"), Step::Field("keys")],
            "at least one key is required; leave the field out for the published one",
        ));
    };
    let listed = propagation.correlate.len();
    if listed > trace_id::MOST {
        let path = [Step::Field("propagation"), Step::Field("correlate")];
        return Err(too_many(&path, format!("{listed} headers"), trace_id::MOST));
    }
    let sources = propagation.correlate.into_iter().map(|Correlated(source)| source).collect();
    let tagger = Tagger::new(&keys, names).map_err(|(one, other)| Error {
        path: "tracks".to_owned(),
        found: format!("{one:?} and {other:?}"),
        allowed:
            "these names have the same code in a tagged request id; rename one, or use another key"
                .to_owned(),
    })?;
    Ok(Propagation {
        request_id: propagation.request_id,
        baggage: propagation.baggage,
        orphans: propagation.orphans,
        tagger,
        correlate: Correlate::new(sources, *first),
        mint: propagation.mint,
        ttl_ms: propagation.ttl.0,
        slots: propagation.slots.0,
    })
}

#[cold]
fn compile_preview(
    document: &Node,
    preview: fields::Preview,
    identity: &Identity,
) -> Result<PreviewConfig, Error> {
    const PREVIEW: Step<'_> = Step::Field("preview");
    let keys = match (preview.keys, preview.keys_from) {
        (Some(fields::Secret(keys)), None) if keys.is_empty() => {
            let path = [PREVIEW, Step::Field("keys")];
            return Err(document.error(&path, "at least one key is required"));
        }
        (Some(fields::Secret(keys)), None) => {
            PreviewKeys::Given(keys.into_iter().map(|PreviewKey(key)| key).collect())
        }
        (None, Some(Text(variable))) => PreviewKeys::From(variable),
        // The keys are not repeated.
        _ => {
            return Err(Error {
                path: "preview".to_owned(),
                found: "an object".to_owned(),
                allowed: "either keys or keysFrom is required here".to_owned(),
            });
        }
    };
    let (ParameterName(parameter), CookieName(name)) = (preview.parameter, preview.cookie);
    if matches!(identity, Identity::Cookie(cookie) if cookie.name == name) {
        return Err(Error {
            path: "preview.cookie".to_owned(),
            found: format!("{name:?}"),
            allowed: "this is identity.cookie too; each needs a cookie of its own".to_owned(),
        });
    }
    let cookie = Cookie { name, attributes: preview.attributes.into() };
    Ok(PreviewConfig { keys, parameter, cookie })
}

fn compile_egress(egress: fields::Egress) -> Egress {
    let domains = egress.mesh_domains.into_iter().map(|Domain(domain)| domain).collect();
    Egress { strip: egress.strip, mesh_domains: Domains::new(domains) }
}
