"""The mesh: a cluster, Istio as its own installer renders it, and a node to run it on."""

import dataclasses
import re
import textwrap
from pathlib import Path

from cluster import Cluster
from machine import STATE, Stopped, run
from node import Node
from pod import Image

HERE = Path(__file__).parent
MODULE = "/etc/release-track/librelease-track.so"  # in each proxy, as an image volume brings it


class Mesh:
    """Running when constructed: istiod and the ingress gateway are ready."""

    def __init__(self, parts, envoy, weather, module):
        programs = parts / "bin"
        self._istioctl = programs / "istioctl"
        images = {
            "pilot": Image(
                "/usr/local/bin/pilot-discovery", {"/usr/local/bin/pilot-discovery": programs / "pilot-discovery"}, 1337
            ),
            "proxyv2": Image(
                "/usr/local/bin/pilot-agent",
                {
                    "/usr/local/bin/pilot-agent": programs / "pilot-agent",
                    "/usr/local/bin/envoy": envoy,
                    MODULE: module,
                    "/var/lib/istio/envoy/envoy_bootstrap_tmpl.json": _bootstrap(parts / "istio"),
                },
                1337,
            ),
            "weather": dataclasses.replace(weather, env={**weather.env, "SWITCHABLE": "true"}),
        }
        self.cluster = Cluster(programs)
        self.node = Node(self.cluster, images)
        self.cluster.create("/api/v1/namespaces", {"metadata": {"name": "istio-system"}})
        istio = self._manifests()
        for manifests in (["-f", parts / "gateway-api"], ["-f", "-"]):
            self.cluster.kubectl("apply", "--server-side", *manifests, input=istio)
        self.node.sync()

    def _manifests(self, *more):
        files = (argument for file in (HERE / "installation.yaml", *more) for argument in ("-f", file))
        return self.istioctl("manifest", "generate", *files)

    def manifests(self, settings):
        """The manifests of an installation with more settings (YAML)."""
        overlay = STATE / "overlay.yaml"
        overlay.write_text(
            "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec:\n" + textwrap.indent(settings, "  ")
        )
        return self._manifests(overlay).split("\n---\n")

    def configure(self, settings):
        """Change the mesh's configuration as an installation with more settings (YAML) does."""
        for manifest in self.manifests(settings):
            if re.search("^kind: ConfigMap$", manifest, re.M) and re.search("^  name: istio$", manifest, re.M):
                self.cluster.kubectl("apply", "--server-side", "-f", "-", input=manifest)
        for pod in self.node.pods.values():
            pod.refresh()

    def istioctl(self, *arguments, input=None):
        """What istioctl prints; Stopped if it fails."""
        return run(self._istioctl, f"--kubeconfig={self.cluster.kubeconfig}", *arguments, input=input)

    def analyze(self, manifests):
        """Stopped if `istioctl analyze` warns of manifests (text), as if applied to this cluster."""
        self.istioctl(
            "analyze", "--all-namespaces", "--color=false", "--failure-threshold=Warning", "-", input=manifests
        )


def _bootstrap(folder):
    """Istio's template without the one extension, a waypoint's, that only Istio's build of Envoy has."""
    template = folder / "envoy_bootstrap_tmpl.json"
    text = template.read_text()
    without = re.sub(r"\{\{- if \.metadata_discovery \}\}.*?\{\{- end \}\}", "", text, count=1, flags=re.S)
    if without == text:
        raise Stopped(f"{template} has no workload discovery to leave out")
    copy = STATE / template.name
    copy.write_text(without)
    return copy
