//! Where it was measured.

use anyhow::{Context as _, Result};
use std::path::Path;
use std::process::Command;
use std::{fs, thread};

pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    /// Major and minor version.
    pub(crate) kernel: String,
    /// Processes that ran or waited, on average over the last minutes: 1, 5, 15.
    pub(crate) load: String,
    /// As it says itself.
    pub(crate) envoy: String,
}

impl Machine {
    /// The load is that of now.
    pub(crate) fn look(envoy: &Path) -> Result<Self> {
        let read = |path| fs::read_to_string(path).context(path);
        let processors = read("/proc/cpuinfo")?;
        let model = processors.lines().find_map(|line| line.strip_prefix("model name"));
        let load = read("/proc/loadavg")?;
        let version = Command::new(envoy).arg("--version").output()?.stdout;
        let version = String::from_utf8_lossy(&version).trim().to_owned();
        // `envoy  version: <commit>/<version>/Clean/RELEASE/BoringSSL`
        let number = version.rsplit_once(": ").and_then(|(_, build)| build.split('/').nth(1));
        let number = number.map(str::to_owned);
        Ok(Self {
            processor: model.unwrap_or("unknown").trim_start_matches([' ', '\t', ':']).to_owned(),
            cores: thread::available_parallelism()?.get(),
            kernel: read("/proc/sys/kernel/osrelease")?
                .split('.')
                .take(2)
                .collect::<Vec<_>>()
                .join("."),
            load: load.split(' ').take(3).collect::<Vec<_>>().join(", "),
            envoy: number.unwrap_or(version),
        })
    }
}
