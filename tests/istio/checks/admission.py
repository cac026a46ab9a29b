"""The admission policy: the API server refuses what the filter would refuse, and nothing else."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from cluster import Refused
from machine import Stopped, run, until
from tier import PROJECT

# Cases that no policy can refuse, and why: the filter's neutral mode is for them.
_TOO_LARGE = "the policy does not look at what is so large"
_UNSAID = {
    ("configuration", "a regular expression that grows too large"): "only the filter's own engine knows how large",
    ("configuration", "1,025 tracks"): _TOO_LARGE,
    ("configuration", "65,537 rules in two tracks"): _TOO_LARGE,
    ("configuration", "4,097 cookies, headers and parameters"): _TOO_LARGE,
}

# What the API server takes in a request, in bytes, without the rest of an object.
_REQUEST = 3 * 1024 * 1024 - 10_000

# Refused by the kinds' own schemas, before any policy is asked.
_BY_SCHEMA = {("configuration", "a list")}


def cases(tier, installation):
    """Each case's configuration gets the filter's verdict, with the same place"""
    examples = _printed("case-configurations")
    objects, expected, text = [], [], 0
    for example in examples:
        try:
            config = json.loads(example["config"] or "null", object_pairs_hook=_fields)
        except ValueError:
            config = None
        if (config is None and example["config"]) or len(example["config"]) > _REQUEST:
            text += 1  # no object can hold it
            continue
        objects.append(_wasm_plugin(config))
        expected.append(example)
    with _in_force(tier, installation):
        wrong = []
        for example, message in zip(expected, _answers(tier, objects), strict=True):
            place, name = example["refused"], (example["file"], example["case"])
            if name in _UNSAID:
                place = None
            told = place is None or name in _BY_SCHEMA or any(f"{before}: {place}: " in message for before in _BEFORE)
            if bool(message) != bool(place) or not told:
                wrong.append(f"{name}: expected {place or 'no refusal'}, got {message or 'none'}")
    if wrong:
        raise Stopped("\n".join(wrong))
    refused = sum(1 for example in expected if example["refused"])
    return f"{refused} refused, {len(expected) - refused} accepted, {text} that no object can hold"


def scenarios(tier, installation):
    """1,000 generated configurations that the filter takes are accepted"""
    configs = _printed("scenario-configurations", 1000)
    with _in_force(tier, installation):
        _accepted(tier, [_wasm_plugin(config) for config in configs])
        _accepted(tier, [_traffic_extension(config) for config in configs[:50]])


def sizes(tier, installation):
    """Many accounts, rules and tracks are accepted, up to what a request to the API server can hold"""
    tests = {
        "10,000 accounts": [{"cookies": {"user": {"in": [f"account-{n}" for n in range(10_000)]}}}],
        "100,000 accounts": [{"cookies": {"user": {"in": [f"account-{n}" for n in range(100_000)]}}}],
        "1,000 rules": [{"uri": {"regex": f"/{n}.*"}} for n in range(1_000)],
        "65,536 rules": [{"uri": {"exact": f"/{n}"}} for n in range(65_536)],
        "10,000 cookies": [{"cookies": {f"c{n}": {} for n in range(10_000)}}],
        "1,000 rules of everything": [_everything(n) for n in range(1_000)],
    }
    configs = [{"tracks": [{"name": "v2", "match": rules}]} for rules in tests.values()]
    many = [{"name": f"v{n}", "share": {"percent": 0.01}, "workloads": {"frontend": f"v{n}"}} for n in range(1_024)]
    configs += [{"tracks": many[:count]} for count in (100, 200, 201, 1_024)]
    with _in_force(tier, installation):
        _accepted(tier, [_wasm_plugin(config) for config in configs])


def others(tier, installation):
    """Other people's plugins pass, and what a bad one of ours has beside its spec; a label makes a plugin ours"""
    plugins = _wasm_plugin({"tracks": []}), _traffic_extension({"tracks": []})
    theirs = [_with_url(plugin, url) for plugin in plugins for url in _THEIRS]
    ours = [_with_url(plugin, url) for plugin in plugins for url in _OURS]
    labels = {"app.kubernetes.io/name": "release-track"}
    ours += [{**plugin, "metadata": {**plugin["metadata"], "labels": labels}} for plugin in theirs]
    lua = {**plugins[1], "spec": {"lua": {"inlineCode": "function envoy_on_request(handle) end"}}}
    before = _wasm_plugin({"tracks": []}, name="before")
    path = f"{_path(before)}/before"
    tier.mesh.cluster.create(_path(before), before)
    try:
        with _in_force(tier, installation):
            _accepted(tier, [*theirs, lua])
            for plugin, message in zip(ours, _answers(tier, ours), strict=True):
                if "denied request: tracks: " not in message:
                    raise Stopped(f"expected a refusal of {plugin}, got {message or 'none'}")
            tier.mesh.cluster.merge(path, {"metadata": {"annotations": {"touched": "1"}}})
            try:
                tier.mesh.cluster.merge(path, {"spec": {"priority": 7}})
            except Refused as refused:
                if "denied request: tracks: " not in str(refused):
                    raise
            else:
                raise Stopped("a bad plugin was changed, and stayed bad")
    finally:
        tier.mesh.cluster.delete(path)


