"""What every check works with: the mesh with the weather app on it, and the filter's installation."""

import itertools
import json
import os
import re
import shutil
import urllib.request
from collections import Counter
from pathlib import Path

import weather
from machine import STATE, Stopped, until
from mesh import Mesh
from registry import Registry

PROJECT = Path(__file__).resolve().parents[2]
STRICT, PERMISSIVE = "STRICT", "PERMISSIVE"


class Tier:
    """Everything running, mutual TLS strict, the story's manifests applied, and no filter yet."""

    def __init__(self, parts):
        self._copies = itertools.count()
        self.registry = Registry(parts / "bin")
        self.weather = self.registry.push_weather("0.1.0")  # the folder that is the story with the image
        image = self.registry.pull(f"weather@{self.registry.digest('weather:0.1.0')}")
        self.mesh = Mesh(parts, os.environ["ENVOY"], image, PROJECT / "dist/librelease-track.so")
        self.kubectl = self.mesh.cluster.kubectl
        self.node = self.mesh.node
        self.mutual_tls(STRICT)
        self.kubectl("apply", "-k", self.weather)
        self.node.sync()
        weather.settle(self.gateway, weather.nothing)

    @property
    def gateway(self):
        """(host, port) of the ingress gateway."""
        return self.entrance("istio-ingressgateway", "istio-system")

    def entrance(self, name, namespace):
        """(host, port) of a gateway, as its Service has it on port 80."""
        service = self.mesh.cluster.get(f"/api/v1/namespaces/{namespace}/services/{name}")
        return self.pod(name, namespace).address, next(
            p["targetPort"] for p in service["spec"]["ports"] if p["port"] == 80
        )

    def pod(self, workload, namespace="weather"):
        return self.node.pods[namespace, workload]

    def install(self, installation):
        """As a user does, and wait until traffic is as the story says."""
        self.kubectl("apply", "-k", installation)
        weather.settle(self.gateway)

    def remove(self, installation):
        """As a user does, and wait until traffic is as without a filter."""
        self.kubectl("delete", "-k", installation)
        weather.settle(self.gateway, weather.nothing)

    def mutual_tls(self, mode):
        """Mesh-wide."""
        policy = {
            "apiVersion": "security.istio.io/v1",
            "kind": "PeerAuthentication",
            "metadata": {"name": "default", "namespace": "istio-system"},
            "spec": {"mtls": {"mode": mode}},
        }
        self.kubectl("apply", "-f", "-", input=json.dumps(policy))

    def forward(self, what):
        """What the applications pass on from now on."""
        for pod in self.node.pods.values():
            if pod.runs("weather"):
                pod.tell("weather", f"forward {what}")

    def edited(self, manifests, edit):
        """A copy of a folder of manifests, each changed by `edit`: text to text."""
        copy = STATE / f"edited-{next(self._copies)}"
        shutil.copytree(manifests, copy)
        changed = 0
        for manifest in copy.rglob("*.yaml"):
            before = manifest.read_text()
            manifest.write_text(edit(before))
            changed += edit(before) != before
        if not changed:
            raise Stopped(f"the edit changes nothing in {manifests}")
        return copy

    def with_image(self, manifests, installation):
        """A copy of the manifests with the image of an installation: all that a user changes in them."""
        image = re.search("url: .*", (installation / "wasmplugin.yaml").read_text())[0]
        return self.edited(manifests, lambda manifest: re.sub("url: oci://.*", image, manifest))

    def wait_in_force(self):
        """Wait until every proxy has the WasmPlugin as it is in the cluster: module and configuration."""
        plugin = json.loads(self.kubectl("get", "wasmplugin", "release-track", "--namespace=istio-system", "-o=json"))[
            "spec"
        ]
        digest = plugin["url"].split("sha256:")[1]
        for pod in self.node.pods.values():
            if pod.proxied:
                until(
                    f"plugin as applied in {pod.workload}",
                    lambda: (digest, plugin["pluginConfig"]) in list(_plugins(pod)),
                )

    def metrics(self, pod, name):
        """{labels (sorted pairs): value} of a counter, from the proxy's Prometheus endpoint; zeros left out."""
        with urllib.request.urlopen(f"http://{pod.address}:15090/stats/prometheus", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        found = {}
        for line in lines:
            if (match := re.fullmatch(name + r"\{(.*)\} (\d+)", line)) and int(match[2]):
                found[tuple(sorted(re.findall(r'(\w+)="([^"]*)"', match[1])))] = int(match[2])
        return found

    def seen(self, requests=24):
        """What requests of every user get now: how many of each status, or of the v2 and the v1 call tree."""
        client, seen = weather.Client(self.gateway), Counter()
        for user in (weather.USERS * requests)[:requests]:
            status, body = client.get(user.headers)
            seen[json.loads(body)["version"] if status == 200 else status] += 1
        return seen


def _plugins(pod):
    """(digest of the image, configuration) of each Wasm filter in force in a proxy."""
    for dump in pod.envoy("/config_dump?resource=ecds_filters").get("configs", []):
        config = dump["ecds_filter"]["typed_config"].get("config")
        if config:
            yield (
                Path(config["vm_config"]["code"]["local"]["filename"]).stem,
                json.loads(config["configuration"]["value"]),
            )
