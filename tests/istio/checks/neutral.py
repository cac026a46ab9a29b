"""A configuration that the filter refuses is no outage: neutral where there is none to keep, else the old one stays."""

import itertools
import json
import re

import weather
from checks.failures import fail_open
from checks.metrics import labels, tag_stats
from cluster import Refused
from machine import Stopped, until

_REFUSED = "configuration refused"
_NEUTRAL = labels(event="neutral")


def bad_first(tier, installation):
    """Under load: a bad first configuration puts all on baseline, whatever the failStrategy, until a good one comes"""
    _begin_anew(tier, installation)
    bad = _misspelt(tier, installation)
    with weather.Traffic(tier.gateway, lambda user: (weather.BASELINE, *weather.nothing(user))) as before:
        tier.kubectl("apply", "-k", bad)
        tier.wait_in_force()
        before.wait(200)
    counted = {pod: _count(tier, pod) for pod in _serving(tier)}
    with weather.Traffic(tier.gateway, _baseline) as during:
        during.wait(200)
        tier.kubectl("apply", "-k", fail_open(tier, bad))
        during.wait(200)
    for pod, count in counted.items():
        if _count(tier, pod) == count:
            raise Stopped(f"{pod.workload} passed requests undecided, and did not count them")
    for pod in _proxied(tier):
        if (lines := pod.logged(_REFUSED)) != 1:
            raise Stopped(f"{pod.workload} told of one refused configuration in {lines} lines")
    _until_told(tier, lambda pod: "SYNCED")
    with weather.Traffic(tier.gateway, _rolling_out) as after:
        tier.install(installation)
        after.wait(200)
    answers = sum(traffic.require_none_wrong() for traffic in (before, during, after))
    answers += weather.send(tier.gateway, 100)
    return f"{answers} requests"


def kinds(tier, installation):
    """On fresh processes: no tracks, a newer version's field, no configuration, `null`, an empty one, one of 1.4 MB"""
    _begin_anew(tier, installation)
    plugin = json.loads(tier.kubectl("create", "-k", installation, "--dry-run=client", "--output=json"))
    good, sent = plugin["spec"]["pluginConfig"], 0
    path = "/apis/extensions.istio.io/v1alpha1/namespaces/istio-system/wasmplugins"

    def configured(config):
        return {**plugin, "spec": {**plugin["spec"], "pluginConfig": config}}

    def newer(accounts):
        """A field of a newer version, beside a list of so many accounts."""
        rule = {"cookies": {"user": {"in": [f"account-{n:06}" for n in range(accounts)]}}}
        return {"tracks": [{"name": "v2", "match": [rule], "standby": ["frontend"]}]}

    absent = configured(None)
    del absent["spec"]["pluginConfig"]
    for value, says in (
        (configured({**good, "tracks": []}), "tracks: "),
        (configured(newer(1)), "tracks[0].standby: "),
        (absent, "pluginConfig: "),
        (configured(None), "pluginConfig: "),
        (configured({}), "pluginConfig: "),
        (configured(newer(80_000)), "tracks[0].standby: "),
    ):
        tier.mesh.cluster.create(path, value)
        tier.node.restart(lambda pod: pod.workload in ("istio-ingressgateway", "frontend-v1"))
        pods = tier.pod("istio-ingressgateway", "istio-system"), tier.pod("frontend-v1")
        weather.settle(tier.gateway, _baseline)
        counted = [_count(tier, pod) for pod in pods]
        sent += weather.send(tier.gateway, 100, _baseline)
        for pod, count in zip(pods, counted, strict=True):
            if _count(tier, pod) == count or pod.logged(f"{_REFUSED}: {says}") != 1:
                raise Stopped(f"{pod.workload} is not neutral, or does not say {says}")
        tier.mesh.cluster.delete(f"{path}/release-track")
    try:
        tier.mesh.cluster.create(path, configured(newer(100_000)))
    except Refused as refused:
        if "too large" not in str(refused):
            raise
    else:
        raise Stopped("the API server took more than etcd does")
    tier.install(installation)
    return f"{sent} requests"


