use super::Renamed;

/// Two lines
/// of documentation.
const LONG: &str = "one
two

four";
