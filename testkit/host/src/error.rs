//! What can go wrong before a filter handles requests.

use crate::Callback;
use std::fmt;

/// Why a module, a VM or a configuration did not come into force.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Error {
    /// The module cannot be loaded.
    Module(String),
    /// `proxy_on_vm_start` or `proxy_on_configure` returned false. The reason
    /// is in the log.
    Refused(Callback),
    /// The guest trapped; its VM is dead.
    Trap(Trap),
}

/// A guest that trapped. Its VM runs no callback from then on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trap {
    /// The callback that ran.
    pub callback: Callback,
    /// What happened. The panic message of a Rust guest is in the log.
    pub message: String,
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} trapped: {}", self.callback.export(), self.message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Module(message) => write!(f, "the module cannot be used: {message}"),
            Self::Refused(callback) => write!(f, "{} returned false", callback.export()),
            Self::Trap(trap) => trap.fmt(f),
        }
    }
}

impl std::error::Error for Error {}
