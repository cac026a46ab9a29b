//! Does each request find its route?

use super::ways::{self, Taken, Way};
use super::{View, place, warning};
use crate::check::tracks::Member;
use crate::input::yaml::Span;
use crate::report::Diagnostic;
use crate::routing::{Action, Condition, Host, Place, Route, Routing, StringMatch, Table};
use release_track::config::{field_path, item_path};
use std::collections::HashSet;

pub(super) fn check<'a>(
    view: &View<'_, 'a>,
    table: &Table<'a>,
    ways: &[Way<'_, 'a>],
) -> Vec<Diagnostic<'a>> {
    let mut found = Vec::new();
    found.extend(unreachable(table, ways));
    found.extend(no_baseline(table, ways));
    found.extend(way_in(view, table, ways));
    found.extend(no_destination(table, ways));
    found.extend(unread(table));
    found.extend(header_case(view, table));
    found
}

/// The tests of a route on our header, and where they stand.
fn tests<'r, 'a>(
    route: &'r Route<'a>,
    header: &'r str,
) -> impl Iterator<Item = (&'r StringMatch<'a>, &'r Span)> {
    let conditions = route.matches.iter().flat_map(|one| &one.conditions);
    conditions.filter_map(move |condition| match condition {
        Condition::Header { name, test, negated: false, place: Place(span) } if name == header => {
            Some((test, span))
        }
        _ => None,
    })
}

/// Tracks, and services of them, that no route leads to.
pub(super) fn tracks<'a>(view: &View<'_, 'a>) -> Vec<Diagnostic<'a>> {
    let header = view.header();
    // Which services some route leads to, and by which tracks.
    let mut routed = HashSet::new();
    let mut followed = vec![false; view.tracks.len()];
    let mut by_track = vec![HashSet::new(); view.tracks.len()];
    for table in &view.routing.tables {
        for way in ways::of(view, table) {
            let Some(route) = table.routes.get(way.route) else { continue };
            let destinations = route.destinations().iter().map(|one| one.host);
            let services: Vec<_> = destinations.chain(table.hosts.iter().copied()).collect();
            routed.extend(services.iter().copied());
            for place in way.followers.tracks().filter(|_| way.asks) {
                followed[place] = true;
                by_track[place].extend(services.iter().copied());
            }
        }
    }
    let routed = Services::of(view, routed);
    let mut found = Vec::new();
    for (track, (followed, hosts)) in view.tracks.iter().zip(followed.iter().zip(by_track)) {
        let path = item_path("tracks", track.place);
        let name = track.name;
        let warning = |code, span: &Span, path, message, hint| Diagnostic {
            is_error: false,
            code,
            file: view.valid.source.file,
            span: span.clone(),
            path,
            value: None,
            message,
            hint: Some(hint),
        };
        let rule = format!("add a rule for headers: {{{header}: {{exact: {name}}}}}");
        if !followed {
            let span = track.node.get("name").map_or(&track.node.span, |name| &name.span);
            let message = format!("no route in the given files follows track {name}");
            found.push(warning("unrouted-track", span, field_path(&path, "name"), message, rule));
            continue;
        }
        let hosts = Services::of(view, hosts);
        let path = field_path(&path, "workloads");
        for member in track.members.iter().filter(|member| !hosts.have(member)) {
            let app = member.written;
            let path = field_path(&path, app);
            let message = match routed.have(member) {
                true => {
                    format!("track {name} lists {app}, but no route to {} follows it", member.app)
                }
                false => format!(
                    "track {name} lists {app}, but no route in the given files leads to {}",
                    member.app
                ),
            };
            found.push(warning("unrouted-workload", member.span, path, message, rule.clone()));
        }
    }
    found
}

/// Services, by the apps that they may be.
struct Services<'a>(HashSet<(&'a str, Option<&'a str>)>);

