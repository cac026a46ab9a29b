//! Shared data: one map for the process, seen by every VM with the same VM id.

use crate::Status;
use crate::process::Quirk;
use std::collections::{BTreeMap, HashMap};

/// A value and its compare-and-swap number.
pub(crate) type Entry = (Vec<u8>, u32);

/// proxy-wasm-cpp-host `src/shared_data.cc`: a key is never deleted, one
/// counter numbers the writes of the whole process and skips 0, a CAS of 0
/// always writes, and the CAS of a write to a missing key is ignored.
#[derive(Default)]
pub(crate) struct SharedData {
    by_vm_id: HashMap<String, BTreeMap<Vec<u8>, Entry>>,
    last_cas: u32,
}

impl SharedData {
    pub(crate) fn get(&self, vm_id: &str, key: &[u8]) -> Result<Entry, Status> {
        self.by_vm_id.get(vm_id).and_then(|map| map.get(key)).cloned().ok_or(Status::NotFound)
    }

    pub(crate) fn set(
        &mut self,
        vm_id: &str,
        key: &[u8],
        value: &[u8],
        cas: u32,
        quirk: Option<Quirk>,
    ) -> Result<(), Status> {
        let map = self.by_vm_id.entry(vm_id.to_owned()).or_default();
        match map.get(key) {
            Some((_, current)) if cas != 0 && cas != *current => return Err(Status::CasMismatch),
            None if cas != 0 && quirk == Some(Quirk::CasChecksMissingKeys) => {
                return Err(Status::CasMismatch);
            }
            _ => {}
        }
        self.last_cas = self.last_cas.wrapping_add(1).max(1);
        map.insert(key.to_vec(), (value.to_vec(), self.last_cas));
        Ok(())
    }

    pub(crate) fn entries(&self, vm_id: &str) -> BTreeMap<Vec<u8>, Entry> {
        self.by_vm_id.get(vm_id).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cas_zero_writes_a_mismatch_does_not_and_a_missing_key_ignores_it() {
        let mut data = SharedData::default();
        assert_eq!(data.get("", b"k"), Err(Status::NotFound));
        assert_eq!(data.set("", b"k", b"1", 777, None), Ok(()));
        let (_, cas) = data.get("", b"k").unwrap();
        assert_eq!(data.set("", b"k", b"2", 0, None), Ok(()));
        assert_eq!(data.set("", b"k", b"3", cas, None), Err(Status::CasMismatch));
        let (value, cas) = data.get("", b"k").unwrap();
        assert_eq!(value, b"2");
        assert_eq!(data.set("", b"k", b"", cas, None), Ok(()));
        assert_eq!(data.get("", b"k").unwrap().0, b"");
    }

    #[test]
    fn vm_ids_are_apart_and_numbers_are_shared_and_skip_zero() {
        let mut data = SharedData { last_cas: u32::MAX - 1, ..SharedData::default() };
        data.set("a", b"k", b"1", 0, None).unwrap();
        data.set("b", b"k", b"2", 0, None).unwrap();
        assert_eq!(data.get("a", b"k"), Ok((b"1".to_vec(), u32::MAX)));
        assert_eq!(data.get("b", b"k"), Ok((b"2".to_vec(), 1)));
    }
}
