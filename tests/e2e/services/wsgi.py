# SPDX-License-Identifier: Apache-2.0
"""A WSGI application: /status/NNN answers so, /call/X asks UPSTREAM for /X, everything else says what it got."""
import os
import urllib.request


def app(environ, start_response):
    path, status, body = environ["PATH_INFO"], "200 OK", b""
    sent = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    if path.startswith("/status/"):
        status = path.removeprefix("/status/") + " Reason"
    elif path.startswith("/call/"):
        body = urllib.request.urlopen(os.environ["UPSTREAM"] + path.removeprefix("/call")).read()
    else:
        body = f"{environ['REQUEST_METHOD']} {path} {len(sent)}\n".encode()
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
