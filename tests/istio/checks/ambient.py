"""Ambient mode: no sidecars, and a waypoint of Istio's own. What is no real thing is said in `ztunnel.py`, and here.

Envoy's own build lacks a filter and two objects of Istio's: `peer_metadata`, `istio.hashable_string`, and the target of
the listener `inner_connect_originate`, for other networks. `_WITHOUT` takes them from what istiod gives a waypoint, and
nothing else; `mesh.py` takes workload discovery from its bootstrap.
"""

import json
import re

import outside
import weather
from checks import egress
from checks.metrics import labels
from checks.story import GATEWAY
from machine import Stopped, until
from tier import PROJECT

_EXAMPLE = PROJECT / "examples/weather/ambient"

# What the authority and the caller's identity are kept in, as istiod writes it for proxies before 1.29.2.
_CONNECT_AUTHORITY = "\n".join(
    f"""            - object_key: {key}
              factory_key: {factory or key}
              format_string: {{text_format_source: {{inline_string: "{value}"}}}}
              shared_with_upstream: ONCE"""
    for key, value, factory in (
        ("envoy.filters.listener.original_dst.local_ip", "%REQ(:AUTHORITY)%", ""),
        ("envoy.filters.listener.original_dst.remote_ip", "%DOWNSTREAM_REMOTE_ADDRESS%", ""),
        ("io.istio.connect_authority", "%REQ(:AUTHORITY)%", "envoy.string"),
        ("io.istio.peer_principal", "%DOWNSTREAM_PEER_URI_SAN%", "envoy.string"),
        ("io.istio.local_principal", "%DOWNSTREAM_LOCAL_URI_SAN%", "envoy.string"),
    )
)


def _at(filter):
    return f"""
  - applyTo: HTTP_FILTER
    match:
      context: SIDECAR_INBOUND
      listener:
        filterChain:
          filter: {{name: envoy.filters.network.http_connection_manager, subFilter: {{name: {filter}}}}}"""


_WITHOUT = f"""
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {{name: stock-envoy, namespace: istio-system}}
spec:
  targetRefs: [{{group: gateway.networking.k8s.io, kind: GatewayClass, name: istio-waypoint}}]
  configPatches:{_at("waypoint_downstream_peer_metadata")}
    patch: {{operation: REMOVE}}{_at("waypoint_upstream_peer_metadata")}
    patch: {{operation: REMOVE}}{_at("connect_authority")}
    patch:
      operation: REPLACE
      value:
        name: connect_authority
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.http.set_filter_state.v3.Config
          on_request_headers:
{_CONNECT_AUTHORITY}
  - applyTo: LISTENER
    match: {{context: SIDECAR_INBOUND, listener: {{name: inner_connect_originate}}}}
    patch: {{operation: REMOVE}}
"""

_SETTINGS = 'values: {pilot: {env: {PILOT_ENABLE_AMBIENT: "true"}}}'


def _begin(tier, installation):
    """istiod as for ambient mode, and the example in place of the story, once. Returns the gateway's address."""
    if ("weather", "waypoint") in tier.node.pods:
        return tier.entrance(GATEWAY, "weather")
    tier.install(installation)
    settings = [
        text
        for text in tier.mesh.manifests(_SETTINGS)
        if re.search("^kind: (ClusterRole|Deployment)$", text, re.M) and re.search("^  name: istiod", text, re.M)
    ]
    tier.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", input="\n---\n".join(settings))
    tier.node.restart(lambda pod: pod.workload == "istiod")
    for kind in "virtualservices", "destinationrules", "gateways.networking.istio.io":
        tier.kubectl("delete", kind, "--all", "--all-namespaces")
    tier.kubectl("apply", "-f", "-", input=_WITHOUT)
    tier.kubectl("apply", "-k", _EXAMPLE)
    tier.kubectl("delete", "-f", _EXAMPLE / "wasmplugin.yaml")
    for name in GATEWAY, "waypoint":
        until(f"Deployment {name}", lambda: tier.kubectl("get", "deployment", name, "--namespace=weather"))
    tier.node.restart(lambda pod: pod.namespace == "weather")
    gateway = tier.entrance(GATEWAY, "weather")
    weather.settle(gateway, _unfollowed)
    tier.kubectl("apply", "-f", _plugin(tier, installation))
    return gateway


