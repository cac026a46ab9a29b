//! Why a mesh does not run.

use crate::process::Ended;
use crate::{envoy, manifest};
use std::io;
use std::time::Duration;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("Port {0} is in use: choose another, or stop what listens there.")]
    PortInUse(u16),
    #[error(transparent)]
    Manifest(#[from] manifest::Error),
    #[error(transparent)]
    Envoy(#[from] envoy::Error),
    #[error(transparent)]
    Ended(#[from] Ended),
    #[error("{name} refuses its configuration{}", envoy::lines(log))]
    Refused { name: String, log: Vec<String> },
    #[error("{name} has not taken its configuration after {} s", after.as_secs())]
    Slow { name: String, after: Duration },
    #[error("There is no Gateway in the manifests.")]
    NoGateway,
    #[error("There is no pod {0}.")]
    NoPod(String),
    #[error("{what}: {cause}")]
    Io { what: String, cause: io::Error },
}

pub(crate) fn io_error(what: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
    |cause| Error::Io { what: what.into(), cause }
}
