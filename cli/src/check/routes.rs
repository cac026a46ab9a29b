//! Tracks and the routes that should follow them.

use super::valid::Valid;
use crate::input::manifest::{Condition, Routes, Rule, StringMatch};
use crate::input::yaml::Span;
use crate::report::Diagnostic;
use release_track::config::{field_path, item_path};
use release_track::track::BASELINE;

pub(super) fn check<'a>(
    valid: &[Valid<'a>],
    routes: &'a [Routes<'a>],
    declared: &[(String, bool)],
) -> Vec<Diagnostic<'a>> {
    let mut found = Vec::new();
    if routes.is_empty() || valid.is_empty() {
        return found;
    }
    for valid in valid {
        let header = &*valid.config.header;
        for (place, (_, name)) in valid.config.names.iter().enumerate() {
            found.extend(unrouted(valid, place, name.as_str(), header, routes));
        }
        for routes in routes {
            found.extend(outside(valid, routes, declared));
        }
    }
    let mut headers: Vec<_> = valid.iter().map(|valid| &*valid.config.header).collect();
    headers.sort_unstable();
    headers.dedup();
    for header in headers {
        for routes in routes {
            found.extend(unreachable(routes, header));
            found.extend(no_baseline(routes, header));
            found.extend(unknown(valid, routes, header));
        }
    }
    found
}

/// The tests of a rule on our header.
fn tests<'a>(rule: &'a Rule, header: &'a str) -> impl Iterator<Item = &'a StringMatch> {
    rule.alternatives.iter().flatten().filter_map(move |condition| match condition {
        Condition::Header { name, test } if name == header => Some(test),
        _ => None,
    })
}

fn follows(rule: &Rule, header: &str, track: &str) -> bool {
    tests(rule, header).any(|test| test.passes(track))
}

/// A track, or a service of it, that no rule leads to.
fn unrouted<'a>(
    valid: &Valid<'a>,
    place: usize,
    track: &str,
    header: &str,
    routes: &[Routes<'_>],
) -> Vec<Diagnostic<'a>> {
    let path = item_path("tracks", place);
    let Some(node) = valid.source.node.get("tracks").and_then(|tracks| tracks.items().get(place))
    else {
        return Vec::new();
    };
    let warning = |code, span: &Span, path: String, message: String| Diagnostic {
        is_error: false,
        code,
        file: valid.source.file,
        span: span.clone(),
        path,
        value: None,
        message,
        hint: Some(format!("add a rule for headers: {{{header}: {{exact: {track}}}}}")),
    };
    let rules = || routes.iter().flat_map(|routes| &routes.rules);
    if !rules().any(|rule| follows(rule, header, track)) {
        let span = node.get("name").map_or(&node.span, |name| &name.span);
        let message = format!("no route in the given files follows track {track}");
        return vec![warning("unrouted-track", span, field_path(&path, "name"), message)];
    }
    let path = field_path(&path, "workloads");
    let listed = node.get("workloads").into_iter().flat_map(|workloads| {
        let names = workloads.members().iter().map(|member| (&*member.name, &member.key));
        let items = workloads.items().iter().filter_map(|item| Some((item.text()?, &item.span)));
        names.chain(items)
    });
    let mut found = Vec::new();
    for (app, span) in listed {
        let service = app.rsplit('/').next().unwrap_or(app);
        let leads = |rule: &&Rule| rule.services.iter().any(|known| known == service);
        let mut to_service = rules().filter(leads).peekable();
        if to_service.peek().is_some() && !to_service.any(|rule| follows(rule, header, track)) {
            let message =
                format!("track {track} lists {app}, but no route to {service} follows it");
            found.push(warning("unrouted-workload", span, field_path(&path, app), message));
        }
    }
    found
}

fn route_warning<'a>(
    routes: &'a Routes<'a>,
    code: &'static str,
    span: &Span,
    message: String,
    hint: &str,
) -> Diagnostic<'a> {
    Diagnostic {
        is_error: false,
        code,
        file: routes.file,
        span: span.clone(),
        path: routes.object.clone(),
        value: None,
        message,
        hint: Some(hint.to_owned()),
    }
}

/// Nothing is read behind a rule that matches every request.
fn unreachable<'a>(routes: &'a Routes<'a>, header: &str) -> Option<Diagnostic<'a>> {
    let takes_all =
        |rule: &Rule| rule.alternatives.is_empty() || rule.alternatives.iter().any(Vec::is_empty);
    let all = routes.rules.iter().position(takes_all).filter(|_| routes.ordered)?;
    let late = routes.rules[all + 1..].iter().find(|rule| tests(rule, header).next().is_some())?;
    let line = routes.file.position(routes.rules[all].span.start).0;
    Some(route_warning(
        routes,
        "unreachable-route",
        &late.span,
        format!("this route is never taken: the one on line {line} takes every request"),
        "put the routes of tracks first and the baseline's last",
    ))
}

