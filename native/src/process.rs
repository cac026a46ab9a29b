//! What the process knows, whatever request is at hand: the time, chance, its environment, its node,
//! and its shared data.

#[cfg(not(test))]
pub(crate) use real::*;

/// Tests have one for each thread.
#[cfg(test)]
pub(crate) use crate::abi::fake::process::*;

#[cfg(not(test))]
mod real {
    use crate::node::Node;
    use crate::shared::SharedData;
    use std::sync::LazyLock;
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
    pub(crate) fn node() -> &'static Node {
        static NODE: LazyLock<Node> = LazyLock::new(|| {
            let arguments = std::fs::read("/proc/self/cmdline").unwrap_or_default();
            Node::read(&arguments).unwrap_or_else(|why| {
                log::error!("release-track: does not know which proxy this is: {why}");
                Node::default()
            })
        });
        &NODE
    }

    pub(crate) fn shared() -> &'static SharedData {
        static SHARED: LazyLock<SharedData> = LazyLock::new(SharedData::default);
        &SHARED
    }
}
