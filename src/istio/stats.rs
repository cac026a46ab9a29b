//! The names of our counters and gauges, in Istio's convention for labels in a stat's name:
//! `release_track.LABEL=.=VALUE;.;LABEL=.=VALUE;.;NAME` (Istio: `envoy_bootstrap.json`, stats_tags).
//!
//! They are written and read here, and nowhere else.
//!
//! ```
//! use release_track::istio::stats::{self, Stat};
//! use release_track::vocabulary::Family;
//!
//! let name = stats::name(Family::Arrivals, Some("v2"), "crossed");
//! assert_eq!(name, "release_track.track=.=v2;.;outcome=.=crossed;.;arrivals_total");
//! assert_eq!(Stat::parse(&name).unwrap().short(), "arrivals v2 crossed");
//! ```

use crate::vocabulary::Family;

const NAMESPACE: &str = "release_track.";
const EQUALS: &str = "=.=";
const END: &str = ";.;";

/// The name of one counter: of a track, or of an event, which has none.
pub fn name(family: Family, track: Option<&str>, value: &str) -> String {
    let track = track.map(|track| format!("track{EQUALS}{track}{END}")).unwrap_or_default();
    let (column, label) = (family.column(), family.label());
    format!("{NAMESPACE}{track}{column}{EQUALS}{value}{END}{label}")
}

/// The name of the gauge of a track's share.
pub fn share(track: &str) -> String {
    format!("{NAMESPACE}track{EQUALS}{track}{END}{SHARE}")
}

/// The name of the gauge that tells whether the guard of a track has stopped its shares.
pub fn guard_stopped(track: &str) -> String {
    format!("{NAMESPACE}track{EQUALS}{track}{END}{GUARD_STOPPED}")
}

/// The name of the gauge of the configuration that is in force.
pub fn configuration() -> String {
    format!("{NAMESPACE}{CONFIGURATION}")
}

/// The gauges, without namespace and labels.
pub const SHARE: &str = "share";
pub const GUARD_STOPPED: &str = "guard_stopped";
pub const CONFIGURATION: &str = "configuration";

/// A counter, as its name tells.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stat {
    pub family: Family,
    /// A track's name, `baseline` or `other`; an event has none.
    pub track: Option<String>,
    /// A word of the family: a reason, an outcome, a carrier (or `none`), an event.
    pub value: String,
}

/// One of our stats, as its name tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Metric {
    Counter(Stat),
    /// The share of a track, in 0.01 %.
    Share(String),
    /// 1 where the guard of a track has stopped its shares.
    GuardStopped(String),
    /// Which configuration is in force ([`crate::config::Fingerprint`]), or 0.
    Configuration,
}

impl Stat {
    /// Reads a stat's name, with whatever prefix Envoy gave it (`wasmcustom.`). `None` for what is
    /// no counter of ours.
    pub fn parse(stat: &str) -> Option<Self> {
        match Metric::parse(stat)? {
            Metric::Counter(stat) => Some(stat),
            Metric::Share(_) | Metric::GuardStopped(_) | Metric::Configuration => None,
        }
    }

    /// For people: `arrivals v2 match`, `events stripped`.
    pub fn short(&self) -> String {
        let label = self.family.label();
        let family = label.strip_suffix("_total").unwrap_or(label);
        [Some(family), self.track.as_deref(), Some(&self.value)]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" ")
    }
}

impl Metric {
    /// Reads a stat's name, with whatever prefix Envoy gave it (`wasmcustom.`,
    /// `dynamicmodulescustom.`). `None` for a stat that is not ours.
    ///
    /// ```
    /// use release_track::istio::stats::Metric;
    ///
    /// // Of the native module: there Envoy knows the labels, and appends them.
    /// let name = "dynamicmodulescustom.release_track.arrivals_total.track.v2.outcome.match";
    /// let Some(Metric::Counter(stat)) = Metric::parse(name) else { panic!("it is one of ours") };
    /// assert_eq!(stat.short(), "arrivals v2 match");
    /// ```
    pub fn parse(stat: &str) -> Option<Self> {
        let (_, rest) = stat.split_once(NAMESPACE)?;
        let Some((labels, name)) = rest.rsplit_once(END) else { return Self::appended(rest) };
        let of = |label: &str| {
            let mut pairs = labels.split(END).filter_map(|pair| pair.split_once(EQUALS));
            pairs.find(|(name, _)| *name == label).map(|(_, value)| value.to_owned())
        };
        Self::named(name, of)
    }

    /// `NAME.track.TRACK.COLUMN.VALUE`, each label only where the metric has it. Only a track may
    /// have a dot.
    fn appended(stat: &str) -> Option<Self> {
        let (name, labels) = stat.split_once('.').unwrap_or((stat, ""));
        let (labels, value) = match Family::of_label(name) {
            Some(family) => {
                let (labels, value) = labels.rsplit_once('.')?;
                (labels.strip_suffix(family.column())?, value)
            }
            None => (labels, ""),
        };
        let track = labels.strip_prefix("track.");
        if track.is_none() && !labels.is_empty() {
            return None;
        }
        let track = track.map(|track| track.strip_suffix('.').unwrap_or(track));
        Self::named(name, |label| {
            let value = if label == "track" { track } else { Some(value) };
            value.map(str::to_owned)
        })
    }

