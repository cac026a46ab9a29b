//! Metrics: by name in the process, by number in each VM.

use crate::Status;
use crate::process::Quirk;
use std::collections::BTreeMap;
use std::fmt;

/// The types of the ABI, with its numbers.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum MetricKind {
    Counter = 0,
    Gauge = 1,
    Histogram = 2,
}

impl MetricKind {
    pub(crate) fn from_abi(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Counter),
            1 => Some(Self::Gauge),
            2 => Some(Self::Histogram),
            _ => None,
        }
    }
}

/// Every metric of the process, as a guest named it (Envoy puts `wasmcustom.`
/// in front).
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Metrics {
    numbers: BTreeMap<(MetricKind, Vec<u8>), u64>,
    samples: BTreeMap<Vec<u8>, Vec<u64>>,
}

impl Metrics {
    /// The counter's value, or `None` if no guest has defined it.
    #[must_use]
    pub fn counter(&self, name: impl AsRef<[u8]>) -> Option<u64> {
        self.number(MetricKind::Counter, name.as_ref())
    }

    /// The gauge's value, or `None` if no guest has defined it.
    #[must_use]
    pub fn gauge(&self, name: impl AsRef<[u8]>) -> Option<u64> {
        self.number(MetricKind::Gauge, name.as_ref())
    }

    /// What was recorded in the histogram, in order, or `None` if no guest has
    /// defined it.
    #[must_use]
    pub fn histogram(&self, name: impl AsRef<[u8]>) -> Option<&[u64]> {
        self.samples.get(name.as_ref()).map(Vec::as_slice)
    }

    /// All counters and their values, ordered by name.
    pub fn counters(&self) -> impl Iterator<Item = (&[u8], u64)> {
        self.numbers
            .iter()
            .filter(|((kind, _), _)| *kind == MetricKind::Counter)
            .map(|((_, name), value)| (name.as_slice(), *value))
    }

    fn number(&self, kind: MetricKind, name: &[u8]) -> Option<u64> {
        self.numbers.get(&(kind, name.to_vec())).copied()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for ((_, name), value) in &self.numbers {
            map.entry(&name.escape_ascii().to_string(), value);
        }
        for (name, samples) in &self.samples {
            map.entry(&name.escape_ascii().to_string(), samples);
        }
        map.finish()
    }
}

/// The numbers by which one VM knows metrics. The type is in the low two bits
/// (Envoy `source/extensions/common/wasm/wasm.h`, `kMetricTypeMask`), and
/// numbers of one type are 4 apart.
#[derive(Default)]
pub(crate) struct MetricIds {
    defined: BTreeMap<u32, Vec<u8>>,
    last: [u32; 3],
}

impl MetricIds {
    pub(crate) fn define(
        &mut self,
        metrics: &mut Metrics,
        kind: u32,
        name: &[u8],
    ) -> Result<u32, Status> {
        let kind = MetricKind::from_abi(kind).ok_or(Status::BadArgument)?;
        match kind {
            MetricKind::Histogram => {
                metrics.samples.entry(name.to_vec()).or_default();
            }
            _ => {
                metrics.numbers.entry((kind, name.to_vec())).or_default();
            }
        }
        self.last[kind as usize] += 1;
        let id = self.last[kind as usize] * 4 + kind as u32;
        self.defined.insert(id, name.to_vec());
        Ok(id)
    }

    pub(crate) fn increment(
        &self,
        metrics: &mut Metrics,
        id: u32,
        offset: i64,
        quirk: Option<Quirk>,
    ) -> Result<(), Status> {
        let Some(kind @ (MetricKind::Counter | MetricKind::Gauge)) = MetricKind::from_abi(id % 4)
        else {
            return Err(Status::BadArgument);
        };
        let value = self.value(metrics, kind, id)?;
        if kind == MetricKind::Counter
            && offset <= 0
            && !(offset == 0 && quirk == Some(Quirk::CountersTakeZero))
        {
            return Err(Status::BadArgument);
        }
        *value = value.wrapping_add_signed(offset);
        Ok(())
    }

    /// A counter adds what is recorded, a gauge takes it, a histogram keeps it.
    pub(crate) fn record(&self, metrics: &mut Metrics, id: u32, value: u64) -> Result<(), Status> {
        match MetricKind::from_abi(id % 4) {
            Some(MetricKind::Histogram) => {
                let name = self.defined.get(&id).ok_or(Status::NotFound)?;
                metrics.samples.entry(name.clone()).or_default().push(value);
            }
            Some(kind) => {
                let number = self.value(metrics, kind, id)?;
                *number = match kind {
                    MetricKind::Counter => number.wrapping_add(value),
                    _ => value,
                };
            }
            None => return Err(Status::NotFound),
        }
        Ok(())
    }

    pub(crate) fn get(&self, metrics: &mut Metrics, id: u32) -> Result<u64, Status> {
        match MetricKind::from_abi(id % 4) {
            Some(kind @ (MetricKind::Counter | MetricKind::Gauge)) => {
                self.value(metrics, kind, id).copied()
            }
            _ => Err(Status::BadArgument),
        }
    }

    fn value<'a>(
        &self,
        metrics: &'a mut Metrics,
        kind: MetricKind,
        id: u32,
    ) -> Result<&'a mut u64, Status> {
        let name = self.defined.get(&id).ok_or(Status::NotFound)?;
        Ok(metrics.numbers.entry((kind, name.clone())).or_default())
    }
}
