"""The Helm chart, with Helm 3 and with Helm 4: what it renders, and that it installs as a user does."""

import json
import os
import re
import shutil

import weather
from checks import admission
from machine import STATE, Stopped, run
from tier import PROJECT

_HELMS = ("helm3", "helm4")
_FORMS = {"WasmPlugin": "wasmplugin", "TrafficExtension": "wasmplugin/trafficextension"}
_ALL = "admissionPolicy=true,monitoring.prometheusRule=true,monitoring.dashboard=true,monitoring.telemetry=true"
# What `wasmplugin/` has for all of them.
_KUSTOMIZATION = """
resources: [wasmplugin.yaml, admission-policy.yaml, monitoring/prometheusrule.yaml, monitoring/telemetry.yaml]
generatorOptions: {disableNameSuffixHash: true}
configMapGenerator:
- name: release-track-dashboard
  namespace: istio-system
  files: [release-track.json=monitoring/dashboard.json]
  options: {labels: {grafana_dashboard: "1"}}
"""
# Numbers that a template could spoil.
_EXACT = {
    "tracks": [
        {
            "name": "v2",
            "share": {"percent": 0.01},
            "guard": {"minimum": 1_000_000},
            "match": [{"uri": {"regex": "{{ x }}"}}],
        }
    ]
}


def rendered(tier, installation):
    """It passes Helm's own lint, and renders what kubectl kustomize does"""
    chart = _packed()
    everything = STATE / "everything"
    shutil.copytree(PROJECT / "wasmplugin", everything)
    (everything / "kustomization.yaml").write_text(_KUSTOMIZATION)
    exact = _values({"pluginConfig": _EXACT})
    for helm in _HELMS:
        _helm(tier, helm, "lint", "--strict", chart)
        for kind, folder in _FORMS.items():
            _same(tier, _template(tier, helm, chart, f"--set=kind={kind}"), PROJECT / folder)
        _same(tier, _template(tier, helm, chart, f"--set={_ALL}"), everything)
        # As the API server would be given it.
        plugin = _template(tier, helm, chart, f"--values={exact}")
        plugin = json.loads(tier.kubectl("create", "--dry-run=client", "-o=json", "-f", "-", input=plugin))
        if (told := plugin["spec"]["pluginConfig"]) != _EXACT:
            raise Stopped(f"{helm}: {_EXACT} became {told}")
    return " and ".join(_HELMS)


def packed(tier, installation):
    """Its package has the same bytes, made in another folder by somebody who hides their files"""
    elsewhere = STATE / "of-another-name"
    elsewhere.mkdir()
    for name in ("chart", "wasmplugin"):
        shutil.copytree(PROJECT / name, elsewhere / name, symlinks=True)
    for name in ("Makefile", "Cargo.toml"):
        shutil.copy(PROJECT / name, elsewhere)
    run("chmod", "-R", "go=", elsewhere)
    first, second = _packed(), _packed(elsewhere)
    if first.read_bytes() != second.read_bytes():
        raise Stopped(f"{first} and {second} differ")


def installed(tier, installation):
    """From the registry: installed, a share moved, bad configurations refused, rolled back, removed"""
    for helm in _HELMS:
        _installed(tier, installation, helm)
    return " and ".join(_HELMS)


