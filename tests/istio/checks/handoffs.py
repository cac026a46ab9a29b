"""Other people's controllers beside the filter, as docs/hand-offs.md has it."""

import json
import os
import re
from contextlib import contextmanager
from pathlib import Path

import weather
from checks.metrics import tag_stats
from machine import Stopped, start, stop, until
from prometheus import ADDRESS, Prometheus
from tier import PROJECT

_EXAMPLE = PROJECT / "examples/handoffs/argo-rollouts"
_RELEASED = ("frontend", "forecast")
_VISITORS = tuple(
    weather.User(f"visitor {n}", (("cookie", f"release-track-id=visitor-{n}"),), False) for n in range(40)
)
_TESTER = weather.USERS[1]
# Promoted: everybody has version 2, and nobody follows a track.
_PROMOTED = (
    "frontend",
    "v2",
    None,
    (("advertisement", "v1", None, ()), ("forecast", "v2", None, (("recommendation", "v1", None, ()),))),
)


def rollouts(tier, installation):
    """Argo Rollouts: a bad v2 aborts both, at a share of 0, and only testers meet it; a good one is promoted in both"""
    with _argo(tier, installation) as argo:
        with weather.Traffic(tier.gateway, _either, users=_VISITORS) as traffic:
            argo.release("bad", measurements=600)
            argo.share(50)
            traffic.wait(200)
            if (seen := _versions(tier)) != {"v1", "v2"}:
                raise Stopped(f"at half a share some of 40 visitors get v1 and some v2, but these got {seen}")
        sent = traffic.require_none_wrong()
        stable = argo.active()
        argo.pod("forecast").tell("weather", "fail forecast v2")
        with weather.Traffic(tier.gateway, _either, users=_VISITORS):
            until("abort of both Rollouts", lambda: all(argo.status(name).get("abort") for name in _RELEASED), 90)
        for metric, value in (("release_track_share", 0), ("release_track_guard_stopped", 1)):
            until(
                f"{metric} of {value}",
                lambda metric=metric, value=value: argo.ask(f"max({metric}{{track='v2'}})") == [value],
            )
        sent += weather.send(tier.gateway, 400, lambda user: (weather.BASELINE,), users=_VISITORS)
        status, _ = weather.Client(tier.gateway).get((*_TESTER.headers, ("accept", "application/json")))
        tier.node.sync()
        if status < 500 or argo.active() != stable:
            raise Stopped(f"after the abort a tester got {status}, and baseline is {argo.active()}, before {stable}")

        argo.share(0)
        with weather.Traffic(tier.gateway, _either, users=_VISITORS) as traffic:
            argo.release("good", measurements=10)
            argo.share(100)
            weather.settle(tier.gateway, lambda user: (weather.V2,), _VISITORS)
            until("end of both analyses", lambda: all(argo.status(name).get("pauseConditions") for name in _RELEASED))
            if argo.active() != stable:
                raise Stopped("promoted by nobody")
            argo.promote()
            until("promotion of both", lambda: not argo.active().items() & stable.items())
            tier.node.sync()
            weather.settle(tier.gateway, lambda user: (_PROMOTED,), weather.USERS[:1])
        sent += traffic.require_none_wrong()
        argo.share(0)
        weather.settle(tier.gateway, lambda user: (_PROMOTED,), (*_VISITORS, _TESTER))
    return f"{sent} requests, beside those that the bad version failed"


def _either(user):
    return weather.BASELINE, weather.V2


def _versions(tier):
    client = weather.Client(tier.gateway)
    return {json.loads(client.get(user.headers)[1])["version"] for user in _VISITORS}


