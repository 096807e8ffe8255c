# SPDX-License-Identifier: Apache-2.0
"""A strict OTLP/HTTP collector: keeps the spans, and every sin of the exporter. Answers as a test tells it to."""
import gzip
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google.protobuf.message import DecodeError

import otlp

SCHEMA_URL = "https://opentelemetry.io/schemas/1.44.0"
RESOURCE_KEYS = {"service.name", "telemetry.sdk.name", "telemetry.sdk.language", "telemetry.sdk.version", "process.pid"}
KINDS = {1: "INTERNAL", 2: "SERVER", 3: "CLIENT", 4: "PRODUCER", 5: "CONSUMER"}
STATUS = {0: "UNSET", 2: "ERROR"}  # instrumentation never sets OK
FLAGS_KNOWN = 0x3FF
PARENT_KNOWN, PARENT_REMOTE = 0x100, 0x200
HOUR_NS = 3600 * 10**9


@dataclass
class Span:
    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: str
    start: int
    end: int
    attributes: dict
    status: str
    message: str
    flags: int
    trace_state: str
    resource: dict
    scope: tuple

    @property
    def traceparent(self):
        return f"00-{self.trace_id}-{self.span_id}-{self.flags & 0xff:02x}"


@dataclass
class Answer:
    """What one request gets. headers: dict; delay: seconds before it; hangup: no answer at all."""
    status: int = 200
    headers: dict = field(default_factory=dict)
    body: bytes = b""
    delay: float = 0
    hangup: bool = False


def value_of(any_value):
    kind = any_value.WhichOneof("value")
    if kind == "array_value":
        return [value_of(v) for v in any_value.array_value.values]
    if kind == "kvlist_value":
        return {kv.key: value_of(kv.value) for kv in any_value.kvlist_value.values}
    return getattr(any_value, kind) if kind else None


class Judge:
    """Turns a decoded request into spans and notes what is wrong with it."""

    def __init__(self, sin):
        self.sin = sin

    def attributes(self, pairs, where):
        result = {}
        for pair in pairs:
            if not pair.key or pair.key in result:
                self.sin(f"{where}: attribute {pair.key!r} is empty or there twice")
            if not pair.HasField("value") or pair.value.WhichOneof("value") is None:
                self.sin(f"{where}: attribute {pair.key} has no value")
            if pair.key.startswith("raw."):
                self.sin(f"{where}: {pair.key} is internal")
            result[pair.key] = value_of(pair.value)
        return result

    def id(self, value, length, where):
        if len(value) != length or not any(value):
            self.sin(f"{where}: bad id {value.hex()!r}")
        return value.hex()

    def span(self, span, resource, scope):
        where = f"span {span.name!r}"
        attributes = self.attributes(span.attributes, where)
        now = time.time_ns()
        if not span.name:
            self.sin("a span without a name")
        if span.kind not in KINDS:
            self.sin(f"{where}: kind {span.kind}")
        if not now - HOUR_NS < span.start_time_unix_nano <= span.end_time_unix_nano < now + 10**9:
            self.sin(f"{where}: from {span.start_time_unix_nano} to {span.end_time_unix_nano}, now {now}")
        if span.status.code not in STATUS or (span.status.message and span.status.code != 2):
            self.sin(f"{where}: status {span.status.code} {span.status.message!r}")
        if (span.status.code == 2) != ("error.type" in attributes):
            self.sin(f"{where}: status {span.status.code} with error.type {attributes.get('error.type')!r}")
        if span.flags & ~FLAGS_KNOWN or not span.flags & 1 or not span.flags & PARENT_KNOWN:
            self.sin(f"{where}: flags {span.flags:#x}")
        if not span.parent_span_id and span.flags & PARENT_REMOTE:
            self.sin(f"{where}: a root with a remote parent")
        return Span(self.id(span.trace_id, 16, where), self.id(span.span_id, 8, where),
                    self.id(span.parent_span_id, 8, where) if span.parent_span_id else "",
                    span.name, KINDS.get(span.kind), span.start_time_unix_nano, span.end_time_unix_nano, attributes,
                    STATUS.get(span.status.code), span.status.message, span.flags, span.trace_state, resource, scope)

    def request(self, request):
        spans = []
        for unknown in otlp.unknown_fields(request):
            self.sin(f"unknown field: {unknown}")
        if not request.resource_spans:
            self.sin("an export without anything in it")
        for group in request.resource_spans:
            resource = self.attributes(group.resource.attributes, "resource")
            if not RESOURCE_KEYS <= set(resource):
                self.sin(f"resource lacks {sorted(RESOURCE_KEYS - set(resource))}")
            if group.schema_url not in ("", SCHEMA_URL):
                self.sin(f"schema {group.schema_url!r}")
            if not group.scope_spans:
                self.sin("a resource without scopes")
            for scope in group.scope_spans:
                if not scope.spans:
                    self.sin("a scope without spans")
                if not scope.scope.name or scope.schema_url != SCHEMA_URL:
                    self.sin(f"scope {scope.scope.name!r} of schema {scope.schema_url!r}")
                spans += [self.span(span, resource, (scope.scope.name, scope.scope.version)) for span in scope.spans]
        return spans


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def setup(self):
        super().setup()
        with self.server.sink.changed:
            self.server.sink.connections += 1

    def body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def do_POST(self):
        sink = self.server.sink
        body = self.body()
        reply = sink.take(self.path, self.headers, body)
        if reply.delay:
            sink.stopping.wait(reply.delay)
        if reply.hangup:
            self.close_connection = True
            return
        self.send_response(reply.status)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(reply.body)))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.body)

    def do_GET(self):
        self.server.sink.sins.append(f"{self.command} {self.path}")
        self.send_error(405)

    do_PUT = do_HEAD = do_GET


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass  # a peer that goes away in the middle is an everyday thing here


