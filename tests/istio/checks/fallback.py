"""Baseline stands in where a track has no healthy pod: the recipe of docs/operations.md, examples/weather/fallback."""

import re

import status
import weather
from checks.metrics import labels
from machine import Stopped, until
from tier import PROJECT

# Whose callers know it by which cluster.
_FRONTEND = ("istio-ingressgateway", "istio-system"), "outbound|3000|v2|frontend.weather.svc.cluster.local"
_FORECAST = ("frontend-v2", "weather"), "outbound|3002|v2|forecast.weather.svc.cluster.local"

_ADVERTISEMENT, _FORECAST_V2 = weather.V2[3]
_NO_FORECAST = ("frontend", "v2", "v2", (_ADVERTISEMENT, ("forecast", "v1", "v2", ())))
_NO_FRONTEND = ("frontend", "v1", "v2", (_ADVERTISEMENT, _FORECAST_V2))


def scaled_down(tier, installation):
    """Under load: forecast v2 is scaled down and comes back; v1 stands in, is told the track, and no request fails"""
    recipe, before = _apply(tier, installation), _arrivals(tier, "forecast-v1")
    with weather.Traffic(tier.gateway, _tester_gets(weather.V2, _NO_FORECAST)) as traffic:
        tier.kubectl("delete", "deployment", "forecast-v2", "--namespace=weather")
        tier.node.retire(tier.pod("forecast-v2"))
        weather.settle(tier.gateway, _tester_gets(_NO_FORECAST))
        _require_counted(tier, "forecast-v1", before)
        named = ("no-pod", "forecast v2"), ("fallback", "weather/forecast v1")
        status.require(tier, *named, config=recipe / "wasmplugin.yaml")
        # Nothing else of that file: it has the DestinationRule without the recipe.
        manifests = (PROJECT / "examples/weather/app/forecast.yaml").read_text().split("\n---\n")
        deployment = next(text for text in manifests if "\n  name: forecast-v2\n" in text)
        tier.kubectl("apply", "-f", "-", input=deployment)
        tier.node.sync()
        weather.settle(tier.gateway)
    _restore(tier, installation)
    return f"{traffic.require_none_wrong()} requests"


def crashed(tier, installation):
    """Under load: frontend v2 crashes; once it is ejected v1 stands in, and its calls of the track reach forecast v2"""
    _apply(tier, installation)
    before, pod = _arrivals(tier, "frontend-v1"), tier.pod("frontend-v2")
    with weather.Traffic(tier.gateway, _tester_gets(weather.V2, _NO_FRONTEND)) as traffic:
        traffic.wait(200)
        pod.crash("weather")
        weather.settle(tier.gateway, _tester_gets(_NO_FRONTEND))
    for fault in traffic.faults:
        if not re.match(r"tester.*: 503 ", fault):
            raise Stopped(f"while v2 is not ejected yet, its users alone get 503, but {fault}")
    _require_counted(tier, "frontend-v1", before)
    tier.node.restart(lambda other: other is pod)
    _restore(tier, installation)
    return f"{traffic.faults.total()} of {traffic.answers} requests failed before that"


def _tester_gets(*trees):
    return lambda user: trees if user.tester else (weather.BASELINE,)


def _apply(tier, installation):
    """The recipe as applied, once both versions are in the subsets of their callers."""
    tier.install(installation)
    recipe = tier.with_image(PROJECT / "examples/weather/fallback", installation)
    tier.kubectl("apply", "-k", recipe)
    tier.wait_in_force()
    for (caller, cluster), versions in ((_FRONTEND, "frontend"), (_FORECAST, "forecast")):
        pods = {tier.pod(f"{versions}-{version}").address for version in ("v1", "v2")}
        until(f"both versions in {cluster}", lambda: tier.pod(*caller).endpoints(cluster) == pods)
    weather.settle(tier.gateway)
    return recipe


def _restore(tier, installation):
    tier.kubectl("apply", "-k", PROJECT / "examples/weather")
    tier.node.sync()
    tier.install(installation)


def _arrivals(tier, workload):
    found = tier.metrics(tier.pod(workload), "release_track_arrivals_total")
    return {outcome: found.get(labels(track="v2", outcome=outcome), 0) for outcome in ("fallback", "crossed")}


def _require_counted(tier, workload, before):
    now = _arrivals(tier, workload)
    if now["fallback"] == before["fallback"] or now["crossed"] != before["crossed"]:
        raise Stopped(f"{workload} stands in, and counts {now}, before {before}")
