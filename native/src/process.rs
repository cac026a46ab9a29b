//! What the process knows, whatever request is at hand: the time, chance, its environment, its node,
//! its shared data, and how often it panicked.

#[cfg(not(any(test, feature = "stand-in")))]
pub(crate) use real::*;

/// Where Envoy is not there, each thread has one.
#[cfg(any(test, feature = "stand-in"))]
pub(crate) use crate::abi::fake::process::*;

#[cfg(not(any(test, feature = "stand-in")))]
mod real {
    use crate::node::Node;
    use crate::shared::SharedData;
    use std::ops::Deref;
    use std::sync::LazyLock;
    use std::sync::atomic::AtomicU64;
    use std::time::{SystemTime, UNIX_EPOCH};

    pub(crate) use crate::abi::random;

    /// Milliseconds of the Unix epoch.
    pub(crate) fn now_ms() -> Option<u64> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
        u64::try_from(since.as_millis()).ok()
    }

    pub(crate) fn environment(name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    /// Read once, when the first configuration arrives.
    pub(crate) fn node() -> impl Deref<Target = Node> {
        static NODE: LazyLock<Node> = LazyLock::new(|| {
            let arguments = std::fs::read("/proc/self/cmdline").unwrap_or_default();
            Node::read(&arguments).unwrap_or_else(|why| {
                log::error!("release-track: does not know which proxy this is: {why}");
                Node::default()
            })
        });
        &*NODE
    }

    pub(crate) fn shared() -> impl Deref<Target = SharedData> {
        static SHARED: LazyLock<SharedData> = LazyLock::new(SharedData::default);
        &*SHARED
    }

    /// Panics of hooks that no counter has been told yet.
    pub(crate) fn panics() -> impl Deref<Target = AtomicU64> {
        static PANICS: AtomicU64 = AtomicU64::new(0);
        &PANICS
    }
}
