# SPDX-License-Identifier: Apache-2.0
"""A client by hand, to the byte: what is asked of a server, what it answered, and what its SERVER span must then say."""
import re
import socket
from dataclasses import dataclass, field

from servers import Closed, Connection, read_chunked

ALLOWED = {
    "http.request.method", "http.request.method_original", "http.response.status_code", "http.route", "error.type",
    "url.scheme", "url.path", "url.query", "server.address", "server.port", "client.address", "client.port",
    "network.peer.address", "network.peer.port", "network.protocol.version", "network.transport",
    "user_agent.original", "otel.instrument.incomplete", "otel.instrument.parent_rule",
}
DATES = re.compile(rb"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT")


@dataclass
class Ask:
    method: str
    target: str
    body: bytes = b""
    context: str = ""
    headers: tuple = ()
    version: str = "1.1"


@dataclass
class Answer:
    status: int
    headers: list
    body: bytes
    raw_head: bytes

    def header(self, name):
        return ", ".join(value for key, value in self.headers if key.lower() == name.lower())

    def same(self, port):
        """What must not differ between two runs."""
        port = str(port).encode()
        return DATES.sub(b"DATE", self.raw_head).replace(port, b"PORT"), self.body.replace(port, b"PORT")


@dataclass
class Done:
    """One that was answered."""
    ask: Ask
    agent: str
    status: int
    client_port: int
    server_port: int
    fields: dict = field(default_factory=dict)


class Asker:
    """A connection, from the start of a with block to its end."""

    def __init__(self, at, tls=None):
        self.at = at
        self.tls = tls

    def __enter__(self):
        if isinstance(self.at, int):
            self.sock = socket.create_connection(("127.0.0.1", self.at), 20)
            self.client_port = self.sock.getsockname()[1]
        else:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(20)
            self.sock.connect(str(self.at))
            self.client_port = None
        if self.tls:
            self.sock = self.tls.wrap_socket(self.sock, server_hostname="127.0.0.1")
        self.reader = Connection(self.sock, 0, self.client_port or 0)
        return self

    def __exit__(self, *_):
        self.sock.close()

    def bytes_of(self, ask, agent="asker"):
        lines = [f"{ask.method} {ask.target} HTTP/{ask.version}", f"Host: 127.0.0.1:{self.at if self.client_port else 80}",
                 f"User-Agent: {agent}", *(f"{name}: {value}" for name, value in ask.headers)]
        if ask.context:
            lines.append(f"traceparent: {ask.context}")
        if ask.body or ask.method == "POST":
            lines.append(f"Content-Length: {len(ask.body)}")
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + ask.body

    def send(self, data):
        self.sock.sendall(data)

    def interim(self):
        """The next response, which has no body."""
        return int(self.reader.take_until(b"\r\n\r\n").split(b" ")[1])

    def answer(self, method="GET"):
        """The next final response."""
        while True:
            self.reader.taken = b""
            head = self.reader.take_until(b"\r\n\r\n")
            lines = head.decode("latin-1")[:-4].split("\r\n")
            status = int(lines[0].split(" ")[1])
            if status >= 200:
                break
        headers = [(name, value.strip()) for name, value in (line.split(":", 1) for line in lines[1:])]
        answer = Answer(status, headers, b"", head)
        if method == "HEAD" or status in (204, 304):
            return answer
        if answer.header("Transfer-Encoding"):
            answer.body = read_chunked(self.reader)
        elif answer.header("Content-Length"):
            answer.body = self.reader.take(int(answer.header("Content-Length")))
        else:
            answer.body = self.rest()
        return answer

    def rest(self):
        """All until the server closes."""
        parts = [self.reader.buffer]
        self.reader.buffer = b""
        try:
            while part := self.sock.recv(65536):
                parts.append(part)
        except ConnectionResetError:
            pass
        return b"".join(parts)

    def ask(self, ask, agent="asker"):
        self.send(self.bytes_of(ask, agent))
        return self.answer(ask.method)


def ask_one(asker, ask, agent, sent=False):
    """sent: its bytes are out already."""
    answer = asker.answer(ask.method) if sent else asker.ask(ask, agent)
    return Done(ask, agent, answer.status, asker.client_port, asker.at)


def play(at, connections, pipelined=False, tls=None):
    """Each list of asks on a connection of its own, or on more where the server ends it.
    Return: [Done], [what must be the same in every run]"""
    done, same = [], []

    def note(asker, ask, agent, answer):
        done.append(Done(ask, agent, answer.status, asker.client_port, at, {"url.scheme": "https"} if tls else {}))
        same.append((ask.method, ask.target, *answer.same(at)))

    for asks in connections:
        rest = [(ask, f"asker/{len(done) + number}") for number, ask in enumerate(asks)]
        while rest:
            with Asker(at, tls) as asker:
                if pipelined:
                    asker.send(b"".join(asker.bytes_of(*one) for one in rest))
                while rest:
                    ask, agent = rest[0]
                    try:
                        answer = asker.answer(ask.method) if pipelined else asker.ask(ask, agent)
                    except (Closed, ConnectionError):
                        break  # kept, but ended before the next request
                    rest.pop(0)
                    note(asker, ask, agent, answer)
                    if not pipelined and answer.header("Connection").lower() == "close":
                        break
    return done, same


def check_server(span, done):
    """Everything that the convention asks of this request's SERVER span."""
    ask, attributes = done.ask, span.attributes
    path, _, query = ask.target.partition("?")
    expected = {
        "http.request.method": ask.method, "url.path": path, "url.query": query or None, "url.scheme": "http",
        "server.address": "127.0.0.1", "server.port": done.server_port if done.client_port else 80,
        "client.address": "127.0.0.1" if done.client_port else None,
        "network.peer.address": "127.0.0.1" if done.client_port else None, "network.peer.port": done.client_port,
        "network.protocol.version": ask.version, "user_agent.original": done.agent,
        "http.response.status_code": done.status, "error.type": str(done.status) if done.status >= 500 else None,
        **done.fields,
    }
    wrong = {key: (attributes.get(key), value) for key, value in expected.items() if attributes.get(key) != value}
    assert not wrong, (ask, wrong)  # what is there, what should be
    assert set(attributes) <= ALLOWED, set(attributes) - ALLOWED
    route = done.fields.get("http.route")
    assert (span.name, span.kind) == (f"{ask.method} {route}" if route else ask.method, "SERVER")
    assert (span.status, span.message) == ("ERROR" if done.status >= 500 else "UNSET", "")
    if ask.context:
        _, trace, parent, _ = ask.context.split("-")
        assert (span.trace_id, span.parent_id, span.flags & 0x300) == (trace, parent, 0x300)
    else:
        assert (span.parent_id, span.flags & 0x200) == ("", 0)


def check_served(spans, done):
    """One right SERVER span for each."""
    by_agent = {span.attributes.get("user_agent.original"): span for span in spans}
    assert sorted(by_agent, key=str) == sorted(one.agent for one in done)
    assert len(spans) == len(done)
    for one in done:
        check_server(by_agent[one.agent], one)
