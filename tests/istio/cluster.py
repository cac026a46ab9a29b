"""A Kubernetes API without nodes: etcd, kube-apiserver, and kubectl for what a user does."""

import contextlib
import json
import ssl
import urllib.error
import urllib.request

from machine import BRIDGE, STATE, Stopped, run, start, until

_TOKEN = "admin"  # of a server that only this machine's own network reaches


class Refused(Stopped):
    """The API's answer was an error: `status` (HTTP) and its message."""

    def __init__(self, status, message):
        super().__init__(f"{status}: {message}")
        self.status = status


class Cluster:
    """`get`, `create` and so on take API paths; `kubectl` is the real one. Both act as the administrator."""

    def __init__(self, programs):
        folder = STATE / "cluster"
        folder.mkdir()
        self.programs = programs
        self._kubectl = programs / "kubectl"
        self._url = f"https://{BRIDGE}:6443"
        self._tls = ssl._create_unverified_context()
        self.kubeconfig = folder / "kubeconfig"

        start(
            "etcd", programs / "server", f"--data-dir={folder}/etcd", "--unsafe-no-fsync",
            "--listen-client-urls=http://127.0.0.1:2379", "--advertise-client-urls=http://127.0.0.1:2379",
            "--listen-peer-urls=http://127.0.0.1:2380",
        )  # fmt: skip
        (folder / "tokens").write_text(f'{_TOKEN},admin,admin,"system:masters"\n')
        key = folder / "service-account.key"
        run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
        start(
            "kube-apiserver", programs / "kube-apiserver", "--etcd-servers=http://127.0.0.1:2379",
            f"--cert-dir={folder}", f"--advertise-address={BRIDGE}", "--service-cluster-ip-range=10.96.0.0/16",
            f"--token-auth-file={folder}/tokens", "--authorization-mode=RBAC",
            f"--service-account-key-file={key}", f"--service-account-signing-key-file={key}",
            "--service-account-issuer=https://kubernetes.default.svc", "--endpoint-reconciler-type=none",
            "--enable-aggregator-routing=true",  # reach webhooks by their endpoints: there is no kube-proxy
        )  # fmt: skip
        until("kube-apiserver", self._ready, 120)
        self.authority = (folder / "apiserver.crt").read_text()
        config = {
            "clusters": [{"name": "mesh", "cluster": {"server": self._url, "insecure-skip-tls-verify": True}}],
            "users": [{"name": "admin", "user": {"token": _TOKEN}}],
            "contexts": [{"name": "mesh", "context": {"cluster": "mesh", "user": "admin"}}],
            "current-context": "mesh",
        }
        self.kubeconfig.write_text(json.dumps(config))

    def _ready(self):
        return self._ask("GET", "/readyz") == b"ok"

    def get(self, path):
        """An object or list."""
        return json.loads(self._ask("GET", path))

    def items(self, path):
        """The objects of a list; none if nobody knows the kind yet."""
        return self.get(path)["items"]

    def create(self, path, value):
        """The object as created."""
        return json.loads(self._ask("POST", path, value))

    def ensure(self, path, value):
        """Create it unless there is one of its name."""
        try:
            self.create(path, value)
        except Refused as refused:
            if refused.status != 409:
                raise

    def put(self, path, value):
        """Create the object of this path, or replace it."""
        manager = "fieldManager=tests&force=true"
        return json.loads(self._ask("PATCH", f"{path}?{manager}", value, "application/apply-patch+yaml"))

    def merge(self, path, value):
        """Change some fields."""
        return json.loads(self._ask("PATCH", path, value, "application/merge-patch+json"))

    def delete(self, path):
        """Delete at once."""
        self._ask("DELETE", f"{path}?gracePeriodSeconds=0")

    def _ask(self, method, path, value=None, content="application/json"):
        request = urllib.request.Request(
            self._url + path,
            method=method,
            data=None if value is None else json.dumps(value).encode(),
            headers={"Authorization": f"Bearer {_TOKEN}", "Content-Type": content},
        )
        try:
            with urllib.request.urlopen(request, context=self._tls, timeout=30) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            text = error.read().decode(errors="replace")
            with contextlib.suppress(ValueError, KeyError):
                text = json.loads(text)["message"]
            raise Refused(error.code, f"{method} {path}: {text}") from None

    def kubectl(self, *arguments, input=None):
        """What kubectl prints; Stopped if it fails."""
        return run(self._kubectl, f"--kubeconfig={self.kubeconfig}", *arguments, input=input)
