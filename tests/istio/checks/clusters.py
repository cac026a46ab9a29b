"""Two networks, whose pods reach each other through east-west gateways only.

Both have the one API server and the one istiod of this machine, which each pod reaches directly. No load balancer is
here: a gateway's Service is told the gateway's own address as its external one.
"""

import json
import re

import weather
from checks.metrics import labels
from checks.story import told
from machine import Stopped, until
from tier import PROJECT

_EXAMPLE = PROJECT / "examples/weather/multi-network"
_NETWORK = "topology.istio.io/network"
_FIRST, _SECOND = "network1", "network2"
_FORECAST = "outbound|3002|{}|forecast.weather.svc.cluster.local"
_ARRIVALS = "release_track_arrivals_total"


def _begin(tier, installation):
    """The example on top of the story, once."""
    if ("istio-system", _name(_FIRST)) in tier.node.pods:
        return
    tier.install(installation)
    tier.kubectl("label", "namespace", "istio-system", f"{_NETWORK}={_FIRST}")
    _install(tier, f"values: {{global: {{network: {_FIRST}}}}}")
    tier.kubectl("apply", "-k", _EXAMPLE)
    for network in _FIRST, _SECOND:
        until(f"gateway of {network}", lambda: tier.kubectl("get", "deployment", _name(network), "-n=istio-system"))
    tier.node.restart(lambda pod: pod.namespace == "weather" or pod.workload == "istio-ingressgateway")
    for network in _FIRST, _SECOND:
        balancer = {"ingress": [{"ip": _gateway(tier, network).address}]}
        path = f"/api/v1/namespaces/istio-system/services/{_name(network)}/status"
        tier.mesh.cluster.merge(path, {"status": {"loadBalancer": balancer}})
    _part(tier)
    weather.settle(tier.gateway)


def _end(tier, installation):
    """The story again, on one network."""
    tier.kubectl("delete", "-f", _EXAMPLE / "gateways.yaml")
    # This cluster has no garbage collector.
    for network in _FIRST, _SECOND:
        tier.kubectl("delete", "deployment,service,serviceaccount", _name(network), "--namespace=istio-system")
    tier.kubectl("label", "namespace", "istio-system", f"{_NETWORK}-")
    _install(tier, "values: {}")
    tier.kubectl("apply", "-k", PROJECT / "examples/weather")
    tier.node.restart(lambda pod: pod.namespace == "weather" or pod.workload == "istio-ingressgateway")
    weather.settle(tier.gateway)


def _install(tier, settings):
    """What depends on the network in an installation with these settings: injector and ingress gateway."""
    kinds = "^kind: (ConfigMap|Deployment)$", "^  name: (istio-sidecar-injector|istio-ingressgateway)$"
    texts = [text for text in tier.mesh.manifests(settings) if all(re.search(kind, text, re.M) for kind in kinds)]
    tier.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", input="\n---\n".join(texts))
    tier.node.restart(lambda pod: pod.workload == "istiod")


def _name(network):
    return f"east-west-{network}-istio"


def _gateway(tier, network):
    return tier.pod(_name(network), "istio-system")


def _network(pod):
    return pod.labels.get(_NETWORK, _FIRST)


def _part(tier):
    """No pod but the gateways takes a connection from the other network."""
    pods = [pod for pod in tier.node.pods.values() if pod.workload != "istiod"]
    for pod in pods:
        if pod.workload not in (_name(_FIRST), _name(_SECOND)):
            pod.refuse([other.address for other in pods if _network(other) != _network(pod)])


def story(tier, installation):
    """The story over two networks: whatever is forwarded, a tracked request crosses and arrives tracked, and back"""
    _begin(tier, installation)
    answered = told(tier, tier.gateway)
    forecast, recommendation = tier.pod("forecast-v2"), "outbound|3005||recommendation.weather.svc.cluster.local"
    if _connects(tier, forecast, 15006) or not _connects(tier, _gateway(tier, _SECOND), 15443):
        raise Stopped("the networks are not apart: the gateway alone is to be reached from the other one")
    for caller, cluster, network in (
        ("frontend-v1", _FORECAST.format("v1"), _SECOND),
        ("frontend-v2", _FORECAST.format("v2"), _SECOND),
        ("forecast-v2", recommendation, _FIRST),
    ):
        known, through = tier.pod(caller).endpoints(cluster), _gateway(tier, network)
        if known != {through.address}:
            raise Stopped(f"{caller} knows {known} for {cluster}, and not only {through.address}, the gateway")
        ways = {status["name"] for status in through.envoy("/clusters?format=json")["cluster_statuses"]}
        name = cluster.replace("outbound|", "outbound_.").replace("|", "_.")
        if name not in ways:
            raise Stopped(f"the gateway of {network} has no {name}: {ways}")
    arrived = tier.metrics(forecast, _ARRIVALS)
    if not arrived.get(labels(track="v2", outcome="match")) or arrived.get(labels(track="v2", outcome="crossed")):
        raise Stopped(f"forecast v2 counts {arrived}")
    for network in _FIRST, _SECOND:
        if "release_track" in json.dumps(_gateway(tier, network).envoy("/stats?format=json")):
            raise Stopped(f"the filter runs in the gateway of {network}")
    return answered


