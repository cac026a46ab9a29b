"""Ctrl-C in the middle of everything: what the mesh is made of is gone with it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
KINDS = ("pid", "net", "mnt")


def check():
    """What is wrong, if anything is."""
    interfaces = set(os.listdir("/sys/class/net"))
    run = subprocess.Popen(
        [sys.executable, HERE], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        deadline = time.monotonic() + 180
        while "envoy" not in _processes(run.pid).values():
            if run.poll() is not None or time.monotonic() > deadline:
                return f"no Envoy came up to be interrupted (exit {run.poll()})"
            time.sleep(0.1)
        processes = _processes(run.pid)
        made = {_namespace(process, kind) for process in processes for kind in KINDS} - {
            _namespace("self", kind) for kind in KINDS
        }
    finally:
        os.killpg(run.pid, signal.SIGINT)  # the terminal's Ctrl-C
    if (code := run.wait(30)) != 128 + signal.SIGINT:
        return f"exit {code}, not {128 + signal.SIGINT}"
    left = [_name(p) for p in _all() if any(_namespace(p, kind) in made for kind in KINDS)]
    left += set(os.listdir("/sys/class/net")) - interfaces
    return f"left behind: {', '.join(left)}" if left else None


def _processes(outside):
    """{process id: name} of all inside the machine that a run made."""
    within = _namespace(outside, "pid_for_children")
    if within == _namespace("self", "pid"):
        return {}
    return {process: _name(process) for process in _all() if within and _namespace(process, "pid") == within}


def _all():
    return [name for name in os.listdir("/proc") if name.isdecimal()]


def _namespace(process, kind):
    try:
        return os.readlink(f"/proc/{process}/ns/{kind}")
    except OSError:
        return None


def _name(process):
    try:
        return Path(f"/proc/{process}/comm").read_text().strip()
    except OSError:
        return ""
