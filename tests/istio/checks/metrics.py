"""The filter's counters, as Prometheus scrapes them."""

import weather
from machine import Stopped


def labelled(tier, installation):
    """Metrics on the proxies' Prometheus endpoints, with their labels, and agreeing with the traffic"""
    places = {
        # Stat tags by meshConfig at the gateway, by the pod's annotation at the sidecars.
        "decisions": (tier.pod("istio-ingressgateway", "istio-system"), "release_track_decisions_total"),
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
        "decisions": {_labels(track="v2", reason="match"): testers, _labels(track="baseline", reason="baseline"): others},
        "arrivals": {_labels(track="v2", outcome="match"): testers},
        # The frontend makes two calls.
        "propagation": {_labels(track="v2", carrier="request_id"): 2 * testers},
    }
    for what, place in places.items():
        now = tier.metrics(*place)
        more = {labels: count - before[what].get(labels, 0) for labels, count in now.items() if count != before[what].get(labels)}
        if more != expected[what]:
            raise Stopped(f"{place[1]} of {place[0].workload} rose by {more}, not {expected[what]}")


def _labels(**labels):
    return tuple(sorted(labels.items()))