def bad_update(tier, installation):
    """Under load: a bad update changes nothing; a pod that starts then is neutral; a good one brings it back"""
    tier.install(installation)
    bad, refused = _misspelt(tier, installation), {pod: pod.logged(_REFUSED) for pod in _proxied(tier)}
    with weather.Traffic(tier.gateway) as before:
        tier.kubectl("apply", "-k", bad)
        _until_told(tier, lambda pod: "ERROR")
        before.wait(200)
    for pod, lines in refused.items():
        if (more := pod.logged(_REFUSED) - lines) != 1:
            raise Stopped(f"{pod.workload} told of one refused update in {more} lines")
    with weather.Traffic(tier.gateway, lambda user: (*_mixed(user), *weather.story(user))) as during:
        neutral = tier.node.roll(tier.pod("frontend-v2"))
        weather.settle(tier.gateway, _mixed)
    _until_told(tier, lambda pod: "SYNCED" if pod is neutral else "ERROR")
    _require_counted(tier, neutral)
    tier.node.restart(lambda pod: pod.workload == "istio-ingressgateway")
    weather.settle(tier.gateway, _baseline)
    with weather.Traffic(tier.gateway, lambda user: (weather.BASELINE, *_mixed(user), *weather.story(user))) as after:
        tier.install(installation)
        after.wait(200)
    _until_told(tier, lambda pod: "SYNCED")
    answers = sum(traffic.require_none_wrong() for traffic in (before, during, after))
    return f"{answers} requests"


def _mixed(user):
    """The story where frontend v2's proxy is neutral: its calls have no header, and reach v1, as baseline's do.

    The tag is still in their ids, by which the next proxies know that they are v2's.
    """
    calls = ("advertisement", "v1", "v2", ()), ("forecast", "v1", "v2", ())
    return (("frontend", "v2", "v2", calls),) if user.tester else (weather.BASELINE,)


def _rolling_out(user):
    """The good configuration reaches one proxy before another: a tester's calls may go to baseline meanwhile."""
    if not user.tester:
        return (weather.BASELINE,)
    told = (None, "v2")
    advertisements = [("advertisement", "v1", track, ()) for track in told]
    forecasts = [("forecast", "v1", track, ()) for track in told]
    forecasts += [("forecast", "v2", "v2", (("recommendation", "v1", track, ()),)) for track in told]
    calls = itertools.product(advertisements, forecasts)
    return (weather.BASELINE, *(("frontend", "v2", "v2", pair) for pair in calls))


def _require_counted(tier, neutral):
    """Stopped unless every call of the testers that reaches the wrong forecast is counted, and each in `neutral`."""
    client, rounds, before = weather.Client(tier.gateway), 20, (_crossed(tier), _count(tier, neutral))
    for user in weather.USERS * rounds:
        if fault := client.fault(user, _mixed):
            raise Stopped(fault)
    testers = rounds * sum(user.tester for user in weather.USERS)
    more = _crossed(tier) - before[0], _count(tier, neutral) - before[1]
    # One that arrives, and two calls.
    if more != (testers, 3 * testers):
        raise Stopped(f"{testers} testers, and crossed and neutral rose by {more}")


def _baseline(user):
    return (weather.BASELINE,)


def _misspelt(tier, installation):
    return tier.edited(installation, lambda manifest: manifest.replace("match:", "macht:"))


def _begin_anew(tier, installation):
    """No plugin, and processes that never had one."""
    tier.kubectl("delete", "-k", installation, "--ignore-not-found")
    tag_stats(tier)
    tier.node.restart(lambda pod: pod.proxied)
    weather.settle(tier.gateway, weather.nothing)


def _proxied(tier):
    return [pod for pod in tier.node.pods.values() if pod.proxied]


def _serving(tier):
    """The pods that requests on baseline pass."""
    gateway = tier.pod("istio-ingressgateway", "istio-system")
    return [gateway, *(tier.pod(name) for name in ("frontend-v1", "advertisement-v1", "forecast-v1"))]


def _count(tier, pod):
    """Requests that passed a proxy while it was neutral."""
    return tier.metrics(pod, "release_track_events_total").get(_NEUTRAL, 0)


def _crossed(tier):
    """Requests of v2 that met forecast's v1."""
    found = tier.metrics(tier.pod("forecast-v1"), "release_track_arrivals_total")
    return found.get(labels(track="v2", outcome="crossed"), 0)


def _told(tier):
    """{name of the pod: what `istioctl proxy-status` says of the filter's configuration there}."""
    istiod = f"{tier.pod('istiod', 'istio-system').address}:15012"
    how = f"--xds-address={istiod}", "--insecure", "--authority=istiod.istio-system.svc"
    table = tier.mesh.istioctl("proxy-status", "--verbosity=1", *how).strip().splitlines()
    head, *rows = (re.split(" {2,}", line.strip()) for line in table)
    return {row[0].split(".")[0]: row[head.index("ECDS")].split()[0] for row in rows}


def _until_told(tier, expected):
    """Wait until `istioctl proxy-status` says what `expected` (pod to text) says for each proxy."""
    wanted = {pod.name: expected(pod) for pod in _proxied(tier)}
    until(f"istioctl proxy-status that tells {wanted}", lambda: _told(tier).items() >= wanted.items(), pause=1)
