//! Does anything but the header choose a track's pods?

use super::pods::{Pods, Reader};
use super::ways::Way;
use super::{View, warning};
use crate::check::tracks::Track;
use crate::cookie::{self, Reading};
use crate::input::yaml::Node;
use crate::refusal::CLAIMS;
use crate::report::Diagnostic;
use crate::routing::{Condition, Destination, Host, Place, Route, StringMatch, Table};

pub(super) fn check<'a>(
    view: &View<'_, 'a>,
    table: &Table<'a>,
    ways: &[Way<'_, 'a>],
) -> Vec<Diagnostic<'a>> {
    let reader = Reader::of(view);
    let without = ways.iter().filter(|way| !way.asks && way.followers.baseline);
    let found = without.filter_map(|way| {
        let route = table.routes.get(way.route)?;
        let reached = route.used().find_map(|to| Some((to, reader.track(to)?)));
        by_cookie(view, route, way, reached)
            .or_else(|| by_caller(view, route, way, reached))
            .or_else(|| match reached {
                Some(reached) => by_anything(view, route, way, reached),
                None => by_chance(view, &reader, route),
            })
    });
    found.collect()
}

type Reached<'r, 'a> = (&'r Destination<'a>, &'r Track<'a>);

/// Whether a route has to do with an app of some track.
fn is_members(view: &View<'_, '_>, route: &Route<'_>) -> bool {
    route.destinations().iter().any(|to| match to.host {
        Host::Service { name, namespace } => {
            view.tracks.iter().any(|track| track.has(name, namespace))
        }
        Host::Other(_) => false,
    })
}

/// What to match on in place of the rest.
fn instead(view: &View<'_, '_>, track: Option<&Track<'_>>) -> String {
    let track = track.or(view.tracks.first()).map_or("NAME", |track| track.name);
    format!("headers: {{{}: {{exact: {track}}}}}", view.header())
}

/// The classical way in: an expression over the Cookie header.
fn by_cookie<'a>(
    view: &View<'_, 'a>,
    route: &Route<'a>,
    way: &Way<'_, 'a>,
    reached: Option<Reached<'_, 'a>>,
) -> Option<Diagnostic<'a>> {
    let (test, span) = way.rest.iter().find_map(|condition| match condition {
        Condition::Header { name, test, negated: false, place: Place(span) }
            if name == "cookie" =>
        {
            Some((test, span))
        }
        _ => None,
    })?;
    let expression = match test {
        StringMatch::Regex(text) => Some((*text).to_owned()),
        StringMatch::Exact(text) => Some(cookie::expression(text, false)),
        StringMatch::Prefix(text) => Some(cookie::expression(text, true)),
        StringMatch::Present => None,
    };
    let reading = expression.and_then(|expression| cookie::read(&expression).ok());
    let is_ours = |reading: &Reading| {
        let tracks = view.valid.source.node.get("tracks").into_iter().flat_map(Node::items);
        let mut rules = tracks.filter_map(|track| track.get("match")).flat_map(Node::items);
        let names = || reading.alternatives.iter().flatten().map(|(name, _)| &**name);
        rules.any(|rule| names().any(|name| rule.at(&["cookies", name]).is_some()))
    };
    if reached.is_none() && !is_members(view, route) && !reading.as_ref().is_some_and(is_ours) {
        return None;
    }
    let mut message =
        "this route looks at the cookie itself, beside the tracks: its requests follow \
                       no track, and their calls go to baseline"
            .to_owned();
    if let Some(missed) = reading.as_ref().and_then(|reading| reading.misses.as_ref()) {
        message += &format!("; it misses \"cookie: {missed}\"");
    }
    if let Some(taken) = reading.as_ref().and_then(|reading| reading.takes.as_ref()) {
        message += &format!("; it takes \"cookie: {taken}\"");
    }
    let rule = reading.map_or_else(|| "cookies".to_owned(), |reading| reading.rules());
    let hint = format!(
        "leave the cookie to a rule of the track ({rule}), and match on {}",
        instead(view, reached.map(|(_, track)| track))
    );
    Some(warning(route, "cookie-route", span, message, hint))
}

