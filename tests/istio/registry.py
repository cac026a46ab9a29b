"""An OCI registry, and the images that `make push` puts there."""

import json
import os
import urllib.request
from pathlib import Path

from machine import BRIDGE, STATE, run, start, until
from pod import Image

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
        self._make("push", f"release-track:{tag}", dist, tool, MODULE=str(module))
        return dist / "wasmplugin"

    def push_weather(self, tag):
        """`make push-weather`, likewise."""
        dist = STATE / "dist" / f"weather-{tag}"
        self._make("push-weather", f"weather:{tag}", dist, "buildah")
        return dist / "weather-app"

    def _make(self, target, image, dist, tool, **environment):
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
            "OCI": tool,
            "PUSH_OPTIONS": "--plain-http" if tool == "oras" else "--tls-verify=false",
            **environment,
        }
        run("make", "--no-print-directory", target, f"IMAGE={self.host}/{image}", cwd=PROJECT, env=environment)

    def digest(self, image):
        """Of what a tag names."""
        return self._crane("digest", image).strip()

    def pull(self, image):
        """What a node would run of it."""
        root = STATE / "images" / image.replace(":", "-")
        root.mkdir(parents=True, exist_ok=True)
        self._crane("export", image, f"{root}.tar")
        run("tar", "--extract", f"--file={root}.tar", f"--directory={root}")
        config = json.loads(self._crane("config", image))["config"]
        [entrypoint], user = config["Entrypoint"], int(config["User"].split(":")[0])
        files = {f"/{file.relative_to(root)}": file for file in root.rglob("*") if file.is_file()}
        return Image(entrypoint, files, user, dict(entry.split("=", 1) for entry in config.get("Env", [])))

    def _crane(self, command, image, *arguments):
        return run(self._programs / "crane", command, "--insecure", f"{self.host}/{image}", *arguments)
