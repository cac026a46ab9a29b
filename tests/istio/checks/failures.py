"""What traffic sees when an installation is wrong: docs/istio.md says it, and how to cure it."""

import re

import weather
from machine import until


def bad_first_configuration(tier, installation):
    """A bad first configuration: 500 for everybody, until a good one is applied"""
    bad = tier.edited(installation, lambda manifest: manifest.replace("match:", "macht:"))
    tier.kubectl("apply", "-k", bad)
    _everybody_gets(tier, 500)
    tier.kubectl("apply", "-k", installation)
    weather.settle(tier.gateway)


def bad_update(tier, installation):
    """A bad update: the configuration in force stays, and nobody notices"""
    refused = tier.pod("frontend-v2").logged("configuration refused")
    with weather.Traffic(tier.gateway) as traffic:
        bad = tier.edited(installation, lambda manifest: manifest.replace("match:", "macht:"))
        tier.kubectl("apply", "-k", bad)
        until("refusal in a sidecar's log", lambda: tier.pod("frontend-v2").logged("configuration refused") > refused)
        traffic.wait(200)
    traffic.require_none_wrong()
    tier.kubectl("apply", "-k", installation)


def missing_image(tier, installation):
    """A first image that is missing: 403 for everybody; its arrival changes nothing until the plugin is touched"""
    tag = "later"
    missing = tier.edited(installation, lambda manifest: re.sub(r"(release-track)@sha256:\w+", rf"\1:{tag}", manifest))
    tier.kubectl("apply", "-k", missing)
    _everybody_gets(tier, 403)
    tier.registry.push(tag)
    seen = tier.seen()
    assert set(seen) == {403}, f"nothing fetches the image again by itself, but traffic saw {dict(seen)}"
    tier.kubectl("annotate", "--namespace=istio-system", "wasmplugin", "release-track", "touched=once")
    weather.settle(tier.gateway)


def missing_update(tier, installation):
    """An update to an image that is missing: 403 for everybody with FAIL_RELOAD, no filter with FAIL_OPEN"""
    missing = tier.edited(installation, lambda manifest: re.sub(r"@sha256:\w+", "@sha256:" + "0" * 64, manifest))
    tier.kubectl("apply", "-k", missing)
    _everybody_gets(tier, 403)
    tier.kubectl("apply", "-k", tier.edited(missing, lambda manifest: manifest.replace("FAIL_RELOAD", "FAIL_OPEN")))
    weather.settle(tier.gateway, weather.nothing)
    tier.kubectl("apply", "-k", installation)
    weather.settle(tier.gateway)


def _everybody_gets(tier, status):
    until(f"{status} for everybody", lambda: set(tier.seen(8)) == {status}, 60)
