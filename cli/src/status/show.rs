//! The state of the mesh as tables, and for programs.

use super::finding::{Finding, Severity};
use super::proxy::{Proxy, State};
use anstyle::{AnsiColor, Style};
use release_track::istio::node::Kind;
use release_track::track::RESERVED;
use release_track::vocabulary::Family;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

// === For a person ===

/// All of it, with colours.
pub(super) fn tables(proxies: &[Proxy], findings: &[Finding], when: &str) -> String {
    let mut text = String::new();
    let workloads = workloads(proxies);
    let mut table = Table::new(&["WORKLOAD", "PROXIES", "CONFIGURATION"]);
    for (name, of) in &workloads {
        let mut states: BTreeMap<_, usize> = BTreeMap::new();
        of.iter().for_each(|proxy| *states.entry(proxy.state.words()).or_default() += 1);
        let states: Vec<_> = match states.len() {
            1 => states.into_keys().collect(),
            _ => states.into_iter().map(|(state, count)| format!("{state} ({count})")).collect(),
        };
        table.row([name.clone(), of.len().to_string(), states.join(", ")]);
    }
    table.write(&mut text);
    let tracks = proxies.iter().flat_map(|proxy| {
        let counted = proxy.stats.counts.iter().filter(|(_, count)| **count > 0);
        counted.filter_map(|(stat, _)| stat.track.as_ref()).chain(proxy.stats.shares.keys())
    });
    // What is no track comes last.
    let tracks: BTreeSet<_> = tracks.map(|name| (RESERVED.contains(&&**name), name)).collect();
    let mut table = Table::new(&["TRACK", "SHARE", "WORKLOAD", "DECIDED", "ARRIVED", "CALLED"]);
    for (_, track) in tracks {
        let mut name = track.clone();
        let mut share = share(proxies, track);
        for (workload, of) in &workloads {
            let words = |families: &[Family]| counts(of, families, Some(track));
            let decided = words(&[Family::Decisions, Family::DryDecisions]);
            let (arrived, called) = (words(&[Family::Arrivals]), words(&[Family::Propagation]));
            if [&decided, &arrived, &called].iter().all(|words| words.is_empty()) {
                continue;
            }
            let (name, share) = (std::mem::take(&mut name), std::mem::take(&mut share));
            table.row([name, share, workload.clone(), decided, arrived, called]);
        }
        if !name.is_empty() {
            table.row([name, share, "-".to_owned(), String::new(), String::new(), String::new()]);
        }
    }
    table.write(&mut text);
    let mut table = Table::new(&["WORKLOAD", "RESPONDED", "HAPPENED"]);
    for (workload, of) in &workloads {
        let tracks: BTreeSet<_> = of
            .iter()
            .flat_map(|proxy| proxy.of(Family::Answers))
            .filter_map(|(stat, _)| stat.track.as_deref())
            .collect();
        let responded = tracks
            .into_iter()
            .map(|track| format!("{track}: {}", counts(of, &[Family::Answers], Some(track))));
        let responded = responded.collect::<Vec<_>>().join("; ");
        let happened = counts(of, &[Family::Events], None);
        if !responded.is_empty() || !happened.is_empty() {
            table.row([workload.clone(), responded, happened]);
        }
    }
    table.write(&mut text);
    for finding in findings {
        let Finding { severity, code, workload, message, action, .. } = finding;
        let (name, colour) = match severity {
            Severity::Critical => ("critical", AnsiColor::Red),
            Severity::Warning => ("warning", AnsiColor::Yellow),
            Severity::Info => ("info", AnsiColor::Cyan),
        };
        let style = Style::new().fg_color(Some(colour.into())).bold();
        let place = workload.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
        let _ = writeln!(text, "{style}{name}[{code}]{style:#}: {place}{message}");
        let _ = writeln!(text, "  = {action}\n");
    }
    let count = |wanted: Severity| findings.iter().filter(|f| f.severity == wanted).count();
    let (critical, warnings) = (count(Severity::Critical), count(Severity::Warning));
    let s = if warnings == 1 { "" } else { "s" };
    let _ = write!(text, "{when}: {critical} critical, {warnings} warning{s}");
    text
}

