"""The manifests and images themselves."""

from machine import Stopped
from tier import PROJECT

_INSTALLATIONS = ("", "trafficextension")
_EXAMPLES = ("examples/weather", "examples/weather/original", "examples/weather/v3", "examples/weather/gateway-api")


def analyzed(tier, installation):
    """istioctl analyze has nothing to say of any of the manifests"""
    folders = [installation / form for form in _INSTALLATIONS] + [PROJECT / example for example in _EXAMPLES]
    for folder in folders:
        said = tier.mesh.analyze(tier.kubectl("kustomize", folder))
        if said:
            raise Stopped(f"of {folder}:\n{said}")
    return f"{len(folders)} kustomizations"


def reproducible(tier, installation):
    """The same sources make the same image; the two-layer artifact loads as well"""
    again = tier.registry.push("again")
    first, second = ((folder / "wasmplugin.yaml").read_text() for folder in (installation, again))
    if first != second:
        raise Stopped("two builds of one module have different digests")
