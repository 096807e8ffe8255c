#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""./dev demo: real programs, unchanged, traced against a small server of our own. No collector needed."""
import os
import shlex
import subprocess
import sys

from paths import LAUNCHER
from servers import Origin

PYTHON = "import urllib.request\nprint(urllib.request.urlopen('{url}/chunked').read().decode(), end='')"
PERL = "use HTTP::Tiny; print HTTP::Tiny->new->get('{url}/status/404')->{{status}}, qq(\\n)"

STEPS = [
    ("curl, which uses libcurl", ["curl", "-s", "{url}/items"]),
    ("wget, which speaks HTTP itself", ["wget", "-q", "-O", "-", "{url}/slow"]),
    ("python3, urllib", ["/usr/bin/python3", "-c", PYTHON]),
    ("perl, a request that fails", ["perl", "-e", PERL]),
    ("a redirect: one span per hop", ["curl", "-s", "-L", "{url}/redirect"]),
    ("nobody listens there", ["curl", "-s", "http://127.0.0.1:1/"]),
]


SERVER = "import http.server\nhttp.server.test(http.server.SimpleHTTPRequestHandler, bind='127.0.0.1', port=0)"


def show_server(env):
    """A server and its client, each under otel-instrument: the same trace on both sides."""
    command = ["/usr/bin/python3", "-uc", SERVER]
    traced = [LAUNCHER, "--traces_exporter", "console"]
    print("\n# a server: its SERVER span continues the client's trace")
    server = subprocess.Popen([*traced, *command], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        port = server.stdout.readline().partition(" port ")[2].split()[0]
        client = ["curl", "-s", "-o", "/dev/null", f"http://127.0.0.1:{port}/?page=2"]
        print(f"$ otel-instrument --traces_exporter console python3 -m http.server {port} &\n"
              f"$ otel-instrument --traces_exporter console {shlex.join(client)}", flush=True)
        result = subprocess.run([*traced, *client], env=env, timeout=60)
    finally:
        server.terminate()
        printed = server.communicate(timeout=60)[1]
    print("".join(line for line in printed.splitlines(True) if line[:1] in "p└ "), end="", flush=True)
    return result.returncode == 0 and "GET /" in printed


def main():
    env = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_") and name != "LD_PRELOAD"}
    with Origin() as origin:
        for title, command in STEPS:
            command = [word.format(url=origin.url) for word in command]
            print(f"\n# {title}\n$ otel-instrument --traces_exporter console {shlex.join(command)}", flush=True)
            result = subprocess.run([LAUNCHER, "--traces_exporter", "console", *command], env=env, timeout=60)
            if result.returncode != 0:
                print(f"(exit status {result.returncode}, as without us)", flush=True)
        served = show_server(env)
        heads = [request for request in origin.requests if request.header("traceparent")]
        print(f"\nThe server got {len(origin.requests)} requests; {len(heads)} carried a traceparent, such as\n"
              f"  {heads[-1].header('traceparent')[0] if heads else '(none)'}")
        return 0 if served and len(heads) == len(origin.requests) > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
