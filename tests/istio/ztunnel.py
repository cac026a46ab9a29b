"""A stand-in for ztunnel, and for the agent that puts pods into an ambient mesh: neither can be had here.

Istio's ztunnel is a program of its own, which serves a whole node. Here each pod of a namespace with the label
`istio.io/dataplane-mode: ambient` gets a container: pilot-agent, which fetches the pod's certificate from istiod, and
Envoy as both ends of HBONE (CONNECT over mutual TLS, port 15008). A call of a Service that has a waypoint goes to the
waypoint, any other as it is. What a real ztunnel does beyond that - policies, and balancing for Services without a
waypoint - is left out.
"""

import copy
import json
import os

_PORT = 15008
_OUTBOUND = 15001
_USER = 1337
_FOLDER = "/etc/istio/ztunnel"
_CONTAINER = "ztunnel"


def enrolled(deployment, namespace):
    """The Deployment as pods are made of it: with the stand-in, if its namespace (object) is ambient."""
    labels = deployment["spec"]["template"]["metadata"].get("labels", {})
    if namespace["metadata"].get("labels", {}).get("istio.io/dataplane-mode") != "ambient":
        return deployment
    if labels.get("istio.io/dataplane-mode") == "none" or "sidecar.istio.io/inject" in labels:
        return deployment
    deployment = copy.deepcopy(deployment)
    template = deployment["spec"]["template"]
    # What Istio's agent on the node says of a pod that it has redirected: istiod then sends HBONE there.
    template["metadata"].setdefault("annotations", {})["ambient.istio.io/redirection"] = "enabled"
    spec = template["spec"]
    redirect = f"-t nat -A OUTPUT -p tcp -m owner ! --uid-owner {_USER} ! -d 127.0.0.0/8 -j REDIRECT --to-ports"
    spec["initContainers"] = [
        {
            "name": "redirect",
            "image": "proxyv2",
            "command": ["iptables-nft", *redirect.split(), str(_OUTBOUND)],
            "securityContext": {"runAsUser": 0},
        }
    ]
    fields = {"POD_NAME": "metadata.name", "POD_NAMESPACE": "metadata.namespace", "INSTANCE_IP": "status.podIP"}
    fields["SERVICE_ACCOUNT"] = "spec.serviceAccountName"
    config = {"discoveryAddress": "istiod.istio-system.svc:15012", "concurrency": 1}
    env = [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in fields.items()]
    env += [
        {"name": "CA_ADDR", "value": "istiod.istio-system.svc:15012"},
        {"name": "ISTIO_META_CLUSTER_ID", "value": "Kubernetes"},
        {"name": "PROXY_CONFIG", "value": json.dumps(config)},
        {"name": "ISTIO_BOOTSTRAP", "value": f"{_FOLDER}/bootstrap.json"},
    ]
    mounts = {
        "workload-socket": "/var/run/secrets/workload-spiffe-uds",
        "istiod-ca-cert": "/var/run/secrets/istio",
        "istio-data": "/var/lib/istio/data",
        "istio-envoy": "/etc/istio/proxy",
        "istio-token": "/var/run/secrets/tokens",
    }
    sources = {name: {"emptyDir": {}} for name in mounts}
    sources["istiod-ca-cert"] = {"configMap": {"name": "istio-ca-root-cert"}}
    token = {"audience": "istio-ca", "expirationSeconds": 43200, "path": "istio-token"}
    sources["istio-token"] = {"projected": {"sources": [{"serviceAccountToken": token}]}}
    spec["volumes"] = [*spec.get("volumes", []), *({"name": name, **source} for name, source in sources.items())]
    spec["serviceAccountName"] = spec.get("serviceAccountName", "default")
    spec["containers"] = [
        *spec["containers"],
        {
            "name": _CONTAINER,
            "image": "proxyv2",
            "args": ["proxy", "sidecar", "--domain", "$(POD_NAMESPACE).svc.cluster.local"],
            "env": env,
            "volumeMounts": [{"name": name, "mountPath": path} for name, path in mounts.items()],
            "securityContext": {"runAsUser": _USER, "runAsGroup": _USER},
        },
    ]
    return deployment


def tell(pod, waypoints):
    """What a real one learns from istiod: `waypoints`, {(address, port) of a Service: address of its waypoint}."""
    if not pod.runs(_CONTAINER):
        return
    folder = pod.inside(_FOLDER)
    folder.mkdir(parents=True, exist_ok=True)
    clusters = [_to(waypoint) for waypoint in sorted(set(waypoints.values()))]
    for name, content in (
        ("clusters.json", {"resources": clusters}),
        ("listeners.json", {"resources": [_outbound(waypoints), _INBOUND]}),
        ("bootstrap.json", _BOOTSTRAP),
    ):
        # Envoy looks again when a file is moved to this place.
        new = folder / f"{name}.new"
        new.write_text(json.dumps(content))
        os.rename(new, folder / name)


