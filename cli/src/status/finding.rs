//! What is wrong, or may be.

use super::alerts::{ALERTS, Alert};
use super::proxy::{Proxy, State};
use release_track::config::{Config, Fingerprint};
use release_track::istio::node::Kind;
use release_track::track::{BASELINE, OTHER};
use release_track::vocabulary::{Event, Family, Outcome};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    Critical,
    Warning,
    Info,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Finding {
    pub(super) severity: Severity,
    /// A name to look for in the documentation.
    pub(super) code: String,
    /// The workload that it is about, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) workload: Option<String>,
    /// Its proxies that are concerned.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) proxies: Vec<String>,
    pub(super) message: String,
    /// What to do.
    pub(super) action: String,
}

/// What is known beside the proxies themselves.
pub(super) struct Known<'a> {
    /// What should be in force.
    pub(super) expected: Option<&'a Config>,
    /// These are all proxies of the mesh.
    pub(super) is_whole_mesh: bool,
    /// What was counted was counted by all in the same time.
    pub(super) is_of_one_time: bool,
}

/// The worst first.
pub(super) fn judge(proxies: &[Proxy], known: &Known<'_>) -> Vec<Finding> {
    let mut findings = states(proxies);
    findings.extend(configurations(proxies, known.expected));
    findings.extend(counted(proxies));
    findings.extend(stopped(proxies));
    if known.is_of_one_time {
        findings.extend(on_the_way(proxies));
    }
    if let Some(config) = known.expected {
        findings.extend(members(proxies, config, known));
    }
    findings.sort();
    findings
}

/// The proxies of which something holds, by their workload.
fn by_workload(proxies: &[Proxy], holds: impl Fn(&Proxy) -> bool) -> BTreeMap<String, Vec<&Proxy>> {
    let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for proxy in proxies.iter().filter(|proxy| holds(proxy)) {
        found.entry(proxy.workload()).or_default().push(proxy);
    }
    found
}

fn names(proxies: &[&Proxy]) -> Vec<String> {
    proxies.iter().map(|proxy| proxy.name.clone()).collect()
}

// === The filter itself ===

fn states(proxies: &[Proxy]) -> Vec<Finding> {
    let states: BTreeSet<_> = proxies.iter().map(|proxy| &proxy.state).collect();
    let mut findings = Vec::new();
    if proxies.is_empty() || states.iter().all(|state| **state == State::Absent) {
        findings.push(Finding {
            severity: Severity::Critical,
            code: "no-filter".to_owned(),
            workload: None,
            proxies: Vec::new(),
            message: match proxies.len() {
                0 => "no proxy was found that counts anything".to_owned(),
                count => format!("none of {count} proxies has the filter"),
            },
            action: "apply the WasmPlugin; istioctl proxy-status tells who has it".to_owned(),
        });
        return findings;
    }
    for state in states {
        for (workload, of) in by_workload(proxies, |proxy| proxy.state == *state) {
            let is_gateway = of.iter().any(|proxy| proxy.kind() == Kind::Gateway);
            if let Some((severity, code, message, action)) = about_state(state, is_gateway) {
                findings.push(Finding {
                    severity,
                    code: code.to_owned(),
                    workload: Some(workload),
                    proxies: names(&of),
                    message,
                    action,
                });
            }
        }
    }
    findings
}