/// A rule that follows a track, and none after it for the same requests without one.
fn no_baseline<'a>(routes: &'a Routes<'a>, header: &str) -> Option<Diagnostic<'a>> {
    let is_track = |condition: &Condition| match condition {
        Condition::Header { name, .. } => name == header,
        _ => false,
    };
    // A baseline request satisfies `withoutHeaders` of our header whatever it tests.
    let is_baseline = |condition: &Condition| match condition {
        Condition::WithoutHeader { name, .. } => name == header,
        _ => false,
    };
    let falls_back = |rest: &[&Condition], rule: &Rule| {
        rule.alternatives.is_empty()
            || rule.alternatives.iter().any(|other| {
                other.iter().all(|c| !is_track(c) && (is_baseline(c) || rest.contains(&c)))
            })
    };
    for (index, rule) in routes.rules.iter().enumerate() {
        let after = if routes.ordered { &routes.rules[index + 1..] } else { &routes.rules[..] };
        for conditions in &rule.alternatives {
            if !conditions.iter().any(is_track) {
                continue;
            }
            let rest: Vec<_> = conditions.iter().filter(|c| !is_track(c)).collect();
            if !after.iter().any(|other| falls_back(&rest, other)) {
                return Some(route_warning(
                    routes,
                    "no-baseline-route",
                    &rule.span,
                    "requests without a track find no route after this one, and are answered 404"
                        .to_owned(),
                    "add a last route without the header, to the baseline's subset",
                ));
            }
        }
    }
    None
}

/// A track's route that leads outside: the filter sees only where the route led before it stamped.
fn outside<'a>(
    valid: &Valid<'_>,
    routes: &'a Routes<'a>,
    declared: &[(String, bool)],
) -> Option<Diagnostic<'a>> {
    if !valid.config.egress.strip {
        return None;
    }
    let header = &*valid.config.header;
    let is_tracks = |rule: &&Rule| {
        let mut names = valid.config.names.iter();
        names.any(|(_, name)| follows(rule, header, name.as_str()))
            && !rule.removes.iter().any(|name| name == header)
    };
    let mut rules = routes.rules.iter().filter(is_tracks);
    let (host, span) =
        rules.find_map(|rule| rule.hosts.iter().find(|(host, _)| leaves(valid, host, declared)))?;
    Some(route_warning(
        routes,
        "track-leaves-mesh",
        span,
        format!(
            "a track's route leads to {host}, outside of the mesh, and the header may go along"
        ),
        &format!(
            "keep tracks inside the mesh, or remove {header} and baggage on this route \
             (headers.request.remove)"
        ),
    ))
}

/// Whether a host is outside of the mesh, as far as the given files tell.
fn leaves(valid: &Valid<'_>, host: &str, declared: &[(String, bool)]) -> bool {
    let entry = declared.iter().find(|(declared, _)| match declared.strip_prefix('*') {
        Some(domain) => host.ends_with(domain),
        None => declared == host,
    });
    match (entry, &valid.config.egress.mesh_domains) {
        (Some((_, is_outside)), _) => *is_outside,
        // Istio completes a name without a dot by the namespace and the mesh's domain.
        (None, _) if !host.contains('.') => false,
        (None, Some(domains)) => domains.exclude(format!("outbound|||{host}").as_bytes()),
        (None, None) => !host.split('.').any(|label| label == "svc"),
    }
}

/// A route for a track that nobody configures.
fn unknown<'a>(
    valid: &[Valid<'_>],
    routes: &'a Routes<'a>,
    header: &str,
) -> Option<Diagnostic<'a>> {
    let configured = || {
        let same = valid.iter().filter(|valid| &*valid.config.header == header);
        same.flat_map(|valid| valid.config.names.iter()).map(|(_, name)| name.as_str())
    };
    let (rule, name) = routes.rules.iter().find_map(|rule| {
        let mut names = tests(rule, header).filter_map(|test| match test {
            StringMatch::Exact(name) => Some(name),
            _ => None,
        });
        let name =
            names.find(|name| *name != BASELINE && !configured().any(|known| known == *name))?;
        Some((rule, name))
    })?;
    let known: Vec<_> = configured().collect();
    Some(route_warning(
        routes,
        "unknown-track",
        &rule.span,
        format!("this route follows {name}, which is no track of the given configuration"),
        &format!("configured: {}", known.join(", ")),
    ))
}