/// Gateways first, then by name.
fn workloads(proxies: &[Proxy]) -> Vec<(String, Vec<&Proxy>)> {
    let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for proxy in proxies {
        let key = (proxy.kind() != Kind::Gateway, proxy.workload());
        found.entry(key).or_default().push(proxy);
    }
    found.into_iter().map(|((_, name), of)| (name, of)).collect()
}

/// `20 match, 3 share`
fn counts(proxies: &[&Proxy], families: &[Family], track: Option<&str>) -> String {
    let mut words = Vec::new();
    for family in families {
        for value in family.values() {
            let all = proxies.iter().flat_map(|proxy| proxy.of(*family));
            let count = all
                .filter(|(stat, _)| stat.value == value && stat.track.as_deref() == track)
                .map(|(_, count)| count)
                .sum::<u64>();
            let dry = if *family == Family::DryDecisions { " (dry run)" } else { "" };
            if count > 0 {
                words.push(format!("{count} {value}{dry}"));
            }
        }
    }
    words.join(", ")
}

/// What is in force of a track's share, at the proxies that decide.
fn share(proxies: &[Proxy], track: &str) -> String {
    let told = |proxy: &Proxy| {
        let share = *proxy.stats.shares.get(track)?;
        Some(match proxy.stats.stopped.contains(track) {
            true => "stopped".to_owned(),
            false => format!("{} %", share as f64 / 100.0),
        })
    };
    // Those that a proxy told before it lost the filter are not in force.
    let in_force = |proxy: &&Proxy| matches!(proxy.state, State::InForce(_) | State::Untold);
    let told: BTreeSet<_> = proxies.iter().filter(in_force).filter_map(told).collect();
    told.into_iter().collect::<Vec<_>>().join(", ")
}

/// Columns as wide as what is in them.
struct Table<const N: usize> {
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    fn new(head: &[&str; N]) -> Self {
        Self { rows: vec![head.map(str::to_owned)] }
    }

    fn row(&mut self, row: [String; N]) {
        self.rows.push(row);
    }

    /// Nothing, if there is nothing but its head.
    fn write(&self, text: &mut String) {
        if self.rows.len() == 1 {
            return;
        }
        let width = |column: usize| {
            self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
        };
        for row in &self.rows {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let _ = write!(line, "{cell:width$}  ", width = width(column));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text.push('\n');
    }
}

// === For a program ===

#[derive(Serialize)]
pub(super) struct Report<'a> {
    pub(super) proxies: Vec<Record<'a>>,
    pub(super) findings: &'a [Finding],
}

#[derive(Serialize)]
pub(super) struct Record<'a> {
    name: &'a str,
    workload: String,
    kind: &'static str,
    state: String,
    /// The error, where there is no response.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    counters: Vec<Counter<'a>>,
    /// By track, in percent.
    shares: BTreeMap<&'a str, f64>,
    /// Tracks whose shares a guard has stopped.
    stopped: &'a BTreeSet<String>,
}

#[derive(Serialize)]
struct Counter<'a> {
    name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    track: Option<&'a str>,
    value: &'a str,
    count: u64,
}

impl<'a> Record<'a> {
    pub(super) fn of(proxy: &'a Proxy) -> Self {
        let counters = proxy.stats.counts.iter().filter(|(_, count)| **count > 0);
        let counters = counters.map(|(stat, count)| Counter {
            name: stat.family.label(),
            track: stat.track.as_deref(),
            value: &stat.value,
            count: *count,
        });
        let shares = proxy.stats.shares.iter();
        Self {
            name: &proxy.name,
            workload: proxy.workload(),
            kind: match proxy.kind() {
                Kind::Gateway => "gateway",
                Kind::Sidecar => "sidecar",
                Kind::Waypoint => "waypoint",
                Kind::Unknown => "unknown",
            },
            state: proxy.state.words(),
            error: match &proxy.state {
                State::Silent(why) => Some(why),
                _ => None,
            },
            counters: counters.collect(),
            shares: shares.map(|(track, share)| (&**track, *share as f64 / 100.0)).collect(),
            stopped: &proxy.stats.stopped,
        }
    }
}
