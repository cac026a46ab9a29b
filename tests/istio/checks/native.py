"""The filter as a dynamic module, by the EnvoyFilter that release-track makes: docs/native.md says what this shows."""

import contextlib
import hashlib
import http.client
import http.server
import json
import re
import socket
import threading
import urllib.error
import urllib.request
from collections import defaultdict

import weather
from checks import story as stories
from checks.metrics import labels
from machine import BRIDGE, Stopped, run, until
from mesh import MODULE
from tier import PROJECT

_REFUSED = "configuration refused"
_BUILT = PROJECT / "dist/librelease-track.so"
_PORT, _HOST = 8097, "modules.example.com"


def story(tier, installation):
    """The story, with a dynamic module that lies in each proxy"""
    _begin(tier, installation)
    return stories.told(tier, tier.gateway)


def counted(tier, installation):
    """Its metrics, labelled, from the pod's start with docs/native.md's meshConfig, and agreeing with the traffic"""
    _begin(tier, installation)
    if tier.metrics(_gateway(tier), "envoy_dynamicmodulescustom_release_track_decisions_total"):
        raise Stopped("the gateway has metrics of a dynamic module without being told to")
    document = (PROJECT / "docs/native.md").read_text()
    tier.mesh.configure(re.search("```yaml\n *(meshConfig:.*?)```", document, re.S)[1].replace("\n  ", "\n"))
    name, decided = "release_track_decisions_total", {}

    def has_metrics():
        tier.node.restart(lambda pod: pod.workload == "istio-ingressgateway")
        weather.settle(tier.gateway)
        decided.update(tier.metrics(_gateway(tier), name))
        return decided

    until("metrics at the gateway", has_metrics)
    client, rounds = weather.Client(tier.gateway), 20
    for user in weather.USERS * rounds:
        if fault := client.fault(user, weather.story):
            raise Stopped(fault)
    testers = rounds * sum(user.tester for user in weather.USERS)
    expected = {
        labels(track="v2", reason="match"): testers,
        labels(track="baseline", reason="baseline"): rounds * len(weather.USERS) - testers,
    }
    more = {which: count - decided.get(which, 0) for which, count in tier.metrics(_gateway(tier), name).items()}
    if more != expected:
        raise Stopped(f"{name} rose by {more}, not {expected}")


def bad_first(tier, installation):
    """Under load: a bad first configuration puts all on baseline, pods that start then, too, until a good one comes"""
    _remove(tier, installation)
    # A file of its own has memory of its own: no good configuration was there.
    module = _put(tier, "first")
    with weather.Traffic(tier.gateway, lambda user: (weather.BASELINE, *weather.nothing(user))) as traffic:
        _apply(tier, installation, module, _misspelt)
        weather.settle(tier.gateway, _baseline)
        _apply(tier, installation, MODULE, _misspelt)
        with _starting_gateway(tier) as (gateway, address):
            gateway.wait_ready()
            _require(address, _baseline)
    # Listeners get it one by one, and calls of a track may cross until all have it.
    _apply(tier, installation, module)
    weather.settle(tier.gateway)
    return f"{traffic.require_none_wrong()} requests"


def bad_update(tier, installation):
    """Under load: a bad update changes nothing; a pod that starts then is neutral; a good one brings it back"""
    _begin(tier, installation)
    told = {pod: pod.logged(_REFUSED) for pod in _proxied(tier)}
    with weather.Traffic(tier.gateway) as traffic:
        _apply(tier, installation, MODULE, _misspelt)
        for pod, lines in told.items():
            until(f"line in {pod.workload}'s log", lambda: pod.logged(_REFUSED) > lines)
        with _starting_gateway(tier) as (gateway, address):
            gateway.wait_ready()
            _require(address, _baseline)
            traffic.wait(200)
            _apply(tier, installation, MODULE)
            until("story from it", lambda: not _fault(address, weather.story))
    return f"{traffic.require_none_wrong()} requests"


def bad_file(tier, installation):
    """Under load: a module that is missing, or is none: nothing changes; pods that start are not ready until cured"""
    _begin(tier, installation)
    no_module = _put(tier, "text", (PROJECT / "Cargo.toml").read_bytes())
    missing = "/etc/release-track/missing.so"
    with weather.Traffic(tier.gateway) as traffic:
        for module, why in ((no_module, "invalid ELF header"), (missing, "cannot open shared object file")):
            _apply(tier, installation, module)
            for pod in _proxied(tier):
                until(f"refusal by {pod.workload}", lambda: pod.logged(f"{module}: {why}"))
            traffic.wait(200)
        with _starting_gateway(tier) as (gateway, address):
            until("refusal", lambda: _is_refused(gateway))
            _apply(tier, installation, MODULE)
            gateway.wait_ready()
            _require(address, weather.story)
    return f"{traffic.require_none_wrong()} requests"


