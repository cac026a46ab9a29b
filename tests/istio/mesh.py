"""The mesh: a cluster, Istio as its own installer renders it, and a node to run it on."""

from pathlib import Path

from cluster import Cluster
from machine import run
from node import Node
from pod import Image

HERE = Path(__file__).parent


class Mesh:
    """Running when constructed: istiod and the ingress gateway are ready."""

    def __init__(self, parts, envoy, weather):
        programs = parts / "bin"
        self._istioctl = programs / "istioctl"
        images = {
            "pilot": Image("/usr/local/bin/pilot-discovery", {"/usr/local/bin/pilot-discovery": programs / "pilot-discovery"}, 1337),
            "proxyv2": Image(
                "/usr/local/bin/pilot-agent",
                {
                    "/usr/local/bin/pilot-agent": programs / "pilot-agent",
                    "/usr/local/bin/envoy": envoy,
                    "/var/lib/istio/envoy/envoy_bootstrap_tmpl.json": parts / "istio/envoy_bootstrap_tmpl.json",
                },
                1337,
            ),
            "weather": Image("/weather", {"/weather": weather}, 65532, {"SWITCHABLE": "true"}),
        }
        self.cluster = Cluster(programs)
        self.node = Node(self.cluster, images)
        self.cluster.create("/api/v1/namespaces", {"metadata": {"name": "istio-system"}})
        istio = self.istioctl("manifest", "generate", "-f", HERE / "installation.yaml")
        for manifests in (["-f", parts / "gateway-api"], ["-f", "-"]):
            self.cluster.kubectl("apply", "--server-side", *manifests, input=istio)
        self.node.sync()

    def istioctl(self, *arguments, input=None):
        """What istioctl prints; Stopped if it fails."""
        return run(self._istioctl, f"--kubeconfig={self.cluster.kubeconfig}", *arguments, input=input)