@contextmanager
def _argo(tier, installation):
    """The weather app with its two services as Rollouts, in place of the story; put back at the end."""
    tier.install(installation)
    tag_stats(tier)
    tier.node.restart(lambda pod: pod.workload == "istio-ingressgateway")
    weather.settle(tier.gateway)
    with _controller(tier), Prometheus() as prometheus:
        argo = _Argo(tier, installation, prometheus)
        argo.begin()
        yield argo
    for kind in "rollouts", "replicasets", "analysisruns", "analysistemplates":
        tier.kubectl("delete", kind, "--all", "--namespace=weather")
    for name in _RELEASED:
        tier.kubectl("delete", "service", f"{name}-active", f"{name}-preview", "--namespace=weather")
    tier.kubectl("apply", "-k", PROJECT / "examples/weather")
    tier.node.sync()
    tier.install(installation)


@contextmanager
def _controller(tier):
    """That of Argo Rollouts, with its kinds."""
    folder = Path(os.environ["ROLLOUTS"])
    for crd in folder.glob("*-crd.yaml"):
        tier.kubectl("apply", "--server-side", "-f", crd)
    start(
        "rollouts-controller", folder / "rollouts-controller", f"--kubeconfig={tier.mesh.cluster.kubeconfig}",
        "--leader-elect=false",
    )  # fmt: skip
    try:
        yield
    finally:
        stop("rollouts-controller")


class _Argo:
    """What a user of Argo Rollouts does and sees."""

    def __init__(self, tier, installation, prometheus):
        self._tier = tier
        self._prometheus = prometheus
        image = re.search("url: .*", (installation / "wasmplugin.yaml").read_text())[0]
        self._plugin = re.sub("url: .*", image, (_EXAMPLE / "wasmplugin.yaml").read_text())

    def begin(self):
        """Version 1 as Rollouts, where Deployments were; nobody follows the track."""
        self.share(0)
        self._apply("v1")
        for name in _RELEASED:
            self._tier.kubectl("delete", "deployment", f"{name}-v1", f"{name}-v2", "--namespace=weather")
            self._tier.kubectl("delete", "destinationrule", name, "--namespace=weather")
        self._wait("Healthy Rollouts", lambda name: self.status(name).get("phase") == "Healthy")
        weather.settle(self._tier.gateway, lambda user: (weather.BASELINE,))
        self._prometheus.scrape(self._tier.node.pods.values())

    def share(self, percent):
        """Apply the plugin with this share; with none, nobody follows the track, and every proxy can carry it."""
        plugin = self._plugin.replace("percent: 50", f"percent: {percent}")
        if not percent:
            plugin = re.sub(r" +match:\n.*\n", "", plugin)
        self._tier.kubectl("apply", "-f", "-", input=plugin)
        self._tier.wait_in_force()

    def release(self, what, measurements):
        """Apply version 2, and wait until both of its Rollouts ask how it does."""
        before = {name: self.status(name)["currentPodHash"] for name in _RELEASED}
        self._apply("v2", what, measurements)
        self._wait("new ReplicaSets", lambda name: self.status(name)["currentPodHash"] != before[name])
        self._wait("analyses", lambda name: self._analysis(name) == "Running")
        self._prometheus.scrape(self._tier.node.pods.values())

    def promote(self):
        """As `kubectl argo rollouts promote` does for each of them."""
        for name in _RELEASED:
            self._tier.mesh.cluster.merge(f"{self._path(name)}/status", {"status": {"pauseConditions": None}})

    def active(self):
        """{service: hash of the pods that are its baseline}."""
        path = "/api/v1/namespaces/weather/services"
        return {
            name: self._tier.mesh.cluster.get(f"{path}/{name}-active")["spec"]["selector"]["rollouts-pod-template-hash"]
            for name in _RELEASED
        }

    def pod(self, name):
        """The one of the newest version."""
        return self._tier.pod(f"{name}-{self.status(name)['currentPodHash']}")

    def status(self, name):
        return self._tier.mesh.cluster.get(self._path(name)).get("status", {})

    def ask(self, query):
        """The values of what Prometheus finds."""
        return [value for _, value in self._prometheus.ask(query)]

    def _analysis(self, name):
        run = self.status(name)["blueGreen"].get("prePromotionAnalysisRunStatus", {})
        return run.get("status")

    def _apply(self, version, what="first", measurements=600):
        manifests = self._tier.kubectl("kustomize", _EXAMPLE / version)
        for before, after in (
            ("http://prometheus.istio-system:9090", ADDRESS),
            ("interval: 30s", "interval: 1s"),
            ("count: 120", f"count: {measurements}"),
            ("weather:0.1.0", f"weather:{what}"),
        ):
            manifests = manifests.replace(before, after)
        self._tier.kubectl("apply", "-f", "-", input=manifests)

    def _wait(self, what, probe):
        def of_both():
            self._tier.node.sync()
            return all(probe(name) for name in _RELEASED)

        until(what, of_both)

    @staticmethod
    def _path(name):
        return f"/apis/argoproj.io/v1alpha1/namespaces/weather/rollouts/{name}"


