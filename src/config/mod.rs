//! `pluginConfig`: parsed once, into types that cannot be wrong.
//!
//! Where to change what:
//! - `fields`: which fields there are, what is there by default, and what they mean;
//! - `values`: what may stand in one of them;
//! - `valid`: what the filter works with;
//! - `compile`: what holds between several of them, and what is made of them all;
//! - `json`: how the types are read, and how an error knows its place;
//! - `schema`: what an editor is told (outside of the module).
//!
//! ```
//! use release_track::config::Config;
//!
//! let config = Config::parse(br#"{"tracks": [{"name": "v2"}]}"#).unwrap();
//! assert_eq!(&*config.header, "x-release-track");
//!
//! // An error names the place, what stands there, and what is allowed.
//! let error = Config::parse(br#"{"tracks": [{"name": "off"}]}"#).unwrap_err();
//! assert_eq!((error.path.as_str(), error.found.as_str()), ("tracks[0].name", "\"off\""));
//! ```

mod calendar;
mod compile;
mod error;
mod fields;
mod json;
#[cfg(feature = "schema")]
pub mod schema;
mod valid;
mod values;

pub use compile::MOST_GUARDS;
pub use error::{Error, field_path, item_path};
pub use valid::{Config, Edge, Egress, Fingerprint, Isolation};
pub use values::{HEADERS_WITH_MEANING, PREFIXES_WITH_MEANING};
