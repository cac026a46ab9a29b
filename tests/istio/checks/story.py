"""The story: account tester gets v2 of both services, all others v1 of both, whatever the applications forward."""

import http.client

import weather
from machine import Stopped, until
from tier import PERMISSIVE, STRICT


def wasm_plugin(tier, installation):
    """The story, with the WasmPlugin"""
    tier.kubectl("apply", "-k", installation)
    return _story(tier)


def traffic_extension(tier, installation):
    """The story, with the TrafficExtension instead"""
    tier.kubectl("delete", "-k", installation)
    weather.settle(tier.gateway, weather.nothing)
    tier.kubectl("apply", "-k", installation / "trafficextension")
    told = _story(tier)
    tier.kubectl("delete", "-k", installation / "trafficextension")
    weather.settle(tier.gateway, weather.nothing)
    tier.kubectl("apply", "-k", installation)
    weather.settle(tier.gateway)
    return told


def permissive(tier, installation):
    """The story, with mutual TLS permissive: a plain call to a pod is answered"""
    tier.mutual_tls(PERMISSIVE)
    until("answer to a plain call", lambda: _plain_call(tier) == 200)
    weather.settle(tier.gateway)
    sent = weather.send(tier.gateway, 400)
    tier.mutual_tls(STRICT)
    until("refusal of a plain call", lambda: _plain_call(tier) is None)
    return f"{sent} requests"


def _story(tier):
    weather.settle(tier.gateway)
    if _plain_call(tier) is not None:
        raise Stopped("mutual TLS is strict, but a plain call to a pod was answered")
    sent = 0
    for what in weather.FORWARD:
        tier.forward(what)
        try:
            sent += weather.send(tier.gateway, 400, more=weather.ids)
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


def removed(tier, installation):
    """Everything removed: traffic as before"""
    tier.kubectl("delete", "-k", installation)
    weather.settle(tier.gateway, weather.nothing)
    return f"{weather.send(tier.gateway, 400, weather.nothing)} requests"
