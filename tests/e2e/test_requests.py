# SPDX-License-Identifier: Apache-2.0
"""What may happen to one request between its first byte and its answer: waits that run out, children, bodies from files."""
import pytest

from acts import check_all, play
from http_spans import pair

PYTHON = "/usr/bin/python3"
CONNECT = """
import os, select, socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
def ask(path):
    s.sendall(b"GET " + path + b" HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n")
def answer():
    text = s.recv(65536)
    print(text.split(b"\\r\\n")[0].decode() if text else "end")
"""


def converse(run, origin, code, *more, env=None):
    """Without and with us. Return: the requests under us."""
    command = [PYTHON, "-c", CONNECT + code, origin.port, *more]
    origin.clear()
    plain = run(command, instrumented=False)
    origin.clear()
    ours = run(command, env)
    assert ours.behaviour == plain.behaviour and ours.status == 0, ours
    return origin.requests


WAITS = {
    "poll": "p = select.poll()\np.register(s, select.POLLIN)\nassert not p.poll(20)\n",
    "select": "assert not select.select([s], [], [], 0.02)[0]\n",
    "epoll": "e = select.epoll()\ne.register(s, select.EPOLLIN)\nassert not e.poll(0.02)\n",
}


@pytest.mark.parametrize("wait", WAITS)
def test_a_wait_that_ran_out_before_the_answer_came(run, origin, spans, wait):
    """It was no time-out: the program went on waiting."""
    requests = converse(run, origin, f"ask(b'/slow')\n{WAITS[wait]}answer()\nask(b'/next')\nanswer()\n")
    for span, _ in pair(spans(2), requests):
        assert (span.status, span.attributes["http.response.status_code"]) == ("UNSET", 200)
        assert "error.type" not in span.attributes


@pytest.mark.parametrize("wait", WAITS)
def test_a_wait_that_ran_out_was_forgotten_when_the_next_request_failed(run, origin, spans, wait):
    requests = converse(run, origin, f"ask(b'/slow')\n{WAITS[wait]}answer()\nask(b'/hangup')\nanswer()\n")
    (first, _), (second, _) = sorted(pair(spans(2), requests), key=lambda both: both[0].start)
    assert (first.status, second.status) == ("UNSET", "ERROR")
    assert second.attributes["error.type"] not in ("timeout", "_OTHER")


@pytest.mark.parametrize("wait", WAITS)
def test_a_wait_that_ran_out_before_the_first_byte_came(run, origin, spans, wait):
    """The program has seen the status, and closes: it did not give up waiting."""
    code = f"ask(b'/slow')\n{WAITS[wait]}assert len(s.recv(44)) == 44\ns.close()\n"
    requests = converse(run, origin, code)
    (span, _), = pair(spans(1), requests)
    assert (span.status, span.attributes.get("error.type")) == ("UNSET", None)


@pytest.mark.parametrize("wait", ["poll", "select"])  # epoll_wait does not say whom it waited for
def test_a_wait_that_ran_out_for_good(run, origin, spans, wait):
    """The other side of it: who closes after such a wait has given up."""
    requests = converse(run, origin, f"ask(b'/hold')\n{WAITS[wait]}s.close()\n")
    (span, _), = pair(spans(1), requests)
    assert (span.status, span.attributes["error.type"]) == ("ERROR", "timeout")


@pytest.mark.parametrize("home", ["relay", "inproc"])
def test_a_vfork_child_closes_the_connection(run, origin, spans, home):
    """In the parent's memory, but not the parent's descriptor."""
    requests = play(run, origin, "families", "vforked", answered=8)
    assert {request.connection for request in requests} == {requests[0].connection}
    check_all(spans, requests)


SEND = {
    "sendfile": "while left:\n    left -= os.sendfile(s.fileno(), f.fileno(), size - left, left)\n",
    "splice": "r, w = os.pipe()\n"
              "while left:\n"
              "    n = os.splice(f.fileno(), w, left)\n"
              "    while n:\n"
              "        moved = os.splice(r, s.fileno(), n)\n"
              "        n, left = n - moved, left - moved\n",
}


@pytest.mark.parametrize("how", SEND)
@pytest.mark.parametrize("size", [1, 5000, 3 << 20])
def test_a_body_from_a_file(run, origin, spans, tmp_path, how, size):
    body = (b"GET /not-a-request HTTP/1.1\r\n\r\n" * (size // 30 + 1))[:size]
    (tmp_path / "body").write_bytes(body)
    head = f"b'POST /status/201 HTTP/1.1\\r\\nHost: h\\r\\nContent-Length: {size}\\r\\n\\r\\n'"
    code = (f"f = open(sys.argv[2], 'rb')\nsize = left = {size}\ns.sendall({head})\n{SEND[how]}answer()\n"
            "ask(b'/next')\nanswer()\n")
    requests = converse(run, origin, code, tmp_path / "body")
    assert [(request.method, request.body) for request in requests] == [("POST", body), ("GET", b"")]
    got = [(span.name, span.attributes["http.response.status_code"], span.status) for span, _ in pair(spans(2), requests)]
    assert got == [("POST", 201, "UNSET"), ("GET", 200, "UNSET")]
