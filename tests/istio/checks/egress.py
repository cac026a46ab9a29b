"""What leaves the mesh: a server outside sees neither the header nor our baggage member."""

import json
import re

import outside
import weather
from machine import Stopped, until

ADDRESS = "10.200.200.1"
_PORT = 80  # the mesh has Services there: plain HTTP is known to be HTTP
_UNKNOWN_PORT = 8099  # and none there
_OWN_PORT = 8098  # a ServiceEntry's own
_TAGGED = "73cf9109-747e-4c23-92e0-4494afc95180"  # v2, by the default key
# What a tested application forwards: all that the filter gave it, and members of others.
CARRIERS = (
    ("x-release-track", "v2"),
    ("baggage", "a=1,release-track=v2,b=2"),
    ("x-request-id", _TAGGED),
)
KEPT = {"baggage": "a=1,b=2", "x-request-id": _TAGGED}


def undeclared(tier, installation):
    """A host that nobody declared, ALLOW_ANY: by PassthroughCluster, without header and member"""
    _prepare(tier, installation)
    return _require_stripped(tier, "api.example.com", "PassthroughCluster")


def undeclared_port(tier, installation):
    """A port that no Service has: TCP for ALLOW_ANY, so that what the application sends passes as it is"""
    _prepare(tier, installation)
    seen = _call(tier, "api.example.com", _UNKNOWN_PORT)
    if any(seen.get(name) != value for name, value in CARRIERS):
        raise Stopped(f"an application's own header is passed on as it is, but {seen} arrived")


def undeclared_by_name(tier, installation):
    """A host that nobody declared, ALLOW_ANY_DYNAMIC_DNS: by its own cluster, without header and member, on any port"""
    _prepare(tier, installation)
    mode = "meshConfig: {outboundTrafficPolicy: {mode: %s}}"
    tier.mesh.configure(mode % "ALLOW_ANY_DYNAMIC_DNS")
    told = _require_stripped(tier, "api.example.com", "AllowAnyDynamicDNSCluster", 90)
    _require_stripped(tier, "api.example.com", "AllowAnyDynamicDNSCluster", port=_UNKNOWN_PORT)
    tier.mesh.configure(mode % "ALLOW_ANY")
    _until_through(tier, "api.example.com", "PassthroughCluster", 90)
    weather.settle(tier.gateway)
    return told


def declared(tier, installation):
    """A ServiceEntry by DNS: by its own cluster, without header and member"""
    _prepare(tier, installation)
    entry = _entry("api", "api.example.com", "resolution: DNS")
    tier.kubectl("apply", "-f", "-", input=entry)
    told = _require_stripped(tier, "api.example.com", "outbound|80||api.example.com", 60)
    tier.kubectl("delete", "-f", "-", input=entry)
    return told


def declared_wildcard(tier, installation):
    """A wildcard ServiceEntry with DYNAMIC_DNS: by its own cluster, without header and member"""
    _prepare(tier, installation)
    entry = _entry("partners", "*.partner.example", "resolution: DYNAMIC_DNS", _OWN_PORT)
    tier.kubectl("apply", "-f", "-", input=entry)
    told = _require_stripped(tier, "one.partner.example", f"outbound|{_OWN_PORT}||*.partner.example", 60, _OWN_PORT)
    tier.kubectl("delete", "-f", "-", input=entry)
    return told


def mesh_name(tier, installation):
    """A ServiceEntry by a name of the mesh's own domain: taken for a service of the mesh, till a route removes both"""
    _prepare(tier, installation)
    host = "payments.weather.svc.cluster.local"
    entry = _entry("payments", host, f"resolution: STATIC\n  endpoints: [{{address: {ADDRESS}}}]")
    tier.kubectl("apply", "-f", "-", input=entry)
    _until_through(tier, host, f"outbound|80||{host}", 60)
    seen = _call(tier, host)
    if any(seen.get(name) != value for name, value in CARRIERS):
        raise Stopped(f"the docs say that all of it arrives, but {seen} did")
    route = f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: payments, namespace: weather}}
spec:
  hosts: [{host}]
  http:
  - headers: {{request: {{remove: [x-release-track, baggage]}}}}
    route:
    - destination: {{host: {host}}}
