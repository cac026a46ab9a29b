"""A real Prometheus, which scrapes the proxies of the mesh."""

import json
import os
import signal
import urllib.parse
import urllib.request

from machine import BRIDGE, STATE, start, stop, until

ADDRESS = f"http://{BRIDGE}:9090"


class Prometheus:
    """From `with` to its end. `scrape` tells it which pods there are."""

    def __init__(self):
        self._config = STATE / "prometheus.yml"

    def __enter__(self):
        self._write([])
        self._process = start(
            "prometheus", os.environ["PROMETHEUS_BINARY"], f"--config.file={self._config}",
            f"--storage.tsdb.path={STATE}/prometheus", f"--web.listen-address={BRIDGE}:9090",
        )  # fmt: skip
        until("Prometheus", lambda: urllib.request.urlopen(f"{ADDRESS}/-/ready", timeout=5))
        return self

    def __exit__(self, *_):
        stop("prometheus")

    def scrape(self, pods):
        """These pods' proxies from now on, every second; returns when it has asked each of them."""
        targets = {f"{pod.address}:15090" for pod in pods if pod.proxied}
        self._write(targets)
        self._process.send_signal(signal.SIGHUP)
        until("scrapes of every proxy", lambda: targets == {series["instance"] for series, _ in self.ask("up == 1")})

    def ask(self, query):
        """[(labels, value)] of what a query finds now."""
        query = urllib.parse.urlencode({"query": query})
        with urllib.request.urlopen(f"{ADDRESS}/api/v1/query?{query}", timeout=10) as answer:
            found = json.loads(answer.read())["data"]["result"]
        return [(one["metric"], float(one["value"][1])) for one in found]

    def _write(self, targets):
        job = {
            "job_name": "envoy",
            "metrics_path": "/stats/prometheus",
            "scrape_interval": "1s",
            "static_configs": [{"targets": sorted(targets)}],
        }
        self._config.write_text(json.dumps({"scrape_configs": [job]}))  # JSON is YAML
