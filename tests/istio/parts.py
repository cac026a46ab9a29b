"""The real programs a mesh is made of: pinned in `parts/go.mod`, built once, kept in the user's cache.

The folder in the cache is named after what it is made of, filled under another name and renamed when
complete: what exists is whole. An interrupted build goes on from what Go's own cache kept.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent / "parts"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "release-track"
GO = (1, 26)

TAGS = "vtprotobuf,disable_pgv"  # as Istio builds itself
KUBERNETES = re.search(r"k8s.io/kubernetes v(\d+)\.(\d+)\.\d+", (HERE / "go.mod").read_text())

# Debian packages for the programs that come from the machine.
PACKAGES = {
    "buildah": "buildah",
    "ip": "iproute2",
    "iptables": "iptables",
    "nsenter": "util-linux",
    "openssl": "openssl",
}


class PartError(Exception):
    """A part that could not be had; the text says which, and what to do."""


def check_go():
    """PartError unless a Go of at least version `GO` is on the PATH."""
    wanted = f"needs Go {GO[0]}.{GO[1]} or later on the PATH"
    if not shutil.which("go"):
        raise PartError(wanted)
    found = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True).stdout.strip()
    version = re.match(r"go(\d+)\.(\d+)", found)
    if version and tuple(map(int, version.groups())) < GO:
        raise PartError(f"{wanted}, found {found}")


def install_packages():
    """Have Debian's package manager install what is missing."""
    packages = sorted({package for program, package in PACKAGES.items() if not shutil.which(program)})
    if not packages:
        return
    if not shutil.which("apt-get"):
        raise PartError(f"needs the Debian packages {' '.join(packages)}, or what they are called here")
    print(f"Installing {' '.join(packages)}", flush=True)
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        done = subprocess.run(
            ["apt-get", "-qq", *command], env=quiet, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        if done.returncode:
            raise PartError(f"apt-get {' '.join(command)} failed:\n{done.stdout[-2000:]}")


def build():
    """Folder with `bin/` (the programs) and `istio/`, `gateway-api/` (their projects' own files)."""
    recipe = b"".join((HERE / name).read_bytes() for name in ("go.mod", "go.sum")) + Path(__file__).read_bytes()
    folder = CACHE / f"istio-{hashlib.sha256(recipe).hexdigest()[:12]}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "istio.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second run waits for the first one's build
        if not folder.exists():
            partial = folder.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            _programs(partial / "bin")
            _files(partial)
            partial.rename(folder)
    return folder


def _programs(to):
    tools = sorted(_go("list", "tool").split())
    # Two programs are called helm.
    helms = {tool: to / f"helm{tool.split('/')[2][1:]}" for tool in tools if tool.startswith("helm.sh/")}
    builds = [
        (f"{to}/", [tool for tool in tools if tool not in helms]),
        *((name, [tool]) for tool, name in helms.items()),
    ]
    packages = len(_go("list", "-deps", "-tags", TAGS, "tool").split())
    version = "k8s.io/component-base/version"
    major, minor = KUBERNETES.groups()
    stamped = {"gitVersion": f"v{KUBERNETES[0].split('v')[-1]}", "gitMajor": major, "gitMinor": minor}
    stamp = " ".join(["-s -w", *(f"-X {version}.{name}={value}" for name, value in stamped.items())])
    print(
        "Building etcd, kube-apiserver, kubectl, istiod, pilot-agent, istioctl, helm, once: about 12 minutes of CPU",
        flush=True,
    )
    said, built, started = [], 0, time.monotonic()
    for name, programs in builds:
        command = ["go", "build", "-v", "-trimpath", "-tags", TAGS, "-ldflags", stamp, "-o", name, *programs]
        with subprocess.Popen(command, cwd=HERE, stderr=subprocess.PIPE, text=True) as compiler:
            for line in compiler.stderr:
                said.append(line)
                built += not line.startswith("go: ")
                _progress(built, packages, time.monotonic() - started)
        if compiler.returncode:
            raise PartError("go build failed:\n" + "".join(said[-20:]))
    _progress(packages, packages, time.monotonic() - started, last=True)


def _progress(built, of, seconds, last=False):
    """A line that rewrites itself on a terminal, and one in a hundred packages elsewhere."""
    text = f"  {built} of {of} packages, {int(seconds // 60)}:{int(seconds % 60):02}"
    if sys.stdout.isatty():
        print(f"\r{text}", end="\n" if last else "", flush=True)
    elif last or built % 100 == 0:
        print(text, flush=True)


def _files(to):
    istio, gateway_api = (
        Path(json.loads(_go("list", "-m", "-json", module))["Dir"])
        for module in ("istio.io/istio", "sigs.k8s.io/gateway-api")
    )
    for source, name in (
        (istio / "manifests/charts/base/files/crd-all.gen.yaml", "istio/crds.yaml"),
        (istio / "tools/packaging/common/envoy_bootstrap.json", "istio/envoy_bootstrap_tmpl.json"),
        *(
            (crd, f"gateway-api/{crd.name}")
            for crd in (gateway_api / "config/crd/standard").glob("gateway.networking.k8s.io_*.yaml")
        ),
    ):
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        (to / name).write_bytes(source.read_bytes())


def _go(*arguments):
    done = subprocess.run(["go", *arguments], cwd=HERE, capture_output=True, text=True)
    if done.returncode:
        raise PartError(f"go {' '.join(arguments)} failed:\n{done.stderr[-2000:]}")
    return done.stdout
