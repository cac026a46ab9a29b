"""The story: account tester gets v2 of both services, all others v1 of both, whatever the applications forward."""

import http.client
import json

import weather
from machine import Stopped, until
from tier import PERMISSIVE, PROJECT, STRICT


def wasm_plugin(tier, installation):
    """The story, with the WasmPlugin"""
    tier.install(installation)
    return told(tier, tier.gateway)


def graph(tier, installation):
    """The traffic graph in the mesh: what its button sends stays on one release, and is lost without the filter"""
    tier.install(installation)
    tier.kubectl("apply", "-k", tier.weather / "graph")
    tier.node.sync()
    pod = tier.pod("graph")
    drawn = json.loads(pod.python(_BUTTON))
    calls = {(call["from"], call["to"], call["release"]): call["count"] for call in drawn["calls"]}
    entries = calls["gateway", "frontend v1", "baseline"], calls["gateway", "frontend v2", "v2"]
    if entries != (40, 20) or any(drawn[wrong] for wrong in ("crossed", "lost", "failed", "failedCalls")):
        raise Stopped(f"the graph is told {drawn}")
    tier.remove(installation)

    def without():
        # A connection that is still open takes one more request by the listener from before.
        drawn = json.loads(pod.python(_BUTTON))
        return (drawn["crossed"], drawn["lost"]) == (10, 20)

    until("10 crossed calls and 20 lost requests on the graph", without)
    tier.kubectl("delete", "-k", tier.weather / "graph")
    tier.node.sync()


# Clears the graph, presses its button, and prints what it is told of 60 requests.
_BUTTON = """
import json, urllib.request
page = "http://127.0.0.1:8081"
for path, body in ("/clear", None), ("/traffic", {"requests": 60}):
    request = urllib.request.Request(page + path, json.dumps(body).encode(), {"content-type": "application/json"})
    urllib.request.urlopen(request, timeout=10).close()
for line in urllib.request.urlopen(page + "/events", timeout=60):
    state = json.loads(line.removeprefix(b"data:")) if line.startswith(b"data:") else {"requests": 0}
    if state["requests"] + state.get("failed", 0) == 60 and state["sending"] is None:
        break
print(json.dumps(state))
"""


def traffic_extension(tier, installation):
    """The story, with the TrafficExtension instead"""
    tier.install(installation)
    tier.remove(installation)
    tier.install(installation / "trafficextension")
    answered = told(tier, tier.gateway)
    tier.remove(installation / "trafficextension")
    return answered


def gateway_api(tier, installation):
    """The story, with the Gateway API instead of subsets and VirtualServices"""
    tier.install(installation)
    for kind in "virtualservices", "destinationrules", "gateways.networking.istio.io":
        tier.kubectl("delete", kind, "--all", "--all-namespaces")
    tier.kubectl("apply", "-k", PROJECT / "examples/weather/gateway-api")
    # Istio's own controller makes it.
    until("Deployment of the gateway", lambda: tier.kubectl("get", "deployment", GATEWAY, "--namespace=weather"))
    tier.node.sync()
    answered = told(tier, tier.entrance(GATEWAY, "weather"))
    for name in "gateway", "services", "routes":
        tier.kubectl("delete", "-f", PROJECT / f"examples/weather/gateway-api/{name}.yaml")
    # This cluster has no garbage collector.
    tier.kubectl("delete", "deployment,service,serviceaccount", GATEWAY, "--namespace=weather")
    tier.kubectl("apply", "-k", PROJECT / "examples/weather")
    tier.node.sync()
    weather.settle(tier.gateway)
    return answered


GATEWAY = "weather-gateway-istio"


def permissive(tier, installation):
    """The story, with mutual TLS permissive: a plain call to a pod is answered"""
    tier.install(installation)
    tier.mutual_tls(PERMISSIVE)
    until("answer to a plain call", lambda: _plain_call(tier) == 200)
    weather.settle(tier.gateway)
    sent = weather.send(tier.gateway, 400)
    tier.mutual_tls(STRICT)
    until("refusal of a plain call", lambda: _plain_call(tier) is None)
    return f"{sent} requests"


def second_application(tier, installation):
    """A second application, from the template, takes part in the story's track"""
    told = tier.edited(
        installation, lambda manifest: manifest.replace("forecast: v2}", "forecast: v2, harbour/recommendation: v2}")
    )
    tier.install(told)
    tier.kubectl("apply", "-k", PROJECT / "examples/template/harbour")
    tier.node.sync()
    weather.settle(tier.gateway, _harbour, _HARBOUR_USERS)
    sent = weather.send(tier.gateway, 200, _harbour, users=_HARBOUR_USERS)
    # Not the namespace: nobody here would finish that.
    tier.kubectl("delete", "deployment,service,destinationrule,virtualservice", "--all", "--namespace=harbour")
    tier.node.sync()
    tier.install(installation)
    return f"{sent} requests"


_HARBOUR_USERS = tuple(
    weather.User(f"{user.says}, at the harbour", (("host", "harbour.example.com"), *user.headers), user.tester)
    for user in weather.USERS
)


def _harbour(user):
    if user.tester:
        return (("forecast", "v2", "v2", (("recommendation", "v2", "v2", ()),)),)
    return (("forecast", "v1", None, ()),)


def removed(tier, installation):
    """Everything removed: traffic as before, on open connections from their second request on"""
    tester = weather.USERS[1]
    tier.install(installation)
    kept = [weather.Client(tier.gateway) for _ in range(8)]
    for client in kept:
        if fault := client.fault(tester, weather.story):
            raise Stopped(fault)
    tier.remove(installation)
    for client in kept:
        client.fault(tester, weather.nothing)
        if fault := client.fault(tester, weather.nothing):
            raise Stopped(f"on a connection that was open, at its second request: {fault}")
    return f"{weather.send(tier.gateway, 400, weather.nothing)} requests"


def told(tier, gateway):
    """Requests of every user, whatever the applications forward, and that mutual TLS is strict."""
    weather.settle(gateway)
    if _plain_call(tier) is not None:
        raise Stopped("mutual TLS is strict, but a plain call to a pod was answered")
    sent = 0
    for what in weather.FORWARD:
        tier.forward(what)
        try:
            sent += weather.send(gateway, 400, more=weather.ids)
        except Stopped as wrong:
            raise Stopped(f"with FORWARD={what}: {wrong}") from None
    tier.forward(weather.FORWARD[0])
    return f"{sent} requests: {', '.join(weather.FORWARD)}"


def _plain_call(tier):
    """Status of the answer to a call without TLS to a pod; None if it is refused."""
    connection = http.client.HTTPConnection(tier.pod("frontend-v1").address, 3000, timeout=10)
    try:
        connection.request("GET", "/", headers={"accept": "application/json"})
        return connection.getresponse().status
    except ConnectionResetError:
        return None