def managed_routes(tier, installation):
    """Argo Rollouts: a route of ours among its managedRoutes is gone; beside them it stays"""
    manifests = [json.dumps(_weighted(name, managed)) for name, managed in (("listed", ["track"]), ("left", []))]
    with _controller(tier):
        for manifest in manifests:
            tier.kubectl("apply", "-f", "-", input=manifest)
        routes = "/apis/networking.istio.io/v1/namespaces/default/virtualservices"

        def names(service):
            return [route["name"] for route in tier.mesh.cluster.get(f"{routes}/{service}")["spec"]["http"]]

        until("loss of the listed route", lambda: names("listed") == ["baseline"])
        status = "/apis/argoproj.io/v1alpha1/namespaces/default/rollouts/left"
        until("reconciled Rollout", lambda: tier.mesh.cluster.get(status).get("status", {}).get("observedGeneration"))
        if names("left") != ["track", "baseline"]:
            raise Stopped(f"nobody listed a route, and these are left: {names('left')}")
    for manifest in manifests:
        tier.kubectl("delete", "-f", "-", input=manifest)
    tier.kubectl("delete", "replicasets", "--all", "--namespace=default")


def _weighted(name, managed):
    """A Rollout that moves the weights of a VirtualService which has our two routes, and manages some of them."""
    meta, labels = {"name": name, "namespace": "default"}, {"app": name}
    track = [{"headers": {"x-release-track": {"exact": "v2"}}}]
    routing = {"istio": {"virtualService": {"name": name, "routes": ["baseline"]}}}
    if managed:
        routing["managedRoutes"] = [{"name": route} for route in managed]
    weights = [{"destination": {"host": f"{name}-{role}"}, "weight": weight} for role, weight in _ROLES.items()]
    route = {"hosts": [name], "http": [
        {"name": "track", "match": track, "route": [{"destination": {"host": f"{name}-canary"}}]},
        {"name": "baseline", "route": weights},
    ]}  # fmt: skip
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "weather", "image": "weather"}]}}
    canary = {f"{role}Service": f"{name}-{role}" for role in _ROLES} | {"trafficRouting": routing}
    rollout = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template,
               "strategy": {"canary": {**canary, "steps": [{"setWeight": 20}]}}}  # fmt: skip
    service = {"selector": labels, "ports": [{"port": 80}]}
    items = [
        *({"apiVersion": "v1", "kind": "Service", "metadata": {**meta, "name": f"{name}-{role}"}, "spec": service}
          for role in _ROLES),
        {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": meta, "spec": route},
        {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": meta, "spec": rollout},
    ]  # fmt: skip
    return {"apiVersion": "v1", "kind": "List", "items": items}


_ROLES = {"stable": 100, "canary": 0}


def patched_share(tier, installation):
    """Argo CD: a share patched as the page says differs in what it ignores, and nowhere else; syncing anew resets it"""
    page = (PROJECT / "docs/hand-offs.md").read_text()
    pointers = re.search(r"jsonPointers: \[(.*)\]", page)[1].split(", ")
    patch = re.search(r"kubectl patch .* -p '(.*)'", page)[1]
    path = "/apis/extensions.istio.io/v1alpha1/namespaces/default/wasmplugins/patched"
    git = json.loads(tier.kubectl("create", "--dry-run=client", "-o=json", "-f", _EXAMPLE / "wasmplugin.yaml"))
    git["metadata"] = {"name": "patched", "namespace": "default"}
    # No proxy is selected, so that no agent asks for the image.
    git["spec"]["selector"] = {"matchLabels": {"app": "none"}}

    def sync(spec, *options):
        """As Argo CD applies; returns the share that is then in the cluster."""
        manifest = json.dumps({**git, "spec": spec})
        tier.kubectl("apply", "--server-side", "--field-manager=argocd-controller", *options, "-f", "-", input=manifest)
        return tier.mesh.cluster.get(path)["spec"]["pluginConfig"]["tracks"][0]["share"]

    try:
        sync(git["spec"])
        if "status" in tier.mesh.cluster.get(path):
            raise Stopped("Istio says something of the plugin, which the page denies")
        tier.kubectl("patch", "wasmplugin", "patched", "--namespace=default", "--type=json", "-p", patch)
        live = tier.mesh.cluster.get(path)["spec"]
        differing = set(_differing({"spec": git["spec"]}, {"spec": live}))
        if not differing or not all(any(at.startswith(pointer) for pointer in pointers) for at in differing):
            raise Stopped(f"{differing} differ, and {pointers} are ignored")
        try:
            sync(git["spec"])
        except Stopped as conflict:
            if ".spec.pluginConfig.tracks" not in str(conflict):
                raise
        else:
            raise Stopped("whoever patches a share does not own the list of tracks")
        # Respecting what is ignored means to take it from the cluster.
        respected = {**git["spec"], "pluginConfig": live["pluginConfig"]}
        for spec, percent in ((respected, 0), (git["spec"], 50)):
            if (share := sync(spec, "--force-conflicts")) != {"percent": percent}:
                raise Stopped(f"the share is {share}, not {percent} %")
    finally:
        tier.kubectl("delete", "wasmplugin", "patched", "--namespace=default", "--ignore-not-found")


def _differing(wanted, live, at=""):
    """JSON pointers to what is not as wanted; what only the cluster has, defaults say, is none."""
    if isinstance(wanted, dict) and isinstance(live, dict):
        for key in wanted:
            yield from _differing(wanted[key], live.get(key), f"{at}/{key}")
    elif isinstance(wanted, list) and isinstance(live, list) and len(wanted) == len(live):
        for index, one in enumerate(wanted):
            yield from _differing(one, live[index], f"{at}/{index}")
    elif wanted != live:
        yield at


def by_digest(tier, installation):
    """The API server refuses a plugin whose image is named by its tag alone, and takes what make push has written"""
    policy = PROJECT / "examples/handoffs/images/by-digest.yaml"
    plugins = [installation / "wasmplugin.yaml", installation / "trafficextension/trafficextension.yaml"]
    digest = re.search("@sha256:[0-9a-f]{64}", plugins[0].read_text())[0]
    dry = "create", "--dry-run=server", "-f", "-"
    renamed = [plugin.read_text().replace("name: release-track", "name: renamed", 1) for plugin in plugins]
    by_tag = [manifest.replace(digest, "") for manifest in renamed]

    def refused(manifest):
        try:
            tier.kubectl(*dry, input=manifest)
        except Stopped as answer:
            return "an image is named by its digest" in str(answer)
        return False

    tier.kubectl("apply", "-f", policy)
    try:
        until("refusal", lambda: refused(by_tag[0]))
        wrong = [manifest for manifest in (*by_tag, renamed[0].replace(digest, digest[:-1])) if not refused(manifest)]
        for manifest in (*renamed, re.sub("url: .*", "url: file:///etc/release-track.wasm", by_tag[0])):
            tier.kubectl(*dry, input=manifest)
        if wrong:
            raise Stopped(f"accepted: {wrong[0]}")
    finally:
        tier.kubectl("delete", "-f", policy)
        until("end of refusals", lambda: not refused(by_tag[0]))
