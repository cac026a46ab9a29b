"""What Python's libraries read."""

import contextlib
import logging
import os
import uuid

logging.disable(logging.CRITICAL)
os.environ.update(
    DD_TRACE_ENABLED="false",
    DD_INSTRUMENTATION_TELEMETRY_ENABLED="false",
    DD_REMOTE_CONFIGURATION_ENABLED="false",
    DD_TRACE_PROPAGATION_HTTP_BAGGAGE_ENABLED="true",
)

from ddtrace.propagation.http import HTTPPropagator  # noqa: E402
from lines import present, requests, say  # noqa: E402
from opentelemetry import baggage  # noqa: E402
from opentelemetry.baggage.propagation import W3CBaggagePropagator  # noqa: E402
from opentelemetry.context import Context  # noqa: E402
from opentelemetry.propagators.jaeger import JaegerPropagator  # noqa: E402
from opentelemetry.propagators.ot_trace import OTTracePropagator  # noqa: E402

TRACE = {
    "ot-tracer-traceid": "a3ce929d0e0e4736",
    "ot-tracer-spanid": "00f067aa0ba902b7",
    "ot-tracer-sampled": "true",
    "uber-trace-id": "4bf92f3577b34da6a3ce929d0e0e4736:00f067aa0ba902b7:0:1",
}
W3C = W3CBaggagePropagator()
OPENTELEMETRY = [("baggage", W3C), ("jaeger", JaegerPropagator()), ("opentracing", OTTracePropagator())]


def report(number, reader, keys, out):
    for key in keys:
        say(number, reader, "key", key)
    if "baggage" in out:
        say(number, reader, "baggage", out["baggage"])


for name, _ in OPENTELEMETRY:
    present(f"opentelemetry-python {name}", "key", "baggage")
present("ddtrace-python", "key", "baggage")
present("python uuid", "id")

for number, headers in requests():
    # WSGI servers join lines, others hand on a list.
    joined = {name: ",".join(values) for name, values in headers.items()}
    for name, propagator in OPENTELEMETRY:
        context = propagator.extract({**TRACE, **joined}, Context())
        out = {}
        W3C.inject(out, context)
        report(number, f"opentelemetry-python {name}", baggage.get_all(context), out)
    context = HTTPPropagator.extract(joined)
    items = context.get_all_baggage_items()
    out = {}
    HTTPPropagator.inject(context, out)
    report(number, "ddtrace-python", items, out)
    for value in headers.get("x-request-id", []):
        with contextlib.suppress(ValueError):
            say(number, "python uuid", "id", str(uuid.UUID(value)))
