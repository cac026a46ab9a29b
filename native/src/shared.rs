//! The shared data of the process: what Envoy keeps for modules in WebAssembly, kept here. All
//! workers see it, and all configurations; it is gone with the process.

use release_track::host::Status;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// So that workers seldom wait for each other.
const SHARDS: usize = 64;

/// By key: a value, and how often it was written.
type Shard = HashMap<Box<[u8]>, (Box<[u8]>, u32)>;

pub(crate) struct SharedData {
    hasher: RandomState,
    shards: [Mutex<Shard>; SHARDS],
}

impl Default for SharedData {
    fn default() -> Self {
        let shards = std::array::from_fn(|_| Mutex::default());
        Self { hasher: RandomState::new(), shards }
    }
}

impl SharedData {
    /// A value, and the number that a change of it has to name.
    pub(crate) fn get(&self, key: &[u8]) -> Option<(Vec<u8>, u32)> {
        self.shard(key)?.get(key).map(|(value, written)| (value.to_vec(), *written))
    }

    /// As [`release_track::host::Host::set_shared_data`] has it. 0 names any number.
    pub(crate) fn set(&self, key: &[u8], value: &[u8], cas: u32) -> Result<(), Status> {
        let mut shard = self.shard(key).ok_or(Status::NOT_FOUND)?;
        match shard.get_mut(key) {
            Some((_, written)) if cas != 0 && cas != *written => Err(Status::CAS_MISMATCH),
            Some((there, written)) => {
                if there.len() == value.len() {
                    there.copy_from_slice(value);
                } else {
                    *there = value.into();
                }
                // 0 names any number, and the last one is for keys that are new.
                *written = if *written >= u32::MAX - 1 { 1 } else { *written + 1 };
                Ok(())
            }
            None => {
                shard.insert(key.into(), (value.into(), 1));
                Ok(())
            }
        }
    }

    fn shard(&self, key: &[u8]) -> Option<MutexGuard<'_, Shard>> {
        let number = self.hasher.hash_one(key) as usize % SHARDS;
        // Nothing can panic while a lock is held.
        self.shards.get(number).map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn a_change_names_what_it_has_read() {
        let data = SharedData::default();
        assert_eq!(data.get(b"key"), None);
        assert_eq!(data.set(b"key", b"a", 7), Ok(()));
        assert_eq!(data.get(b"key"), Some((b"a".to_vec(), 1)));
        assert_eq!(data.set(b"key", b"b", 2), Err(Status::CAS_MISMATCH));
        assert_eq!(data.set(b"key", b"b", u32::MAX), Err(Status::CAS_MISMATCH));
        assert_eq!(data.set(b"key", b"bb", 1), Ok(()));
        assert_eq!(data.set(b"key", b"c", 0), Ok(()));
        assert_eq!(data.get(b"key"), Some((b"c".to_vec(), 3)));
        assert_eq!(data.get(b"other"), None);
    }

    #[test]
    fn of_workers_that_change_one_value_none_is_lost() {
        let data = SharedData::default();
        let lost = AtomicU32::new(0);
        data.set(b"sum", &0_u64.to_le_bytes(), 0).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut added = 0;
                    while added < 1000 {
                        let (value, cas) = data.get(b"sum").unwrap();
                        let sum = u64::from_le_bytes(value.try_into().unwrap());
                        match data.set(b"sum", &(sum + 1).to_le_bytes(), cas) {
                            Ok(()) => added += 1,
                            Err(Status::CAS_MISMATCH) => _ = lost.fetch_add(1, Ordering::Relaxed),
                            Err(status) => panic!("{status:?}"),
                        }
                    }
                });
            }
        });
        let (value, written) = data.get(b"sum").unwrap();
        assert_eq!(u64::from_le_bytes(value.try_into().unwrap()), 4000);
        assert_eq!(written, 4001, "{lost:?} were tried again");
    }
}
