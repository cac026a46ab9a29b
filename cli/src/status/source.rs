//! Where the stats of proxies are read.

use super::admin::Admin;
use super::cluster::Cluster;
use super::prometheus::Prometheus;
use super::proxy::Proxy;
use crate::failure::Failure;
use std::thread;

pub(super) enum Source {
    Admin(Admin),
    Prometheus(Prometheus),
    Cluster(Cluster),
}

impl Source {
    pub(super) fn read(&self) -> Result<Vec<Proxy>, Failure> {
        match self {
            Self::Admin(admin) => Ok(admin.read()),
            Self::Prometheus(prometheus) => prometheus.read(),
            Self::Cluster(cluster) => cluster.read(),
        }
    }
}

/// How many proxies are asked at once.
const AT_ONCE: usize = 8;

/// Does something with each, several at once, in their order.
pub(super) fn each<T: Sync, U: Send>(items: &[T], work: impl Fn(&T) -> U + Sync) -> Vec<U> {
    let work = &work;
    thread::scope(|scope| {
        let parts = items.chunks(items.len().div_ceil(AT_ONCE).max(1));
        let parts = parts.map(|part| scope.spawn(|| part.iter().map(work).collect::<Vec<_>>()));
        let parts: Vec<_> = parts.collect();
        parts.into_iter().flat_map(|part| part.join().expect("nothing panics there")).collect()
    })
}
