//! Carrier 4, its memory: which track a trace id came in with, in the proxy's shared data.
//!
//! Envoy's shared data is one map for the whole process, seen by every worker and by both
//! listeners, and a key can never be deleted. So there is a fixed number of buckets, made when a
//! configuration arrives, each with room for a few entries; the memory is bounded for ever. An id
//! is stored and compared whole: a collision can lose a track, never invent one.
//!
//! Every configuration uses the same buckets, as many of them as its `slots`: there are never more
//! than the largest `slots` that the process saw. Where `slots` changes, an id may be looked for in
//! another bucket than the one it is in; it is then lost, until it expires or `slots` is as before.
//!
//! Keys: `release-track/2/BUCKET`, and `release-track/2/newest` for the marker, the newest expiry
//! of all. Values: entries, one after the other: id (16 bytes), expiry (8 bytes,
//! milliseconds of the Unix epoch), length of the name (1 byte; 0: ambiguous), name. The marker: 8 bytes. All
//! numbers are little-endian. Every other plugin of the proxy can write there too, so any bytes
//! are survived.

use super::trace_id::{Ids, TraceId};
use crate::host::{Facts, Host, Status};
use crate::track;
use std::sync::atomic::{AtomicU64, Ordering};

/// Entries of a bucket. A full one drops the entry that expires first.
const ENTRIES: usize = 4;

/// How often a write is tried against others that write the same bucket.
const TRIES: usize = 4;

/// The marker runs ahead of the newest expiry by up to this, so that it is written seldom.
const MARKER_STEP_MS: u64 = 1000;

/// `proxy_set_shared_data` ignores this for a key that does not exist, and refuses to write for
/// one that does: it makes a key only where there is none.
const ONLY_NEW: u32 = u32::MAX;

/// The remembered ids of one configuration.
#[derive(Debug)]
pub struct Memory {
    slots: u32,
    ttl_ms: u64,
    /// The marker as last seen: it only grows.
    newest: AtomicU64,
}

/// What is known about an id.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    id: TraceId,
    expires: u64,
    /// The name of a track, or `baseline`; empty where two met under this id.
    name: Vec<u8>,
}

impl Entry {
    fn is_ambiguous(&self) -> bool {
        self.name.is_empty()
    }
}

/// What was recalled, and what renews it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recalled {
    /// The name of a track, or `baseline`.
    pub name: Vec<u8>,
    pub renewal: Renewal,
}

/// A write that renews an id's time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewal {
    id: TraceId,
    /// Milliseconds of the Unix epoch.
    expires: u64,
    /// The bucket with the later time; `None` where it says so already.
    value: Option<Vec<u8>>,
    cas: u32,
}

/// What became of an id that was to be remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remembered {
    Yes,
    /// It was known under another name, and now reads as absent.
    Conflict,
}

impl Memory {
    /// Makes the buckets where they are not there yet.
    pub fn new(host: &mut impl Host, slots: u32, ttl_ms: u64) -> Self {
        let memory = Self { slots, ttl_ms, newest: AtomicU64::new(0) };
        // They are made in this order: where the last one is, all are.
        let last = Text::bucket(slots.saturating_sub(1));
        if !matches!(host.shared_data(last.as_bytes()), Ok(Some(_))) {
            let _ = host.set_shared_data(Text::marker().as_bytes(), &[], ONLY_NEW);
            for slot in 0..slots {
                let _ = host.set_shared_data(Text::bucket(slot).as_bytes(), &[], ONLY_NEW);
            }
        }
        memory
    }

    fn bucket(&self, id: TraceId) -> Text {
        Text::bucket((id.low() % u64::from(self.slots.max(1))) as u32)
    }

