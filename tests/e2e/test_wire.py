# SPDX-License-Identifier: Apache-2.0
"""Byte for byte: only the head of a proven HTTP request gets our one header, and nothing else changes ever."""
import contextlib
import json
import os
import random
import socket
import subprocess
import threading

import pytest

from http_spans import TRACEPARENT

CLIENT = """
import ctypes, json, os, socket, sys
steps = json.loads(sys.argv[2])
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
got = 0
for kind, value in steps:
    if kind == "send":
        s.sendall(value.encode("latin-1"))
    elif kind == "bytes":
        for byte in value.encode("latin-1"):
            s.send(bytes([byte]))
    elif kind == "urgent":
        s.send(value.encode("latin-1"), socket.MSG_OOB)
    elif kind == "raw urgent":
        number = {"x86_64": 44, "aarch64": 206}[os.uname().machine]  # sendto(2)
        ctypes.CDLL(None).syscall(number, s.fileno(), value.encode("latin-1"), len(value), socket.MSG_OOB, None, 0)
    elif kind == "read":
        while got < value:
            part = s.recv(value - got)
            assert part, "the server ended"
            got += len(part)
        got = 0
s.shutdown(socket.SHUT_WR)
while s.recv(65536):
    pass
print("done")
"""


class Peer:
    """Keeps what each client sends, and answers as told: [(after so many bytes of the stream's own, answer)]."""

    def __init__(self, answers):
        self.answers = answers  # [(marker, answer)]: the answer is sent once the marker has come
        self.streams = []

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()

    def _serve(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with sock:
                sock.settimeout(20)
                self.streams.append(self._talk(sock))

    def _talk(self, sock):
        stream, place, answers = b"", 0, list(self.answers)
        while True:
            while answers and (at := stream.find(answers[0][0], place)) >= 0:
                place = at + len(answers[0][0])
                sock.sendall(answers.pop(0)[1])
            part = sock.recv(65536)
            if not part:
                return stream
            stream += part


def converse(run, steps, answers=()):
    """Without and with us. Return: what the peer got, and how many headers of ours were in it."""
    with Peer(answers) as peer:
        run.both(["/usr/bin/python3", "-c", CLIENT, peer.port, json.dumps(steps)], timeout=30)
    plain, ours = peer.streams
    rest, count = TRACEPARENT.subn(b"", ours)
    assert rest == plain
    return plain, ours, count


GET = "GET /x HTTP/1.1\r\nHost: h\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HEAD_END = b"\r\n\r\n"
RANDOM = random.Random(7)


def noise(count):
    return bytes(RANDOM.randrange(256) for _ in range(count)).decode("latin-1")


def test_websocket(run, spans):
    head = ("GET /chat HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
    reply = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    frames = ["\x82\x85\x01\x02\x03\x04hello", GET, "\x81\x7e\x10\x00" + noise(4096), GET * 3]
    steps = [("send", head), ("read", len(reply)), *(("send", frame) for frame in frames), ("bytes", GET)]
    _, ours, count = converse(run, steps, [(HEAD_END, reply)])
    assert count == 1 and TRACEPARENT.search(ours).start() < ours.index(HEAD_END)
    assert spans(1)[0].attributes["http.response.status_code"] == 101


def test_connect_tunnel(run, spans):
    head = "CONNECT secret.example:443 HTTP/1.1\r\nHost: secret.example:443\r\n\r\n"
    reply = b"HTTP/1.1 200 Connection established\r\n\r\n"
    steps = [("send", head), ("read", len(reply)), ("send", "\x16\x03\x01" + noise(500)), ("send", GET), ("bytes", GET)]
    _, ours, count = converse(run, steps, [(HEAD_END, reply)])
    assert count == 1 and TRACEPARENT.search(ours).start() < ours.index(HEAD_END)
    span, = spans(1)
    assert (span.name, span.attributes["http.response.status_code"]) == ("CONNECT", 200)


def test_a_tunnel_that_is_refused(run, spans):
    reply = b"HTTP/1.1 407 Authenticate\r\nContent-Length: 2\r\n\r\nno"
    steps = [("send", "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n"), ("read", len(reply)), ("send", GET), ("read", len(OK))]
    _, _, count = converse(run, steps, [(HEAD_END, reply), (HEAD_END, OK)])
    assert count == 2 and len(spans(2)) == 2


LOOK_ALIKES = {
    "random": noise(20000),
    "zeros": "\0" * 5000,
    "redis": "*1\r\n$4\r\nPING\r\n*2\r\n$3\r\nGET\r\n$1\r\nx\r\n",
    "memcached": "get /x\r\nset a 0 0 5\r\nhello\r\nGET x\r\n",
    "http 0.9": "GET /index.html\r\n",
    "rtsp": "GET rtsp://h/x RTSP/1.0\r\nCSeq: 1\r\n\r\n",
    "sip": "INVITE sip:bob@h SIP/2.0\r\nVia: SIP/2.0/UDP h\r\n\r\n",
    "icap": "REQMOD icap://h/x ICAP/1.0\r\nHost: h\r\n\r\n",
    "smtp": "EHLO h\r\nMAIL FROM:<a@h>\r\n",
    "http/2 preface": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
    "tls": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + noise(507),
    "yamux": "\0\1\0\1\0\0\0\1\0\0\0\0" + "\0\0\0\0\0\0\0\1\0\0\0\x1b" + GET,
    "ssh": "SSH-2.0-OpenSSH_9.2\r\n" + GET,
    "postgres": "\0\0\0\x08\x04\xd2\x16\x2f",
    "an unknown version": "GET /x HTTP/7.7\r\nHost: h\r\n\r\n",
    "two spaces": "GET  /x  HTTP/1.1\r\nHost: h\r\n\r\n",
    "a leading space": " GET /x HTTP/1.1\r\nHost: h\r\n\r\n",
    "a field without colon": "GET /x HTTP/1.1\r\nthis is no field\r\n\r\n",
    "nul in a field": "GET /x HTTP/1.1\r\nHost: a\0b\r\n\r\n",
    "nul in the target": "GET /\0x HTTP/1.1\r\nHost: h\r\n\r\n",
    "a space before the colon": "GET /x HTTP/1.1\r\nHost : h\r\n\r\n",
    "a lone carriage return": "GET /x HTTP/1.1\rHost: h\r\n\r\n",
    "a method that is too long": "A" * 300 + " / HTTP/1.1\r\nHost: h\r\n\r\n",
    "half a head": "GET /x HTTP/1.1\r\nHost: h\r\n",
    "half a line": "GET /x HTT",
    "length twice": "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
}


@pytest.mark.parametrize("how", ["send", "bytes"])
@pytest.mark.parametrize("name", LOOK_ALIKES)
def test_what_is_no_http(run, name, how):
    text = LOOK_ALIKES[name]
    follow = [("send", GET)] if name not in ("half a head", "half a line") else []
    _, _, count = converse(run, [(how, text[:3000]), ("send", text[3000:]), *follow])
    assert count == 0


def test_existing_context_is_respected(run, sink):
    own = "GET /own HTTP/1.1\r\ntRaCePaReNt: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\nHost: h\r\n\r\n"
    with Peer([(HEAD_END, OK)]) as peer:
        run.both(["/usr/bin/python3", "-c", CLIENT, peer.port, json.dumps([("bytes", own), ("read", len(OK))])])
    plain, ours = peer.streams
    assert plain == ours
    run.settle()
    assert not [span for span in sink.spans if span.name == "GET"]


BANNER = b"220 welcome\r\n"


@pytest.mark.parametrize("steps", [[("send", "EHLO h\r\n")], [("send", GET)], [("bytes", GET * 2)]])
def test_servers_that_speak_first(run, steps):
    _, _, count = converse(run, [("read", len(BANNER)), *steps], [(b"", BANNER)])
    assert count == 0


PASSER = """
import array, socket, sys
s = socket.socket(socket.AF_UNIX)
s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
s.connect(sys.argv[1])
s.setblocking(False)
rest = b"GET /pass HTTP/1.1\\r\\nHost: h\\r\\nX-Pad: " + b"p" * int(sys.argv[2]) + b"\\r\\n\\r\\n"
rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0]))]
calls = 0
while rest:
    try:
        rest = rest[s.sendmsg([rest], rights):]
        calls += 1
    except BlockingIOError:
        print("full", flush=True)
        sys.stdin.readline()
print(calls, flush=True)
sys.stdin.read()
"""


def room():
    """What a UNIX socket with the smallest buffer takes at once."""
    ends = socket.socketpair(socket.AF_UNIX)
    with ends[0], ends[1]:
        ends[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        ends[0].setblocking(False)
        return ends[0].send(bytes(1 << 20))


def passed(run, path, padding, instrumented):
    """A client that sends a descriptor with every call. Return: calls that sent something; what came, at a time; descriptors."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        with run.popen(["/usr/bin/python3", "-c", PASSER, path, padding], instrumented=instrumented,
                       stdin=subprocess.PIPE) as process:
            sock, _ = listener.accept()
            sock.setblocking(False)
            calls, parts, came = None, [], 0
            with sock:
                while calls is None:
                    line = process.stdout.readline()  # it can send no more, or has sent all
                    assert line, process.stderr.read()
                    calls = None if line == b"full\n" else int(line)
                    parts.append(b"")
                    with contextlib.suppress(BlockingIOError):
                        while True:
                            part, fds, _, _ = socket.recv_fds(sock, 65536, 64)
                            parts[-1] += part
                            came += len(fds)
                            for fd in fds:
                                os.close(fd)
                    if calls is None:
                        process.stdin.write(b"\n")
                        process.stdin.flush()
            process.communicate(timeout=20)
            assert process.returncode == 0
    return calls, parts, came


def test_descriptors_are_passed_once(run, tmp_path):
    """Also where the kernel stops within our header: what was left of it goes out without them."""
    before = len("GET /pass HTTP/1.1\r\nHost: h\r\nX-Pad: \r\n")
    within = 0
    for part in range(-10, 90, 10):  # of our header, 70 bytes long
        path = str(tmp_path / f"part{part}")
        calls, parts, came = passed(run, path, room() - before - part, True)
        assert calls == came, part
        stream = b"".join(parts)
        header = TRACEPARENT.search(stream)
        within += header.start() < len(parts[0]) < header.end()
        calls, parts, came = passed(run, path + "-plain", room() - before - part, False)
        assert (calls, b"".join(parts)) == (came, TRACEPARENT.sub(b"", stream))
    assert within


POST = "POST /y HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n"
URGENT = {
    "in a head": (GET[:10], "!", GET[10:] + GET),
    "between requests": (GET, "!", GET),
    "in a body": (POST + "012", "34!", "56789" + GET),
}


@pytest.mark.parametrize("kind", ["urgent", "raw urgent"])
@pytest.mark.parametrize("place", URGENT)
def test_urgent_bytes(run, spans, place, kind):
    """The last byte that is sent so is not of the stream; those before it are."""
    before, urgent, after = URGENT[place]
    plain, _, count = converse(run, [("send", before), (kind, urgent), ("send", after)], [(HEAD_END, OK)] * 2)
    assert plain.decode() == before + urgent[:-1] + after
    assert count == 2 and {span.name for span in spans(2)} <= {"GET", "POST"}


HTTP = {
    "pipelined": (GET * 50, 50),
    "body that looks like a head": (f"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: {len(GET) * 2}\r\n\r\n" + GET * 2 + GET, 2),
    "chunks that look like heads": (f"POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{len(GET):x}\r\n{GET}\r\n0\r\n"
                                    "X-Trailer: 1\r\n\r\n" + GET, 2),
    "empty lines before": ("\r\n" + GET, 1),
    "many fields": ("GET /x HTTP/1.1\r\nHost: h\r\n" + "".join(f"X-{i}: {'v' * 900}\r\n" for i in range(60)) + "\r\n", 1),
    "one big field": ("GET /x HTTP/1.1\r\nHost: h\r\nCookie: " + "c" * 60000 + "\r\n\r\n" + GET, 2),
    "long target": ("GET /x?" + "t" * 60000 + " HTTP/1.1\r\nHost: h\r\n\r\n" + GET, 2),
    "absolute form": ("GET http://h/x HTTP/1.1\r\nHost: h\r\n\r\n", 1),
    "http/1.0": ("GET /x HTTP/1.0\r\n\r\n", 1),
    "odd method": ("PURGE /x HTTP/1.1\r\nHost: h\r\n\r\n", 1),
    "options": ("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", 1),
}


@pytest.mark.parametrize("how", ["send", "bytes"])
@pytest.mark.parametrize("name", HTTP)
def test_what_is_http(run, spans, name, how):
    text, expected = HTTP[name]
    if how == "bytes" and len(text) > 5000:
        steps = [("send", text[i:i + 997]) for i in range(0, len(text), 997)]
    else:
        steps = [(how, text)]
    _, _, count = converse(run, steps, [(HEAD_END, OK)])
    assert count == expected
    assert len(spans(expected)) == expected