def _connects(tier, pod, port):
    """Does a pod take a connection from the ingress gateway's, which has no sidecar?"""
    program = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)"
    try:
        tier.pod("istio-ingressgateway", "istio-system").python(program, pod.address, port)
    except Stopped:
        return False
    return True


def identity(tier, installation):
    """The caller's identity arrives, and not the gateway's: an AuthorizationPolicy on the second network sees it"""
    _begin(tier, installation)
    tier.kubectl("apply", "-f", "-", input=_only("cluster.local/ns/weather/sa/default"))
    weather.settle(tier.gateway)
    tier.kubectl("apply", "-f", "-", input=_only(f"cluster.local/ns/istio-system/sa/{_name(_SECOND)}"))
    refused = weather.failed("forecast", "403")
    trees = [(*tree[:3], (tree[3][0], refused)) for tree in (weather.BASELINE, weather.V2)]
    weather.settle(tier.gateway, lambda user: (trees[user.tester],))
    tier.kubectl("delete", "authorizationpolicy", "callers", "--namespace=weather")
    weather.settle(tier.gateway)


def _only(principal):
    return f"""
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: callers, namespace: weather}}
spec:
  selector: {{matchLabels: {{app: forecast}}}}
  rules: [{{from: [{{source: {{principals: ["{principal}"]}}}}]}}]
"""


def differing(tier, installation):
    """Without the plugin on the second network, or with other tracks: requests arrive tracked, and may lose it there"""
    _begin(tier, installation)
    first = tier.edited(installation, lambda text: _selecting(text, _FIRST))
    tier.kubectl("apply", "-k", first)
    _require_own(tier)
    other = _selecting((installation / "wasmplugin.yaml").read_text(), _SECOND)
    other = other.replace("name: release-track\n", "name: release-track-other\n")
    other = other.replace("- name: v2", "- name: v3").replace("forecast: v2", "forecast: v3")
    tier.kubectl("apply", "-f", "-", input=other)
    forecast = tier.pod("forecast-v2")
    until("the other plugin at forecast v2", lambda: _sees_other(tier, forecast))
    _require_own(tier)
    tier.kubectl("delete", "-f", "-", input=other)
    tier.kubectl("apply", "-k", installation)
    weather.settle(tier.gateway)


def _selecting(manifest, network):
    return manifest.replace("\nspec:\n", f"\nspec:\n  selector: {{matchLabels: {{{_NETWORK}: {network}}}}}\n", 1)


def _sees_other(tier, forecast):
    weather.Client(tier.gateway).get(weather.USERS[1].headers)
    return any(("track", "other") in counted for counted in tier.metrics(forecast, r"release_track_\w+_total"))


def _require_own(tier):
    """The header arrives on the second network; what is called from there is on the track if it is told by the call."""
    for what in "header", "request-id":
        tier.forward(what)
        weather.settle(tier.gateway)
    tier.forward("none")
    forecast = ("forecast", "v2", "v2", (("recommendation", "v1", None, ()),))
    lost = (*weather.V2[:3], (weather.V2[3][0], forecast))
    weather.settle(tier.gateway, lambda user: (lost if user.tester else weather.BASELINE,))
    tier.forward(weather.FORWARD[0])


def both(tier, installation):
    """Under load: forecast v2 on both networks, then on one of them only: its subset has the one pod and the gateway"""
    _begin(tier, installation)
    text = (PROJECT / "examples/weather/app/forecast.yaml").read_text()
    text = text.replace("name: forecast-v2", "name: forecast-near")
    near = next(part for part in text.split("\n---\n") if "name: forecast-near" in part)
    tier.kubectl("apply", "-f", "-", input=near)
    tier.node.sync()
    _part(tier)
    subset, gateway = _FORECAST.format("v2"), _gateway(tier, _SECOND).address

    def known():
        return tier.pod("frontend-v2").endpoints(subset)

    until("pod and gateway in the subset", lambda: known() == {tier.pod("forecast-near").address, gateway})
    weather.settle(tier.gateway)
    with weather.Traffic(tier.gateway) as traffic:
        traffic.wait(400)
        tier.kubectl("delete", "-f", "-", input=near)
        tier.node.retire(tier.pod("forecast-near"))
        traffic.wait(400)
    if known() != {gateway}:
        raise Stopped(f"the subset has {known()}, and not the gateway alone")
    arrived = tier.metrics(tier.pod("forecast-v2"), _ARRIVALS)
    if not arrived.get(labels(track="v2", outcome="match")):
        raise Stopped(f"forecast v2 behind the gateway counts {arrived}")
    told = f"{traffic.require_none_wrong()} requests"
    _end(tier, installation)
    return told
