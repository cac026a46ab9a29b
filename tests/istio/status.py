"""`release-track status`, as somebody who may do no more than docs/operations.md gives them."""

import json
import os
import re
import subprocess

import weather
from machine import STATE, Stopped, until
from tier import PROJECT

_PROGRAM = PROJECT / "target/debug/release-track"
_ACCOUNT = ("watch", "default")  # name, namespace


def require(tier, *findings, config=None):
    """Wait until, while users send requests, it finds these, (code, workload), and nothing else that is wrong."""
    wanted = set(findings)
    found = []

    def is_found():
        found[:] = [_found(tier, config)]
        return found[0] == wanted

    try:
        until("findings", is_found, 90)
    except Stopped as stopped:
        raise Stopped(f"status finds {sorted(found[0]) if found else stopped}, not {sorted(wanted)}") from None


def _found(tier, config):
    arguments = ["status", f"--kubeconfig={_kubeconfig(tier)}", "--output=json", "--over=5s"]
    if config:
        arguments.append(f"--config={config}")
    environment = {**os.environ, "PATH": f"{tier.mesh.cluster.programs}:{os.environ['PATH']}"}
    with weather.Traffic(tier.gateway):
        done = subprocess.run([_PROGRAM, *arguments], env=environment, capture_output=True, text=True)
    if done.returncode not in (0, 1):
        raise Stopped(f"release-track status: exit {done.returncode}\n{done.stdout}{done.stderr}")
    wrong = [finding for finding in json.loads(done.stdout)["findings"] if finding["severity"] != "info"]
    if bool(wrong) != bool(done.returncode):
        raise Stopped(f"exit {done.returncode} with {wrong}")
    return {(finding["code"], finding.get("workload", "")) for finding in wrong}


def _kubeconfig(tier):
    """Of a service account that is bound to the documented role, made once."""
    file = STATE / "watch-kubeconfig"
    if not file.exists():
        name, namespace = _ACCOUNT
        document = (PROJECT / "docs/operations.md").read_text()
        role = re.search("```yaml\n(# ClusterRole\n.*?)```", document, re.S)[1]
        tier.kubectl("apply", "-f", "-", input=role)
        tier.kubectl("create", "serviceaccount", name, f"--namespace={namespace}")
        tier.kubectl(
            "create", "clusterrolebinding", name, "--clusterrole=release-track-status",
            f"--serviceaccount={namespace}:{name}",
        )  # fmt: skip
        token = tier.kubectl("create", "token", name, f"--namespace={namespace}").strip()
        config = json.loads(tier.mesh.cluster.kubeconfig.read_text())
        config["users"][0]["user"] = {"token": token}
        file.write_text(json.dumps(config))
    return file
