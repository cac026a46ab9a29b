//! Where it was measured.

use anyhow::{Context as _, Result};
use mesh::envoy::full_version;
use std::path::Path;
use std::{fs, thread};

pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    /// Major and minor version.
    pub(crate) kernel: String,
    /// Processes that ran or waited, on average over the last minutes: 1, 5, 15.
    pub(crate) load: String,
    /// Its version.
    pub(crate) envoy: String,
}

impl Machine {
    /// The load is that of now.
    pub(crate) fn look(envoy: &Path) -> Result<Self> {
        let read = |path| fs::read_to_string(path).context(path);
        let processors = read("/proc/cpuinfo")?;
        let model = processors.lines().find_map(|line| line.strip_prefix("model name"));
        let load = read("/proc/loadavg")?;
        Ok(Self {
            processor: model.unwrap_or("unknown").trim_start_matches([' ', '\t', ':']).to_owned(),
            cores: thread::available_parallelism()?.get(),
            kernel: read("/proc/sys/kernel/osrelease")?
                .split('.')
                .take(2)
                .collect::<Vec<_>>()
                .join("."),
            load: load.split(' ').take(3).collect::<Vec<_>>().join(", "),
            envoy: full_version(envoy)?,
        })
    }
}
