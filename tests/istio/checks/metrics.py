"""The filter's counters, as Prometheus scrapes them."""

import re

import weather
from machine import Stopped, until
from tier import PROJECT

_GATEWAY = ("istio-ingressgateway", "istio-system")
_DECISIONS = "release_track_decisions_total"


def unlabelled(tier, installation):
    """Without stat tags labels are part of a metric's name, until the pod starts with docs/istio.md's meshConfig"""
    tier.install(installation)
    named = tier.metrics(tier.pod(*_GATEWAY), r"release_track_\w+_decisions_total")
    if not named or tier.metrics(tier.pod(*_GATEWAY), _DECISIONS):
        raise Stopped(f"the gateway has no stat tags, but its metrics are labelled, or there are none: {named}")
    tag_stats(tier)

    def labelled_after_restart():
        tier.node.restart(lambda pod: (pod.workload, pod.namespace) == _GATEWAY)
        weather.settle(tier.gateway)
        return tier.metrics(tier.pod(*_GATEWAY), _DECISIONS)

    until("labels at the gateway", labelled_after_restart)


def tag_stats(tier):
    """Have the metrics of gateways labelled, from their next start, as docs/istio.md says."""
    document = (PROJECT / "docs/istio.md").read_text()
    tier.mesh.configure(re.search("```yaml\n(meshConfig:.*?)```", document, re.S)[1])


def labelled(tier, installation):
    """Metrics on the proxies' Prometheus endpoints, with their labels, and agreeing with the traffic"""
    tier.install(installation)
    places = {
        # Stat tags by meshConfig at the gateway, by the pod's annotation at the sidecars.
        "decisions": (tier.pod(*_GATEWAY), _DECISIONS),
        "arrivals": (tier.pod("forecast-v2"), "release_track_arrivals_total"),
        "propagation": (tier.pod("frontend-v2"), "release_track_propagation_total"),
    }
    before = {what: tier.metrics(*place) for what, place in places.items()}
    client, rounds = weather.Client(tier.gateway), 20
    for user in weather.USERS * rounds:
        if fault := client.fault(user, weather.story):
            raise Stopped(fault)
    testers = rounds * sum(user.tester for user in weather.USERS)
    others = rounds * len(weather.USERS) - testers
    expected = {
        "decisions": {
            labels(track="v2", reason="match"): testers,
            labels(track="baseline", reason="baseline"): others,
        },
        "arrivals": {labels(track="v2", outcome="match"): testers},
        # The frontend makes two calls.
        "propagation": {labels(track="v2", carrier="request_id"): 2 * testers},
    }
    for what, place in places.items():
        now = tier.metrics(*place)
        more = {
            labels: count - before[what].get(labels, 0)
            for labels, count in now.items()
            if count != before[what].get(labels)
        }
        if more != expected[what]:
            raise Stopped(f"{place[1]} of {place[0].workload} rose by {more}, not {expected[what]}")


def nothing_forwarded(tier, installation):
    """An application that forwards nothing: its pods' own track stands in, and is counted"""
    tier.install(installation)
    pod, counter, carried = (
        tier.pod("frontend-v2"),
        "release_track_propagation_total",
        labels(track="v2", carrier="workload"),
    )
    before = tier.metrics(pod, counter).get(carried, 0)
    tier.forward("none")
    weather.settle(tier.gateway)
    tier.forward(weather.FORWARD[0])
    if tier.metrics(pod, counter).get(carried, 0) == before:
        raise Stopped(f"{counter} of {pod.workload} did not rise with carrier=workload")


def labels(**pairs):
    """A counter's labels as `Tier.metrics` has them."""
    return tuple(sorted(pairs.items()))
