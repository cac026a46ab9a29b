//! The time that an answer is for.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A time on the command line (`--now`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Time(SystemTime);

impl Time {
    /// RFC 3339.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let time = humantime::parse_rfc3339_weak(text);
        time.map(Self).map_err(|_| "a time such as 2027-01-15T08:00:00Z is expected".to_owned())
    }

    /// The given one, or now.
    pub(crate) fn or_now(given: Option<Self>) -> Self {
        given.unwrap_or_else(|| Self(SystemTime::now()))
    }

    /// Of the Unix epoch.
    pub(crate) fn from_seconds(seconds: u64) -> Option<Self> {
        UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).map(Self)
    }

    pub(crate) fn since_epoch(self) -> Duration {
        self.0.duration_since(UNIX_EPOCH).unwrap_or_default()
    }

    pub(crate) fn after(self, duration: Duration) -> Option<Self> {
        self.0.checked_add(duration).map(Self)
    }
}

/// RFC 3339, in UTC, to the second.
impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const LAST_YEAR: u64 = 253_402_300_799;
        match self.since_epoch().as_secs() {
            seconds if seconds > LAST_YEAR => write!(f, "second {seconds} of the Unix epoch"),
            _ => humantime::format_rfc3339_seconds(self.0).fmt(f),
        }
    }
}
