//! The pod that calls a waypoint. Of an object in the filter state, Envoy hands a dynamic module the
//! text that the object makes of itself, and no field alone.
//!
//! Istio's proxies keep their caller twice: for the expressions that modules in WebAssembly read,
//! and, since 1.29, as a `WorkloadMetadataObject`. That one writes pairs, those that it has: type,
//! workload, name, cluster, namespace, service, revision and others (Envoy:
//! `contrib/istio/filters/common/source/metadata_object.cc`, `serializeAsPairs`;
//! `contrib/istio/filters/http/peer_metadata/source/peer_metadata.cc`, `setFilterState`).

/// The object's key in the filter state.
pub(crate) const KEY: &str = "downstream_peer_obj";

/// A field of it. What Kubernetes lets stand there has neither commas nor equals signs.
pub(crate) fn field<'a>(caller: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut pairs = caller.split(|b| *b == b',');
    pairs.find_map(|pair| pair.strip_prefix(name)?.strip_prefix(b"="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_a_caller() {
        let text =
            b"type=deployment,workload=frontend-v2,name=frontend-v2-7c4-x,cluster=Kubernetes,\
            namespace=weather,service=frontend,revision=v2,app=other,labels[]service=no,x";
        let of =
            |name: &str| field(text, name.as_bytes()).map(|value| value.escape_ascii().to_string());
        assert_eq!(of("namespace").as_deref(), Some("weather"));
        assert_eq!(of("service").as_deref(), Some("frontend"));
        assert_eq!(of("revision").as_deref(), Some("v2"));
        assert_eq!((of("version"), of("x"), of("serv")), (None, None, None));
        assert_eq!(field(b"service=a", b"service"), Some(&b"a"[..]));
        assert_eq!(field(b"", b"service"), None);
    }
}
