"""An OCI registry, and the images that `make push` puts there."""

import os
import urllib.request
from pathlib import Path

from machine import BRIDGE, STATE, run, start, until

PROJECT = Path(__file__).resolve().parents[2]


class Registry:
    """Plain HTTP on the bridge; forgets everything with its process."""

    host = f"{BRIDGE}:5000"

    def __init__(self, programs):
        self._programs = programs
        start("registry", programs / "crane", "registry", "serve", f"--address={self.host}")
        until("registry", lambda: urllib.request.urlopen(f"http://{self.host}/v2/", timeout=5))

    def push(self, tag, module=PROJECT / "dist/release-track.wasm", tool="buildah"):
        """`make push` as a user runs it. Returns the folder that is the installation."""
        dist = STATE / "dist" / tag
        storage = STATE / "containers"  # not the storage of whoever uses this machine
        storage.mkdir(exist_ok=True)
        (storage / "storage.conf").write_text(
            f'[storage]\ndriver = "vfs"\nrunroot = "{storage}/run"\ngraphroot = "{storage}/graph"\n'
        )
        environment = {
            **os.environ,
            "PATH": f"{os.environ['PATH']}:{self._programs}",
            "CONTAINERS_STORAGE_CONF": str(storage / "storage.conf"),
            "TMPDIR": str(storage),
            "DIST": str(dist),
            "MODULE": str(module),
            "OCI": tool,
            "PUSH_OPTIONS": "--plain-http" if tool == "oras" else "--tls-verify=false",
        }
        run(
            "make",
            "--no-print-directory",
            "push",
            f"IMAGE={self.host}/release-track:{tag}",
            cwd=PROJECT,
            env=environment,
        )
        return dist / "wasmplugin"
