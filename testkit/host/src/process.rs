//! What all VMs of one proxy process share.

use crate::shared_data::{Entry, SharedData};
use crate::{Error, Metrics, Module, Path, Status, Value, Vm, VmConfig};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A proxy process: its node, clock, shared data, metrics, logs and foreign
/// functions. Cloning makes another handle of the same process.
///
/// A process starts on 2000-01-01 at 00:00 UTC and time passes only when
/// [`Host::advance`] or [`Host::set_time`] says so.
#[derive(Clone)]
pub struct Host {
    process: Arc<Mutex<Process>>,
}

/// A line that a guest logged.
#[derive(Clone, Eq, PartialEq)]
pub struct LogLine {
    pub level: LogLevel,
    /// The context that logged it.
    pub context: u32,
    pub message: Vec<u8>,
}

impl fmt::Display for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = String::from_utf8_lossy(&self.message);
        write!(f, "[{:?}] {message}", self.level)
    }
}

impl fmt::Debug for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} (context {})", self.context)
    }
}

/// The log levels of the ABI, with its numbers.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[repr(u32)]
pub enum LogLevel {
    Trace = 0,
    Debug = 1,
    Info = 2,
    Warn = 3,
    Error = 4,
    Critical = 5,
}

impl LogLevel {
    pub(crate) fn from_abi(number: u32) -> Option<Self> {
        [Self::Trace, Self::Debug, Self::Info, Self::Warn, Self::Error, Self::Critical]
            .into_iter()
            .find(|level| *level as u32 == number)
    }
}

/// A deliberate departure from Envoy's behaviour, so that a check of the host
/// against Envoy can be shown to notice one ([`Host::misbehave`]).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Quirk {
    /// Reading a header that has several lines gives the last, not the first.
    LastOfDuplicates,
    /// Writing shared data with a CAS number to a missing key is a mismatch.
    CasChecksMissingKeys,
    /// Incrementing a counter by 0 is allowed.
    CountersTakeZero,
    /// Reading a header with an empty value says that it is missing.
    EmptyIsMissing,
    /// Booleans are written in 8 bytes, like numbers.
    WideBooleans,
}

type ForeignFunction = Arc<dyn Fn(&[u8]) -> Result<Vec<u8>, Status> + Send + Sync>;

pub(crate) struct Process {
    pub(crate) shared_data: SharedData,
    pub(crate) metrics: Metrics,
    pub(crate) properties: Value,
    pub(crate) logs: Vec<LogLine>,
    pub(crate) log_level: LogLevel,
    pub(crate) now: Duration,
    pub(crate) foreign: HashMap<Vec<u8>, ForeignFunction>,
    pub(crate) quirk: Option<Quirk>,
    random: u64,
}

impl Process {
    /// The next bytes of a sequence that is the same for every process, so that
    /// a guest's cost does not depend on chance.
    pub(crate) fn random(&mut self, length: usize) -> Vec<u8> {
        split_mix(&mut self.random, length)
    }

    pub(crate) fn log(&mut self, level: LogLevel, context: u32, message: &[u8]) {
        if level >= self.log_level {
            self.logs.push(LogLine { level, context, message: message.to_vec() });
        }
    }
}