def upgrade(tier, installation):
    """Under load: a new module beside the old one, and back; connections from before are closed by their next answer"""
    _begin(tier, installation)
    upgraded = _put(tier, "upgraded", _BUILT.read_bytes() + b"upgraded")
    closed = 0
    with weather.Traffic(tier.gateway) as traffic:
        for module in (upgraded, MODULE):
            kept = [http.client.HTTPConnection(*tier.gateway, timeout=30) for _ in range(8)]
            if any(_is_last(connection) for connection in kept):
                raise Stopped("the gateway closes connections without a reason")
            traffic.wait(200)
            _apply(tier, installation, module)
            for pod in _proxied(tier):
                until(f"{module} in {pod.workload}", lambda: _modules(pod) == {module})
            if not all(_is_last(connection) for connection in kept):
                raise Stopped("connections from before the upgrade are kept")
            closed += len(kept)
        traffic.wait(200)
    return f"{traffic.require_none_wrong()} requests, {closed} connections closed"


def fetched(tier, installation):
    """module.remote: no filter until it has come; a pod does not serve until then; unreachable, there is NO filter"""
    _remove(tier, installation)
    with _Server(tier) as server:
        wanted = _Remote(_BUILT.read_bytes() + b"fetched")
        server.files[wanted.path] = wanted.content
        _apply(tier, installation, MODULE, wanted.fetched)
        with _starting_gateway(tier) as (gateway, address):
            until("requests of each proxy for it", lambda: len(server.asked[wanted.path]) > len(_proxied(tier)))
            weather.settle(tier.gateway, weather.nothing)
            if _listens(address):
                raise Stopped("a gateway that has not got its module serves")
            server.may_answer.set()
            gateway.wait_ready()
            until("story from it", lambda: not _fault(address, weather.story))
        weather.settle(tier.gateway)
        # What nobody has: the filter goes, though the one in force is still there.
        _apply(tier, installation, MODULE, _Remote(b"nobody has it").fetched)
        weather.settle(tier.gateway, weather.nothing)
        with _starting_gateway(tier) as (gateway, address):
            gateway.wait_ready()
            _require(address, weather.nothing)


def fetched_anew(tier, installation):
    """The same over ECDS: what is in force stays until another is fetched and applied again; pods that start say 500"""
    _remove(tier, installation)
    with _Server(tier) as server:
        server.may_answer.set()
        first, second = (_Remote(_BUILT.read_bytes() + name) for name in (b"anew 1", b"anew 2"))
        server.files = {wanted.path: wanted.content for wanted in (first, second)}
        _apply(tier, installation, MODULE, first.discovered)
        until("500 for everybody", lambda: set(tier.seen(8)) == {500})
        until("module in each proxy", lambda: len(server.served[first.path]) == len(_proxied(tier)))
        _apply(tier, installation, MODULE, lambda manifest: first.discovered(manifest, again=True))
        weather.settle(tier.gateway)
        with weather.Traffic(tier.gateway, lambda user: (weather.BASELINE, *weather.story(user))) as traffic:

            def undecided(manifest, again=False):
                return re.sub(r'"match":\[.*?\],', "", second.discovered(manifest, again))

            _apply(tier, installation, MODULE, undecided)
            until("module in each proxy", lambda: len(server.served[second.path]) == len(_proxied(tier)))
            weather.settle(tier.gateway)
            _apply(tier, installation, MODULE, lambda manifest: undecided(manifest, again=True))
            weather.settle(tier.gateway, _baseline)
            _apply(tier, installation, MODULE, _Remote(b"nobody has it, either").discovered)
            with _starting_gateway(tier) as (gateway, address):
                gateway.wait_ready()
                until("500 from it", lambda: weather.Client(address).get(())[0] == 500)
            weather.settle(tier.gateway, _baseline)
    _remove(tier, installation)
    return f"{traffic.require_none_wrong()} requests"


def _apply(tier, installation, module, edit=lambda manifest: manifest):
    """The EnvoyFilter of an installation, with a module that lies there."""
    program, plugin = PROJECT / "target/debug/release-track", installation / "wasmplugin.yaml"
    manifest = run(program, "render", "--native", "--module", module, plugin)
    tier.kubectl("apply", "-f", "-", input=edit(manifest))


def _begin(tier, installation):
    """The story by the dynamic module alone."""
    tier.kubectl("delete", "-k", installation, "--ignore-not-found")
    _apply(tier, installation, MODULE)
    weather.settle(tier.gateway)


def _remove(tier, installation):
    tier.kubectl("delete", "-k", installation, "--ignore-not-found")
    tier.kubectl("delete", "envoyfilter", "release-track", "--namespace=istio-system", "--ignore-not-found")
    weather.settle(tier.gateway, weather.nothing)


def _misspelt(manifest):
    # `render` would refuse the plugin.
    return manifest.replace('"match":', '"macht":')


def _put(tier, name, content=None):
    """The path of a file that every running proxy has from now on; the module, if nothing else is said."""
    path = f"/etc/release-track/{name}.so"
    for pod in _proxied(tier):
        pod.put(path, content or _BUILT.read_bytes())
    return path


def _proxied(tier):
    return [pod for pod in tier.node.pods.values() if pod.proxied]


