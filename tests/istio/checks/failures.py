"""What traffic sees when an installation is wrong, and that `release-track status` names it: docs/istio.md says how to
cure it."""

import re

import status
import weather
from machine import Stopped, until
from tier import PROJECT


def fail_open(tier, manifests):
    """A copy of an installation with the other failStrategy."""
    return tier.edited(manifests, lambda manifest: manifest.replace("FAIL_RELOAD", "FAIL_OPEN"))


def missing_image(tier, installation):
    """A missing first image: 403 for everybody, no filter with FAIL_OPEN; it counts once the plugin is touched again"""
    tier.install(installation)
    tier.remove(installation)
    tag = "later"
    missing = tier.edited(installation, lambda manifest: re.sub(r"(release-track)@sha256:\w+", rf"\1:{tag}", manifest))
    _missing(tier, missing)
    tier.kubectl("apply", "-k", missing)
    _everybody_gets(tier, 403)
    tier.registry.push(tag)
    if set(seen := tier.seen()) != {403}:
        raise Stopped(f"nothing fetches the image again by itself, but traffic saw {dict(seen)}")
    tier.kubectl("annotate", "--namespace=istio-system", "wasmplugin", "release-track", "touched=once")
    weather.settle(tier.gateway)


def missing_update(tier, installation):
    """An update to an image that is missing: 403 for everybody with FAIL_RELOAD, no filter with FAIL_OPEN"""
    tier.install(installation)
    missing = tier.edited(installation, lambda manifest: re.sub(r"@sha256:\w+", "@sha256:" + "0" * 64, manifest))
    _missing(tier, missing)
    tier.install(installation)


def wrong_namespace(tier, installation):
    """In the application's namespace instead of the root: the gateway has no filter, and decides nothing"""
    tier.install(installation)
    tier.remove(installation)
    elsewhere = tier.edited(
        installation, lambda manifest: manifest.replace("namespace: istio-system", "namespace: weather")
    )
    tier.kubectl("apply", "-k", elsewhere)
    # A client's own header is believed, and now carried on.
    weather.settle(
        tier.gateway,
        lambda user: (weather.BASELINE,) if weather.nothing(user) == (weather.BASELINE,) else (weather.V2,),
    )
    status.require(tier, ("no-filter", "istio-system/istio-ingressgateway"))
    tier.kubectl("delete", "-k", elsewhere)
    tier.install(installation)
    status.require(tier, config=installation / "wasmplugin.yaml")


def missing_route(tier, installation):
    """A service without the track's route: calls cross, and are counted; 421 with isolation: enforce"""
    tier.install(installation)
    pod, counter = tier.pod("forecast-v1"), "release_track_arrivals_total"
    crossed = (("outcome", "crossed"), ("track", "v2"))
    before = tier.metrics(pod, counter).get(crossed, 0)
    story = PROJECT / "examples/weather"
    route = "    - destination: {host: forecast, subset: v2}\n"
    without = tier.edited(story, lambda manifest: manifest.replace(_HEADER_ROUTE + route, ""))
    tier.kubectl("apply", "-f", without / "routes.yaml")
    weather.settle(tier.gateway, _tester_gets(("forecast", "v1", "v2", ())))
    if tier.metrics(pod, counter).get(crossed, 0) == before:
        raise Stopped("calls crossed, and were not counted")
    status.require(tier, ("crossed", "weather/forecast v1"))
    enforce = tier.edited(
        installation, lambda manifest: re.sub("( *)tracks:", r"\1isolation: enforce\n\1tracks:", manifest)
    )
    tier.kubectl("apply", "-k", enforce)
    weather.settle(tier.gateway, _tester_gets(weather.failed("forecast", "421")))
    tier.kubectl("apply", "-k", story)
    tier.install(installation)


_HEADER_ROUTE = """\
  - match:
    - headers: {x-release-track: {exact: v2}}
    route:
"""


def missing_subset(tier, installation):
    """A route to a subset that does not exist: 503 for the track"""
    tier.install(installation)
    story = PROJECT / "examples/weather"
    without = tier.edited(story, lambda manifest: manifest.replace("  - name: v2\n    labels: {version: v2}\n", ""))
    tier.kubectl("apply", "-f", without / "app/forecast.yaml")
    weather.settle(tier.gateway, _tester_gets(weather.failed("forecast", "503")))
    not_arrived = ("not-arrived", ""), ("not-reached", "weather/forecast v2")
    status.require(tier, *not_arrived, config=installation / "wasmplugin.yaml")
    tier.kubectl("apply", "-k", story)
    weather.settle(tier.gateway)


def no_endpoints(tier, installation):
    """A track's pods gone before its route: 503 for the track, and nothing falls back"""
    tier.install(installation)
    tier.kubectl("delete", "deployment", "forecast-v2", "--namespace=weather")
    tier.node.sync()
    weather.settle(tier.gateway, _tester_gets(weather.failed("forecast", "503")))
    status.require(tier, ("no-pod", "forecast v2"), ("not-arrived", ""), config=installation / "wasmplugin.yaml")
    tier.kubectl("apply", "-k", PROJECT / "examples/weather")
    tier.node.sync()
    weather.settle(tier.gateway)


def _tester_gets(forecast):
    """The story, but for what the tester's frontend got from forecast."""
    tester = ("frontend", "v2", "v2", (("advertisement", "v1", "v2", ()), forecast))
    return lambda user: (tester,) if user.tester else (weather.BASELINE,)


def _missing(tier, missing):
    tier.kubectl("apply", "-k", missing)
    _everybody_gets(tier, 403)
    pods = [pod for pod in tier.node.pods.values() if pod.proxied]
    status.require(tier, *(("not-fetched", _workload(pod)) for pod in pods))
    tier.kubectl("apply", "-k", fail_open(tier, missing))
    weather.settle(tier.gateway, weather.nothing)


def _workload(pod):
    """As `status` names it."""
    app, version = (pod.labels.get(name, "") for name in ("app", "version"))
    return f"{pod.namespace}/{app} {version}".strip()


def _everybody_gets(tier, status):
    until(f"{status} for everybody", lambda: set(tier.seen(8)) == {status}, 60)
