"""The story's users: what they send to the gateway, and what a right answer is."""

import http.client
import itertools
import json
import secrets
import threading
import time
from collections import Counter
from dataclasses import dataclass

from machine import Stopped

FORWARD = ("request-id", "baggage", "header", "trace", "b3", "datadog", "none")

# Call trees: (service, version, track that arrived, calls).
BASELINE = ("frontend", "v1", None, (("advertisement", "v1", None, ()), ("forecast", "v1", None, ())))
V2 = (
    "frontend",
    "v2",
    "v2",
    (("advertisement", "v1", "v2", ()), ("forecast", "v2", "v2", (("recommendation", "v1", "v2", ()),))),
)


def failed(service, status):
    """The call tree of a call that was answered with an error."""
    return (service, "failed", status, ())


@dataclass(frozen=True)
class User:
    """One kind of user: what they send, and whether that is account tester."""

    says: str
    headers: tuple
    tester: bool


USERS = (
    User("no cookie", (), False),
    User("tester first", (("cookie", "user=tester; session=1"),), True),
    User("tester in the middle", (("cookie", "session=1;user=tester; theme=light"),), True),
    User("tester last", (("cookie", "session=1; theme=light; user=tester"),), True),
    User("tester on a second line", (("cookie", "session=1"), ("cookie", "user=tester")), True),
    User("user=tester2", (("cookie", "session=1; user=tester2"),), False),
    User("xuser=tester", (("cookie", "xuser=tester"),), False),
    User("a client with carriers of its own", (("x-release-track", "v2"), ("baggage", "release-track=v2")), False),
)


def ids():
    """A trace id in the headers of three tracers, as a client with tracing sends it."""
    trace, span = secrets.token_hex(16), secrets.token_hex(8)
    return (
        ("traceparent", f"00-{trace}-{span}-01"),
        ("x-b3-traceid", trace),
        ("x-b3-spanid", span),
        ("x-b3-sampled", "1"),
        ("x-datadog-trace-id", str(int(trace[16:], 16))),
        ("x-datadog-parent-id", str(int(span, 16))),
    )


class Client:
    """One connection to the gateway's `address`, (host, port)."""

    def __init__(self, address):
        self._address = address
        self._connection = None

    def get(self, headers):
        """Status and body of `GET /` with these headers."""
        if not self._connection:
            self._connection = http.client.HTTPConnection(*self._address, timeout=30)
        try:
            self._connection.putrequest("GET", "/", skip_host="host" in dict(headers))
            for name, value in (("accept", "application/json"), *headers):
                self._connection.putheader(name, value)
            self._connection.endheaders()
            answer = self._connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            self._connection = None
            raise

    def fault(self, user, expected, more=()):
        """What is wrong with the answer to this user's request, if it is none of `expected`; None if nothing is."""
        try:
            status, body = self.get((*user.headers, *more))
        except (OSError, http.client.HTTPException) as error:
            return f"{user.says}: {type(error).__name__}: {error}"
        if status != 200:
            return f"{user.says}: {status} {body.decode(errors='replace')[:120]}"
        tree = _tree(json.loads(body))
        return None if tree in expected(user) else f"{user.says}: {_text(tree)}"


def story(user):
    """The right answers, by the filter's promise."""
    return (V2,) if user.tester else (BASELINE,)


def nothing(user):
    """The same routes without the filter: a client's own header is believed, and goes no further."""
    return (("frontend", "v2", "v2", BASELINE[3]),) if ("x-release-track", "v2") in user.headers else (BASELINE,)


class Traffic:
    """Mixed users over `connections` connections to the gateway, from `with` to its end."""

    def __init__(self, address, expected=story, connections=8, more=tuple, users=USERS):
        self.answers = 0
        self.faults = Counter()
        self._more = more
        self._expected = expected
        self._users = users
        self._ended = False
        self._answered = threading.Condition()
        self._threads = [
            threading.Thread(target=self._send, args=(address, n), daemon=True) for n in range(connections)
        ]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._ended = True
        for thread in self._threads:
            thread.join()

    def _send(self, address, offset):
        client = Client(address)
        for user in itertools.islice(itertools.cycle(self._users), offset, None):
            if self._ended:
                return
            fault = client.fault(user, self._expected, self._more())
            with self._answered:
                self.answers += 1
                if fault:
                    self.faults[fault] += 1
                self._answered.notify_all()

    def wait(self, requests):
        """Wait until so many more are answered."""
        with self._answered:
            enough = self.answers + requests
            if not self._answered.wait_for(lambda: self.answers >= enough, 300):
                raise Stopped(f"{requests} requests were not answered within 300 s")

    def require_none_wrong(self):
        """The number of answers; Stopped if any was wrong."""
        if self.faults:
            most = "\n".join(f"  {count} × {fault}" for fault, count in self.faults.most_common(8))
            raise Stopped(f"{self.faults.total()} of {self.answers} answers were wrong:\n{most}")
        return self.answers


def send(address, requests, expected=story, more=tuple, users=USERS):
    """So many requests at least, all of which must be answered right. Returns their number."""
    with Traffic(address, expected, 16, more, users) as traffic:
        traffic.wait(requests)
    return traffic.require_none_wrong()


def settle(address, expected=story, users=USERS, rounds=3, seconds=90):
    """Wait until so many rounds, one after the other, are all right.

    A round is sent over more connections at once than any check's: one that a proxy or an application keeps open takes
    one more request by the listener from before a change.
    """
    right, deadline = 0, time.monotonic() + seconds
    while right < rounds:
        with Traffic(address, expected, 32, users=users) as traffic:
            traffic.wait(96)
        if not traffic.faults:
            right += 1
        elif time.monotonic() > deadline:
            raise Stopped(f"not settled within {seconds} s: {next(iter(traffic.faults))}")
        else:
            right = 0
            time.sleep(0.2)


def _tree(served):
    if "error" in served:
        status, *_ = served["error"].split()
        return failed(served["service"], status if status.isdecimal() else served["error"])
    calls = sorted((_tree(call) for call in served["calls"]), key=lambda call: call[0])
    return (served["service"], served["version"], served["track"], tuple(calls))


def _text(tree):
    service, version, track, calls = tree
    return f"{service} {version} ({track or 'baseline'})" + (f" -> [{', '.join(map(_text, calls))}]" if calls else "")
