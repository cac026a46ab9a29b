//! The filter's counters.
//!
//! Every counter that can be of use on this proxy is defined with the configuration, so that it is
//! there at zero before it first counts: an alert on an increase then sees the first one too.

use crate::host::Host;
use crate::istio::stats;
use crate::track::{BASELINE, Carried, Names, OTHER};
use crate::vocabulary::{Carrier, Class, Event, Family, Outcome, Reason};

/// The ids that the proxy gave to the counters.
#[derive(Debug)]
pub(crate) struct Metrics {
    /// By family.
    tables: [Table; Family::ALL.len()],
}

/// The counters of one family: a row for every track, `baseline` and `other`, or one row where
/// tracks are not told apart; a column for every value of the other label.
#[derive(Debug, Default)]
struct Table {
    rows: Vec<Vec<Option<u32>>>,
}

impl Metrics {
    /// Defines the counters of the families that this proxy needs.
    pub(crate) fn define(
        host: &mut impl Host,
        names: &Names,
        needs: impl Fn(Family) -> bool,
    ) -> Self {
        let tables = Family::ALL.map(|family| {
            if needs(family) { Table::define(host, names, family) } else { Table::default() }
        });
        Self { tables }
    }

    pub(crate) fn decided(
        &self,
        host: &mut impl Host,
        family: Family,
        follows: Carried,
        reason: Reason,
    ) {
        self.count(host, family, Some(follows), reason as usize);
    }

    pub(crate) fn arrived(&self, host: &mut impl Host, follows: Carried, outcome: Outcome) {
        self.count(host, Family::Arrivals, Some(follows), outcome as usize);
    }

    /// `None`: no carrier had anything to say.
    pub(crate) fn propagated(
        &self,
        host: &mut impl Host,
        follows: Carried,
        carrier: Option<Carrier>,
    ) {
        let column = carrier.map_or(Carrier::ALL.len(), |carrier| carrier as usize);
        self.count(host, Family::Propagation, Some(follows), column);
    }

    pub(crate) fn answered(&self, host: &mut impl Host, follows: Carried, class: Class) {
        self.count(host, Family::Answers, Some(follows), class as usize);
    }

    pub(crate) fn happened(&self, host: &mut impl Host, event: Event) {
        self.count(host, Family::Events, None, event as usize);
    }

    fn count(&self, host: &mut impl Host, family: Family, follows: Option<Carried>, column: usize) {
        let counter = self.tables.get(family as usize).and_then(|table| {
            let row = match follows {
                None => 0,
                Some(Carried::Track(track)) => track.index(),
                Some(Carried::Baseline) => table.rows.len().checked_sub(2)?,
                Some(Carried::Other) => table.rows.len().checked_sub(1)?,
            };
            table.rows.get(row)?.get(column).copied().flatten()
        });
        if let Some(counter) = counter {
            let _ = host.increment(counter);
        }
    }
}

impl Table {
    #[inline(never)]
    fn define(host: &mut impl Host, names: &Names, family: Family) -> Self {
        let values = family.values();
        let mut row = |track: Option<&str>| {
            let define =
                |value: &&str| host.define_counter(&stats::name(family, track, value)).ok();
            values.iter().map(define).collect()
        };
        let rows = match family {
            Family::Events => vec![row(None)],
            Family::Decisions
            | Family::DryDecisions
            | Family::Arrivals
            | Family::Propagation
            | Family::Answers => {
                let tracks = names.iter().map(|(_, name)| name.as_str());
                tracks.chain([BASELINE, OTHER]).map(|track| row(Some(track))).collect()
            }
        };
        Self { rows }
    }
}
