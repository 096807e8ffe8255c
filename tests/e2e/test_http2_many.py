# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 with many streams at once: every parent is right, and what was not exported was counted."""
import os

import pytest

from certificates import Authority
from log import Log
from serving import PYTHON, Serving, nginx, site  # noqa: F401 (a fixture)
from traces import path_of

STREAMS = 100
REQUESTS = int(os.environ.get("OTEL_TEST_H2LOAD", "10000"))
KEEP = "upstream back {{ server 127.0.0.1:{port}; keepalive 16; }} access_log off;"
KEPT = 'location / { proxy_pass http://back; proxy_http_version 1.1; proxy_set_header Connection ""; }'


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


def secure(authority, tls):
    return f"ssl_certificate {authority.cert}; ssl_certificate_key {authority.key};" if tls else ""


def in_front(site, authority, port, tls, kept):
    """nginx that speaks HTTP/2 to its clients and HTTP/1 to whoever is behind it."""
    more = secure(authority, tls)
    if kept:
        return nginx(site, KEPT + more, KEEP.format(port=port), tls=tls, http2=True)
    return nginx(site, f"location / {{ proxy_pass http://127.0.0.1:{port}; }} {more}", tls=tls, http2=True)


def by_path(spans, name, kind):
    """{path: span} of one kind of one service; each path once."""
    found = [(path_of(span), span) for span in spans if (span.resource["service.name"], span.kind) == (name, kind)]
    assert len(found) == len(dict(found)) == STREAMS
    return dict(found)


@pytest.mark.parametrize("kept", [False, True], ids=["a connection each", "kept"])
@pytest.mark.parametrize("contexts", [False, True], ids=["roots", "contexts"])
@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
def test_streams_of_one_connection(run, site, authority, spans, tls, contexts, kept):
    command = [PYTHON, site.path / "h2_streams.py"]
    flags = ["contexts"] * contexts + ["tls"] * tls
    backend = nginx(site, "location / { return 200 $uri; }", "access_log off; keepalive_requests 1000;")
    backend.name = "back"
    with Serving(run, backend) as behind:
        with Serving(run, in_front(site, authority, behind.port, tls, kept)) as front:
            result = run([*command, front.port, STREAMS, *flags], authority.trusted, instrumented=False)
            front.stop(3)
        behind.stop(3)
        got = spans(3 * STREAMS)
    assert result.stdout.decode() == "".join(f"200 /r/{i}\n" for i in range(STREAMS)), result
    servers, clients = by_path(got, "nginx", "SERVER"), by_path(got, "nginx", "CLIENT")
    behind = by_path(got, "back", "SERVER")
    for i in range(STREAMS):
        server, client, last = (found[f"/r/{i}"] for found in (servers, clients, behind))
        assert (client.parent_id, last.parent_id) == (server.span_id, client.span_id)
        assert client.trace_id == last.trace_id == server.trace_id
        assert not contexts or (server.trace_id, server.parent_id) == (f"{i + 1:032x}", f"{i + 1:016x}")
        assert contexts or server.parent_id == ""
        assert server.attributes["network.protocol.version"] == "2"
    assert len({span.trace_id for span in got}) == STREAMS


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
def test_all_of_h2load_s_requests_are_counted(run, site, authority, sink, tls):
    """However fast they come. OTEL_TEST_H2LOAD says how many, if there should be more."""
    folder = site.folder("h2load")
    log = Log(folder / "log", "info")
    plan = nginx(site, f"location / {{ return 200 x; }} {secure(authority, tls)}",
                 "access_log off; keepalive_requests 1000000;", tls=tls, http2=True)
    with Serving(run, plan, {**log.env, "OTEL_BSP_MAX_QUEUE_SIZE": "2048"}) as serving:
        url = f"http{'s' if tls else ''}://localhost:{serving.port}/"
        load = run(["h2load", "-n", REQUESTS, "-c", "10", "-m", "100", url], instrumented=False, timeout=300)
        serving.stop(3)
    assert f" {REQUESTS} succeeded, 0 failed, 0 errored, 0 timeout".encode() in load.stdout, load
    run.settle(20 + REQUESTS / 500)
    outcomes = log.outcomes()
    assert sum(outcomes.values()) == REQUESTS, outcomes
    assert outcomes["delivered"] == len(sink.spans)