class Sink:
    """Listens from the start of a with block to its end."""

    def __init__(self, path="/v1/traces", port=0):
        self.path = path
        self.port = port
        self.answers = deque()    # Answer per request, first come first served; then 200
        self.otherwise = Answer() # when there is none
        self.spans = []           # accepted: what a 200 was said to
        self.requests = []        # (headers, [Span]) of every export, also of refused ones
        self.moments = []         # when they came, time.monotonic()
        self.sins = []
        self.connections = 0

    def __enter__(self):
        self.changed = threading.Condition()
        self.stopping = threading.Event()
        self.server = Server(("127.0.0.1", self.port), Handler)
        self.server.sink = self
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def take(self, path, headers, body):
        """One export: judge it, keep it, decide its answer."""
        with self.changed:
            spans = self._judge(path, headers, body)
            answer = self.answers.popleft() if self.answers else self.otherwise
            self.requests.append((headers, spans))
            self.moments.append(time.monotonic())
            if answer.status == 200 and not answer.hangup:
                self._keep(spans)
            self.changed.notify_all()
            return answer

    def _judge(self, path, headers, body):
        if path != self.path:
            self.sins.append(f"path {path}")
        if headers.get("Content-Type") != "application/x-protobuf":
            self.sins.append(f"content type {headers.get('Content-Type')!r}")
        if "OTel-OTLP-Exporter-" not in headers.get("User-Agent", ""):
            self.sins.append(f"user agent {headers.get('User-Agent')!r}")
        if headers.get("traceparent"):
            self.sins.append("the export itself is traced")
        if headers.get("Content-Encoding", "identity") == "gzip":
            body = gzip.decompress(body)
        request = otlp.ExportRequest()
        try:
            request.ParseFromString(body)
        except DecodeError as error:
            self.sins.append(f"does not decode: {error}")
            return []
        return Judge(self.sins.append).request(request)

    def _keep(self, spans):
        known = {(span.trace_id, span.span_id) for span in self.spans}
        for span in spans:
            if (span.trace_id, span.span_id) in known:
                self.sins.append(f"span {span.name!r} {span.span_id} came twice")
            known.add((span.trace_id, span.span_id))
        self.spans += spans

    def wait(self, count, seconds=20):
        """Until so many spans are here."""
        with self.changed:
            self.changed.wait_for(lambda: len(self.spans) >= count, seconds)
            return list(self.spans)

    def wait_requests(self, count, seconds=20):
        """Until so many exports were tried."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.requests) >= count, seconds), f"{len(self.requests)} exports"
