"""The manifests and images themselves."""

import json
import os
import re
import subprocess

from machine import Stopped, run
from tier import PROJECT

_INSTALLATIONS = ("", "trafficextension")
_EXAMPLES = ("weather", "weather/original", "weather/v3", "weather/fallback", "weather/gateway-api", "weather/ambient", "template/harbour")


def analyzed(tier, installation):
    """istioctl analyze warns of none of the manifests"""
    folders = [installation / form for form in _INSTALLATIONS] + [
        PROJECT / "examples" / example for example in _EXAMPLES
    ]
    for folder in folders:
        manifests = tier.kubectl("kustomize", folder)
        pods = _pods(tier, manifests)
        try:
            tier.mesh.analyze(manifests)
        finally:
            for path in pods:
                tier.mesh.cluster.delete(path)
    return f"{len(folders)} kustomizations"


def _pods(tier, manifests):
    """API paths of pods as the Deployments would make them, which nobody starts.

    The analyzer reads Istio's kinds from manifests; for pods and Services it looks into the cluster.
    """
    documents = manifests.split("\n---\n")
    for kind in ("Namespace", "Service"):
        for text in (text for text in documents if f"\nkind: {kind}\n" in text):
            tier.kubectl("apply", "-f", "-", input=text)
    tier.node.provide_namespaces()
    paths = []
    for text in (text for text in documents if "\nkind: Deployment\n" in text):
        deployment = json.loads(
            tier.kubectl("create", "--dry-run=client", "--validate=false", "-o=json", "-f", "-", input=text)
        )
        template, meta = deployment["spec"]["template"], deployment["metadata"]
        path = f"/api/v1/namespaces/{meta['namespace']}/pods"
        name = f"{meta['name']}-analyzed"
        tier.mesh.cluster.create(path, {"metadata": {**template["metadata"], "name": name}, "spec": template["spec"]})
        paths.append(f"{path}/{name}")
    return paths


def reproducible(tier, installation):
    """The same sources make the same image"""
    again = tier.registry.push("again")
    first, second = ((folder / "wasmplugin.yaml").read_text() for folder in (installation, again))
    if first != second:
        raise Stopped("two builds of one module have different digests")


def weather_image(tier, installation):
    """The weather app's image is one static program, and dist/weather-app names it by digest everywhere"""
    image = f"weather@{tier.registry.digest('weather:0.1.0')}"
    again = tier.registry.push_weather("again")
    wanted = {f"{tier.registry.host}/{image}"}
    for folder in (tier.weather, again):
        found = set(re.findall(r"^ +(?:- )?image: (.*)$", tier.kubectl("kustomize", folder), re.M))
        if found != wanted:
            raise Stopped(f"expected {wanted} in {folder}, found {found}")
    weather = tier.registry.pull(image)
    if list(weather.files) != ["/weather"] or not weather.user:
        raise Stopped(f"expected one program that needs no root, found {weather}")
    # Nothing is in there that it could be linked with.
    run("chroot", "--userspec=65532:65532", weather.files["/weather"].parent, "/weather", "weather", "--help")


def image_checked(tier, installation):
    """release-track check --image finds what was pushed, and says what was not, or is not what was built"""
    artifact = tier.registry.push("0.1.0-artifact", tool="oras")
    never = tier.edited(installation, lambda manifest: re.sub(r"@sha256:\w+", "@sha256:" + "0" * 64, manifest))
    for folder, module, wanted in (
        (installation, "dist/release-track.wasm", set()),
        (artifact, "dist/release-track.wasm", set()),
        (never, "dist/release-track.wasm", {"image-not-found"}),
        (installation, "Cargo.toml", {"image-differs"}),
    ):
        command = [
            PROJECT / "target/debug/release-track",
            "check",
            "--image",
            "--output=json",
            f"--module={PROJECT / module}",
            folder / "wasmplugin.yaml",
        ]
        nobody = {"PATH": os.environ["PATH"], "HOME": "/nowhere"}
        done = subprocess.run(command, capture_output=True, text=True, env=nobody)
        report = json.loads(done.stdout) if done.stdout else {"diagnostics": []}
        said = {diagnostic["code"] for diagnostic in report["diagnostics"]}
        if said != wanted or done.returncode != bool(wanted):
            raise Stopped(f"{folder}, {module}: exit {done.returncode}, {done.stdout}{done.stderr}")
