//! What a guard has seen, in slices of its window, and the bytes of that in shared data: integers in
//! little-endian order, of one length. Values there are untrusted: every plugin of the proxy can
//! write them.

use std::iter;

/// The parts of a window: the oldest is forgotten as a new one begins.
pub(super) const SLICES: usize = 10;

/// Of a record, in bytes.
const LENGTH: usize = 3 * 8 + SLICES * 4 * 4;

/// What is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// Of the track's configuration.
    pub(super) fingerprint: u64,
    /// Since when the shares are stopped, in milliseconds of the Unix epoch.
    pub(super) stopped_ms: Option<u64>,
    /// The number of the newest slice since the Unix epoch.
    newest: u64,
    /// The newest first.
    pub(super) slices: [Seen; SLICES],
}

/// Responses that were seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) track: Tally,
    pub(super) baseline: Tally,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) all: u32,
    pub(super) failed: u32,
}

impl Tally {
    pub(super) fn add(&mut self, other: Self) {
        self.all = self.all.saturating_add(other.all);
        self.failed = self.failed.saturating_add(other.failed);
    }
}

impl Record {
    pub(super) fn new(fingerprint: u64) -> Self {
        Self { fingerprint, stopped_ms: None, newest: 0, slices: Default::default() }
    }

    /// Counts one response in the slice of this number.
    pub(super) fn count(&mut self, slice: u64, is_tracks: bool, has_failed: bool) {
        self.move_to(slice);
        let [newest, ..] = &mut self.slices;
        let tally = if is_tracks { &mut newest.track } else { &mut newest.baseline };
        tally.add(Tally { all: 1, failed: has_failed.into() });
    }

    fn move_to(&mut self, slice: u64) {
        // Workers may be late by a moment; a clock that was set back is another matter.
        if slice.saturating_add(1) < self.newest {
            self.slices = Default::default();
            self.newest = slice;
        }
        let passed = slice.saturating_sub(self.newest).min(SLICES as u64) as usize;
        self.slices.rotate_right(passed % SLICES);
        self.slices.iter_mut().take(passed).for_each(|slice| *slice = Seen::default());
        self.newest = self.newest.max(slice);
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(LENGTH);
        for number in [self.fingerprint, self.stopped_ms.unwrap_or_default(), self.newest] {
            bytes.extend(number.to_le_bytes());
        }
        for Seen { track, baseline } in &self.slices {
            for number in [track.all, track.failed, baseline.all, baseline.failed] {
                bytes.extend(number.to_le_bytes());
            }
        }
        bytes
    }

    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != LENGTH {
            return None;
        }
        let (fingerprint, bytes) = bytes.split_first_chunk()?;
        let (stopped, bytes) = bytes.split_first_chunk()?;
        let (newest, mut bytes) = bytes.split_first_chunk()?;
        let mut counts = iter::from_fn(|| {
            let (count, rest) = bytes.split_first_chunk()?;
            bytes = rest;
            Some(u32::from_le_bytes(*count))
        });
        let mut record = Self {
            fingerprint: u64::from_le_bytes(*fingerprint),
            stopped_ms: Some(u64::from_le_bytes(*stopped)).filter(|at| *at > 0),
            newest: u64::from_le_bytes(*newest),
            slices: Default::default(),
        };
        for slice in &mut record.slices {
            slice.track = Tally { all: counts.next()?, failed: counts.next()? };
            slice.baseline = Tally { all: counts.next()?, failed: counts.next()? };
        }
        Some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The track's responses, the newest slice first.
    fn track(record: &Record) -> [u32; SLICES] {
        record.slices.map(|slice| slice.track.all)
    }

    #[test]
    fn a_slice_is_forgotten_when_it_has_left_the_window() {
        let mut record = Record::new(7);
        for slice in [100, 100, 101, 103] {
            record.count(slice, true, false);
        }
        assert_eq!(track(&record), [1, 0, 1, 2, 0, 0, 0, 0, 0, 0]);
        record.count(110, true, true);
        assert_eq!(track(&record), [1, 0, 0, 0, 0, 0, 0, 1, 0, 1]);
        assert_eq!(record.slices[0].track.failed, 1);
        record.count(120, false, true);
        assert_eq!(track(&record), [0; SLICES]);
        assert_eq!(record.slices[0].baseline, Tally { all: 1, failed: 1 });
    }

    #[test]
    fn a_worker_that_is_late_counts_in_the_newest_slice_and_a_clock_set_back_begins_anew() {
        let mut record = Record::new(7);
        record.count(100, true, false);
        record.count(99, true, false);
        assert_eq!(track(&record)[0], 2);
        record.count(50, true, false);
        assert_eq!(track(&record), [1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        record.count(u64::MAX, true, false);
        assert_eq!(track(&record)[0], 1);
    }

    #[test]
    fn what_is_written_is_read_back_and_nothing_else_is() {
        let mut record = Record::new(u64::MAX);
        record.count(3, true, true);
        record.count(5, false, false);
        record.stopped_ms = Some(1_800_000_000_000);
        let bytes = record.to_bytes();
        assert_eq!(Record::parse(&bytes), Some(record));
        assert_eq!(Record::parse(&[]), None);
        assert_eq!(Record::parse(&bytes[1..]), None);
        for more in 1..=4 {
            let longer = [&bytes[..], &vec![0; more]].concat();
            assert_eq!(Record::parse(&longer), None, "{more}");
        }
    }
}
