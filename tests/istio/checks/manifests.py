"""The manifests and images themselves."""

from machine import Stopped
from tier import PROJECT

_INSTALLATIONS = ("", "trafficextension")
_EXAMPLES = ("weather", "weather/original", "weather/v3", "weather/gateway-api", "template/harbour")


def analyzed(tier, installation):
    """istioctl analyze has nothing to say of any of the manifests"""
    folders = [installation / form for form in _INSTALLATIONS] + [PROJECT / "examples" / example for example in _EXAMPLES]
    for folder in folders:
        tier.mesh.analyze(tier.kubectl("kustomize", folder))
    return f"{len(folders)} kustomizations"


def reproducible(tier, installation):
    """The same sources make the same image"""
    again = tier.registry.push("again")
    first, second = ((folder / "wasmplugin.yaml").read_text() for folder in (installation, again))
    if first != second:
        raise Stopped("two builds of one module have different digests")
