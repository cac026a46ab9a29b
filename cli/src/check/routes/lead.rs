//! Does each route lead to its track's pods, and leave the header as it is?

use super::pods::{Pods, Reader};
use super::ways::Way;
use super::{View, outside, warning};
use crate::report::Diagnostic;
use crate::routing::{Destination, Host, Route, Subset, Table};
use std::collections::BTreeSet;

/// It is told once for a host, and once for all where there is no DestinationRule.
pub(super) const NO_RULE: &str = "no-destination-rule";

pub(super) fn check<'a>(
    view: &View<'_, 'a>,
    table: &Table<'a>,
    ways: &[Way<'_, 'a>],
) -> Vec<Diagnostic<'a>> {
    let reader = Reader::of(view);
    let mut found = Vec::new();
    let is_about_tracks = ways.iter().any(|way| way.asks);
    for (index, route) in table.routes.iter().enumerate() {
        let own = || ways.iter().filter(move |way| way.route == index);
        let asking = own().filter(|way| way.asks && !way.followers.baseline);
        let tracks: BTreeSet<_> = asking.flat_map(|way| way.followers.tracks()).collect();
        let is_baselines = own().any(|way| way.followers.baseline);
        if is_about_tracks {
            found.extend(missing_subset(view, route));
        }
        if !tracks.is_empty() {
            found.extend(wrong_pods(view, &reader, route, &tracks));
            found.extend(no_fallback(view, &reader, route, &tracks));
        }
        found.extend(mirrors(view, &reader, route, &tracks, is_baselines));
        found.extend(edits(view, route, &tracks, is_about_tracks));
    }
    found
}

/// Envoy has no cluster for a subset that nobody defines.
fn missing_subset<'a>(view: &View<'_, 'a>, route: &Route<'a>) -> Option<Diagnostic<'a>> {
    let versions = &view.routing.versions;
    let to = route.used().chain(&route.mirrors);
    to.filter_map(|to| Some((to, to.subset.as_ref()?))).find_map(|(to, (name, span))| {
        let host = to.written;
        match versions.subset(to.host, name) {
            Subset::Labels(_) => None,
            Subset::Missing(known) => Some(warning(
                route,
                "missing-subset",
                span,
                format!(
                    "the DestinationRule of {host} has no subset {name}: requests are answered 503"
                ),
                match &*known {
                    [] => format!("add the subset {name}"),
                    known => format!("add it; its subsets are {}", known.join(", ")),
                },
            )),
            Subset::Unknown => Some(warning(
                route,
                NO_RULE,
                span,
                match versions.has_rules() {
                    true => format!(
                        "no DestinationRule in the given files defines the subsets of {host}: \
                         without one, requests are answered 503"
                    ),
                    false => "these routes lead to subsets, and no DestinationRule is among the \
                              given files: what it lacks is answered 503"
                        .to_owned(),
                },
                "check it together with the routes, or add it",
            )),
        }
    })
}

fn percent(part: f64, whole: f64) -> String {
    format!("{} %", (part / whole * 10_000.0).round() / 100.0)
}

/// A track's route to other pods than its own.
fn wrong_pods<'a>(
    view: &View<'_, 'a>,
    reader: &Reader<'_, 'a>,
    route: &Route<'a>,
    tracks: &BTreeSet<usize>,
) -> Option<Diagnostic<'a>> {
    let used: Vec<_> = route.used().collect();
    let whole: f64 = used.iter().map(|to| to.weight).sum();
    tracks.iter().filter_map(|place| view.tracks.get(*place)).find_map(|track| {
        let wrong = |to: &&&Destination<'a>| {
            let pods = reader.pods(to);
            !pods.is_empty() && pods.iter().all(|pods| reader.is_foreign(*pods, track, to))
        };
        let name = track.name;
        let is_tracks = |to: &&&Destination<'a>| reader.pods(to).contains(&Pods::Track(track.place));
        if used.len() > 1 {
            let own: f64 = used.iter().filter(is_tracks).map(|to| to.weight).sum();
            let other = used.iter().find(|to| !is_tracks(to))?;
            let own = match own > 0.0 {
                true => percent(own, whole),
                false => used.first().map_or_else(String::new, |to| percent(to.weight, whole)),
            };
            // Where nothing is known of the pods, the heaviest is taken for the track's.
            return Some(warning(
                route,
                "split-track",
                &other.node.span,
                format!("only {own} of the requests of track {name} get its version here"),
                format!(
                    "lead all of them to one subset; how many follow {name} is decided at the edge, \
                     by its share"
                ),
            ));
        }
        let to = used.iter().find(wrong)?;
        let span = to.subset.as_ref().map_or(&to.host_span, |(_, span)| span);
        let pods = reader.pods(to).into_iter().next()?;
        let mut hint =
            format!("lead it to a subset with the labels that the workloads of {name} have");
        let what = match pods {
            Pods::Track(other) => {
                let other = view.tracks.get(other).map_or("another", |other| other.name);
                format!("to the pods of track {other}")
            }
            Pods::Baseline { app, version } => {
                format!("to version {version} of {app}, which is not among its workloads")
            }
            Pods::Mixed { app } if reader.prefers(to, track, app) => {
                hint = format!("where baseline may stand in, list {app} in the track's fallback");
                format!("to every version of {app} where its own has no healthy pod")
            }
            Pods::Mixed { app } => format!("to every version of {app}"),
            Pods::Unknown => return None,
        };
        let message = format!("the route of track {name} leads {what}");
        Some(warning(route, "wrong-version", span, message, hint))
    })
}

