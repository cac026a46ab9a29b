//! What is counted rather than timed: `make budget` writes it, a test keeps it true.

use anyhow::{Context as _, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Figures {
    #[serde(rename = "instructions")]
    _instructions: u64,
    allocations: u64,
    calls: BTreeMap<String, u64>,
}

/// `tests/budget/budget.yaml`
pub(crate) struct Budget(BTreeMap<String, Figures>);

impl Budget {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        Ok(Self(serde_saphyr::from_str(&text).with_context(|| path.display().to_string())?))
    }

    pub(crate) fn hostcalls(&self, path: &str) -> Result<u64> {
        Ok(self.of(path)?.calls.values().sum())
    }

    pub(crate) fn allocations(&self, path: &str) -> Result<u64> {
        Ok(self.of(path)?.allocations)
    }

    fn of(&self, path: &str) -> Result<&Figures> {
        self.0.get(path).with_context(|| format!("the budget has no path {path:?}"))
    }
}
