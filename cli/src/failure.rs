//! Why a command fails.

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
    /// The message tells by itself where it comes from.
    is_report: bool,
}

impl Failure {
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: REFUSED, is_report: false }
    }

    /// A report that was rendered already.
    pub(crate) fn report(report: String) -> Self {
        Self { message: report, code: REFUSED, is_report: true }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: USAGE, is_report: false }
    }

    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.is_report { "" } else { "release-track: " };
        write!(f, "{name}{}", self.message)
    }
}