def story(tier, installation):
    """Nothing happens at a waypoint without targetRefs; with them the story, through ingress gateway and waypoint"""
    gateway = _begin(tier, installation)
    weather.settle(gateway)
    sent = 0
    for what in "request-id", "baggage", "header":
        tier.forward(what)
        sent += weather.send(gateway, 400, more=weather.ids)
    tier.forward(weather.FORWARD[0])
    arrived = tier.metrics(tier.pod("waypoint"), "release_track_arrivals_total")
    if not arrived.get(labels(track="v2", outcome="match")) or arrived.get(labels(track="v2", outcome="crossed")):
        raise Stopped(f"the waypoint counts what its tracks meet: {arrived}")
    return f"{sent} requests"


def minted(tier, installation):
    """Trace ids that the gateway mints: an application forwards nothing else, and the waypoint reads them"""
    gateway = _begin(tier, installation)

    def mint(manifest):
        mint = "propagation: {mint: {traceparent: sampled, b3: deferred}}"
        return manifest.replace("    tracks:\n", f"    {mint}\n    tracks:\n")

    tier.kubectl("apply", "-k", tier.edited(installation, mint))
    tier.kubectl("apply", "-f", tier.edited(_plugin(tier, installation).parent, mint) / "wasmplugin.yaml")
    sent = 0
    for what in "trace", "b3":
        tier.forward(what)
        weather.settle(gateway)
        sent += weather.send(gateway, 200)
    tier.forward(weather.FORWARD[0])
    tier.kubectl("apply", "-k", installation)
    tier.kubectl("apply", "-f", _plugin(tier, installation))
    weather.settle(gateway)
    return f"{sent} requests"


def crossed(tier, installation):
    """A waypoint whose route for the track is missing: each crossing is counted, and none is answered 421"""
    gateway = _begin(tier, installation)
    weather.settle(gateway)
    path = "/apis/gateway.networking.k8s.io/v1/namespaces/weather/httproutes/forecast"
    route = tier.mesh.cluster.get(path)
    rules = route["spec"]["rules"]
    tier.mesh.cluster.merge(path, {"spec": {"rules": rules[1:]}})

    def wrong(user):
        calls = ("advertisement", "v1", "v2", ()), ("forecast", "v1", "v2", ())
        return (("frontend", "v2", "v2", calls),) if user.tester else (weather.BASELINE,)

    weather.settle(gateway, wrong)
    name = labels(track="v2", outcome="crossed")
    before = tier.metrics(tier.pod("waypoint"), "release_track_arrivals_total")[name]
    client, rounds = weather.Client(gateway), 10
    for user in weather.USERS * rounds:
        if fault := client.fault(user, wrong):
            raise Stopped(fault)
    more = tier.metrics(tier.pod("waypoint"), "release_track_arrivals_total")[name] - before
    if more != rounds * sum(user.tester for user in weather.USERS):
        raise Stopped(f"{rounds} rounds, and {more} crossed")
    tier.mesh.cluster.merge(path, {"spec": {"rules": rules}})
    weather.settle(gateway)
    return f"{more} crossed"


def one_gateway(tier, installation):
    """The plugin in the application's namespace, for one Gateway: the story; without it nothing"""
    gateway = _begin(tier, installation)
    plugin = _plugin(tier, installation)
    tier.kubectl("delete", "-f", plugin)
    weather.settle(gateway, _unfollowed)
    own = plugin.read_text().replace("namespace: istio-system", "namespace: weather")
    own = own.replace("kind: GatewayClass, name: istio-waypoint", "kind: Gateway, name: waypoint")
    tier.kubectl("apply", "-f", "-", input=own)
    weather.settle(gateway)
    tier.kubectl("delete", "-f", "-", input=own)
    weather.settle(gateway, _unfollowed)
    tier.kubectl("apply", "-f", plugin)
    weather.settle(gateway)


