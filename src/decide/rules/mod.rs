//! The rules: which requests are a track's own.
//!
//! A rule is a list of conditions, each on one *subject* (a cookie, a header, the path, ...).
//! Values that are compared whole (`exact`, `in`) are looked up once per subject and request, in
//! one table for all rules, so that neither the number of rules nor the length of a list shows
//! in a request's cost. `prefix`, `regex` and presence are tested only for a rule that all the
//! rest of the request leaves possible, and once.
//!
//! - [`condition`]: what a rule may ask;
//! - `table`: what rules are compiled to, by `compile`;
//! - `evaluate`: which rule a request satisfies, in the room that `scratch` keeps for it;
//! - `explain`: what a condition saw, for a host that is explaining.

mod compile;
pub mod condition;
mod evaluate;
mod explain;
mod scratch;
mod table;

pub use condition::{Condition, Held, Rule, Subject, Take, Test};
pub use table::Rules;