fn about_state(
    state: &State,
    is_gateway: bool,
) -> Option<(Severity, &'static str, String, String)> {
    let (severity, code, message, action) = match state {
        State::InForce(_) | State::Untold => return None,
        State::Silent(why) => (
            Severity::Warning,
            "no-response",
            format!("the proxy does not respond: {why}"),
            "look whether it runs, and whether you may ask it",
        ),
        State::Neutral => {
            let alert = Alert::about(Family::Events, Event::Neutral.label())?;
            (alert.severity, "neutral", alert.summary.clone(), &*alert.action)
        }
        State::Absent => (
            if is_gateway { Severity::Critical } else { Severity::Warning },
            "no-filter",
            match is_gateway {
                true => "there is no filter: nothing is decided, and what clients send is believed",
                false => "there is no filter: a track ends where it calls others",
            }
            .to_owned(),
            "the WasmPlugin has to be in the root namespace, without a selector",
        ),
        State::NotFetched { refuses } => (
            Severity::Critical,
            "not-fetched",
            format!(
                "the filter's image could not be fetched: {}",
                match refuses {
                    Some(true) => "every request is answered 403",
                    Some(false) => "requests pass without it (FAIL_OPEN)",
                    None => "every request is answered 403, or passes without it (FAIL_OPEN)",
                }
            ),
            "release-track check --image tells why; push it, then touch the WasmPlugin: agents do \
             not try again by themselves",
        ),
    };
    Some((severity, code, message, action.to_owned()))
}

fn configurations(proxies: &[Proxy], expected: Option<&Config>) -> Vec<Finding> {
    let mut found: BTreeMap<Fingerprint, BTreeSet<String>> = BTreeMap::new();
    for proxy in proxies {
        if let State::InForce(fingerprint) = proxy.state {
            found.entry(fingerprint).or_default().insert(proxy.workload());
        }
    }
    let of_file = expected.and_then(|config| config.fingerprint);
    found.retain(|fingerprint, _| Some(*fingerprint) != of_file);
    let message = match (of_file, found.len()) {
        (_, 0) | (None, 1) => return Vec::new(),
        (Some(expected), _) => format!("another configuration than {expected} is in force"),
        (None, _) => "proxies have different configurations".to_owned(),
    };
    let words = |(fingerprint, workloads): (_, BTreeSet<String>)| {
        format!("{fingerprint} at {}", workloads.into_iter().collect::<Vec<_>>().join(", "))
    };
    let words: Vec<_> = found.into_iter().map(words).collect();
    vec![Finding {
        severity: Severity::Warning,
        code: "configurations".to_owned(),
        workload: None,
        proxies: Vec::new(),
        message: format!("{message}: {}", words.join("; ")),
        action: "wait, if it was changed a moment ago; else they have refused it: their logs say \
                 `configuration refused`, and where"
            .to_owned(),
    }]
}

// === What was counted ===

/// By the alert rules, but for what the gauges tell of now.
fn counted(proxies: &[Proxy]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for alert in ALERTS.iter() {
        let is_told_by_gauges = alert.family == Family::Events
            && [Event::Neutral, Event::GuardStopped].iter().any(|now| now.label() == alert.value);
        let is_it = |proxy: &Proxy| {
            let told = is_told_by_gauges && proxy.state != State::Untold;
            !told && proxy.of(alert.family).any(|(stat, _)| stat.value == alert.value)
        };
        for (workload, of) in by_workload(proxies, is_it) {
            let mut tracks: BTreeMap<Option<&str>, u64> = BTreeMap::new();
            for (stat, count) in of.iter().flat_map(|proxy| proxy.of(alert.family)) {
                if stat.value == alert.value {
                    *tracks.entry(stat.track.as_deref()).or_default() += count;
                }
            }
            if tracks.values().sum::<u64>() <= alert.more_than {
                continue;
            }
            let counts = tracks.iter().map(|(track, count)| match track {
                Some(track) => format!("{count} of {track}"),
                None => count.to_string(),
            });
            findings.push(Finding {
                severity: alert.severity,
                code: alert.code(),
                workload: Some(workload),
                proxies: names(&of),
                message: format!("{}: {}", counts.collect::<Vec<_>>().join(", "), alert.summary),
                action: alert.action.clone(),
            });
        }
    }
    findings
}

fn stopped(proxies: &[Proxy]) -> Vec<Finding> {
    let Some(alert) = Alert::about(Family::Events, Event::GuardStopped.label()) else {
        return Vec::new();
    };
    let tracks: BTreeSet<_> = proxies.iter().flat_map(|proxy| &proxy.stats.stopped).collect();
    let mut findings = Vec::new();
    for track in tracks {
        for (workload, of) in by_workload(proxies, |proxy| proxy.stats.stopped.contains(track)) {
            findings.push(Finding {
                severity: alert.severity,
                code: alert.code(),
                workload: Some(workload),
                proxies: names(&of),
                message: format!("{track}: {}", alert.summary),
                action: alert.action.clone(),
            });
        }
    }
    findings
}

