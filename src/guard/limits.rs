//! What a track may do before its guard stops its shares.

/// What a guard allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How much more of the track's responses may fail than of baseline's, in 0.01 %.
    pub errors: u32,
    /// The window, in milliseconds, not zero.
    pub over_ms: u64,
    /// Responses of the track in the window before anything is decided.
    pub minimum: u32,
    /// How long the shares are stopped, in milliseconds; zero: until the track's configuration
    /// changes.
    pub retry_ms: u64,
}