impl<'a> Services<'a> {
    fn of(view: &View<'_, 'a>, hosts: impl IntoIterator<Item = Host<'a>>) -> Self {
        let app = &*view.valid.config.labels.app;
        let mut apps = HashSet::new();
        for host in hosts {
            let Host::Service { name, namespace } = host else { continue };
            let selectors = view.routing.versions.selectors(host);
            let selected = selectors.filter_map(|labels| labels.get(app).copied());
            // The service forecast-v2 is one of forecast, if it does not say otherwise.
            let stem = name.rsplit_once('-').map(|(stem, _)| stem);
            let names = selected.chain([name]).chain(stem);
            apps.extend(names.flat_map(|name| [(name, namespace), (name, None)]));
            if namespace.is_none() {
                apps.extend([(name, None)]);
            }
        }
        Self(apps)
    }

    fn have(&self, member: &Member<'_>) -> bool {
        let Self(apps) = self;
        apps.contains(&(member.app, None))
            && (member.namespace.is_none()
                || apps.contains(&(member.app, member.namespace))
                || !apps.iter().any(|(app, namespace)| *app == member.app && namespace.is_some()))
    }
}

/// Nothing is read behind routes that have taken every request.
fn unreachable<'a>(table: &Table<'a>, ways: &[Way<'_, 'a>]) -> Option<Diagnostic<'a>> {
    if !table.ordered {
        return None;
    }
    let mut taken = Taken::default();
    let mut rest = ways;
    while let Some(first) = rest.first() {
        let length = rest.iter().take_while(|way| way.route == first.route).count();
        let (own, later) = rest.split_at(length);
        rest = later;
        let asks = own.iter().any(|way| way.asks);
        let mut by = own.iter().map(|way| taken.all_of(way)).collect::<Option<Vec<_>>>();
        if asks
            && let Some((route, followers)) = by.as_mut().and_then(Vec::pop)
            && let (Some(late), Some(early)) =
                (table.routes.get(first.route), table.routes.get(route))
        {
            let what = if followers.are_all() { "every request" } else { "its requests" };
            let place = place(table, early);
            return Some(warning(
                late,
                "unreachable-route",
                &late.node.span,
                format!("this route is never taken: the one on {place} takes {what}"),
                "put the routes of tracks first and the baseline's last",
            ));
        }
        own.iter().for_each(|way| taken.add(way));
    }
    None
}

/// A route that follows a track, and none for the same requests without one.
fn no_baseline<'a>(table: &Table<'a>, ways: &[Way<'_, 'a>]) -> Option<Diagnostic<'a>> {
    let mut taken = Taken::default();
    ways.iter().for_each(|way| taken.add(way));
    let asking = ways.iter().filter(|way| way.asks && way.followers.tracks().next().is_some());
    let way = asking.into_iter().find(|way| !taken.baseline(&way.rest))?;
    let route = table.routes.get(way.route)?;
    Some(warning(
        route,
        "no-baseline-route",
        &route.node.span,
        "requests without a track find no route beside this one, and are answered 404".to_owned(),
        "add a last route without the header, to the baseline's subset",
    ))
}

/// A gateway's routes to a service of a track, none of which follows it, while others to that service
/// do.
fn way_in<'a>(
    view: &View<'_, 'a>,
    table: &Table<'a>,
    ways: &[Way<'_, 'a>],
) -> Option<Diagnostic<'a>> {
    if table.callers.gateways.is_empty() || table.callers.mesh {
        return None;
    }
    ways.iter().filter(|way| way.followers.baseline).find_map(|way| {
        let route = table.routes.get(way.route)?;
        let services = Services::of(view, route.destinations().iter().map(|one| one.host));
        let namespaces: HashSet<_> =
            route.destinations().iter().map(|one| namespace(&one.host)).collect();
        view.tracks.iter().enumerate().find_map(|(place, track)| {
            let member = track.members.iter().find(|member| services.have(member))?;
            let is_followed = |way: &&Way<'_, '_>| {
                way.asks && way.followers.tracks().any(|other| other == place)
            };
            if ways.iter().any(|way| is_followed(&way)) {
                return None;
            }
            view.routing.tables.iter().find(|table| {
                let ways = ways::of(view, table);
                let mut followed = ways.iter().filter(is_followed);
                followed.any(|way| {
                    let destinations = table.routes.get(way.route).map(Route::destinations);
                    destinations.into_iter().flatten().any(|one| {
                        namespaces.contains(&namespace(&one.host))
                            && Services::of(view, [one.host]).have(member)
                    })
                })
            })?;
            let (name, app, header) = (track.name, member.written, view.header());
            Some(warning(
                route,
                "way-in",
                &route.node.span,
                format!(
                    "no route of this way in follows track {name}: its requests get {app} of baseline here, \
                     and other services of {name} behind it"
                ),
                format!("put a route for headers: {{{header}: {{exact: {name}}}}} before it"),
            ))
        })
    })
}

