"""A pod: a network namespace on the bridge, a root folder, and its containers as processes in both.

The specification is the one that the API server holds after Istio's injector had its say.
"""

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import machine
from machine import BRIDGE, STATE, run, start, until

# What a container takes from the machine instead of from its image.
_SHARED = ("dev", "proc", "sys", "usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "bin", "sbin", "lib", "lib64")


@dataclasses.dataclass
class Image:
    """Its entry point, its files (path in the image: source), its default user id, and its environment."""

    entrypoint: str
    files: dict
    user: int
    env: dict = dataclasses.field(default_factory=dict)


class Pod:
    """One pod of a Deployment, from its creation in the API on."""

    def __init__(self, cluster, deployment, images, address):
        self._cluster = cluster
        self._images = images
        self._containers = {}  # name: Popen
        self.address = address
        self.ready = False
        meta, template = deployment["metadata"], deployment["spec"]["template"]
        self.workload = meta["name"]
        self.namespace = meta["namespace"]
        self.name = f"{self.workload}-1-{address.rsplit('.', 1)[1]}"
        owner = {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "name": f"{self.workload}-1",
            "uid": meta["uid"],
            "controller": True,
        }
        self._path = f"/api/v1/namespaces/{self.namespace}/pods"
        self._pod = cluster.create(
            self._path,
            {
                "metadata": {
                    "name": self.name,
                    "labels": {**template["metadata"].get("labels", {}), "pod-template-hash": "1"},
                    "annotations": template["metadata"].get("annotations", {}),
                    "ownerReferences": [owner],
                },
                "spec": {**template["spec"], "nodeName": "node"},
            },
        )
        self._path += f"/{self.name}"
        self._spec = self._pod["spec"]
        self.labels = self._pod["metadata"]["labels"]
        self._root = STATE / "pods" / self.name
        self._report("Pending")

    def runs(self, container):
        """Has it a container of this name?"""
        return any(c["name"] == container for c in self._all)

    @property
    def proxied(self):
        """Is it a gateway, or does it have a sidecar?"""
        return self.runs("istio-proxy")

    @property
    def _all(self):
        return self._spec.get("initContainers", []) + self._spec["containers"]

    def port(self, target):
        """The number of a Service's targetPort."""
        if isinstance(target, int):
            return target
        return next(p["containerPort"] for c in self._all for p in c.get("ports", []) if p.get("name") == target)

    def resolve(self, names, world):
        """Make these Services, (namespace, name, address), known to the pod, and hosts outside, {name: address}."""
        lines = ["127.0.0.1 localhost"]
        for namespace, name, address in names:
            short = name if namespace == self.namespace else ""
            lines.append(
                f"{address} {name}.{namespace}.svc.cluster.local {name}.{namespace}.svc {name}.{namespace} {short}"
            )
        lines += [f"{address} {host}" for host, address in world.items()]
        (self._root / "etc").mkdir(parents=True, exist_ok=True)
        (self._root / "etc/hosts").write_text("\n".join(lines) + "\n")

    def start(self):
        """Start its containers, once."""
        if self._containers:
            return
        self._provide_root()
        self._provide_network()
        for container in self._spec.get("initContainers", []):
            if container.get("restartPolicy") == "Always":
                self._start(container)
            else:
                run(*self._command(container), env=self._environment(container))
        for container in self._spec["containers"]:
            self._start(container)

    def wait_ready(self):
        """Wait for the containers' readiness probes, and report the pod ready."""
        if self.ready:
            return
        for container in self._all:
            if probe := container.get("readinessProbe", {}).get("httpGet"):
                url = f"http://{self.address}:{probe['port']}{probe['path']}"
                until(f"200 from {self.workload}'s {url}", lambda: urllib.request.urlopen(url, timeout=5), 180, 0.3)
        self.ready = True
        self._report("Running")

    def stop(self):
        """End its processes and delete it in the API."""
        for name in self._containers:
            machine.stop(self._log(name))
        machine.stop(self._log("pause"))
        self._cluster.delete(self._path)

    def crash(self, container):
        """Kill a container, which nobody starts again."""
        self._containers.pop(container)
        machine.stop(self._log(container), signal.SIGKILL)

    def refresh(self):
        """Bring its mounted ConfigMaps up to date."""
        volumes = {volume["name"]: volume for volume in self._spec.get("volumes", []) if "configMap" in volume}
        for container in self._all:
            for mount in container.get("volumeMounts", []):
                if mount["name"] in volumes:
                    self._provide_volume(volumes[mount["name"]], self.inside(mount["mountPath"]))

    def put(self, path, content):
        """A file that a volume of its proxy brings while it runs."""
        file = self._root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    def tell(self, container, line):
        """A line on the standard input of a container that logs it once it has obeyed."""
        process = self._containers[container]
        process.stdin.write(line.encode() + b"\n")
        process.stdin.flush()
        until(f"answer to «{line}»", lambda: machine.tail(self._log(container), 1) == line)

    def python(self, program, *arguments):
        """What a Python program prints that runs in the pod's network, as an application there."""
        return run("nsenter", f"--net={self._network}", "--", sys.executable, "-c", program, *arguments)

    def refuse(self, addresses):
        """Take no new connection from these addresses, and from no others before them."""
        tables = ["nsenter", f"--net={self._network}", "--", "iptables-nft", "--wait"]
        run(*tables, "-F", "INPUT")
        for address in addresses:
            run(*tables, "-A", "INPUT", "-s", address, "-p", "tcp", "--syn", "-j", "REJECT", "--reject-with=tcp-reset")

    def logged(self, text):
        """How many lines of its proxy's log have this text."""
        return self.proxy_log().count(text)

    def proxy_log(self):
        """All that its proxy has said."""
        return machine.log(self._log("istio-proxy"))

    def envoy(self, path):
        """What Envoy's administration answers, as JSON."""
        said = run(
            "nsenter",
            f"--net={self._network}",
            f"--root={self._root}",
            f"--wd={self._root}",
            "--",
            "/usr/local/bin/pilot-agent",
            "request",
            "GET",
            path,
        )
        _, brace, json_text = said.partition("{")  # the agent's own warnings come before
        if not brace:
            raise machine.Stopped(f"{self.name}: {path} is not answered: {said.strip()}")
        return json.loads(brace + json_text)

    def endpoints(self, cluster=None):
        """The addresses that its proxy knows, of one cluster or of all."""
        clusters = self.envoy("/clusters?format=json")["cluster_statuses"]
        chosen = (one for one in clusters if cluster in (None, one["name"]))
        hosts = (host["address"] for one in chosen for host in one.get("host_statuses", []))
        return {host.get("socket_address", {}).get("address") for host in hosts}

    def _log(self, container):
        return f"{self.name}.{container}"

    def _report(self, phase):
        ready = "True" if self.ready else "False"
        status = {
            "phase": phase,
            "hostIP": BRIDGE,
            "podIP": self.address,
            "podIPs": [{"ip": self.address}],
            "conditions": [
                {"type": kind, "status": ready} for kind in ("Ready", "ContainersReady", "Initialized", "PodScheduled")
            ],
        }
        self._cluster.merge(f"{self._path}/status", {"status": status})

    def _provide_root(self):
        for name in _SHARED:
            source, target = Path("/") / name, self._root / name
            if source.is_symlink():
                target.symlink_to(os.readlink(source))
            elif source.is_dir():
                target.mkdir(parents=True)
                run("mount", "--rbind", source, target)
        (self._root / "etc/resolv.conf").write_text(f"nameserver {BRIDGE}\n")  # nobody answers there
        for name in ("tmp", "run", "var"):
            (self._root / name).mkdir(mode=0o777)
            (self._root / name).chmod(0o777)
        (self._root / "var/run").symlink_to("/run")
        volumes = {volume["name"]: volume for volume in self._spec.get("volumes", [])}
        for container in self._all:
            for path, source in self._image(container).files.items():
                target = self._root / path.lstrip("/")
                target.parent.mkdir(parents=True, exist_ok=True)
                if not target.exists():
                    target.touch()
                    run("mount", "--bind", source, target)
            for mount in container.get("volumeMounts", []):
                self._provide_volume(volumes[mount["name"]], self.inside(mount["mountPath"]))

    def inside(self, path):
        """Where a path of its own is on this machine."""
        return self._root / re.sub("^/var/run/", "run/", path).lstrip("/")

    def _provide_volume(self, volume, folder):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o777)
        kind = next(key for key in volume if key != "name")
        sources = volume[kind]["sources"] if kind == "projected" else [{kind: volume[kind]}]
        for source in sources:
            for name, text in self._files(source):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text(text)

    def _files(self, source):
        (kind, of), namespace = next(iter(source.items())), f"/api/v1/namespaces/{self.namespace}"
        if kind == "emptyDir":
            return
        if kind == "serviceAccountToken":
            account = f"{namespace}/serviceaccounts/{self._spec['serviceAccountName']}/token"
            audiences = {"audiences": [of["audience"]]} if "audience" in of else {}
            yield of["path"], self._cluster.create(account, {"spec": audiences})["status"]["token"]
        elif kind == "configMap":
            if of.get("optional"):
                found = {c["metadata"]["name"]: c for c in self._cluster.items(f"{namespace}/configmaps")}.get(
                    of["name"], {}
                )
            else:
                found = until(
                    f"ConfigMap {of['name']}", lambda: self._cluster.get(f"{namespace}/configmaps/{of['name']}")
                )
            keys = {item["key"]: item["path"] for item in of.get("items", [])}
            for key, text in found.get("data", {}).items():
                if not keys or key in keys:
                    yield keys.get(key, key), text
        elif kind == "downwardAPI":
            for item in of["items"]:
                if "fieldRef" in item:
                    yield item["path"], self._field(item["fieldRef"]["fieldPath"])
        elif not (kind == "secret" and of.get("optional")):
            raise NotImplementedError(f"volume source {kind} in {self.name}")

    def _field(self, path):
        """What the downward API says of a field of the pod."""
        fields = {"status.podIP": self.address, "status.hostIP": BRIDGE}
        if path in fields:
            return fields[path]
        if key := re.fullmatch(r"metadata\.(\w+)\['(.+)'\]", path):
            return self._pod["metadata"].get(key[1], {}).get(key[2], "")
        value = self._pod
        for part in path.split("."):
            value = value.get(part, "")
        if isinstance(value, dict):
            quote = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})
            return "".join(f'{key}="{text.translate(quote)}"\n' for key, text in value.items())
        return value

    def _provide_network(self):
        pause = start(self._log("pause"), "unshare", "--net", "sleep", "infinity")
        self._network = machine.plug(pause.pid, self.address)
        for sysctl in self._spec.get("securityContext", {}).get("sysctls", []):
            run(
                "nsenter",
                f"--net={self._network}",
                "tee",
                f"/proc/sys/{sysctl['name'].replace('.', '/')}",
                input=sysctl["value"],
            )

    def _image(self, container):
        return self._images[container["image"].split("/")[-1].split("@")[0].split(":")[0]]

    def _command(self, container):
        image, environment = self._image(container), self._environment(container)
        context = {**self._spec.get("securityContext", {}), **container.get("securityContext", {})}
        user = context.get("runAsUser", image.user)
        arguments = container.get("command", [image.entrypoint]) + container.get("args", [])
        return [
            "nsenter", f"--net={self._network}", f"--root={self._root}", f"--wd={self._root}",
            f"--setuid={user}", f"--setgid={context.get('runAsGroup', user)}", "--",
            *(_expand(argument, environment) for argument in arguments),
        ]  # fmt: skip

    def _environment(self, container):
        found = {
            "PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "KUBERNETES_SERVICE_HOST": BRIDGE,
            "KUBERNETES_SERVICE_PORT": "6443",
            **self._image(container).env,
        }
        for entry in container.get("env", []):
            source = entry.get("valueFrom", {})
            if "fieldRef" in source:
                found[entry["name"]] = self._field(source["fieldRef"]["fieldPath"])
            elif source.get("resourceFieldRef", {}).get("resource") == "limits.cpu":
                found[entry["name"]] = str(os.cpu_count())
            elif not source:
                found[entry["name"]] = _expand(entry.get("value", ""), found)
        return found

    def _start(self, container):
        name = container["name"]
        environment, command = self._environment(container), self._command(container)
        self._containers[name] = start(self._log(name), *command, env=environment, stdin=subprocess.PIPE)


def _expand(text, environment):
    """Kubernetes' $(NAME)."""
    return re.sub(r"\$\((\w+)\)", lambda name: environment.get(name[1], name[0]), text)
