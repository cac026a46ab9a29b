//! What Envoy discovers, and where it looks for it.

use serde_json::{Value, json};

/// A discovery file in an Envoy's folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum File {
    Clusters,
    Routes,
    Filter,
}

impl File {
    pub const ALL: [File; 3] = [File::Clusters, File::Routes, File::Filter];

    pub fn name(self) -> &'static str {
        match self {
            File::Clusters => "cds.json",
            File::Routes => "rds.json",
            File::Filter => "ecds.json",
        }
    }
}

/// What one discovery file holds.
pub fn discovery_response(version: u64, resources: Vec<Value>) -> Value {
    json!({"version_info": version.to_string(), "resources": resources})
}
