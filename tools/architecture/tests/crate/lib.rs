//! A crate with each form in which one file can name another.

mod by_use;
mod circle;
mod inline;
#[path = "elsewhere.rs"]
mod moved;
mod room;
mod target;

#[cfg(test)]
mod only_in_tests;

pub use room::Item as Renamed;
