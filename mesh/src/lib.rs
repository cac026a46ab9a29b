//! Istio manifests to a mesh of real Envoys on one machine.
//!
//! - [`manifest`]: the YAML files that a cluster gets, as types; an unknown field is an error
//! - [`translate`]: those, in the shape in which istiod gives them to one Envoy
//! - [`envoy`]: one Envoy process, of use on its own
//! - [`process`], [`ports`]: what does not outlive us, and ports that nobody else gets
//! - [`Mesh`]: a gateway, and per pod an application and its sidecar

#![deny(unsafe_code)]

pub mod envoy;
mod error;
pub mod manifest;
mod mesh;
mod pod;
pub mod ports;
pub mod process;
pub mod translate;

pub use error::Error;
pub use mesh::{Config, Mesh, Settings};
pub use pod::{App, Line, Pod};
