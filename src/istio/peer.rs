//! The workloads at both ends of a request, as a waypoint knows them.

use super::node::Pod;
use crate::host::Facts;

/// A field of the caller, as Istio's proxies find it out (istio/proxy: `peer_metadata`, which keeps
/// a `WorkloadMetadataObject` in the filter state). Only Istio's build of Envoy has it.
#[derive(Clone, Copy, Debug)]
pub enum CallerField {
    /// The canonical name: a label of Istio's own, else `app.kubernetes.io/name`, else `app`.
    App,
    /// The canonical revision: likewise, `version` in the end.
    Version,
    Namespace,
}

impl CallerField {
    pub const fn property(self) -> &'static [u8] {
        match self {
            Self::App => b"filter_state\0downstream_peer\0service",
            Self::Version => b"filter_state\0downstream_peer\0revision",
            Self::Namespace => b"filter_state\0downstream_peer\0namespace",
        }
    }

    pub(crate) fn read(self, facts: &mut impl Facts) -> Option<Vec<u8>> {
        facts.property(self.property()).ok().flatten()
    }
}

/// `WORKLOAD;NAMESPACE;APP;VERSION;CLUSTER` of the endpoint that was chosen, app and version being
/// the canonical ones: istiod writes it into the endpoint's metadata
/// (`AppendLbEndpointMetadata`). It is known once the response comes.
pub const ENDPOINT: &[u8] = b"xds\0upstream_host_metadata\0filter_metadata\0istio\0workload";

/// The pod that has answered the request at hand.
pub(crate) fn endpoint(facts: &mut impl Facts) -> Option<Pod> {
    let text = String::from_utf8(facts.property(ENDPOINT).ok().flatten()?).ok()?;
    let mut fields = text.split(';').skip(1).map(str::to_owned);
    let (namespace, app) = (fields.next()?, fields.next()?);
    Some(Pod { namespace, app, version: fields.next()? })
}