def _typed(kind, **fields):
    return {"@type": f"type.googleapis.com/envoy.{kind}", **fields}


def _address(address, port):
    return {"socket_address": {"address": address, "port_value": port}}


def _secret(name):
    service = {"envoy_grpc": {"cluster_name": "sds-grpc"}}
    api = {"api_type": "GRPC", "transport_api_version": "V3", "grpc_services": [service]}
    return {"name": name, "sds_config": {"resource_api_version": "V3", "api_config_source": api}}


_HTTP2 = {
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": _typed(
        "extensions.upstreams.http.v3.HttpProtocolOptions", explicit_http_config={"http2_protocol_options": {}}
    )
}
# The pod's own certificate, and whoever has one from the same authority.
_TLS = {
    "alpn_protocols": ["h2"],
    "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"},
    "tls_certificate_sds_secret_configs": [_secret("default")],
    "validation_context_sds_secret_config": _secret("ROOTCA"),
}


def _to(waypoint):
    """The cluster of a waypoint."""
    endpoint = {"endpoint": {"address": _address(waypoint, _PORT)}}
    tls = _typed("extensions.transport_sockets.tls.v3.UpstreamTlsContext", common_tls_context=_TLS)
    return _typed(
        "config.cluster.v3.Cluster",
        name=waypoint,
        type="STATIC",
        load_assignment={"cluster_name": waypoint, "endpoints": [{"lb_endpoints": [endpoint]}]},
        typed_extension_protocol_options=_HTTP2,
        transport_socket={"name": "tls", "typed_config": tls},
    )


def _tcp(cluster, **more):
    proxy = _typed("extensions.filters.network.tcp_proxy.v3.TcpProxy", stat_prefix="outbound", cluster=cluster, **more)
    return [{"name": "tcp", "typed_config": proxy}]


def _outbound(waypoints):
    chains = [
        {
            "filter_chain_match": {
                "destination_port": port,
                "prefix_ranges": [{"address_prefix": address, "prefix_len": 32}],
            },
            "filters": _tcp(waypoint, tunneling_config={"hostname": "%DOWNSTREAM_LOCAL_ADDRESS%"}),
        }
        for (address, port), waypoint in waypoints.items()
    ]
    restored = _typed("extensions.filters.listener.original_dst.v3.OriginalDst")
    return _typed(
        "config.listener.v3.Listener",
        name="outbound",
        address=_address("0.0.0.0", _OUTBOUND),
        listener_filters=[{"name": "original_dst", "typed_config": restored}],
        filter_chains=chains,
        default_filter_chain={"filters": _tcp("original")},
    )


def _inbound():
    connect = {
        "match": {"connect_matcher": {}},
        "route": {"cluster": "inner", "upgrade_configs": [{"upgrade_type": "CONNECT", "connect_config": {}}]},
    }
    router = _typed("extensions.filters.http.router.v3.Router")
    manager = _typed(
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="inbound",
        codec_type="HTTP2",
        http2_protocol_options={"allow_connect": True},
        upgrade_configs=[{"upgrade_type": "CONNECT"}],
        route_config={"virtual_hosts": [{"name": "pod", "domains": ["*"], "routes": [connect]}]},
        http_filters=[{"name": "router", "typed_config": router}],
    )
    tls = _typed(
        "extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        common_tls_context=_TLS,
        require_client_certificate=True,
    )
    chain = {
        "transport_socket": {"name": "tls", "typed_config": tls},
        "filters": [{"name": "http", "typed_config": manager}],
    }
    return _typed(
        "config.listener.v3.Listener",
        name="inbound",
        address=_address("0.0.0.0", _PORT),
        filter_chains=[chain],
    )


_INBOUND = _inbound()


def _original(name, **more):
    return {"name": name, "type": "ORIGINAL_DST", "lb_policy": "CLUSTER_PROVIDED", **more}


def _files(name):
    return {"resource_api_version": "V3", "path_config_source": {"path": f"{_FOLDER}/{name}.json"}}


_SOCKET = {"pipe": {"path": "./var/run/secrets/workload-spiffe-uds/socket"}}
_BOOTSTRAP = {
    "node": {"id": "ztunnel", "cluster": "ztunnel"},
    "admin": {"address": _address("127.0.0.1", 15000)},
    "dynamic_resources": {"cds_config": _files("clusters"), "lds_config": _files("listeners")},
    "static_resources": {
        "clusters": [
            _original("original"),
            _original("inner", original_dst_lb_config={"use_http_header": True, "http_header_name": ":authority"}),
            {
                "name": "sds-grpc",
                "type": "STATIC",
                "typed_extension_protocol_options": _HTTP2,
                "load_assignment": {
                    "cluster_name": "sds-grpc",
                    "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _SOCKET}}]}],
                },
            },
        ]
    },
}