// === On the way ===

/// Of a track: a name, and neither `baseline` nor `other`.
fn is_track(track: Option<&str>) -> bool {
    track.is_some_and(|track| track != BASELINE && track != OTHER)
}

/// How often a family counted something of a track, at proxies of a kind.
fn count(proxies: &[Proxy], kind: Kind, family: Family, track: &str) -> u64 {
    let proxies = proxies.iter().filter(|proxy| proxy.kind() == kind);
    let counts = proxies.flat_map(|proxy| proxy.of(family));
    counts.filter(|(stat, _)| stat.track.as_deref() == Some(track)).map(|(_, count)| count).sum()
}

/// Fewer are requests that are under way between two readings.
const FEWEST: u64 = 5;
/// One in so many.
const NOISE: u64 = 10;

/// Requests of a track that left a proxy, and arrived at no other.
fn on_the_way(proxies: &[Proxy]) -> Vec<Finding> {
    let families = [Family::Decisions, Family::Propagation];
    let stats = proxies.iter().flat_map(|proxy| families.map(|family| proxy.of(family)));
    let tracks = stats.flatten().filter_map(|(stat, _)| stat.track.as_deref());
    let tracks: BTreeSet<_> = tracks.filter(|track| is_track(Some(track))).collect();
    let mut findings = Vec::new();
    for track in tracks {
        let decided = count(proxies, Kind::Gateway, Family::Decisions, track);
        let called = count(proxies, Kind::Sidecar, Family::Propagation, track);
        let arrived = count(proxies, Kind::Sidecar, Family::Arrivals, track);
        let lacking = (decided + called).saturating_sub(arrived);
        if lacking < FEWEST || lacking * NOISE < decided + called {
            continue;
        }
        findings.push(Finding {
            severity: Severity::Warning,
            code: "not-arrived".to_owned(),
            workload: None,
            proxies: Vec::new(),
            message: format!(
                "of {} requests of {track} about {lacking} arrived at no sidecar: {decided} left \
                 gateways and {called} other pods, and {arrived} arrived",
                decided + called
            ),
            action: "a subset that is not there or has no pods answers 503: look at the routes of \
                     the track (release-track check), and at its pods; pods without a sidecar, and \
                     hosts outside, count as well"
                .to_owned(),
        });
    }
    findings
}

/// The pods that tracks list: whether there are any, and whether the track reaches them.
fn members(proxies: &[Proxy], config: &Config, known: &Known<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for ((_, track), workloads) in config.names.iter().zip(&config.workloads) {
        let track = track.as_str();
        let decided = count(proxies, Kind::Gateway, Family::Decisions, track);
        for workload in workloads {
            let version = &*workload.version;
            let pods = by_workload(proxies, |proxy| {
                proxy.pod.is_of(&workload.app) && proxy.pod.version == version
            });
            let name = format!("{} {version}", workload.app.app);
            if pods.is_empty() && known.is_whole_mesh {
                findings.push(Finding {
                    severity: Severity::Critical,
                    code: "no-pod".to_owned(),
                    workload: Some(name),
                    proxies: Vec::new(),
                    message: format!(
                        "{track} lists it, and there is no such pod: its calls are answered 503, or \
                         fall back where the routes have the recipe"
                    ),
                    action: "bring its pods back, or take it out of the routes and of `workloads`"
                        .to_owned(),
                });
            }
            for (name, of) in pods {
                let of_track = |(stat, _): &(&_, u64)| is_match(stat, track);
                let arrives =
                    of.iter().any(|proxy| proxy.of(Family::Arrivals).any(|c| of_track(&c)));
                if arrives || decided < FEWEST {
                    continue;
                }
                findings.push(Finding {
                    severity: Severity::Warning,
                    code: "not-reached".to_owned(),
                    workload: Some(name),
                    proxies: names(&of),
                    message: format!(
                        "{track} lists it, and of {decided} requests that were decided for {track} \
                         none has arrived there{}",
                        ends(proxies, track)
                    ),
                    action:
                        "a route does not lead there, nobody calls it, or an application before \
                             it forwards nothing (docs/applications.md)"
                            .to_owned(),
                });
            }
        }
    }
    findings
}