def ingress(tier, installation):
    """istio.io/ingress-use-waypoint: the gateway's requests pass the waypoint too, and follow their track"""
    gateway = _begin(tier, installation)
    through = [f"inbound-vip|3000|http|frontend-{version}.weather.svc.cluster.local" for version in ("v1", "v2")]

    def passed():
        return [egress.requests(tier.pod("waypoint"), cluster) for cluster in through]

    weather.send(gateway, 50)
    if any(passed()):
        raise Stopped("without the label a gateway goes to the pods")
    label = "istio.io/ingress-use-waypoint"
    tier.kubectl("label", "namespace", "weather", f"{label}=true")

    def is_through():
        before = passed()
        weather.send(gateway, 50)
        return all(after > was for was, after in zip(before, passed(), strict=True))

    until("requests of the gateway at the waypoint", is_through)
    sent = weather.send(gateway, 200)
    tier.kubectl("label", "namespace", "weather", f"{label}-")
    weather.settle(gateway)
    return f"{sent} requests"


def leaves(tier, installation):
    """A ServiceEntry with a waypoint: without header and member"""
    _begin(tier, installation)
    egress.start_outside(tier)
    address = "240.240.1.1"
    entry = f"""
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: api, namespace: weather, labels: {{istio.io/use-waypoint: waypoint}}}}
spec:
  hosts: [api.example.com]
  addresses: [{address}]
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  location: MESH_EXTERNAL
  resolution: STATIC
  endpoints: [{{address: {egress.ADDRESS}}}]
"""
    tier.kubectl("apply", "-f", "-", input=entry)
    tier.node.sync()

    def call():
        headers = json.dumps((("host", "api.example.com"), *egress.CARRIERS))
        return dict(json.loads(tier.pod("frontend-v2").python(outside.CALL, address, 80, headers)))

    until("an answer from outside", lambda: call().get("host") == "api.example.com")
    seen = call()
    if egress.leaks(seen) or any(seen.get(name) != value for name, value in egress.KEPT.items()):
        raise Stopped(f"a server outside saw {seen}")
    tier.kubectl("delete", "-f", "-", input=entry)
    tier.node.sync()


_CALLER = """
apiVersion: v1
kind: Namespace
metadata: {name: harbour, labels: {istio-injection: enabled}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: caller, namespace: harbour}
spec:
  selector: {matchLabels: {app: caller}}
  template:
    metadata: {labels: {app: caller, version: v1}}
    spec:
      containers:
      - name: weather
        image: registry.example.com/weather:0.1.0
        args: [weather, --service, advertisement, --version, v1]
        env: [{name: LISTEN, value: "0.0.0.0:3003"}]
"""


def mixed(tier, installation):
    """A pod with a sidecar calls a service that has a waypoint: its own sidecar chooses the route, past the waypoint"""
    _begin(tier, installation)
    tier.kubectl("apply", "-f", "-", input=_CALLER)
    tier.node.sync()
    service = tier.mesh.cluster.get("/api/v1/namespaces/weather/services/forecast")
    cluster = "inbound-vip|3002|http|forecast-v2.weather.svc.cluster.local"

    def served():
        headers = ("host", "forecast.weather:3002"), ("accept", "application/json"), egress.CARRIERS[2]
        caller = tier.pod("caller", "harbour")
        answer = caller.python(outside.CALL, service["spec"]["clusterIP"], 3002, json.dumps(headers))
        return json.loads(answer)

    def follows():
        answer = served()
        return isinstance(answer, dict) and (answer["version"], answer["track"]) == ("v2", "v2")

    until("forecast v2 for a tagged id", follows)
    before = egress.requests(tier.pod("waypoint"), cluster)
    served()
    if egress.requests(tier.pod("waypoint"), cluster) != before:
        raise Stopped("a sidecar's call passes the waypoint")
    tier.kubectl("delete", "deployment", "caller", "--namespace=harbour")
    tier.node.sync()


def _plugin(tier, installation):
    """The waypoints' plugin, with the image of an installation."""
    return tier.with_image(_EXAMPLE, installation) / "wasmplugin.yaml"


def _unfollowed(user):
    """The gateway decides, and nobody reads what the calls of the applications carry."""
    calls = ("advertisement", "v1", None, ()), ("forecast", "v1", None, ())
    return (("frontend", "v2", "v2", calls),) if user.tester else (weather.BASELINE,)
