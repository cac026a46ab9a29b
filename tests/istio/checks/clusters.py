"""Two networks, whose pods reach each other through east-west gateways only.

Both have the one API server and the one istiod of this machine, which each pod reaches directly. No load balancer is
here: a gateway's Service is told the gateway's own address as its external one.
"""

import json
import re
import socket

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