    /// Remembers that a request with this id follows `name`.
    pub fn remember(&self, host: &mut impl Host, id: TraceId, name: &str) -> Remembered {
        let Ok(now) = host.now_ms() else { return Remembered::Yes };
        let expires = now.saturating_add(self.ttl_ms);
        self.mark(host, expires);
        self.update(host, id, |entries| {
            let mut outcome = Remembered::Yes;
            let mut known = false;
            for entry in entries.iter_mut().filter(|e| e.expires > now && e.id.meets(id)) {
                known = true;
                if entry.name != name.as_bytes() && !entry.is_ambiguous() {
                    entry.name.clear();
                    outcome = Remembered::Conflict;
                }
                entry.expires = entry.expires.max(expires);
            }
            if !known {
                entries.retain(|entry| entry.expires > now);
                while entries.len() >= ENTRIES
                    && let Some(soonest) = entries.iter().map(|entry| entry.expires).min()
                    && let Some(at) = entries.iter().position(|entry| entry.expires == soonest)
                {
                    entries.remove(at);
                }
                entries.push(Entry { id, expires, name: name.into() });
            }
            outcome
        })
        .unwrap_or(Remembered::Yes)
    }

    /// A request on baseline came in with this id. Where that is remembered for a track, it can
    /// tell nothing any more.
    pub fn contradict(&self, host: &mut impl Host, id: TraceId) -> Remembered {
        let Ok(now) = host.now_ms() else { return Remembered::Yes };
        self.update(host, id, |entries| {
            let mut outcome = Remembered::Yes;
            for entry in entries.iter_mut().filter(|e| e.expires > now && e.id.meets(id)) {
                if !entry.is_ambiguous() && entry.name != track::BASELINE.as_bytes() {
                    entry.name.clear();
                    outcome = Remembered::Conflict;
                }
            }
            outcome
        })
        .unwrap_or(Remembered::Yes)
    }

    /// The name that the first known of these ids came in with. A hit renews its time: that is
    /// left to [`Memory::renew`].
    pub fn recall(&self, facts: &mut impl Facts, ids: &Ids) -> Option<Recalled> {
        let now = facts.now_ms().ok()?;
        let expires = now.saturating_add(self.ttl_ms);
        ids.iter().find_map(|id| {
            let (value, cas) = facts.shared_data(self.bucket(id).as_bytes()).ok()??;
            let mut entries = parse(&value);
            let mut is_renewed = false;
            let mut name: Option<Vec<u8>> = None;
            for entry in entries.iter_mut().filter(|e| e.expires > now && e.id.meets(id)) {
                match &name {
                    Some(other) if *other != entry.name => return None,
                    _ => name = Some(entry.name.clone()),
                }
                if !entry.is_ambiguous() && entry.expires < expires {
                    entry.expires = expires;
                    is_renewed = true;
                }
            }
            let name = name.filter(|name| !name.is_empty())?;
            let value = is_renewed.then(|| serialize(&entries));
            Some(Recalled { name, renewal: Renewal { id, expires, value, cas } })
        })
    }

    /// Renews the time of an id that was recalled.
    pub fn renew(&self, host: &mut impl Host, renewal: &Renewal) {
        let Renewal { id, expires, value, cas } = renewal;
        let written = match value {
            Some(value) => host.set_shared_data(self.bucket(*id).as_bytes(), value, *cas),
            None => Ok(()),
        };
        // Another worker wrote in between: what is there now is renewed.
        if written == Err(Status::CAS_MISMATCH) {
            let _ = self.update(host, *id, |entries| {
                for entry in entries.iter_mut().filter(|e| e.id.meets(*id) && !e.is_ambiguous()) {
                    entry.expires = entry.expires.max(*expires);
                }
            });
        }
        self.mark(host, *expires);
    }

    /// Whether anything can be remembered now: one read while nothing is.
    pub fn is_live(&self, facts: &mut impl Facts) -> bool {
        let newest = match facts.shared_data(Text::marker().as_bytes()) {
            Ok(Some((value, _))) => read_marker(&value),
            _ => 0,
        };
        newest != 0 && facts.now_ms().is_ok_and(|now| newest > now)
    }