fn is_match(stat: &release_track::istio::stats::Stat, track: &str) -> bool {
    stat.track.as_deref() == Some(track) && stat.value == Outcome::Match.label()
}

/// Where a track ends: it arrives, and no call carries it on.
fn ends(proxies: &[Proxy], track: &str) -> String {
    let has = |proxy: &&Proxy, family| {
        proxy.of(family).any(|(stat, _)| stat.track.as_deref() == Some(track))
    };
    let ends: BTreeSet<_> = proxies
        .iter()
        .filter(|proxy| has(proxy, Family::Arrivals) && !has(proxy, Family::Propagation))
        .map(Proxy::workload)
        .collect();
    match ends.is_empty() {
        true => String::new(),
        false => {
            let ends: Vec<_> = ends.into_iter().collect();
            format!("; it ends at {}", ends.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::proxy::Stats;
    use release_track::istio::node::Pod;
    use release_track::istio::stats::{Metric, Stat};

    type Counts<'a> = &'a [(Family, &'a str, &'a str, u64)];

    fn proxy(kind: Kind, workload: &str, counts: Counts<'_>) -> Proxy {
        let (app, version) = workload.split_once(' ').unwrap_or((workload, ""));
        let mut stats = Stats::default();
        for (family, track, value, count) in counts {
            let track = (*family != Family::Events).then(|| (*track).to_owned());
            let stat = Stat { family: *family, track, value: (*value).to_owned() };
            stats.add(Metric::Counter(stat), *count);
        }
        Proxy {
            name: format!("weather/{app}-{version}-1"),
            kind,
            pod: Pod {
                namespace: "weather".to_owned(),
                app: app.to_owned(),
                version: version.to_owned(),
            },
            state: State::InForce(Fingerprint::from_number(7).unwrap()),
            stats,
        }
    }

    /// Ten requests of the tester, of which so many reach forecast v2.
    fn story(reached: u64) -> Vec<Proxy> {
        use Family::{Arrivals, Decisions, Propagation};
        vec![
            proxy(
                Kind::Gateway,
                "ingress",
                &[(Decisions, "v2", "match", 10), (Decisions, "baseline", "baseline", 90)],
            ),
            proxy(
                Kind::Sidecar,
                "frontend v2",
                &[(Arrivals, "v2", "match", 10), (Propagation, "v2", "request_id", 20)],
            ),
            proxy(Kind::Sidecar, "advertisement v1", &[(Arrivals, "v2", "baseline", 10)]),
            proxy(Kind::Sidecar, "forecast v2", &[(Arrivals, "v2", "match", reached)]),
        ]
    }

    fn config() -> Config {
        let config =
            r#"{"tracks": [{"name": "v2", "workloads": {"frontend": "v2", "forecast": "v2"}}]}"#;
        Config::parse(config.as_bytes()).unwrap()
    }

    fn found(proxies: &[Proxy], known: &Known<'_>) -> Vec<(String, String)> {
        let findings = judge(proxies, known).into_iter();
        findings.map(|f| (f.code, f.workload.unwrap_or_default())).collect()
    }

    const WINDOW: Known<'_> = Known { expected: None, is_whole_mesh: false, is_of_one_time: true };

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(one, other)| ((*one).to_owned(), (*other).to_owned())).collect()
    }

    #[test]
    fn a_mesh_where_all_is_well() {
        assert_eq!(found(&story(10), &WINDOW), []);
    }

    #[test]
    fn requests_that_do_not_arrive() {
        let named = pairs(&[("not-arrived", "")]);
        assert_eq!(found(&story(0), &WINDOW), named);
        // Some are under way.
        assert_eq!(found(&story(7), &WINDOW), []);
        // Since each proxy began, nobody can tell.
        assert_eq!(found(&story(0), &Known { is_of_one_time: false, ..WINDOW }), []);
    }

    #[test]
    fn a_workload_that_is_not_reached_and_one_that_is_gone() {
        let mut config = config();
        config.fingerprint = Fingerprint::from_number(7);
        let known = Known { expected: Some(&config), is_whole_mesh: true, ..WINDOW };
        assert_eq!(found(&story(10), &known), []);
        let named = pairs(&[("not-arrived", ""), ("not-reached", "weather/forecast v2")]);
        assert_eq!(found(&story(0), &known), named);
        let mut gone = story(0);
        gone.truncate(3);
        assert_eq!(found(&gone, &known), pairs(&[("no-pod", "forecast v2"), ("not-arrived", "")]));
        // Of a part of the mesh nobody can tell.
        let part = Known { is_whole_mesh: false, ..known };
        assert_eq!(found(&gone, &part), pairs(&[("not-arrived", "")]));
    }

    #[test]
    fn what_the_filter_is_at() {
        let mut proxies = story(10);
        proxies[0].state = State::Absent;
        proxies[1].state = State::NotFetched { refuses: None };
        proxies[2].state = State::Neutral;
        proxies[3].state = State::Silent("why".to_owned());
        let named = pairs(&[
            ("neutral", "weather/advertisement v1"),
            ("no-filter", "weather/ingress"),
            ("not-fetched", "weather/frontend v2"),
            ("no-response", "weather/forecast v2"),
        ]);
        assert_eq!(found(&proxies, &WINDOW), named);
        proxies.iter_mut().for_each(|proxy| proxy.state = State::Absent);
        assert_eq!(found(&proxies, &WINDOW), pairs(&[("no-filter", "")]));
        assert_eq!(found(&[], &WINDOW), pairs(&[("no-filter", "")]));
    }

    #[test]
    fn configurations_that_differ() {
        let mut proxies = story(10);
        proxies[3].state = State::InForce(Fingerprint::from_number(8).unwrap());
        assert_eq!(found(&proxies, &WINDOW), pairs(&[("configurations", "")]));
        let mut config = config();
        for (number, named) in [(7, "8 at weather/forecast v2"), (9, "7 at weather/advertisement")]
        {
            config.fingerprint = Fingerprint::from_number(number);
            let findings = configurations(&proxies, Some(&config));
            assert!(findings[0].message.contains(named), "{findings:?}");
        }
    }

    /// Info is told, and is nothing wrong; neutral and stopped are what is so now, not what was counted.
    #[test]
    fn what_alerts_are_about() {
        let counts: Counts<'_> = &[
            (Family::Events, "", "token_invalid", 10),
            (Family::Events, "", "neutral", 3),
            (Family::Events, "", "guard_stopped", 1),
            (Family::Propagation, "v2", "workload", 1),
            (Family::Arrivals, "v2", "crossed", 2),
            (Family::Arrivals, "v3", "crossed", 1),
        ];
        let mut proxies = [proxy(Kind::Sidecar, "forecast v1", counts)];
        let known = Known { is_of_one_time: false, ..WINDOW };
        let findings = judge(&proxies, &known);
        let codes: Vec<_> = findings.iter().map(|f| (f.severity, &*f.code)).collect();
        assert_eq!(codes, [(Severity::Critical, "crossed"), (Severity::Warning, "workload")]);
        assert!(findings[0].message.starts_with("2 of v2, 1 of v3: "), "{findings:?}");
        proxies[0].stats.add(Metric::GuardStopped("v2".to_owned()), 1);
        let more = Stat { family: Family::Events, track: None, value: "token_invalid".to_owned() };
        proxies[0].stats.add(Metric::Counter(more), 1);
        let codes: Vec<_> = judge(&proxies, &known).into_iter().map(|f| f.code).collect();
        assert_eq!(codes, ["crossed", "guard-stopped", "workload", "token-invalid"]);
    }
}
