//! The pods that tracks list.

use super::tracks::{self, Member, Track};
use super::valid::Valid;
use crate::report::Diagnostic;
use crate::routing::Versions;
use release_track::config::{field_path, item_path};
use std::collections::{BTreeSet, HashMap};

pub(super) fn check<'a>(valid: &Valid<'a>, versions: &Versions<'a>) -> Vec<Diagnostic<'a>> {
    let tracks = tracks::read(valid);
    let mut found = shared(valid, &tracks);
    found.extend(unknown(valid, &tracks, versions));
    found
}

fn warning<'a>(
    valid: &Valid<'a>,
    code: &'static str,
    (track, member): (&Track<'a>, &Member<'a>),
    message: String,
    hint: String,
) -> Diagnostic<'a> {
    let path = field_path(&item_path("tracks", track.place), "workloads");
    Diagnostic {
        is_error: false,
        code,
        file: valid.source.file,
        span: member.span.clone(),
        path: field_path(&path, member.written),
        value: None,
        message,
        hint: Some(hint),
    }
}

/// The tracks that have a version of an app, each with its namespace.
type Owners<'t, 'a> = Vec<(&'t Track<'a>, Option<&'a str>)>;

/// Pods that belong to two tracks.
fn shared<'a>(valid: &Valid<'a>, tracks: &[Track<'a>]) -> Vec<Diagnostic<'a>> {
    let mut owners: HashMap<_, Owners<'_, 'a>> = HashMap::new();
    let mut found = Vec::new();
    for track in tracks {
        for member in &track.members {
            for version in &member.versions {
                let owners = owners.entry((member.app, version)).or_default();
                let meets = |namespace: &Option<&str>| {
                    namespace.zip(member.namespace).is_none_or(|(one, other)| one == other)
                };
                let other = owners
                    .iter()
                    .find(|(owner, namespace)| owner.place != track.place && meets(namespace));
                if let Some((owner, _)) = other {
                    let message = format!(
                        "version {version} of {} belongs to track {} already: which of them its own calls follow cannot be told",
                        member.written, owner.name
                    );
                    let hint =
                        "give each track a version of its own, or leave the app to one of them";
                    found.push(warning(
                        valid,
                        "shared-pods",
                        (track, member),
                        message,
                        hint.to_owned(),
                    ));
                }
                owners.push((track, member.namespace));
            }
        }
    }
    found
}

/// Apps and versions that no workload among the files has, if the apps of tracks are there at all.
fn unknown<'a>(
    valid: &Valid<'a>,
    tracks: &[Track<'a>],
    versions: &Versions<'a>,
) -> Vec<Diagnostic<'a>> {
    let labels = &valid.config.labels;
    let (app, version) = (&*labels.app, &*labels.version);
    let mut known: HashMap<&str, Vec<_>> = HashMap::new();
    for (namespace, labels) in &versions.pods {
        if let Some(name) = labels.get(app) {
            known.entry(name).or_default().push((*namespace, labels.get(version).copied()));
        }
    }
    let mut found = Vec::new();
    let members = || tracks.iter().flat_map(|track| track.members.iter().map(move |m| (track, m)));
    let is_there = members().any(|(_, member)| known.contains_key(member.app));
    for (track, member) in members() {
        let pods = known.get(member.app).into_iter().flatten();
        let pods: BTreeSet<_> = pods
            .filter(|(namespace, _)| {
                namespace.zip(member.namespace).is_none_or(|(one, other)| one == other)
            })
            .map(|(_, version)| *version)
            .collect();
        let alike = known
            .keys()
            .map(|name| (strsim::jaro_winkler(name, member.app), *name))
            .filter(|(likeness, _)| *likeness > 0.8)
            .max_by(|one, other| one.0.total_cmp(&other.0).then(other.1.cmp(one.1)));
        if pods.is_empty() {
            let hint = match alike {
                Some((_, name)) if name != member.app => format!("did you mean {name}?"),
                _ if is_there => format!("the label is that of the pods: labels.app is {app}"),
                _ => continue,
            };
            let message =
                format!("no workload in the given files has the label {app}: {}", member.written);
            found.push(warning(valid, "unknown-app", (track, member), message, hint));
            continue;
        }
        let has = |wanted: &&&str| pods.iter().any(|version| *version == Some(**wanted));
        if let Some(missing) = member.versions.iter().find(|version| !has(version)) {
            let message = format!(
                "no workload of {} in the given files has the label {version}: {missing}",
                member.written
            );
            let there: Vec<_> = pods.iter().flatten().copied().collect();
            let hint = match &*there {
                [] => format!("its pods have no label {version}: labels.version names another"),
                there => format!("its workloads have {}", there.join(", ")),
            };
            found.push(warning(valid, "unknown-version", (track, member), message, hint));
        }
    }
    found
}
