"""A real Istio on this machine, and the checks that release-track does there what its documents say.

python3 tests/istio parts         builds and installs what the mesh is made of, once
python3 tests/istio               runs the checks; CHECKS, names as printed, limits them
python3 tests/istio interrupted   checks that Ctrl-C leaves nothing behind
"""

import argparse
import os
import signal
import sys
import time
import traceback
from pathlib import Path

import interrupted
import machine
import parts

LOGS = Path(__file__).resolve().parents[2] / "target/istio-test"


def main():
    arguments = argparse.ArgumentParser(
        prog="python3 tests/istio", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("what", nargs="?", choices=["checks", "parts", "interrupted"], default="checks")
    what = arguments.parse_args().what
    try:
        if os.geteuid():
            raise parts.PartError("needs root: it makes network namespaces")
        parts.check_go()
        parts.install_packages()
        folder = parts.build()
    except parts.PartError as error:
        sys.exit(f"make istio-test {error}.")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    if what == "interrupted":
        print(f"interrupted: {interrupted.__doc__}", flush=True)
        if fault := interrupted.check():
            sys.exit(f"FAILED: {fault}\n1 failed")
        print("1 passed")
    elif what == "checks":
        machine.enter(LOGS)
        sys.exit(run(folder))


def run(folder):
    """The number of checks that failed: the first one that does ends it."""
    from checks import (
        admission,
        ambient,
        changes,
        chart,
        clusters,
        egress,
        failures,
        fallback,
        handoffs,
        manifests,
        metrics,
        native,
        neutral,
        story,
        watch,
    )
    from tier import Tier

    checks = [
        manifests.reproducible,
        manifests.weather_image,
        manifests.image_checked,
        manifests.analyzed,
        admission.cases,
        admission.scenarios,
        admission.sizes,
        admission.others,
        chart.packed,
        chart.rendered,
        chart.installed,
        failures.missing_image,
        story.wasm_plugin,
        story.graph,
        egress.undeclared,
        egress.undeclared_port,
        egress.undeclared_by_name,
        egress.declared,
        egress.declared_wildcard,
        egress.mesh_name,
        egress.wildcard_through_gateway,
        metrics.unlabelled,
        metrics.labelled,
        metrics.nothing_forwarded,
        neutral.bad_first,
        neutral.kinds,
        neutral.bad_update,
        failures.missing_update,
        failures.wrong_namespace,
        failures.missing_route,
        failures.missing_subset,
        failures.no_endpoints,
        fallback.scaled_down,
        fallback.crashed,
        watch.traces_and_logs,
        changes.upgrade,
        changes.track,
        handoffs.by_digest,
        handoffs.patched_share,
        handoffs.managed_routes,
        handoffs.rollouts,
        story.traffic_extension,
        story.permissive,
        story.gateway_api,
        story.second_application,
        story.removed,
        clusters.story,
        clusters.identity,
        clusters.differing,
        clusters.both,
        native.story,
        native.counted,
        native.bad_first,
        native.bad_update,
        native.bad_file,
        native.upgrade,
        native.fetched,
        native.fetched_anew,
        ambient.story,
        ambient.minted,
        ambient.crossed,
        ambient.one_gateway,
        ambient.ingress,
        ambient.leaves,
        ambient.mixed,
    ]
    began = time.monotonic()
    print("Starting the mesh", flush=True)
    passed = 0
    try:
        tier = Tier(folder)
        installation = tier.registry.push("0.1.0")
        print(f"{time.monotonic() - began:.1f} s", flush=True)
        wanted = os.environ.get("CHECKS", "").split()
        for check in checks:
            name = f"{check.__module__.split('.')[-1]}.{check.__name__}"
            if wanted and name not in wanted and name.split(".")[0] not in wanted:
                continue
            since = time.monotonic()
            print(f"{name}: {check.__doc__}", end="", flush=True)
            told = check(tier, installation)
            print(f"{f' ({told})' if told else ''}: ok, {time.monotonic() - since:.1f} s", flush=True)
            passed += 1
    except machine.Stopped as error:
        print(f"\nFAILED: {error}\nLogs are in {LOGS}.", flush=True)
    except Exception:
        print(f"\nFAILED:\n{traceback.format_exc()}Logs are in {LOGS}.", flush=True)
    else:
        print(f"{passed} passed in {time.monotonic() - began:.0f} s")
        return 0
    print(f"{passed} passed; 1 failed")
    return 1


main()
