//! The names of our counters, in Istio's convention for labels in a stat's name:
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
    format!("{NAMESPACE}track{EQUALS}{track}{END}share")
}

/// The track whose share a gauge of this name is.
pub fn track_of_share(stat: &str) -> Option<&str> {
    let labels = stat.strip_prefix(NAMESPACE)?.strip_suffix("share")?;
    labels.strip_suffix(END)?.strip_prefix("track")?.strip_prefix(EQUALS)
}

/// A counter, as its name tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    pub family: Family,
    /// A track's name, `baseline` or `other`; an event has none.
    pub track: Option<String>,
    /// A word of the family: a reason, an outcome, a carrier (or `none`), an event.
    pub value: String,
}

impl Stat {
    /// Reads a stat's name, with whatever prefix Envoy gave it (`wasmcustom.`,
    /// `dynamicmodulescustom.`). `None` for a stat that is not ours.
    ///
    /// ```
    /// use release_track::istio::stats::Stat;
    ///
    /// // Of the native module: there Envoy knows the labels, and appends them.
    /// let name = "dynamicmodulescustom.release_track.arrivals_total.track.v2.outcome.match";
    /// assert_eq!(Stat::parse(name).unwrap().short(), "arrivals v2 match");
    /// ```
    pub fn parse(stat: &str) -> Option<Self> {
        let (_, rest) = stat.split_once(NAMESPACE)?;
        let Some((labels, family)) = rest.rsplit_once(END) else { return Self::appended(rest) };
        let family = Family::of_label(family)?;
        let of = |label: &str| {
            let mut pairs = labels.split(END).filter_map(|pair| pair.split_once(EQUALS));
            pairs.find(|(name, _)| *name == label).map(|(_, value)| value.to_owned())
        };
        Some(Self { family, track: of("track"), value: of(family.column())? })
    }

    /// `FAMILY.track.TRACK.COLUMN.VALUE`, or without a track. Only a track may have a dot.
    fn appended(stat: &str) -> Option<Self> {
        let (family, labels) = stat.split_once('.')?;
        let family = Family::of_label(family)?;
        let (labels, value) = labels.rsplit_once('.')?;
        let labels = labels.strip_suffix(family.column())?;
        let track = match labels {
            "" => None,
            labels => Some(labels.strip_prefix("track.")?.strip_suffix('.')?.to_owned()),
        };
        Some(Self { family, track, value: value.to_owned() })
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
        assert_eq!(track_of_share(&share("v2.x")), Some("v2.x"));
        assert_eq!(track_of_share(&stat), None);
        let stat = name(Family::Events, None, "stripped");
        assert_eq!(stat, "release_track.event=.=stripped;.;events_total");
        assert_eq!(Stat::parse(&stat).unwrap().short(), "events stripped");
    }

    #[test]
    fn others_stats_are_not_ours() {
        let share = share("v2");
        for other in [
            "",
            "cluster.x.upstream_rq_total",
            "release_track.x=.=y;.;z_total",
            &share,
            "release_track.share.track.v2",
            "release_track.arrivals_total.track.v2",
            "release_track.arrivals_total.v2.outcome.match",
            "release_track.panics_total",
        ] {
            assert_eq!(Stat::parse(other), None, "{other}");
        }
    }
}