def wait_in_force(tier):
    """Until the API server refuses what a policy that was just applied refuses."""
    until("refusal", lambda: _refuses(tier))


def _refuses(tier):
    return any(_answers(tier, [_wasm_plugin({"tracks": []})]))


_BEFORE = ("denied request", "no such key")
_OURS = (
    "oci://registry.example.com/release-track:0.1.0",
    "registry/a/release-track@sha256:0",
    "file:///release-track.wasm",
)
_THEIRS = (
    "oci://registry.example.com/other:0.1.0",
    "oci://registry/release-track/other",
    "oci://registry/my-release-track:1",
)
_PROGRAMS = PROJECT / "target/debug/examples"


@contextmanager
def _in_force(tier, installation):
    """While the policy is: installed and removed as a user does."""
    policy = installation / "admission-policy.yaml"
    tier.kubectl("apply", "-f", policy)
    try:
        wait_in_force(tier)
        yield
    finally:
        tier.kubectl("delete", "-f", policy)
        until("end of refusals", lambda: not _refuses(tier))


def _accepted(tier, objects):
    refusals = [message for message in _answers(tier, objects) if message]
    if refusals:
        raise Stopped(f"{len(refusals)} of {len(objects)} refused, the first with {refusals[0]}")


def _answers(tier, objects):
    """Why each of the objects is refused, if it is; none is stored."""

    def answer(value):
        try:
            tier.mesh.cluster.create(f"{_path(value)}?dryRun=All", value)
        except Refused as refused:
            return str(refused)
        return ""

    with ThreadPoolExecutor(2 * os.cpu_count()) as pool:
        return list(pool.map(answer, objects))


def _path(value):
    return f"/apis/{value['apiVersion']}/namespaces/{value['metadata']['namespace']}/{value['kind'].lower()}s"


def _wasm_plugin(config, name="admission"):
    return {
        "apiVersion": "extensions.istio.io/v1alpha1",
        "kind": "WasmPlugin",
        # Of an image that no agent asks for, since no proxy is selected.
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "selector": {"matchLabels": {"app": "none"}},
            "url": _OURS[0],
            **({"pluginConfig": config} if config is not None else {}),
        },
    }


def _traffic_extension(config, name="admission"):
    plugin = _wasm_plugin(config, name)
    selector = plugin["spec"].pop("selector")
    return {**plugin, "kind": "TrafficExtension", "spec": {"selector": selector, "wasm": plugin["spec"]}}


def _with_url(plugin, url):
    spec = plugin["spec"]
    return {
        **plugin,
        "spec": {**spec, "wasm": {**spec["wasm"], "url": url}} if "wasm" in spec else {**spec, "url": url},
    }


def _everything(number):
    """A rule with every kind of condition."""
    test = {"regex": f"a{number}|b"}
    tests = {"a": test, "b": {"in": ["1", "2"]}, "c": {}}
    maps = ("cookies", "withoutCookies", "headers", "withoutHeaders", "queryParams")
    return {**dict.fromkeys(maps, tests), **dict.fromkeys(("uri", "method", "authority"), test)}


def _printed(program, *arguments):
    """The JSON of each line that one of the tests' programs prints."""
    return [json.loads(line) for line in run(_PROGRAMS / program, *arguments).splitlines()]


def _fields(pairs):
    """An object; ValueError if a field is there twice."""
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a field twice")
    return dict(pairs)
