//! Why a command has no answer.

use std::fmt;
use std::process::ExitCode;

/// The answer is no: refused, or not found.
pub(crate) const REFUSED: u8 = 1;
/// The question was wrong.
const USAGE: u8 = 2;

#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: REFUSED }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: USAGE }
    }

    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