"""
    tier.kubectl("apply", "-f", "-", input=route)
    until("a call without header and baggage", lambda: not {"x-release-track", "baggage"} & _call(tier, host).keys())
    tier.kubectl("delete", "-f", "-", input=route)
    tier.kubectl("delete", "-f", "-", input=entry)


_EGRESS_GATEWAY = "istio-egressgateway"


def wildcard_through_gateway(tier, installation):
    """A wildcard ServiceEntry through the egress gateway: the sidecar leaves everything, the gateway strips it"""
    _prepare(tier, installation)
    settings = f"components: {{egressGateways: [{{name: {_EGRESS_GATEWAY}, enabled: true}}]}}"
    gateway = [text for text in tier.mesh.manifests(settings) if re.search(f"^  name: {_EGRESS_GATEWAY}", text, re.M)]
    tier.kubectl("apply", "--server-side", "-f", "-", input="\n---\n".join(gateway))
    tier.node.sync()
    host = "*.partner.example"
    routes = f"""
{_entry("partners", host, f"resolution: STATIC{chr(10)}  endpoints: [{{address: {ADDRESS}}}]")}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: egress, namespace: weather}}
spec:
  selector: {{istio: egressgateway}}
  servers:
  - port: {{number: 80, name: http, protocol: HTTP}}
    hosts: ["{host}"]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: partners, namespace: weather}}
spec:
  hosts: ["{host}"]
  gateways: [mesh, egress]
  http:
  - match: [{{gateways: [egress]}}]
    route: [{{destination: {{host: "{host}", port: {{number: 80}}}}}}]
  - match: [{{gateways: [mesh]}}]
    route: [{{destination: {{host: {_EGRESS_GATEWAY}.istio-system.svc.cluster.local, port: {{number: 80}}}}}}]
"""
    tier.kubectl("apply", "-f", "-", input=routes)
    through = f"outbound|80||{_EGRESS_GATEWAY}.istio-system.svc.cluster.local"
    pod = tier.pod(_EGRESS_GATEWAY, "istio-system")
    until(
        "an answer through the egress gateway",
        lambda: _through(tier, "one.partner.example", through) and "failed" not in _call(tier, "one.partner.example"),
        90,
    )
    before = requests(pod, f"outbound|80||{host}")
    # The gateway gives the request an id of its own, as any gateway does.
    seen = _call(tier, "one.partner.example")
    if requests(pod, f"outbound|80||{host}") == before:
        raise Stopped(f"not through the cluster of {host} at the egress gateway")
    if (wrong := leaks(seen)) or seen.get("x-request-id") == _TAGGED:
        raise Stopped(f"through the egress gateway {wrong or 'the tagged id'} arrived outside: {seen}")
    tier.kubectl("delete", "-f", "-", input=routes)
    tier.kubectl("delete", "-f", "-", input="\n---\n".join(gateway))
    tier.node.sync()


def _entry(name, host, more, port=_PORT):
    return f"""
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}, namespace: weather}}
spec:
  hosts: ["{host}"]
  ports: [{{number: {port}, name: http, protocol: HTTP}}]
  location: MESH_EXTERNAL
  {more}
"""


_started = []


def start_outside(tier):
    """A server at `ADDRESS` that says what it saw, once."""
    if not _started:
        outside.start(ADDRESS, [_PORT, _OWN_PORT, _UNKNOWN_PORT])
        for host in ("api.example.com", "one.partner.example"):
            tier.node.know(host, ADDRESS)
        _started.append(True)


def _prepare(tier, installation):
    tier.install(installation)
    start_outside(tier)
    until("an answer from outside", lambda: _call(tier, "api.example.com").get("host") == "api.example.com")


def _caller(tier):
    return tier.pod("frontend-v2")


def _call(tier, host, port=_PORT):
    """{name: value} of what a server outside sees of a tested application's call; or why there is nothing."""
    headers = (("host", host), *CARRIERS)
    said = _caller(tier).python(outside.CALL, ADDRESS, port, json.dumps(headers))
    return dict(json.loads(said))


def requests(pod, cluster):
    """How many requests a proxy has sent by a cluster."""
    for status in pod.envoy("/clusters?format=json")["cluster_statuses"]:
        if status["name"] == cluster:
            stats = [stat for host in status.get("host_statuses", []) for stat in host["stats"]]
            return sum(int(stat.get("value", 0)) for stat in stats if stat["name"] == "rq_total")
    return 0


def _through(tier, host, cluster, port=_PORT):
    before = requests(_caller(tier), cluster)
    _call(tier, host, port)
    return requests(_caller(tier), cluster) > before


def _until_through(tier, host, cluster, seconds, port=_PORT):
    until(f"a call of {host} through {cluster}", lambda: _through(tier, host, cluster, port), seconds)


def leaks(seen):
    """What says the track, if anything does."""
    return [
        name
        for name, value in seen.items()
        if name == "x-release-track" or "release-track" in value or "v2" in re.split(r"[\W_]", value)
    ]


def _require_stripped(tier, host, cluster, seconds=30, port=_PORT):
    _until_through(tier, host, cluster, seconds, port)
    for _ in range(20):
        seen = _call(tier, host, port)
        if leaks(seen) or any(seen.get(name) != value for name, value in KEPT.items()):
            raise Stopped(f"{host} through {cluster} saw {seen}")
    return cluster