    /// Notes in the marker that there is an entry until `expires`.
    fn mark(&self, host: &mut impl Host, expires: u64) {
        if self.newest.load(Ordering::Relaxed) >= expires {
            return;
        }
        let newest = (expires / MARKER_STEP_MS).saturating_add(1).saturating_mul(MARKER_STEP_MS);
        for _ in 0..TRIES {
            let Ok(Some((value, cas))) = host.shared_data(Text::marker().as_bytes()) else {
                return;
            };
            let seen = read_marker(&value);
            if seen >= expires {
                self.newest.store(seen, Ordering::Relaxed);
                return;
            }
            match host.set_shared_data(Text::marker().as_bytes(), &newest.to_le_bytes(), cas) {
                Ok(()) => {
                    self.newest.store(newest, Ordering::Relaxed);
                    return;
                }
                Err(Status::CAS_MISMATCH) => {}
                Err(_) => return,
            }
        }
    }

    /// Changes the entries of an id's bucket, and writes them if they differ. The change is made
    /// again where another worker wrote in between.
    fn update<T>(
        &self,
        host: &mut impl Host,
        id: TraceId,
        mut change: impl FnMut(&mut Vec<Entry>) -> T,
    ) -> Result<T, Status> {
        let key = self.bucket(id);
        let mut tries = 0;
        loop {
            let Some((value, cas)) = host.shared_data(key.as_bytes())? else {
                return Err(Status::NOT_FOUND);
            };
            let mut entries = parse(&value);
            let result = change(&mut entries);
            let changed = serialize(&entries);
            if changed == value {
                return Ok(result);
            }
            match host.set_shared_data(key.as_bytes(), &changed, cas) {
                Ok(()) => return Ok(result),
                Err(Status::CAS_MISMATCH) if tries < TRIES => tries += 1,
                Err(status) => return Err(status),
            }
        }
    }
}

fn read_marker(value: &[u8]) -> u64 {
    value.try_into().map_or(0, u64::from_le_bytes)
}

/// The whole entries at the beginning of `bytes`, at most [`ENTRIES`].
fn parse(bytes: &[u8]) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut rest = bytes;
    while entries.len() < ENTRIES {
        let Some((entry, tail)) = parse_entry(rest) else { break };
        entries.push(entry);
        rest = tail;
    }
    entries
}

fn parse_entry(bytes: &[u8]) -> Option<(Entry, &[u8])> {
    let (id, rest) = bytes.split_first_chunk()?;
    let (expires, rest) = rest.split_first_chunk()?;
    let (length, rest) = rest.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(*length))?;
    if !name.is_empty() && !track::is_valid(name) {
        return None;
    }
    let id = TraceId::new(u128::from_le_bytes(*id))?;
    Some((Entry { id, expires: u64::from_le_bytes(*expires), name: name.to_vec() }, rest))
}

fn serialize(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(ENTRIES * (16 + 8 + 1 + track::Name::MAX));
    for entry in entries {
        bytes.extend(entry.id.value().to_le_bytes());
        bytes.extend(entry.expires.to_le_bytes());
        bytes.push(entry.name.len() as u8);
        bytes.extend(&entry.name);
    }
    bytes
}

/// A key, without an allocation.
struct Text {
    bytes: [u8; 32],
    length: usize,
}

impl Text {
    fn marker() -> Self {
        let mut text = Self { bytes: [0; 32], length: 0 };
        text.push(b"release-track/2/newest");
        text
    }

    fn bucket(slot: u32) -> Self {
        let mut text = Self { bytes: [0; 32], length: 0 };
        text.push(b"release-track/2/");
        text.push_number(slot);
        text
    }

    fn push(&mut self, more: &[u8]) {
        for (to, from) in self.bytes.iter_mut().skip(self.length).zip(more) {
            *to = *from;
        }
        self.length = self.bytes.len().min(self.length + more.len());
    }

