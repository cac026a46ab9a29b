"""A server that is no part of the mesh: on the bridge in a network of its own, no pod, no Service, no sidecar.

As a program, `outside.py PORT...`: HTTP servers that answer each request with its header, as JSON.
"""

import http.server
import json
import socketserver
import sys
import threading
from pathlib import Path

import machine


class Echo(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = json.dumps([(name.lower(), value) for name, value in self.headers.items()]).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def start(address, ports):
    """Start it with this address on the bridge."""
    process = machine.start("outside", "unshare", "--net", sys.executable, Path(__file__), *ports)
    machine.plug(process.pid, address)


# What stands for an application's call in a pod: GET, and on standard output what was answered.
CALL = """
import http.client, json, sys
address, port, headers = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
connection = http.client.HTTPConnection(address, port, timeout=10)
connection.putrequest("GET", "/", skip_host=True)
for name, value in headers:
    connection.putheader(name, value)
connection.endheaders()
answer = connection.getresponse()
body = answer.read().decode(errors="replace")
print(json.dumps(json.loads(body) if answer.status == 200 else [["failed", f"{answer.status} {body}"]]))
"""

if __name__ == "__main__":
    servers = [socketserver.ThreadingTCPServer(("", int(port)), Echo) for port in sys.argv[1:]]
    threads = [threading.Thread(target=server.serve_forever) for server in servers]
    for thread in threads:
        thread.start()
