//! A Proxy-Wasm filter that writes down what its host does.
//!
//! It speaks the ABI itself, without an SDK, so that it sees every status. The
//! path of a request says what to do with it ([`stream`]); `/report` is
//! answered with all that was seen so far, as JSON: a list of `[call, answer]`
//! for each phase.

#![cfg(target_family = "wasm")]
#![deny(unsafe_code)]

mod abi;
mod report;
mod root;
mod stream;
