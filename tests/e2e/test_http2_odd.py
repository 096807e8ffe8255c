# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 that no browser speaks: what a client sends arrives as it was, but for one context where a request was
proven; a server answers as it does without us."""
import contextlib
import random
import re
import socket
import threading

import pytest

from serving import PYTHON, Serving, site  # noqa: F401 (a fixture)
from test_http2 import nghttpd

CONTEXT = re.compile(rb"\x00\x0btraceparent\x3700-[0-9a-f]{32}-[0-9a-f]{16}-0[13]")
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS, PING, CONTINUATION = 0, 1, 4, 6, 9
END_STREAM, END_HEADERS = 1, 4
KEEP = 0x10  # a field that is never indexed


def frame(kind, flags=0, stream=0, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def number(value, bits, first=0):
    """An integer of HPACK."""
    most = (1 << bits) - 1
    if value < most:
        return bytes([first | value])
    out, value = [first | most], value - most
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    return bytes([*out, value])


def text(value):
    return number(len(value), 7) + value


def field(name, value, how=KEEP):
    return bytes([how]) + text(name) + text(value)


GET = b"\x82\x86\x84\x01" + text(b"h")
WEBSOCKET = (b"\x02" + text(b"CONNECT") + field(b":protocol", b"websocket") + b"\x87\x04" + text(b"/ws") + b"\x01" + text(b"h"))


def request(block, stream=1, flags=END_STREAM, size=16384):
    """A header block in as many frames as it takes."""
    pieces = [block[i:i + size] for i in range(0, len(block), size)]
    return b"".join(frame(CONTINUATION if i else HEADERS, (0 if i else flags) | (END_HEADERS if i + 1 == len(pieces) else 0),
                          stream, piece) for i, piece in enumerate(pieces))


BEGIN = PREFACE + frame(SETTINGS)
GARBAGE = random.Random(3).randbytes(3000)
YAMUX = b"".join(bytes([0, kind, 0, flags]) + stream.to_bytes(4, "big") + (5).to_bytes(4, "big") + b"hello"
                 for kind, flags, stream in ((0, 1, 1), (0, 0, 1), (1, 2, 1), (0, 4, 1)))
CLIENTS = {  # what is sent, how many contexts are added; None: one at most
    "a request": (BEGIN + request(GET), 1),
    "yamux after the preface": (PREFACE + YAMUX, 0),
    "yamux after a request": (BEGIN + request(GET) + YAMUX, 1),
    "garbage after the preface": (PREFACE + GARBAGE, 0),
    "garbage after the settings": (BEGIN + b"\xff" + GARBAGE, 0),
    "garbage after a request": (BEGIN + request(GET) + b"\xff" + GARBAGE, 1),
    "text after a request": (BEGIN + request(GET) + b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n", 1),
    "a field of 256 KiB": (BEGIN + request(GET + field(b"x-long", b"l" * (256 << 10))), 0),
    "256 KiB of fields": (BEGIN + request(GET + b"".join(field(b"x-%d" % i, b"l" * 1000) for i in range(256))), None),
    "the same in tiny frames": (BEGIN + request(GET + field(b"x-long", b"l" * 5000), size=7), 1),
    "a bomb": (BEGIN + request(GET + field(b"x-bomb", b"b" * 3900, 0x40) + b"\xbe" * 16000), 0),
    "a WebSocket": (BEGIN + request(WEBSOCKET, flags=0) + frame(DATA, 0, 1, b"\x81\x05hello" + BEGIN) + frame(PING, 0, 0, b"12345678")
                    + frame(DATA, END_STREAM, 1, b"GET / HTTP/1.1\r\n\r\n"), None),
    "frames that are too large": (BEGIN + frame(DATA, 0, 1, b"d" * 20000) + request(GET), 0),
    "half a frame": (BEGIN + request(GET)[:-3], None),
    "settings of everything": (PREFACE + frame(SETTINGS, 0, 0, b"".join(i.to_bytes(2, "big") + bytes(4) for i in range(1, 100)))
                               + request(GET), None),
}
SERVERS = {  # what a server says
    "settings": frame(SETTINGS),
    "no table": frame(SETTINGS, 0, 0, b"\0\1\0\0\0\0"),
    "a tiny frame size": frame(SETTINGS, 0, 0, b"\0\5\0\0\0\x10"),
    "garbage": GARBAGE,
}
WRONG = ["a tiny frame size", "garbage"]
ANSWERED = [  # until the end: a server that hangs up in the middle may take its last words back
    "a request", "the same in tiny frames", "256 KiB of fields", "half a frame", "settings of everything"]
SEND = """import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
if sys.argv[3:]: print(s.recv(65536))
data = open(sys.argv[2], "rb").read()
for i in range(0, len(data), 5000): s.sendall(data[i:i + 5000])
s.shutdown(socket.SHUT_WR)
while piece := s.recv(65536): print(piece)"""


class Recorder:
    """Takes one connection after another: says its words, keeps what comes, within a with block."""

    def __init__(self, words):
        self.words, self.kept = words, []

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._accept)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with sock:
                sock.sendall(self.words)
                self.kept.append(b"".join(iter(lambda: sock.recv(65536), b"")))


def lengths_may_differ(sent, arrived):
    """Byte by byte the same, but for frames' lengths (or the flags of one, and the front of another that follows it)."""
    if len(arrived) == len(sent):
        return sum(a != b for a, b in zip(arrived, sent, strict=True)) <= 3
    front = next(i for i in range(len(sent)) if sent[i:] == arrived[i + 9:])
    return arrived[front + 3] == CONTINUATION and sum(a != b for a, b in zip(arrived[:front], sent[:front], strict=True)) == 1


@pytest.mark.parametrize("first", [False, True], ids=["client first", "server first"])
@pytest.mark.parametrize("words", SERVERS)
@pytest.mark.parametrize("name", CLIENTS)
def test_what_a_client_sends(run, tmp_path, name, words, first):
    sent, contexts = CLIENTS[name]
    (tmp_path / "sent").write_bytes(sent)
    with Recorder(SERVERS[words]) as recorder:
        run.both([PYTHON, "-c", SEND, recorder.port, tmp_path / "sent", *(["first"] if first else [])])
        plain, ours = recorder.kept
    run.settle()
    added = CONTEXT.findall(ours)
    assert plain == sent
    assert len(added) == contexts if contexts is not None and words not in WRONG else len(added) <= 1
    stripped = CONTEXT.sub(b"", ours)
    assert stripped == sent if not added else lengths_may_differ(sent, stripped)


def frames_of(sock, words):
    """What a server answers with, less what depends on time."""
    sock.sendall(words)
    data, frames = b"", []
    with contextlib.suppress(OSError):  # it may have hung up already
        sock.shutdown(socket.SHUT_WR)
    while piece := sock.recv(65536):
        data += piece
    while len(data) >= 9:
        size = int.from_bytes(data[:3], "big")
        frames.append(data[3:9])
        data = data[9 + size:]
    return frames


def test_what_a_server_answers(run, site):
    answers = []
    for instrumented in (False, True):
        answers.append({})
        with Serving(run, nghttpd(site), instrumented=instrumented) as server:
            for name in ANSWERED:
                words, _ = CLIENTS[name]
                with socket.create_connection(("127.0.0.1", server.port), 20) as sock:
                    answers[-1][name] = frames_of(sock, words)
    assert answers[0] == answers[1]
    assert answers[0]["a request"]