fn namespace<'a>(host: &Host<'a>) -> Option<&'a str> {
    match host {
        Host::Service { namespace, .. } => *namespace,
        _ => None,
    }
}

/// A match with nothing behind it.
fn no_destination<'a>(table: &Table<'a>, ways: &[Way<'_, 'a>]) -> Option<Diagnostic<'a>> {
    let mut routes =
        ways.iter().filter(|way| way.asks).filter_map(|way| table.routes.get(way.route));
    let route = routes.find(|route| match &route.action {
        Action::Forward(destinations) => destinations.is_empty(),
        Action::Respond | Action::Delegate(_) => false,
    })?;
    let hint = match table.ordered {
        true => "add route: with the track's destination",
        false => "add backendRefs: with the track's service",
    };
    Some(warning(
        route,
        "no-destination",
        &route.node.span,
        "this route follows a track, and leads nowhere: its requests are answered with an error"
            .to_owned(),
        hint,
    ))
}

/// A delegate that is not among the files.
fn unread<'a>(table: &Table<'a>) -> Option<Diagnostic<'a>> {
    table.routes.iter().find_map(|route| match &route.action {
        Action::Delegate(delegate) => Some(warning(
            route,
            "unread-delegate",
            &delegate.node.span,
            format!(
                "the routes of VirtualService {} are not among the given files, and were not looked at",
                Host::Service { name: delegate.name, namespace: delegate.namespace }
            ),
            "check it together with this one",
        )),
        _ => None,
    })
}

/// Envoy compares names in lower case; Istio asks for them in it.
fn header_case<'a>(view: &View<'_, 'a>, table: &Table<'a>) -> Option<Diagnostic<'a>> {
    let header = view.header();
    if !table.ordered {
        return None;
    }
    table.routes.iter().find_map(|route| {
        let (span, written) = tests(route, header).find_map(|(_, span)| {
            let text = route.object.file.text.get(span.start..)?;
            let written = text.trim_start_matches(['"', '\'']).get(..header.len())?;
            (written != header && written.eq_ignore_ascii_case(header)).then_some((span, written))
        })?;
        Some(warning(
            route,
            "header-case",
            span,
            format!("{written} is not in lower case, as Istio asks of a header in a match"),
            format!("write {header}"),
        ))
    })
}

/// Routes for tracks that nobody configures.
pub(super) fn unknown<'a>(views: &[View<'_, 'a>], routing: &Routing<'a>) -> Vec<Diagnostic<'a>> {
    let mut headers: Vec<_> = views.iter().map(View::header).collect();
    headers.sort_unstable();
    headers.dedup();
    let mut found = Vec::new();
    for header in headers {
        let same = views.iter().filter(|view| view.header() == header);
        let known: Vec<_> = same.flat_map(|view| &view.tracks).map(|track| track.name).collect();
        let names: HashSet<_> = known.iter().copied().collect();
        for table in &routing.tables {
            let first = table.routes.iter().find_map(|route| {
                let mut tests = tests(route, header);
                let name =
                    tests.find_map(|(test, _)| ways::unknown(test, |name| names.contains(name)))?;
                Some((route, name))
            });
            let Some((route, name)) = first else { continue };
            let alike = known.iter().find(|known| known.eq_ignore_ascii_case(name));
            let hint = match alike {
                Some(alike) => format!("write {alike}: values are compared with their case"),
                None => format!("configured: {}", known.join(", ")),
            };
            found.push(warning(
                route,
                "unknown-track",
                &route.node.span,
                format!("this route follows {name}, which is no track of the given configuration"),
                hint,
            ));
        }
    }
    found
}
