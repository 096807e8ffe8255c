# SPDX-License-Identifier: Apache-2.0
"""Everybody's HTTPS clients: GET and POST, small bodies and large ones, HTTP/1 and HTTP/2. The result is that of a run
without us, each request is one right span, and the server has seen one context header."""
import random
import re
import shutil
import subprocess

import pytest

from certificates import Authority
from http_spans import check_http, check_same_bytes, pair
from serving import ROOT, Serving, site  # noqa: F401 (a fixture)
from servers import Origin, Request
from test_http2 import contexts, received
from test_http2_tls import secure_nghttpd
from test_tls_servers import by_apache
from tls_clients import BEYOND, CLIENTS, CLIENTS_2, LARGE, Client

SIZES = [10, LARGE]


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def bodies(tmp_path_factory):
    """A folder with a file of each size."""
    folder = tmp_path_factory.mktemp("bodies")
    for size in SIZES:
        (folder / str(size)).write_bytes(random.Random(size).randbytes(size))
    return folder


class Asking:
    """What a client of one of the tables is to do: every size there and back."""

    def __init__(self, client, version, name, url, bodies):
        self.client, self.name, self.bodies = client, name, bodies
        asked = [("GET", f"{url}/files/{size}", size) for size in SIZES] + [("POST", f"{url}/echo", size) for size in SIZES]
        self.asked = [(method, at, size) for method, at, size in asked if (version, name, method, size) not in BEYOND]

    def __call__(self, **more):
        """Return: what was seen of each."""
        results = []
        for method, url, size in self.asked:
            body = self.bodies / str(size)
            result = self.client(url, body if method == "POST" else None, **more)
            assert body.read_bytes() in result.stdout, result.stderr
            results.append(result.behaviour)
        return results

    def check(self, spans, version):
        for span, (method, url, _) in zip(spans, self.asked, strict=True):
            request = Request(b"", method, url, version, [], b"", 0, 0)
            _, host, port, path = re.split(r"https://(\w+):(\d+)", url)
            names = url if self.name != "wget2" else f"https://{host}{path}"  # which leaves the port out of Host
            check_http(span, request, names, 200, peer=("127.0.0.1", int(port)), version=version)
            assert span.parent_id == ""


def in_any_order(requests):
    """Of programs that have none for their header fields."""
    for request in requests:
        head, _, body = request.raw.partition(b"\r\n\r\n")
        request.raw = b"\r\n".join(sorted(head.split(b"\r\n"))) + b"\r\n\r\n" + body
    return requests


@pytest.mark.parametrize("name", CLIENTS)
def test_http1(run, authority, bodies, spans, tmp_path, name):
    client = Client(run, CLIENTS[name], authority, tmp_path)
    with Origin(tls=authority.server(), files=bodies) as origin:
        asking = Asking(client, "1.1", name, f"https://localhost:{origin.port}", bodies)
        plain = asking(instrumented=False)
        seen = origin.requests
        origin.clear()
        assert asking() == plain
        requests = origin.requests
    got = [span for span, _ in pair(spans(len(requests)), requests)]
    check_same_bytes(in_any_order(seen), in_any_order(requests))
    asking.check(got, "1.1")


@pytest.mark.parametrize("name", CLIENTS_2)
def test_http2(run, site, authority, bodies, spans, tmp_path, name):
    client = Client(run, CLIENTS_2[name], authority, tmp_path)
    if not (site.files / "files").exists():
        (site.files / "files").symlink_to(bodies)
    with Serving(run, secure_nghttpd(site, authority, "--echo-upload"), instrumented=False) as server:
        asking = Asking(client, "2", name, f"https://localhost:{server.port}", bodies)
        plain = asking(instrumented=False)
        without = received(server)
        assert asking() == plain
        assert received(server) == without * 2
        told = contexts(server)
    got = spans(len(asking.asked))
    assert told == sorted(span.traceparent for span in got)
    asking.check(got, "2")


class Forge:
    """Apache with git's own server behind it, without us; its log has a line for each request."""

    def __init__(self, site, authority):
        self.folder = site.folder("git")
        self.log = self.folder / "log"
        self.plan = by_apache(site, authority, f"""
            Protocols h2 http/1.1
            SetEnv GIT_PROJECT_ROOT {self.folder}
            SetEnv GIT_HTTP_EXPORT_ALL 1
            ScriptAlias /git/ /usr/lib/git-core/git-http-backend/
            <Directory /usr/lib/git-core>
                Options ExecCGI
                Require all granted
            </Directory>
            LogFormat "%{{traceparent}}i %m %U%q %>s %H" seen
            CustomLog {self.log} seen""", ("http2", "env", "cgid"))

    def create(self, run, name):
        path = self.folder / f"{name}.git"
        for words in (["init", "-q", "--bare", path], ["-C", path, "config", "http.receivepack", "true"]):
            assert run(["git", *words], instrumented=False).status == 0
        if ROOT:
            subprocess.run(["chown", "-R", "nobody:nogroup", path], check=True)
        return path

    def requests(self):
        """(traceparent or "-", what was asked) of each since the last look."""
        lines = [line.split(" ", 1) for line in self.log.read_text().splitlines()]
        self.log.write_text("")
        return lines


GIT = """set -e; exec 2>&1
git -c http.version="$1" clone -q "$2" work; cd work; cp "$3" file; git add file; git commit -qm one
git -c http.version="$1" push -q origin HEAD:refs/heads/main
git -c http.version="$1" clone -q -b main "$2" again; cmp file again/file; git -C again rev-parse HEAD; rm -rf again ../work"""
DATED = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER")
         for what, value in (("NAME", "n"), ("EMAIL", "e@x"), ("DATE", "2001-01-01T00:00:00Z"))}


@pytest.mark.parametrize("version", ["1.1", "2"])
def test_git_clones_and_pushes(run, site, authority, bodies, spans, version):
    forge = Forge(site, authority)
    env = {**authority.trusted, **DATED}
    with Serving(run, forge.plan, instrumented=False) as server:
        results = []
        for instrumented in (False, True):
            path = forge.create(run, "r")
            url = f"https://localhost:{server.port}/git/r.git"
            result = run(["sh", "-c", GIT, "sh", f"HTTP/{version}", url, bodies / str(LARGE)], env, instrumented)
            assert result.status == 0, result
            results.append((result.behaviour, forge.requests()))
            shutil.rmtree(path)
    (plain, seen), (ours, requests) = results
    assert ours == plain
    assert [asked for _, asked in requests] == [asked for _, asked in seen]
    assert any(asked.startswith("POST /git/r.git/git-receive-pack") for _, asked in requests)
    for span, (context, asked) in zip(spans(len(requests)), requests, strict=True):
        method, target, status, protocol = asked.split(" ")
        request = Request(b"", method, target, version, [], b"", 0, 0)
        assert (span.traceparent, protocol) == (context, "HTTP/1.1" if version == "1.1" else "HTTP/2.0")
        check_http(span, request, f"https://localhost:{server.port}{target}", int(status), version=version)