/// The classical way on: the version of the caller.
fn by_caller<'a>(
    view: &View<'_, 'a>,
    route: &Route<'a>,
    way: &Way<'_, 'a>,
    reached: Option<Reached<'_, 'a>>,
) -> Option<Diagnostic<'a>> {
    let version = &*view.valid.config.labels.version;
    let (labels, span) = way.rest.iter().find_map(|condition| match condition {
        Condition::SourceLabels { labels, place: Place(span) } => Some((labels, span)),
        _ => None,
    })?;
    let names_version = labels.iter().any(|(name, _)| *name == version);
    if reached.is_none() && !(names_version && is_members(view, route)) {
        return None;
    }
    Some(warning(
        route,
        "source-labels",
        span,
        "this route goes by the version of the caller, and not by what the request follows: \
         behind a service without a version of its own, a track's requests cross to baseline"
            .to_owned(),
        format!("match on {} instead", instead(view, reached.map(|(_, track)| track))),
    ))
}

/// A weight, another header, a path.
fn by_anything<'a>(
    view: &View<'_, 'a>,
    route: &Route<'a>,
    way: &Way<'_, 'a>,
    (to, track): Reached<'_, 'a>,
) -> Option<Diagnostic<'a>> {
    let whole: f64 = route.used().map(|to| to.weight).sum();
    let part = match route.used().count() {
        0 | 1 => String::new(),
        _ if whole > 0.0 => format!("{} % of the ", (to.weight / whole * 100.0).round()),
        _ => "a part of the ".to_owned(),
    };
    let who = match way.rest.is_empty() {
        true => "requests without a track",
        false => "requests without a track that match this",
    };
    let name = track.name;
    let is_claim = |condition: &&Condition<'_>| matches!(condition, Condition::Header { name, .. } if name.starts_with("@request.auth."));
    let hint = match part.is_empty() {
        true if way.rest.iter().any(is_claim) => {
            format!("match on {}; and for its rule, {CLAIMS}", instead(view, Some(track)))
        }
        true => {
            format!("match on {}; who follows {name} is for its rules", instead(view, Some(track)))
        }
        false => format!(
            "lead them to baseline alone, and give track {name} a share: it then holds for every hop"
        ),
    };
    Some(warning(
        route,
        "baseline-to-track",
        to.subset.as_ref().map_or(&to.host_span, |(_, span)| span),
        format!("{part}{who} lead to the pods of track {name}, and cross there"),
        hint,
    ))
}

/// A Service of every version, where some are a track's.
fn by_chance<'a>(
    view: &View<'_, 'a>,
    reader: &Reader<'_, 'a>,
    route: &Route<'a>,
) -> Option<Diagnostic<'a>> {
    let (to, app, track) = route.used().filter(|to| to.subset.is_none()).find_map(|to| {
        let Host::Service { namespace, .. } = to.host else { return None };
        let Pods::Mixed { app } = reader.pods(to).into_iter().next()? else { return None };
        let track = view.tracks.iter().find(|track| track.has(app, namespace))?;
        Some((to, app, track))
    })?;
    let name = track.name;
    Some(warning(
        route,
        "baseline-to-track",
        &to.host_span,
        format!(
            "requests without a track lead to every version of {app}, and reach the pods of track \
             {name} by chance"
        ),
        "lead them to a subset of baseline's version".to_owned(),
    ))
}

impl<'v, 'a> Reader<'v, 'a> {
    /// The track whose pods a destination has, in whichever form that lies there.
    fn track(&self, to: &Destination<'a>) -> Option<&'v Track<'a>> {
        let pods = self.pods(to);
        let all_tracks = !pods.is_empty() && pods.iter().all(|pods| matches!(pods, Pods::Track(_)));
        match (all_tracks, pods.first()) {
            (true, Some(Pods::Track(place))) => self.tracks.get(*place),
            _ => None,
        }
    }
}
