//! A guard stops the shares of a track by itself where the track's responses fail more often than
//! those of baseline.
//!
//! What a guard has seen lies in the proxy's shared data, in one record for each track: all workers
//! count in it and read it, a VM that starts anew loses nothing, and a proxy that does begins anew.
//! - `limits`: what a track may do;
//! - `record`: what is known, and its bytes;
//! - `verdict`: whether that is enough to stop.
//!
//! ```
//! use release_track::config::Config;
//!
//! let guarded = |track: &str| Config::parse(format!("{{\"tracks\": [{track}]}}").as_bytes());
//! assert!(guarded(r#"{"name": "v2", "share": {"percent": 5}, "guard": {"errors": 2}}"#).is_ok());
//! // A guard with nothing to stop is a mistake.
//! assert!(guarded(r#"{"name": "v2", "guard": {"errors": 2}}"#).is_err());
//! ```

mod limits;
mod record;
mod verdict;

use crate::host::explain::Step;
use crate::host::{Facts, Host, Status};
use crate::track::{Carried, Names, TrackId};
pub use limits::Limits;
use record::Record;

/// The guard of one track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    pub track: TrackId,
    pub limits: Limits,
    /// Of the track's configuration: what another one has counted is not this one's.
    pub fingerprint: u64,
}

/// The guards of a configuration, each with the key of its record.
#[derive(Debug, Default)]
pub struct Guards(Vec<(Guard, Box<[u8]>)>);

/// What a response has brought about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Turns {
    /// Guards that have stopped their track's shares.
    pub(crate) stopped: u32,
    /// Guards that try again.
    pub(crate) resumed: u32,
}

/// How often a worker tries to write what others write too.
const ATTEMPTS: usize = 8;

impl Guards {
    pub fn new(guards: Vec<Guard>, names: &Names) -> Self {
        let key = |guard: &Guard| ["release-track/1/guard/", names.of(guard.track)].concat();
        let with_key = |guard: Guard| {
            let key = key(&guard).into_bytes().into();
            (guard, key)
        };
        Self(guards.into_iter().map(with_key).collect())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A configuration is in force: a record of another configuration of the track begins anew.
    pub(crate) fn open(&self, host: &mut impl Host) {
        for (guard, key) in &self.0 {
            if guard.read(host, key).is_none() {
                let _ = host.set_shared_data(key, &Record::new(guard.fingerprint).to_bytes(), 0);
            }
        }
    }

    /// Whether a track's shares are stopped here and now.
    #[inline]
    pub(crate) fn stop(&self, facts: &mut impl Facts, names: &Names, track: TrackId) -> bool {
        !self.0.is_empty() && self.have_stopped(facts, names, track)
    }

    #[inline(never)]
    fn have_stopped(&self, facts: &mut impl Facts, names: &Names, track: TrackId) -> bool {
        let Some((guard, key)) = self.0.iter().find(|(guard, _)| guard.track == track) else {
            return false;
        };
        let is_stopped = guard.read(facts, key).is_some_and(|(record, _)| {
            record.stopped_ms.is_some_and(|stopped| !guard.is_over(facts, stopped))
        });
        facts.explain(Step::Guard { track: names.of(track), is_stopped });
        is_stopped
    }

    /// Stops the shares of the track of this name, as its own verdict would; `false` if it has no
    /// guard. For whoever asks what would then be decided.
    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn stop_by_hand(&self, host: &mut impl Host, names: &Names, name: &str) -> bool {
        let known = self.0.iter().find(|(guard, _)| names.of(guard.track) == name);
        known.is_some_and(|(guard, key)| {
            let mut record = Record::new(guard.fingerprint);
            record.stopped_ms = host.now_ms().ok();
            host.set_shared_data(key, &record.to_bytes(), 0).is_ok()
        })
    }

    /// Counts a response to a request that followed this.
    pub(crate) fn count(
        &self,
        host: &mut impl Host,
        names: &Names,
        follows: Carried,
        has_failed: bool,
    ) -> Turns {
        let mut turns = Turns::default();
        for (guard, key) in &self.0 {
            let is_tracks = match follows {
                Carried::Baseline => false,
                Carried::Track(track) if track == guard.track => true,
                Carried::Track(_) | Carried::Other => continue,
            };
            guard.count(host, key, names, is_tracks, has_failed, &mut turns);
        }
        turns
    }
}

impl Guard {
    /// What is known under this configuration, and the number that a change has to name.
    fn read(&self, facts: &mut impl Facts, key: &[u8]) -> Option<(Record, u32)> {
        let (bytes, cas) = facts.shared_data(key).ok().flatten()?;
        let record = Record::parse(&bytes)?;
        (record.fingerprint == self.fingerprint).then_some((record, cas))
    }

    /// Whether it is time to try again.
    fn is_over(&self, facts: &mut impl Facts, stopped_ms: u64) -> bool {
        let Limits { retry_ms, .. } = self.limits;
        retry_ms > 0 && facts.now_ms().is_ok_and(|now| now.saturating_sub(stopped_ms) >= retry_ms)
    }

    fn count(
        &self,
        host: &mut impl Host,
        key: &[u8],
        names: &Names,
        is_tracks: bool,
        has_failed: bool,
        turns: &mut Turns,
    ) {
        let Ok(now_ms) = host.now_ms() else { return };
        for _ in 0..ATTEMPTS {
            let Some((mut record, cas)) = self.read(host, key) else { return };
            let resumes = match record.stopped_ms {
                None => false,
                Some(stopped) if self.is_over(host, stopped) => {
                    record = Record::new(self.fingerprint);
                    true
                }
                Some(_) => return,
            };
            record.count(now_ms / self.slice_ms(), is_tracks, has_failed);
            let failing = if is_tracks { verdict::failing(&record, self.limits) } else { None };
            if failing.is_some() {
                record.stopped_ms = Some(now_ms);
            }
            match host.set_shared_data(key, &record.to_bytes(), cas) {
                Err(Status::CAS_MISMATCH) => continue,
                Err(_) => return,
                Ok(()) => {}
            }
            let name = names.of(self.track);
            if resumes {
                turns.resumed += 1;
                log::info!("release-track: the guard of track {name} tries its shares again");
            }
            if let Some(seen) = failing {
                turns.stopped += 1;
                log::warn!("release-track: the guard of track {name} stops its shares: {seen}");
            }
            return;
        }
    }

    fn slice_ms(&self) -> u64 {
        (self.limits.over_ms / record::SLICES as u64).max(1)
    }
}

#[cfg(test)]
mod tests;