/// Baseline may stand in for a track, and no request is led there.
fn no_fallback<'a>(
    view: &View<'_, 'a>,
    reader: &Reader<'_, 'a>,
    route: &Route<'a>,
    tracks: &BTreeSet<usize>,
) -> Option<Diagnostic<'a>> {
    tracks.iter().filter_map(|place| view.tracks.get(*place)).find_map(|track| {
        let (to, app) = route.used().find_map(|to| {
            let Host::Service { namespace, .. } = to.host else { return None };
            let app = reader.app(to).filter(|app| track.falls_back(app, namespace))?;
            let own_only = reader.pods(to).iter().all(|pods| *pods == Pods::Track(track.place));
            own_only.then_some((to, app))
        })?;
        let (name, version) = (track.name, &view.valid.config.labels.version);
        let versions = track.of(app, None).flat_map(|member| &member.versions);
        let own = versions.last().copied().unwrap_or(name);
        Some(warning(
            route,
            "no-fallback",
            to.subset.as_ref().map_or(&to.host_span, |(_, span)| span),
            format!(
                "baseline may stand in for {app} of track {name}, but this route leads to the \
                 pods of {name} alone: without them it is answered 503"
            ),
            format!(
                "lead it to a subset of every version with outlierDetection and \
                 failoverPriority: [{version}={own}], or leave {app} out of the track's fallback"
            ),
        ))
    })
}

/// Copies carry the header, and are counted where they do not belong.
fn mirrors<'a>(
    view: &View<'_, 'a>,
    reader: &Reader<'_, 'a>,
    route: &Route<'a>,
    tracks: &BTreeSet<usize>,
    is_baselines: bool,
) -> Option<Diagnostic<'a>> {
    route.mirrors.iter().find_map(|to| {
        let pods = reader.pods(to);
        let what = if let Some(track) =
            tracks.iter().filter_map(|place| view.tracks.get(*place)).find(|track| {
                let another_subset = route.used().any(|used| {
                    used.host.meets(to.host)
                        && used.subset.as_ref().map(|s| s.0) != to.subset.as_ref().map(|s| s.0)
                });
                let is_foreign = |pods: &Pods<'a>| reader.is_foreign(*pods, track, to);
                !pods.contains(&Pods::Track(track.place))
                    && (another_subset || pods.iter().any(is_foreign))
            }) {
            format!("copies of requests of track {} go to pods that are not its own", track.name)
        } else if is_baselines
            && let Some(track) = pods.iter().find_map(|pods| match pods {
                Pods::Track(place) => view.tracks.get(*place),
                _ => None,
            })
        {
            let name = track.name;
            format!("copies of requests without a track go to the pods of {name}, whose calls follow {name} for real")
        } else {
            return None;
        };
        Some(warning(
            route,
            "mirror-crosses",
            &to.host_span,
            what,
            "mirror to pods of the same track; outcome mirrored counts the copies that would cross",
        ))
    })
}

/// Changes of our header on the way.
fn edits<'a>(
    view: &View<'_, 'a>,
    route: &Route<'a>,
    tracks: &BTreeSet<usize>,
    is_about_tracks: bool,
) -> Option<Diagnostic<'a>> {
    let header = view.header();
    let all = route.edits.iter().chain(route.used().flat_map(|to| &to.edits));
    all.filter(|edit| edit.header == header).find_map(|edit| {
        let warn = |code, message: String, hint: &str| {
            Some(warning(route, code, &edit.span, message, hint))
        };
        let Some(value) = edit.value else {
            // What leads outside of the mesh does well to remove it.
            let is_inside = route.used().any(|to| {
                matches!(to.host, Host::Service { .. }) && !outside::is_outside(view, to)
            });
            if !is_inside || tracks.is_empty() && is_about_tracks {
                return None;
            }
            return warn(
                "header-removed",
                format!("this route removes {header}: what it leads to has to find the track elsewhere, or loses it"),
                "remove the header only where a route leads outside of the mesh",
            );
        };
        let value = value.text().unwrap_or_default();
        let names: Vec<_> = tracks.iter().filter_map(|place| view.tracks.get(*place)).collect();
        if let [track] = &*names
            && track.name == value
        {
            return None;
        }
        let whose = match &*names {
            [] => "requests that the filter did not decide".to_owned(),
            names => {
                let names: Vec<_> = names.iter().map(|track| track.name).collect();
                format!("requests of track {}", names.join(", "))
            }
        };
        warn(
            "header-overwritten",
            format!("this route sets {header} to {value}, for {whose}"),
            "leave the header to the filter: a rule of the track decides, and the sidecars carry it",
        )
    })
}