/// SplitMix64.
fn split_mix(state: &mut u64, length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length + 7);
    while bytes.len() < length {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bytes.extend((z ^ (z >> 31)).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

impl Host {
    #[must_use]
    pub fn new() -> Self {
        const YEAR_2000: Duration = Duration::from_secs(946_684_800);
        Self {
            process: Arc::new(Mutex::new(Process {
                shared_data: SharedData::default(),
                metrics: Metrics::default(),
                properties: Value::map(),
                logs: Vec::new(),
                log_level: LogLevel::Info,
                now: YEAR_2000,
                foreign: HashMap::new(),
                quirk: None,
                random: 0,
            })),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A VM that runs `module`, with no VM id, environment or configuration.
    ///
    /// # Errors
    /// See [`Host::vm_with`].
    pub fn vm(&self, module: &Module) -> Result<Vm, Error> {
        self.vm_with(module, VmConfig::default())
    }

    /// A VM that runs `module`. VMs with one id share their data, as workers of
    /// a process do.
    ///
    /// # Errors
    /// [`Error::Trap`] if the module's start function traps.
    pub fn vm_with(&self, module: &Module, config: VmConfig) -> Result<Vm, Error> {
        Vm::start(self.clone(), module, config)
    }

    /// Sets a property that every context can read, such as `xds.node.id`.
    pub fn set_property(&self, path: impl Into<Path>, value: impl Into<Value>) {
        self.lock().properties.put(&path.into().0, value.into());
    }

    /// Sets the node as Istio's agent does: `xds.node.id`, and the pod's labels
    /// in `xds.node.metadata.LABELS`.
    pub fn set_node<'a>(&self, id: &str, labels: impl IntoIterator<Item = (&'a str, &'a str)>) {
        self.set_property("xds.node.id", id);
        self.set_property("xds.node.metadata.LABELS", Value::map());
        for (name, value) in labels {
            self.set_property(["xds", "node", "metadata", "LABELS", name], value);
        }
    }

    /// The time since the Unix epoch.
    #[must_use]
    pub fn time(&self) -> Duration {
        self.lock().now
    }

    /// Sets the time since the Unix epoch. It may go back.
    pub fn set_time(&self, since_epoch: Duration) {
        self.lock().now = since_epoch;
    }

    /// Lets time pass. It causes no tick; see [`Vm::tick`].
    pub fn advance(&self, by: Duration) {
        self.lock().now += by;
    }

    /// The metrics as they stand now.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.lock().metrics.clone()
    }

    /// The log lines so far, of all VMs.
    #[must_use]
    pub fn logs(&self) -> Vec<LogLine> {
        self.lock().logs.clone()
    }

    /// Takes the log lines, so that the log is empty afterwards.
    #[must_use]
    pub fn take_logs(&self) -> Vec<LogLine> {
        std::mem::take(&mut self.lock().logs)
    }

    /// What a guest is told the log level is, and below which its lines are
    /// dropped. `Info`, as in Envoy, unless set.
    pub fn set_log_level(&self, level: LogLevel) {
        self.lock().log_level = level;
    }

    /// The bytes that the next guest to draw so many gets.
    #[must_use]
    pub fn next_random(&self, length: usize) -> Vec<u8> {
        split_mix(&mut { self.lock().random }, length)
    }

    /// The value and CAS number of a shared-data key.
    #[must_use]
    pub fn shared_data(&self, vm_id: &str, key: impl AsRef<[u8]>) -> Option<Entry> {
        self.lock().shared_data.get(vm_id, key.as_ref()).ok()
    }

    /// Every shared-data key of a VM id, with value and CAS number.
    #[must_use]
    pub fn all_shared_data(&self, vm_id: &str) -> BTreeMap<Vec<u8>, Entry> {
        self.lock().shared_data.entries(vm_id)
    }

    /// Writes shared data as another plugin of the process could.
    pub fn set_shared_data(&self, vm_id: &str, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        let unconditional = 0;
        let written =
            self.lock().shared_data.set(vm_id, key.as_ref(), value.as_ref(), unconditional, None);
        debug_assert_eq!(written, Ok(()));
    }

    /// Makes a foreign function known by name. `clear_route_cache` is known
    /// already; a call to any other name is `NotFound`.
    pub fn set_foreign_function(
        &self,
        name: &str,
        function: impl Fn(&[u8]) -> Result<Vec<u8>, Status> + Send + Sync + 'static,
    ) {
        self.lock().foreign.insert(name.as_bytes().to_vec(), Arc::new(function));
    }

    /// Departs from Envoy's behaviour on purpose.
    pub fn misbehave(&self, quirk: Quirk) {
        self.lock().quirk = Some(quirk);
    }
}
