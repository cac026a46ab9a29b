//! How text in headers is written: small parsers that know nothing of tracks.

pub mod base64;
pub mod cookie;
pub mod hex;
pub(crate) mod numbers;
pub mod pattern;
pub mod target;
