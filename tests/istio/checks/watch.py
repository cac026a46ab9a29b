"""The track in traces and in access logs, by the recipes of docs/operations.md."""

import json
import re
import secrets
import subprocess
from collections import Counter, defaultdict

import collector
import weather
from machine import Stopped, until
from tier import PROJECT

_COLLECTOR = "10.200.200.2"
_TELEMETRY = PROJECT / "wasmplugin/monitoring/telemetry.yaml"

# Whose proxies write a line for a request, and how many: of each call the caller's and the called one's.
_LINES = Counter({"istio-ingressgateway": 1, "frontend": 3, "advertisement": 1, "forecast": 1})
_LINES_OF_V2 = _LINES + Counter({"forecast": 1, "recommendation": 1})
# A gateway's own call is a span beside that of the request.
_SPANS, _SPANS_OF_V2 = (lines + Counter({"istio-ingressgateway": 1}) for lines in (_LINES, _LINES_OF_V2))


def traces_and_logs(tier, installation):
    """Spans at a collector, lines of access logs: each hop of a tester's request tells the track, and no other does"""
    tier.install(installation)
    _provide_collector(tier)
    document = (PROJECT / "docs/operations.md").read_text()
    tier.mesh.configure(re.search("```yaml\n(meshConfig:.*?)```", document, re.S)[1])
    telemetry = _TELEMETRY.read_text()
    tier.mesh.analyze(telemetry)
    everything = telemetry.replace("    customTags:", "    randomSamplingPercentage: 100\n    customTags:")
    tier.kubectl("apply", "-f", "-", input=everything)
    tier.forward("trace")
    for pod in tier.node.pods.values():
        if pod.proxied:
            until(f"telemetry in {pod.workload}", lambda: all("release_track" in one for one in _listeners(pod)))
    weather.settle(tier.gateway)  # which is the end of connections that the listeners of before have
    users = {_ask(tier, user): user for user in weather.USERS * 5}
    spans = _until_complete(users, (_SPANS, _SPANS_OF_V2), _spans)
    lines = _until_complete(users, (_LINES, _LINES_OF_V2), lambda: _lines(tier))
    tier.forward(weather.FORWARD[0])
    tier.kubectl("delete", "-f", _TELEMETRY)
    for user, span in spans:
        if span["attributes"].get("release_track") != _track(user):
            raise Stopped(f"{user.says}: {span}")
    for (user, line), decoded in zip(lines, _decode(installation, [line for _, line in lines]), strict=True):
        if line["track"] != _track(user) or decoded.get("release_track") != _track(user):
            raise Stopped(f"{user.says}: {line}, by release-track decode {decoded}")
    return f"{len(spans)} spans, {len(lines)} lines"


def _listeners(pod):
    """Those of a proxy that know HTTP, as JSON."""
    dump = pod.envoy("/config_dump?resource=dynamic_listeners")
    listeners = (json.dumps(one["active_state"]) for one in dump["configs"] if "active_state" in one)
    return [one for one in listeners if "HttpConnectionManager" in one]


def _track(user):
    return "v2" if user.tester else None


def _ask(tier, user):
    """The id of the trace of a request that was answered right."""
    trace = secrets.token_hex(16)
    more = (("traceparent", f"00-{trace}-{secrets.token_hex(8)}-01"),)
    if fault := weather.Client(tier.gateway).fault(user, weather.story, more):
        raise Stopped(fault)
    return trace


def _until_complete(users, expected, read):
    """[(user, what was told)] of these traces, {trace: user}, once all that is expected was `read`."""
    found = defaultdict(list)

    def wrong():
        found.clear()
        for trace, app, told in read():
            if trace in users:
                found[trace].append((app, told))
        told = {trace: Counter(app for app, _ in found[trace]) for trace in users}
        return [(user.says, told[trace]) for trace, user in users.items() if told[trace] != expected[user.tester]]

    try:
        until("word of every hop", lambda: not wrong())
    except Stopped as stopped:
        raise Stopped(f"{stopped}: {wrong()}") from None
    return [(users[trace], told) for trace in users for _, told in found[trace]]


def _spans():
    """(trace, app, span) of every span."""
    return ((span["trace"], span["app"], span) for span in collector.spans())


def _lines(tier):
    """(trace, app, line) of every access log."""
    for pod in tier.node.pods.values():
        if pod.proxied:
            for line in pod.proxy_log().splitlines():
                if line.startswith("{") and line.endswith("}"):
                    line = json.loads(line)
                    yield line["trace_id"], pod.labels["app"], line


def _decode(installation, lines):
    """The lines as `release-track decode` completes them: what their ids tell."""
    text = "".join(json.dumps({"request_id": line["request_id"]}) + "\n" for line in lines)
    command = PROJECT / "target/debug/release-track", "decode", "--config", installation / "wasmplugin.yaml"
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def _provide_collector(tier):
    """As the recipe names it: a Service without a selector, and its endpoint."""
    collector.start(_COLLECTOR)
    name, namespace = "opentelemetry-collector", "observability"
    port = {"name": "http-otlp", "port": collector.PORT}
    tier.kubectl("create", "namespace", namespace)
    cluster = tier.mesh.cluster
    cluster.create(
        f"/api/v1/namespaces/{namespace}/services",
        {"metadata": {"name": name}, "spec": {"ports": [port]}},
    )
    cluster.create(
        f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices",
        {
            "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [_COLLECTOR]}],
            "ports": [port],
        },
    )
