//! The filter as a dynamic module of Envoy: the same core, compiled to a shared object that Envoy
//! loads into its own process.
//!
//! ```text
//! abi       Envoy's C ABI: what is called, and what is exported; the only unsafe code
//! module    a configuration, a request and its response, as Envoy hands them over
//! proxy     the core's traits of a host: facts, and effects
//! counters  metrics, each with its labels
//! process   the time, chance, environment, node and shared data of the process
//! node      which proxy this is, from the file that Envoy was started with
//! caller    who calls a waypoint, from the text that Istio's proxies make of it
//! shared    the shared data of the process
//! ```
//!
//! No decision is taken here. What the core writes is collected, and written when it is done: until
//! then it reads headers that Envoy lends.

// The process itself is not asked then.
#![cfg_attr(feature = "stand-in", allow(dead_code))]

mod abi;
mod caller;
mod counters;
#[cfg(any(test, feature = "stand-in"))]
pub mod differential;
#[cfg(any(test, feature = "stand-in"))]
pub mod faults;
mod module;
mod node;
mod process;
mod proxy;
mod shared;
