"""Changes under load: not one request fails, and none crosses."""

import weather
from machine import STATE
from tier import PROJECT


def upgrade(tier, installation):
    """Under load: the filter is upgraded by a new image, then by a two-layer artifact, and taken back"""
    tier.install(installation)
    # Other bytes, the same filter: one custom section more.
    module, name = STATE / "upgraded.wasm", b"upgraded"
    module.write_bytes((PROJECT / "dist/release-track.wasm").read_bytes() + bytes([0, len(name) + 1, len(name)]) + name)
    upgrades = tier.registry.push("0.1.1", module), tier.registry.push("0.1.1-artifact", module, tool="oras")
    with weather.Traffic(tier.gateway) as traffic:
        for image in (*upgrades, installation):
            traffic.wait(300)
            tier.kubectl("apply", "-k", image)
            tier.wait_in_force()
        traffic.wait(300)
    return f"{traffic.require_none_wrong()} requests"


_MATCH_V3 = """\
      match:
      - cookies: {user: {exact: tester-v3}}
"""
_TESTER_V3 = weather.User("tester-v3", (("cookie", "session=1; user=tester-v3"),), False)
_V3 = (
    "frontend",
    "v1",
    "v3",
    (("advertisement", "v1", "v3", ()), ("forecast", "v3", "v3", (("recommendation", "v1", "v3", ()),))),
)


def track(tier, installation):
    """Under load: a second track is added in two steps, and withdrawn in two"""

    def either(user):
        return (weather.BASELINE, _V3) if user is _TESTER_V3 else weather.story(user)

    def from_then_on(user):
        return (_V3,) if user is _TESTER_V3 else weather.story(user)

    tier.install(installation)
    manifests = tier.with_image(PROJECT / "examples/weather/v3", installation)
    carried = tier.edited(manifests, lambda manifest: manifest.replace(_MATCH_V3, ""))
    with weather.Traffic(tier.gateway, either, users=(*weather.USERS, _TESTER_V3)) as traffic:
        tier.kubectl("apply", "-f", carried / "forecast.yaml")
        tier.node.sync()
        for step in (carried, manifests):
            tier.kubectl("apply", "-f", step / "wasmplugin.yaml")
            tier.wait_in_force()
            traffic.wait(300)
        weather.settle(tier.gateway, from_then_on, users=(_TESTER_V3,))
        for step in (carried, installation):
            tier.kubectl("apply", "-f", step / "wasmplugin.yaml")
            tier.wait_in_force()
            traffic.wait(300)
        tier.kubectl("apply", "-k", PROJECT / "examples/weather")
        tier.kubectl("delete", "deployment", "forecast-v3", "--namespace=weather")
        traffic.wait(300)
        tier.node.sync()
        traffic.wait(300)
    return f"{traffic.require_none_wrong()} requests"
