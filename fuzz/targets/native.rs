#![no_main]
//! The hooks of the dynamic module, on an Envoy that is not there and takes back what it has lent:
//! one that works, and one of which one call fails. `run.sh` has the address sanitizer look on.
//!
//! The last two bytes of the input say which call that is; the others are a scenario.

use libfuzzer_sys::fuzz_target;
use release_track_native::{differential, faults};
use scenarios::Scenario;

fuzz_target!(|input: &[u8]| {
    let Some((bytes, call)) = input.split_last_chunk::<2>() else { return };
    let Some(scenario) = Scenario::from_bytes(bytes) else { return };
    let calls = match differential::compare(&scenario) {
        Ok(same) => same.calls,
        Err(differ) => panic!("{differ}\n{scenario}"),
    };
    let call = usize::from(u16::from_le_bytes(*call)) % calls.max(1) + 1;
    if let Err(wrong) = faults::fail(&scenario, call) {
        panic!("{wrong}\n{scenario}");
    }
});
