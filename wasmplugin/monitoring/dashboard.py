"""Checks that a dashboard is one by Grafana's own types: what they do not know they would not keep.

python3 dashboard.py FILE; PYTHONPATH has PyPI's grafana-foundation-sdk.
"""

import json
import sys

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard


def lost(before, after, path=""):
    """Where `after` lacks something, or has something else."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name, value in before.items():
            yield from lost(value, after.get(name), f"{path}.{name}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from lost(one, other, f"{path}[{index}]")
    elif before != after and not (after is None and before in ({}, [], "", False)):
        yield f"{path or 'the file'}: {before!r} is kept as {after!r}"


register_default_plugins()
with open(sys.argv[1]) as file:
    written = json.load(file)
faults = list(lost(written, json.loads(JSONEncoder().encode(Dashboard.from_json(written)))))
if faults:
    sys.exit("\n".join(faults))
print(f"{len(written['panels'])} panels are as Grafana's own types have them")
