//! What real SDKs carry: the set-ups that are measured, and what is expected of them. See README.md.

pub mod setups;