    fn push_number(&mut self, number: u32) {
        if number > 9 {
            self.push_number(number / 10);
        }
        self.push(&[b'0' + (number % 10) as u8]);
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::FakeHost;

    fn new(slots: u32) -> (FakeHost, Memory) {
        let mut host = FakeHost { now_ms: 1_000_000, ..FakeHost::default() };
        let memory = Memory::new(&mut host, slots, 60_000);
        (host, memory)
    }

    fn id(value: u128) -> TraceId {
        TraceId::new(value).unwrap()
    }

    fn recall(host: &mut FakeHost, memory: &Memory, value: u64) -> Option<String> {
        let mut ids = Ids::default();
        ids.add(id(value.into()));
        let recalled = memory.recall(host, &ids)?;
        memory.renew(host, &recalled.renewal);
        Some(String::from_utf8(recalled.name).unwrap())
    }

    #[test]
    fn writes_are_tried_again_against_others_but_not_for_ever() {
        let tries = TRIES as u32;
        for (rivals, known) in [(0, true), (1, true), (tries, true), (tries + 1, false)] {
            let (mut host, memory) = new(4);
            // The marker is written first, and has rivals of its own.
            memory.remember(&mut host, id(1), "v3");
            host.rivals = rivals;
            memory.remember(&mut host, id(2), "v2");
            assert_eq!(host.rivals, 0, "{rivals} rivals");
            assert_eq!(recall(&mut host, &memory, 2).is_some(), known, "{rivals} rivals");
        }
        for (rivals, live) in [(1, true), (tries - 1, true), (tries, false)] {
            let (mut host, memory) = new(4);
            host.rivals = rivals;
            let soon = host.now_ms + 1;
            memory.mark(&mut host, soon);
            assert_eq!(memory.is_live(&mut host), live, "{rivals} rivals");
        }
    }

    #[test]
    fn the_keys_are_fixed_when_it_is_made() {
        let (mut host, memory) = new(12);
        let keys: Vec<_> = host.shared.keys().map(|k| k.escape_ascii().to_string()).collect();
        assert_eq!(keys.len(), 13);
        assert!(keys.contains(&"release-track/2/11".to_owned()));
        assert!(keys.contains(&"release-track/2/newest".to_owned()));
        for value in 1..1000 {
            memory.remember(&mut host, id(value), "v2");
        }
        assert_eq!(host.shared.len(), 13);
        let longest = host.shared.values().map(|(value, _)| value.len()).max();
        assert_eq!(longest, Some(ENTRIES * (16 + 8 + 1 + 2)));
    }

    #[test]
    fn made_again_it_keeps_what_it_knows() {
        let (mut host, memory) = new(2);
        memory.remember(&mut host, id(7), "v2");
        let again = Memory::new(&mut host, 2, 60_000);
        assert_eq!(recall(&mut host, &again, 7).as_deref(), Some("v2"));
        // Another worker that was making it at the same time overwrites nothing.
        assert!(host.shared.remove(Text::bucket(1).as_bytes()).is_some());
        memory.remember(&mut host, id(8), "v2");
        let third = Memory::new(&mut host, 2, 60_000);
        assert_eq!(recall(&mut host, &third, 8).as_deref(), Some("v2"));
        assert!(third.is_live(&mut host));
    }

    #[test]
    fn other_slots_use_the_buckets_of_before() {
        let (mut host, memory) = new(12);
        memory.remember(&mut host, id(25), "v2");
        for slots in [5, 12, 24, 1, 3, 16] {
            let memory = Memory::new(&mut host, slots, 60_000);
            // In the bucket of 25 with 12, 24, 3 and so on: found by chance, and never as another.
            let known = recall(&mut host, &memory, 25);
            assert_eq!(known.is_some(), 25 % slots == 1, "{slots} slots");
            assert!(memory.is_live(&mut host));
            memory.remember(&mut host, id(1000 + u128::from(slots)), "v3");
            assert_eq!(recall(&mut host, &memory, 1000 + u64::from(slots)).as_deref(), Some("v3"));
        }
        assert_eq!(host.shared.len(), 24 + 1);
    }

    #[test]
    fn a_full_bucket_drops_what_expires_first_and_the_expired_before_that() {
        let (mut host, memory) = new(1);
        for value in 1..=4 {
            host.now_ms += 10;
            memory.remember(&mut host, id(value), "v2");
        }
        // A hit renews: the second is now the oldest.
        host.now_ms += 10;
        assert!(recall(&mut host, &memory, 1).is_some());
        host.now_ms += 10;
        memory.remember(&mut host, id(5), "v3");
        let known: Vec<_> = (1..=5).map(|v| recall(&mut host, &memory, v).is_some()).collect();
        assert_eq!(known, [true, false, true, true, true]);
        host.now_ms += 60_000;
        memory.remember(&mut host, id(6), "v2");
        assert_eq!(host.shared.values().next().map(|(value, _)| value.len()), Some(27));
    }

    #[test]
    fn a_collision_loses_and_never_invents() {
        let (mut host, memory) = new(1);
        memory.remember(&mut host, id(7), "v2");
        assert_eq!(recall(&mut host, &memory, 8), None);
        // The same low half under two traces of 128 bits: 64 bits cannot tell them apart.
        memory.remember(&mut host, id(9 | 1 << 64), "v2");
        memory.remember(&mut host, id(9 | 2 << 64), "v3");
        assert_eq!(recall(&mut host, &memory, 9), None);
    }

    #[test]
    fn it_is_live_while_the_newest_entry_is() {
        let (mut host, memory) = new(4);
        assert!(!memory.is_live(&mut host));
        memory.remember(&mut host, id(7), "v2");
        host.now_ms += 59_999;
        assert!(memory.is_live(&mut host));
        assert!(recall(&mut host, &memory, 7).is_some());
        host.now_ms += 59_999;
        assert!(memory.is_live(&mut host), "a hit renews");
        host.now_ms += 60_000;
        assert!(!memory.is_live(&mut host));
    }

    #[test]
    fn the_marker_is_written_seldom() {
        let (mut host, memory) = new(64);
        memory.remember(&mut host, id(1), "v2");
        host.calls.clear();
        memory.remember(&mut host, id(2), "v2");
        assert_eq!((host.calls["get_shared_data"], host.calls["set_shared_data"]), (1, 1));
        host.now_ms += 2 * MARKER_STEP_MS;
        memory.remember(&mut host, id(3), "v2");
        assert_eq!((host.calls["get_shared_data"], host.calls["set_shared_data"]), (3, 3));
    }

    #[test]
    fn any_bytes_there_are_survived() {
        let (mut host, memory) = new(1);
        memory.remember(&mut host, id(7), "v2");
        let bucket = memory.bucket(id(7)).as_bytes().to_vec();
        let good = host.shared[&bucket].0.clone();
        let mut values: Vec<Vec<u8>> = (0..good.len()).map(|end| good[..end].to_vec()).collect();
        values.extend([vec![0xff; 4096], vec![0; 4096], [&good[..], &[1, 2, 3]].concat()]);
        let mut bad_name = good.clone();
        bad_name[25] = b' ';
        values.push(bad_name);
        for value in values {
            let whole = value.starts_with(&good);
            host.shared.get_mut(&bucket).unwrap().0 = value;
            assert_eq!(recall(&mut host, &memory, 7).is_some(), whole);
            memory.contradict(&mut host, id(8));
            memory.remember(&mut host, id(9), "v3");
            assert_eq!(recall(&mut host, &memory, 9).as_deref(), Some("v3"));
        }
        let marker = Text::marker().as_bytes().to_vec();
        for value in [vec![], vec![1; 7], vec![0xff; 8], vec![0xff; 9]] {
            host.shared.get_mut(&marker).unwrap().0 = value.clone();
            assert_eq!(memory.is_live(&mut host), value.len() == 8);
        }
    }

    #[test]
    fn without_its_buckets_it_remembers_nothing() {
        let (mut host, memory) = new(1);
        host.shared.clear();
        assert_eq!(memory.remember(&mut host, id(7), "v2"), Remembered::Yes);
        assert_eq!(recall(&mut host, &memory, 7), None);
        assert!(host.shared.is_empty(), "a key made now would be one too many");
    }
}
