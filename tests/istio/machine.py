"""A machine of our own inside the machine: namespaces for processes, mounts and network.

Whatever the mesh starts, mounts or plugs lives in them, and the kernel takes it away with the first
process in them, however that ends: there is nothing to clean up, and nothing to leave behind.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

STATE = Path("/mnt")  # a tmpfs, in here only
BRIDGE = "10.200.0.1"

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNS, _CLONE_NEWPID, _CLONE_NEWNET = 0x20000, 0x20000000, 0x40000000
_PR_SET_PDEATHSIG = 1

_logs = None
_running = {}  # name: Popen, of all that must not end by itself


class Stopped(Exception):
    """A process ended, or something did not come about in time; the text says what is known."""


def enter(logs):
    """Go on in a new machine, whose processes log into the folder `logs`; the caller's waits outside."""
    global _logs
    _logs = Path(logs)
    _logs.mkdir(parents=True, exist_ok=True)
    for old in _logs.glob("*.log"):
        old.unlink()
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if _libc.unshare(_CLONE_NEWPID | _CLONE_NEWNS | _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "cannot make namespaces")
    outside = os.getpid()
    inside = os.fork()
    if inside:
        _wait_outside(inside)
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.setsid()  # a terminal's Ctrl-C is for the one outside, which ends us all
    run("mount", "--make-rprivate", "/")
    run("mount", "-t", "proc", "proc", "/proc")
    run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", STATE)
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", "bridge", "type", "bridge")
    run("ip", "address", "add", f"{BRIDGE}/16", "dev", "bridge")
    run("ip", "link", "set", "bridge", "up")
    return outside


def _wait_outside(inside):
    def end(number, _):
        os.kill(inside, signal.SIGKILL)
        os.waitpid(inside, 0)
        print("\nStopped." if number == signal.SIGINT else "", file=sys.stderr)
        os._exit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    _, status = os.waitpid(inside, 0)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def run(*command, input=None, **options):
    """Standard output of a command that succeeds; Stopped with what it said otherwise."""
    command = [str(part) for part in command]
    done = subprocess.run(command, input=input, capture_output=True, text=True, **options)
    if done.returncode:
        raise Stopped(f"{' '.join(command)}: exit {done.returncode}\n{(done.stdout + done.stderr)[-3000:]}")
    return done.stdout


def start(name, *command, **options):
    """Start what is to run until `stop`; its output goes to the log of its name."""
    with open(_logs / f"{name}.log", "ab") as log:
        os.fchmod(log.fileno(), 0o666)  # a proxy opens /dev/stdout anew, by a user of its own
        options = {"stdin": subprocess.DEVNULL, "stdout": log, **options}
        process = subprocess.Popen([str(part) for part in command], stderr=log, start_new_session=True, **options)
    _running[name] = process
    return process


def plug(pid, address):
    """Connect the network namespace that a process is about to have to the bridge. Returns the namespace's path."""
    network = f"/proc/{pid}/ns/net"
    until("network namespace", lambda: os.readlink(network) != os.readlink("/proc/self/ns/net"))
    port = "p" + address.replace("10.200.", "")
    run("ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", pid)
    run("ip", "link", "set", port, "master", "bridge", "up")
    for command in (
        f"address add {address}/16 dev eth0",
        "link set eth0 up",
        "link set lo up",
        f"route add default via {BRIDGE}",
    ):
        run("nsenter", f"--net={network}", "ip", *command.split())
    return network


def stop(name, number=signal.SIGTERM, patience=10):
    """End a started process and all that it started; kill what is left after `patience` seconds."""
    process = _running.pop(name)
    os.killpg(process.pid, number)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(patience)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def until(what, probe, seconds=60, pause=0.1):
    """The first true value of `probe`; Stopped if there is none in time, or if a started process ends."""
    deadline = time.monotonic() + seconds
    failure = None
    while time.monotonic() < deadline:
        for name, process in list(_running.items()):
            if process.poll() is not None:
                raise Stopped(f"{name} ended with {process.returncode}:\n{tail(name)}")
        try:
            if value := probe():
                return value
            failure = None
        except (OSError, Stopped) as error:
            failure = error
        time.sleep(pause)
    raise Stopped(f"no {what} within {seconds} s" + (f": {failure}" if failure else ""))


def log(name):
    """All that a process has said."""
    return (_logs / f"{name}.log").read_text(errors="replace")


def tail(name, lines=15):
    """The last lines of a process's log."""
    return "\n".join(log(name).splitlines()[-lines:])
