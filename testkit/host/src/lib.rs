#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod abi;
mod context;
mod error;
mod headers;
mod journal;
mod metrics;
mod module;
mod pairs;
mod process;
mod properties;
mod shared_data;
mod status;
mod stream;
mod vm;

pub use error::{Error, Trap};
pub use headers::HeaderMap;
pub use journal::{Call, Callback, Journal, Record};
pub use metrics::{MetricKind, Metrics};
pub use module::Module;
pub use process::{Host, LogLevel, LogLine, Quirk};
pub use properties::{Path, Value};
pub use status::Status;
pub use stream::{Outcome, Reply, Stream};
pub use vm::{Plugin, Vm, VmConfig};
