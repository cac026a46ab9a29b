//! What a guest was asked and what it asked for: callbacks, hostcalls, fuel.

use crate::Status;
use std::collections::BTreeMap;

/// A call from the host into the guest.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Callback {
    /// `_initialize`, then `main`; or `_start`.
    Initialize,
    ContextCreate,
    VmStart,
    Configure,
    Tick,
    RequestHeaders,
    RequestBody,
    RequestTrailers,
    ResponseHeaders,
    ResponseBody,
    ResponseTrailers,
    Log,
    Done,
    Delete,
}

impl Callback {
    pub(crate) const ALL: [Self; 14] = [
        Self::Initialize,
        Self::ContextCreate,
        Self::VmStart,
        Self::Configure,
        Self::Tick,
        Self::RequestHeaders,
        Self::RequestBody,
        Self::RequestTrailers,
        Self::ResponseHeaders,
        Self::ResponseBody,
        Self::ResponseTrailers,
        Self::Log,
        Self::Done,
        Self::Delete,
    ];

    /// The guest's export that is called.
    #[must_use]
    pub fn export(self) -> &'static str {
        match self {
            Self::Initialize => "_initialize",
            Self::ContextCreate => "proxy_on_context_create",
            Self::VmStart => "proxy_on_vm_start",
            Self::Configure => "proxy_on_configure",
            Self::Tick => "proxy_on_tick",
            Self::RequestHeaders => "proxy_on_request_headers",
            Self::RequestBody => "proxy_on_request_body",
            Self::RequestTrailers => "proxy_on_request_trailers",
            Self::ResponseHeaders => "proxy_on_response_headers",
            Self::ResponseBody => "proxy_on_response_body",
            Self::ResponseTrailers => "proxy_on_response_trailers",
            Self::Log => "proxy_on_log",
            Self::Done => "proxy_on_done",
            Self::Delete => "proxy_on_delete",
        }
    }
}

/// One callback that ran.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    pub callback: Callback,
    /// The context that it ran on: a root context or a stream's.
    pub context: u32,
    /// What the guest itself executed, in the interpreter's units (about one
    /// for each instruction). Hostcalls cost nothing here.
    pub fuel: u64,
    pub calls: Vec<Call>,
}

/// One hostcall and its answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Call {
    /// As imported, such as `proxy_get_property`.
    pub name: &'static str,
    /// For a WASI function, `Ok` or `InternalFailure`.
    pub status: Status,
}

/// The callbacks that ran while the journal was open, in order.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Journal {
    pub records: Vec<Record>,
}

impl Journal {
    /// Only the records of one callback.
    #[must_use]
    pub fn of(&self, callback: Callback) -> Self {
        Self {
            records: self
                .records
                .iter()
                .filter(|record| record.callback == callback)
                .cloned()
                .collect(),
        }
    }

    /// All hostcalls, in order.
    pub fn calls(&self) -> impl Iterator<Item = Call> {
        self.records.iter().flat_map(|record| record.calls.iter().copied())
    }

    /// How often each hostcall was made.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for call in self.calls() {
            *counts.entry(call.name).or_default() += 1;
        }
        counts
    }

    /// The fuel of all callbacks together.
    #[must_use]
    pub fn fuel(&self) -> u64 {
        self.records.iter().map(|record| record.fuel).sum()
    }
}