def _installed(tier, installation, helm):
    _helm(tier, helm, "push", _packed(), f"oci://{tier.registry.host}/charts", "--plain-http")
    image = re.search("url: oci://(.*)", (installation / "wasmplugin.yaml").read_text())[1]
    given = {"image": image, "pluginConfig": {"tracks": [_TRACK]}}

    def apply(command, values):
        chart = f"oci://{tier.registry.host}/charts/release-track"
        _helm(
            tier,
            helm,
            command,
            "release-track",
            chart,
            "--version=0.1.0",
            "--plain-http",
            f"--values={_values(values)}",
        )

    apply("install", given)
    tier.wait_in_force()
    weather.settle(tier.gateway)

    everybody = {**given, "pluginConfig": {"tracks": [{**_TRACK, "share": {"percent": 100}}]}}
    apply("upgrade", everybody)
    tier.wait_in_force()
    weather.settle(tier.gateway, lambda user: (weather.V2,), _VISITORS)

    too_much = {**given, "pluginConfig": {"tracks": [{**_TRACK, "share": {"percent": 101}}]}}
    _refused(lambda: apply("upgrade", too_much), "/pluginConfig/tracks/0/share")
    _refused(lambda: apply("upgrade", {**given, "plugin-config": {}}), "plugin-config")
    _refused(lambda: apply("upgrade", {**given, "image": f"oci://{image}"}), "/image")
    weather.settle(tier.gateway, lambda user: (weather.V2,), _VISITORS)

    # What the schema cannot say, the policy does.
    apply("upgrade", {**everybody, "admissionPolicy": True})
    reserved = {**given, "admissionPolicy": True, "pluginConfig": {"tracks": [{**_TRACK, "name": "baseline"}]}}
    admission.wait_in_force(tier)
    _refused(lambda: apply("upgrade", reserved), "tracks[0].name: ")

    _helm(tier, helm, "rollback", "release-track", "1")
    tier.wait_in_force()
    weather.settle(tier.gateway)
    weather.settle(tier.gateway, lambda user: (weather.BASELINE,), _VISITORS)
    _helm(tier, helm, "uninstall", "release-track")
    weather.settle(tier.gateway, weather.nothing)
    kinds = "wasmplugins,validatingadmissionpolicies,validatingadmissionpolicybindings"
    ours = "--field-selector=metadata.name=release-track"
    if left := tier.kubectl("get", kinds, "--all-namespaces", ours, "--output=name"):
        raise Stopped(f"{helm} leaves {left}")


_TRACK = {
    "name": "v2",
    "match": [{"cookies": {"user": {"exact": "tester"}}}],
    "workloads": {"frontend": "v2", "forecast": "v2"},
}
# With an identity, so that a share can have them.
_VISITORS = (weather.User("a visitor", (("cookie", "release-track-id=4711"),), False),)


def _helm(tier, helm, *arguments):
    """What it prints; Stopped if it fails. Its own files are of this machine's."""
    return run(
        tier.mesh.cluster.programs / helm,
        *arguments,
        "--namespace=istio-system",
        f"--kubeconfig={tier.mesh.cluster.kubeconfig}",
        env={**os.environ, "HOME": str(STATE / helm)},
    )


def _template(tier, helm, chart, *arguments):
    return _helm(tier, helm, "template", "release-track", chart, *arguments)


def _packed(project=PROJECT):
    """The chart's package, as `make chart` makes it of a project."""
    dist = STATE / f"chart-of-{project.name}"
    epoch = {"SOURCE_DATE_EPOCH": "1700000000"}
    run("make", "--no-print-directory", "chart", f"DIST={dist}", cwd=project, env={**os.environ, **epoch})
    [package] = dist.glob("*.tgz")
    return package


def _values(values):
    file = STATE / "values.json"
    file.write_text(json.dumps(values))
    return file


def _same(tier, manifests, folder):
    """Stopped unless these manifests are those of a kustomization."""
    ours = STATE / "rendered"
    ours.mkdir(exist_ok=True)
    (ours / "all.yaml").write_text(manifests)
    (ours / "kustomization.yaml").write_text("resources: [all.yaml]\n")
    # kustomize writes the same object the same way, in the order in which it was given.
    ours, theirs = (sorted(tier.kubectl("kustomize", of).rstrip().split("\n---\n")) for of in (ours, folder))
    if ours != theirs:
        raise Stopped(f"of {folder}, expected\n{'---'.join(theirs)}\ngot\n{'---'.join(ours)}")


def _refusal(act):
    """What was said against it; empty if nothing was."""
    try:
        act()
    except Stopped as stopped:
        return str(stopped)
    return ""


def _refused(act, why):
    """Stopped unless it is refused, for that."""
    if why not in (said := _refusal(act)):
        raise Stopped(f"expected a refusal with {why}, got {said or 'none'}")
