# SPDX-License-Identifier: Apache-2.0
"""w3c.py PORT: a POST brings [{"url": U, "arguments": A}, ...], and each A is posted to its U. Knows nothing of tracing."""
import json
import sys
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        for action in json.loads(self.rfile.read(int(self.headers["Content-Length"]))):
            body = json.dumps(action["arguments"]).encode()
            request = urllib.request.Request(action["url"], body, {"Content-Type": "application/json"})
            urllib.request.urlopen(request).read()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"[]")

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
