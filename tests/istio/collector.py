"""A collector of spans, outside of the mesh: OTLP over HTTP, on the port of the recipe in docs/operations.md.

As a program: it writes each span as a line of JSON.
"""

import http.server
import json
import os
import sys
from pathlib import Path

import machine

PORT = 4318


def start(address):
    """Start it with this address on the bridge."""
    process = machine.start("collector", "unshare", "--net", sys.executable, Path(__file__))
    machine.plug(process.pid, address)


def spans():
    """All spans so far: {"trace": hex, "app": its service's, "attributes": {name: text}}."""
    return [json.loads(line) for line in machine.log("collector").splitlines()]


def _spans(body):
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        app = _texts(resource.resource.attributes)["service.name"].split(".")[0]
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield {"trace": span.trace_id.hex(), "app": app, "attributes": _texts(span.attributes)}


def _texts(attributes):
    return {attribute.key: attribute.value.string_value for attribute in attributes}


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        for span in _spans(b"".join(self._chunks())):
            os.write(1, json.dumps(span).encode() + b"\n")  # all at once: there are many threads
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def _chunks(self):
        """Of the body: Envoy says in no other form how long it is."""
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("", PORT), Receiver).serve_forever()