def _gateway(tier):
    return tier.pod("istio-ingressgateway", "istio-system")


@contextlib.contextmanager
def _starting_gateway(tier):
    """One more pod of the gateway, and its address; no traffic goes there but what a check sends."""
    pod = tier.node.beside(_gateway(tier))
    yield pod, (pod.address, tier.gateway[1])
    pod.stop()


def _fault(address, expected):
    """What is wrong with what a gateway answers to each user; None if nothing is."""
    client = weather.Client(address)
    return next(filter(None, (client.fault(user, expected) for user in weather.USERS)), None)


def _require(address, expected):
    if fault := _fault(address, expected):
        raise Stopped(f"a gateway that has just started: {fault}")


def _is_refused(gateway):
    """Ask its agent whether it is ready, which it logs if it is not, and why."""
    with contextlib.suppress(urllib.error.HTTPError):
        urllib.request.urlopen(f"http://{gateway.address}:15021/healthz/ready", timeout=10)
    return gateway.logged("NOT ready: config received from XDS server, but was rejected")


def _listens(address):
    try:
        socket.create_connection(address, timeout=10).close()
    except ConnectionRefusedError:
        return False
    return True


def _baseline(user):
    return (weather.BASELINE,)


def _modules(pod):
    """The paths of the modules in a proxy's listeners, those that warm and drain among them."""
    return set(
        re.findall(r"/etc/release-track/[\w-]+\.so", json.dumps(pod.envoy("/config_dump?resource=dynamic_listeners")))
    )


def _is_last(connection):
    """Ask, and tell whether the gateway closes the connection with its answer."""
    connection.request("GET", "/", headers={"accept": "application/json"})
    answer = connection.getresponse()
    answer.read()
    if answer.status != 200:
        raise Stopped(f"{answer.status} on a connection that was open")
    return answer.getheader("connection") == "close"


class _Remote:
    """A module that proxies fetch, and the edits of the EnvoyFilter that have them do so."""

    def __init__(self, content):
        self.content = content
        self._digest = hashlib.sha256(content).hexdigest()
        self.path = f"/{self._digest}.so"

    def _source(self, timeout):
        cluster = f"outbound|{_PORT}||{_HOST}"
        uri = f"{{uri: 'http://{_HOST}{self.path}', cluster: '{cluster}', timeout: {timeout}s}}"
        return f"module: {{remote: {{http_uri: {uri}, sha256: {self._digest}}}}}"

    def fetched(self, manifest):
        """As part of the listener."""
        return re.sub(r"module: \{local: .*", self._source(60), manifest)

    def discovered(self, manifest, again=False):
        """By the extension discovery service. `again`: the same, in other words."""
        kind = re.search("'@type': (.*DynamicModuleFilter)", manifest)[1]
        config = re.search(r"        typed_config:\n.*?(?=  - applyTo|\Z)", manifest, re.S)[0]
        extension = re.sub(r"module: \{local: .*", self._source(60 + again), config)
        extension = extension.replace("do_not_close", "nack_on_cache_miss: true\n            do_not_close")
        source = "{ads: {}, initial_fetch_timeout: 0s, resource_api_version: V3}"
        discovery = f"        config_discovery: {{config_source: {source}, type_urls: [{kind}]}}\n"
        listeners = re.sub(r"        typed_config:\n.*?(?=  - applyTo|\Z)", discovery, manifest, flags=re.S)
        patch = "  - applyTo: EXTENSION_CONFIG\n    patch:\n      operation: ADD\n      value:\n"
        # Envoy 1.40 tells the module its direction, so that one configuration is for all.
        return f"{listeners}{patch}        name: release-track\n{extension}"


class _Server:
    """An HTTP server that the mesh knows, and that has modules."""

    def __init__(self, tier):
        self.files, self.may_answer = {}, threading.Event()
        self.asked, self.served = defaultdict(set), defaultdict(set)  # path: addresses
        self._tier = tier

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(handler):
                self.asked[handler.path].add(handler.client_address[0])
                self.may_answer.wait(60)
                content = self.files.get(handler.path, b"")
                handler.send_response(200 if content else 404)
                handler.send_header("content-length", str(len(content)))
                handler.end_headers()
                handler.wfile.write(content)
                self.served[handler.path].add(handler.client_address[0])

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer((BRIDGE, _PORT), Handler)

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self._tier.kubectl("apply", "-f", "-", input=_ENTRY)
        # A proxy that does not know it yet gives up for good.
        for pod in _proxied(self._tier):
            until(f"server known to {pod.workload}", lambda: _HOST in json.dumps(pod.envoy("/clusters?format=json")))
        return self

    def __exit__(self, *_):
        self.may_answer.set()
        self._server.shutdown()
        self._server.server_close()


_ENTRY = f"""
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: modules, namespace: istio-system}}
spec:
  hosts: [{_HOST}]
  location: MESH_INTERNAL
  ports: [{{name: http, number: {_PORT}, protocol: HTTP}}]
  resolution: STATIC
  endpoints: [{{address: {BRIDGE}}}]
"""
