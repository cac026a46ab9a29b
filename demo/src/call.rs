//! A request as the application processes that served it saw it: the truth of the demo and of its
//! tests.

use serde::{Deserialize, Serialize};
use std::fmt;

/// One hop and all calls that were made for it. The response to `GET /` with
/// `Accept: application/json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Served {
    pub service: String,
    /// The process's own start argument, never something that it read from a header.
    pub version: String,
    /// `x-release-track` as it arrived at the application; `None` is baseline.
    pub track: Option<String>,
    /// `x-request-id` as it arrived at the application.
    pub request_id: Option<String>,
    pub calls: Vec<Call>,
}

/// A call that an application made: what the callee saw, or why there is nothing to tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Call {
    Served(Served),
    Failed { service: String, error: String },
}

impl Call {
    /// The callee was reached, and something went wrong in it.
    pub fn has_failed_inside(&self) -> bool {
        matches!(self, Self::Failed { error, .. } if error.starts_with("500 "))
    }

    /// What the callee saw that failed: its response tells it all the same.
    pub fn failed_inside(&self) -> Option<Served> {
        match self {
            Self::Failed { error, .. } if self.has_failed_inside() => {
                serde_json::from_str(&error[error.find('{')?..]).ok()
            }
            Self::Failed { .. } | Self::Served(_) => None,
        }
    }
}

/// On one line, as in `frontend v2 @v2 (advertisement v1 @v2, forecast v2 @v2)`; without `@` it is
/// baseline.
impl fmt::Display for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.service, self.version)?;
        if let Some(track) = &self.track {
            write!(f, " @{track}")?;
        }
        for (index, call) in self.calls.iter().enumerate() {
            f.write_str(if index == 0 { " (" } else { ", " })?;
            match call {
                Call::Served(served) => served.fmt(f)?,
                Call::Failed { service, error } => write!(f, "{service}: {error}")?,
            }
        }
        f.write_str(if self.calls.is_empty() { "" } else { ")" })
    }
}

/// One line on a weather process's standard output, for every request that it served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The name in the cookie `user`. Only the frontend gets one; `None` elsewhere and when logged
    /// out.
    pub user: Option<String>,
    /// The frontend was asked by a preview link, or with the cookie that one leaves.
    pub preview: bool,
    #[serde(flatten)]
    pub served: Served,
}
