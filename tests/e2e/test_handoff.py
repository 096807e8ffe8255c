# SPDX-License-Identifier: Apache-2.0
"""Requests that a server reads itself, and for which it forks then: whoever answers, each is told exactly once, and whatever
was done because of it has its parent."""
from concurrent.futures import ThreadPoolExecutor

import pytest

from asking import Ask, Asker, ask_one, play
from certificates import Authority
from serving import Serving, app, script, site  # noqa: F401 (a fixture)
from talk import wait_until
from test_servers import FIRST, SECOND
from traces import by_trace, check_trace, path_of

PARENTS = {context.split("-")[1]: context.split("-")[2] for context in (FIRST, SECOND)}

# path: the status that the client is told (None: the end), that of the span (None: no answer was seen), requests upstream
WAYS = {
    "/child": (200, 200, 0),
    "/nobody": (None, None, 0),
    "/killed": (None, None, 1),
    "/cgi": (200, None, 1),
    "/waits": (200, None, 1),
    "/fails": (500, 500, 0),
    "/beside": (200, 200, 0),
    "/system": (200, 200, 0),
}


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


def server(origin):
    return app("handoff", "{port}", origin.port)


def check_traces(spans, wanted):
    """{trace: (path of the root, status, requests upstream)}"""
    got = {}
    for trace, members in by_trace(spans).items():
        root = check_trace(members, PARENTS[trace])
        assert [span for span in members if span.kind == "SERVER"] == [root]
        status = root.attributes.get("http.response.status_code")
        assert bool(root.attributes.get("otel.instrument.incomplete")) == (status is None)
        got[trace] = path_of(root), status, len(members) - 1
    assert got == wanted


@pytest.mark.parametrize("path", WAYS)
def test_who_answers(run, site, origin, spans, path):
    told, status, asked = WAYS[path]
    with Serving(run, server(origin)) as serving:
        with Asker(serving.port) as asker:
            if told:
                assert ask_one(asker, Ask("GET", path, context=FIRST), "asker").status == told
            else:
                asker.send(asker.bytes_of(Ask("GET", path, context=FIRST)))
                assert asker.rest() == b""
        play(serving.port, [[Ask("GET", "/next", context=SECOND)]])
    wanted = {FIRST.split("-")[1]: (path, status, asked), SECOND.split("-")[1]: ("/next", 200, 0)}
    check_traces(spans(2 + asked), wanted)


# path: the status that the client is told, and that of the span
DEATHS = {"/doomed": None, "/left": None, "/told": 200, "/orphan": 200}


@pytest.mark.parametrize("path", DEATHS)
def test_the_server_is_killed(run, site, origin, spans, path):
    """With the child that may answer, or without: told exactly once all the same."""
    with Serving(run, server(origin)) as serving, Asker(serving.port) as asker:
        asker.send(asker.bytes_of(Ask("GET", path, context=FIRST)))
        if DEATHS[path]:
            assert asker.answer().status == DEATHS[path]
        serving.process.wait(20)
        assert asker.rest() == b""
    check_traces(spans(1), {FIRST.split("-")[1]: (path, DEATHS[path], 0)})


def test_a_late_orphan(run, site, origin, spans, sink):
    """It was waited for so long that its request is told of without it: that is the end of it."""
    with Serving(run, server(origin)) as serving, Asker(serving.port) as asker:
        asker.send(asker.bytes_of(Ask("GET", "/late", context=FIRST)))
        serving.process.wait(20)
        sink.wait(1, 20)
        asker.send(b"\n")
        assert asker.answer().status == 200
        assert asker.rest() == b""
    check_traces(spans(1), {FIRST.split("-")[1]: ("/late", None, 0)})


def test_the_connection_goes_on(run, site, origin, spans):
    """In the parent, after a child has answered on it."""
    with Serving(run, server(origin)) as serving, Asker(serving.port) as asker:
        for path, context in ("/keep", FIRST), ("/next", SECOND):
            assert ask_one(asker, Ask("GET", path, context=context), path).status == 200
    check_traces(spans(2), {FIRST.split("-")[1]: ("/keep", 200, 0), SECOND.split("-")[1]: ("/next", 200, 0)})


def test_the_connection_goes_on_after_a_program(run, site, origin, spans):
    """What it wrote was not seen: the answers after it are those of the requests after it all the same."""
    paths = ["/printed", "/next", "/printed", "/keep", "/printed", "/next"]
    with Serving(run, server(origin)) as serving, Asker(serving.port) as asker:
        for path in paths:
            assert ask_one(asker, Ask("GET", path), path).status == 200
    told = sorted(spans(len(paths)), key=lambda span: span.start)
    assert [path_of(span) for span in told] == paths
    for span in told:
        seen = path_of(span) != "/printed"
        assert span.attributes.get("http.response.status_code") == (200 if seen else None)
        assert bool(span.attributes.get("otel.instrument.incomplete")) == (not seen)


# path: the status that the client is told and that of the span (None: the end; no answer was seen)
SECURE_WAYS = {"/child": 200, "/keep": 200, "/nobody": None, "/beside": 200, "/parent": 200}


@pytest.mark.parametrize("path", SECURE_WAYS)
def test_who_answers_over_tls(run, site, authority, spans, path):
    answers = SECURE_WAYS[path]
    with Serving(run, script(site, "secure_handoff.py", authority.cert, authority.key)) as serving:
        with Asker(serving.port, authority.client()) as asker:
            asker.send(asker.bytes_of(Ask("GET", path, context=FIRST)))
            if answers:
                assert asker.answer().status == answers
        play(serving.port, [[Ask("GET", "/next", context=SECOND)]], tls=authority.client())
    check_traces(spans(2), {FIRST.split("-")[1]: (path, answers, 0), SECOND.split("-")[1]: ("/next", 200, 0)})


THREADS, CLIENTS, EACH = 8, 8, 60


def test_threads_that_fork_at_once(run, site, origin, spans):
    """Each child has what the others read as well; only its own is its own."""
    def ask_all(port):
        for _ in range(EACH):
            with Asker(port) as asker:
                assert ask_one(asker, Ask("GET", "/child"), "asker").status == 200

    with Serving(run, app("handoff", "{port}", origin.port, THREADS)) as serving:
        with ThreadPoolExecutor(CLIENTS) as pool:
            for future in [pool.submit(ask_all, serving.port) for _ in range(CLIENTS)]:
                future.result()
        wait_until(lambda: not serving.children())  # at its end it does not wait for them
    got = spans(CLIENTS * EACH)
    assert [span.attributes for span in got if span.attributes.get("http.response.status_code") != 200] == []