    /// Reads a metric as Prometheus has it, with its labels. Those that no `extraStatTags` name are
    /// part of the metric's name, in which Envoy writes `_` for whatever Prometheus does not take
    /// (`PrometheusStats::sanitizeName`): a track's name is then told as far as it is known.
    ///
    /// ```
    /// use release_track::istio::stats::Metric;
    ///
    /// let Some(Metric::Counter(stat)) = Metric::of_prometheus(
    ///     "release_track_track___v2___outcome___match___arrivals_total",
    ///     |_| None,
    /// ) else { panic!("it is one of ours") };
    /// assert_eq!(stat.short(), "arrivals v2 match");
    /// ```
    pub fn of_prometheus<'a>(
        metric: &str,
        label: impl Fn(&str) -> Option<&'a str>,
    ) -> Option<Self> {
        const SEPARATOR: &str = "___";
        let rest = metric.strip_prefix("release_track_")?;
        let (labels, name) = rest.rsplit_once(SEPARATOR).unwrap_or(("", rest));
        let in_name = |wanted: &str| {
            let mut parts = labels.split(SEPARATOR);
            parts.find(|part| *part == wanted).and_then(|_| parts.next())
        };
        Self::named(name, |wanted| label(wanted).or_else(|| in_name(wanted)).map(str::to_owned))
    }

    fn named(name: &str, label: impl Fn(&str) -> Option<String>) -> Option<Self> {
        match name {
            SHARE => label("track").map(Self::Share),
            GUARD_STOPPED => label("track").map(Self::GuardStopped),
            CONFIGURATION => Some(Self::Configuration),
            _ => {
                let family = Family::of_label(name)?;
                let value = label(family.column())?;
                Some(Self::Counter(Stat { family, track: label("track"), value }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for family in Family::ALL {
            for value in family.values() {
                let track = (family != Family::Events).then_some("v2.x-1");
                let name = name(family, track, value);
                let stat = Stat::parse(&format!("wasmcustom.{name}")).unwrap();
                let labels = track.map(|track| format!("track.{track}.")).unwrap_or_default();
                let appended = format!("{}.{labels}{}.{value}", family.label(), family.column());
                let track = track.map(str::to_owned);
                assert_eq!(stat, Stat { family, track, value: value.to_owned() });
                assert_eq!(Stat::parse(&format!("x.release_track.{appended}")), Some(stat));
            }
        }
    }

    #[test]
    fn names_are_istios() {
        let stat = name(Family::Arrivals, Some("v2"), "match");
        assert_eq!(stat, "release_track.track=.=v2;.;outcome=.=match;.;arrivals_total");
        assert_eq!(Stat::parse(&stat).unwrap().short(), "arrivals v2 match");
        assert_eq!(share("v2"), "release_track.track=.=v2;.;share");
        let stat = name(Family::Events, None, "stripped");
        assert_eq!(stat, "release_track.event=.=stripped;.;events_total");
        assert_eq!(Stat::parse(&stat).unwrap().short(), "events stripped");
    }

    #[test]
    fn gauges_are_read_back() {
        assert_eq!(Metric::parse(&share("v2.x-1")), Some(Metric::Share("v2.x-1".to_owned())));
        let stopped = Metric::parse(&guard_stopped("v2"));
        assert_eq!(stopped, Some(Metric::GuardStopped("v2".to_owned())));
        assert_eq!(configuration(), "release_track.configuration");
        let configuration = Metric::parse(&format!("wasmcustom.{}", configuration()));
        assert_eq!(configuration, Some(Metric::Configuration));
    }

    /// With any of the labels as labels, and the others in the name.
    #[test]
    fn what_prometheus_has_is_read_back() {
        let sanitized =
            |name: &str| name.replace(|c: char| !c.is_ascii_alphanumeric() && c != '_', "_");
        for family in Family::ALL {
            for value in family.values() {
                let track = (family != Family::Events).then_some("v2");
                let stat =
                    Stat { family, track: track.map(str::to_owned), value: value.to_owned() };
                let pairs = [("track", track), (family.column(), Some(value))];
                for tagged in 0..4 {
                    let is_tag = |at: usize| tagged & (1 << at) != 0;
                    let mut name = name(family, track, value);
                    for (at, (label, value)) in pairs.into_iter().enumerate() {
                        let value = value.unwrap_or_default();
                        if is_tag(at) {
                            name = name.replace(&format!("{label}=.={value};.;"), "");
                        }
                    }
                    let label = |wanted: &str| {
                        let mut tags = (0..2).filter(|at| is_tag(*at)).map(|at| pairs[at]);
                        tags.find(|(label, _)| *label == wanted).and_then(|(_, value)| value)
                    };
                    let read = Metric::of_prometheus(&sanitized(&name), label);
                    assert_eq!(read, Some(Metric::Counter(stat.clone())), "{name} {tagged}");
                }
            }
        }
        let share = sanitized(&share("v2"));
        assert_eq!(Metric::of_prometheus(&share, |_| None), Some(Metric::Share("v2".to_owned())));
        let bare = |name: &str| Metric::of_prometheus(name, |_| None);
        assert_eq!(bare("release_track_configuration"), Some(Metric::Configuration));
        for other in ["release_track_share", "envoy_server_live", "release_track_x___y___z_total"] {
            assert_eq!(bare(other), None, "{other}");
        }
    }

    #[test]
    fn others_stats_are_not_ours() {
        let share = share("v2");
        for other in [
            "",
            "cluster.x.upstream_rq_total",
            "release_track.x=.=y;.;z_total",
            "release_track.arrivals_total.track.v2",
            "release_track.arrivals_total.v2.outcome.match",
            "release_track.panics_total",
            "release_track.share",
        ] {
            assert_eq!(Metric::parse(other), None, "{other}");
        }
        for gauge in
            [&*share, &guard_stopped("v2"), &configuration(), "release_track.share.track.v2"]
        {
            assert_eq!(Stat::parse(gauge), None, "{gauge}");
        }
    }
}
