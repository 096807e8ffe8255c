# SPDX-License-Identifier: Apache-2.0
"""What W3C Trace Context (level 2) asks of a service that is called and calls others, of services that know nothing of it.
A row per case of the standard's validation suite, written anew."""
import json
import re
from contextlib import ExitStack

import pytest

from asking import Asker
from conftest import Runner
from servers import Origin
from serving import Serving, Site, app, nginx, php_fpm, php_server, script
from sink import Sink

ID, PARENT = "12345678901234567890123456789012", "1234567890123456"
GOOD, QUIET = f"00-{ID}-{PARENT}-01", f"00-{ID}-{PARENT}-00"
OTHER = GOOD.replace("9012-", "9011-")
SAME, NEW = "same", "new"
TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
KEY = r"[a-z0-9][a-z0-9_\-*/@]{0,255}"
MEMBER = re.compile(rf"({KEY})=([\x20-\x2b\x2d-\x3c\x3e-\x7e]{{0,255}}[\x21-\x2b\x2d-\x3c\x3e-\x7e])")


def parents(*values):
    """Each is a request with one traceparent."""
    return [[("traceparent", value)] for value in values]


def states(*fields, parent=QUIET):
    """One request with these tracestate fields."""
    return [("traceparent", parent), *(("tracestate", field) for field in fields)]


def bars(first, last):
    return ",".join(f"bar{i:02}={i:02}" for i in range(first, last + 1))


LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789_-*/"
VALUE = "".join(map(chr, [*range(0x20, 0x2c), *range(0x2d, 0x3d), *range(0x3e, 0x7f)]))
LONG = [f"{'z' * 256}", f"{'t' * 241}@{'v' * 14}", f"{'t' * 242}@v", f"t@{'v' * 15}"]

# name: (requests, SAME or NEW trace, tracestate of each: {key: value} exactly, None: nothing is said of it)
CASES = {
    "nothing": ([[]], NEW, None),
    "parent without state": (parents(GOOD), SAME, [{}]),
    "two parents": ([parents(GOOD)[0] + parents(OTHER)[0], parents(OTHER)[0] + parents(GOOD)[0]], NEW, None),
    "name of the parent": ([[("trace-parent", GOOD)], [("trace.parent", GOOD)]], NEW, None),
    "case of the parent's name": ([[(name, GOOD)] for name in ("TraceParent", "TrAcEpArEnT", "TRACEPARENT")], SAME, None),
    "version 00": (parents(f"{GOOD}.", f"{GOOD}-what-the-future-will-be-like"), NEW, None),
    "version cc": (parents(f"cc{GOOD[2:]}", f"cc{GOOD[2:]}-what-the-future-will-be-like"), SAME, None),
    "version cc, wrong": (parents(f"cc{GOOD[2:]}.what-the-future-will-be-like"), NEW, None),
    "version ff": (parents(f"ff{GOOD[2:]}"), NEW, None),
    "version of other characters": (parents(f".0{GOOD[2:]}", f"0.{GOOD[2:]}"), NEW, None),
    "version too long": (parents(f"0{GOOD}", f"00{GOOD}"), NEW, None),
    "version too short": (parents(GOOD[1:]), NEW, None),
    "trace id of zeros": (parents(f"00-{'0' * 32}-{PARENT}-01"), NEW, None),
    "trace id of other characters": (parents(f"00-.{ID[1:]}-{PARENT}-01", f"00-{ID[:-1]}.-{PARENT}-01"), NEW, None),
    "trace id too long": (parents(f"00-{ID}3-{PARENT}-01"), NEW, None),
    "trace id too short": (parents(f"00-{ID[:-1]}-{PARENT}-01"), NEW, None),
    "parent id of zeros": (parents(f"00-{ID}-{'0' * 16}-01"), NEW, None),
    "parent id of other characters": (parents(f"00-{ID}-.{PARENT[1:]}-01", f"00-{ID}-{PARENT[:-1]}.-01"), NEW, None),
    "parent id too long": (parents(f"00-{ID}-{PARENT}7-01"), NEW, None),
    "parent id too short": (parents(f"00-{ID}-{PARENT[:-1]}-01"), NEW, None),
    "flags of other characters": (parents(f"00-{ID}-{PARENT}-.0", f"00-{ID}-{PARENT}-0."), NEW, None),
    "flags too long": (parents(f"00-{ID}-{PARENT}-001"), NEW, None),
    "flags too short": (parents(f"00-{ID}-{PARENT}-1"), NEW, None),
    "blanks around the parent": (parents(f" {GOOD}", f"\t{GOOD}", f"{GOOD} ", f"{GOOD}\t", f"\t {GOOD} \t"), SAME, None),
    "state without parent": ([[("tracestate", "foo=1")], [("tracestate", "foo=1,bar=2")]], NEW, [{}, {}]),
    "state and parent": ([states("foo=1,bar=2")], SAME, [{"foo": "1", "bar": "2"}]),
    "name of the state": ([parents(QUIET)[0] + [(name, "foo=1")] for name in ("trace-state", "trace.state")], SAME, [{}, {}]),
    "case of the state's name": ([parents(QUIET)[0] + [(name, "foo=1")] for name in ("TraceState", "TrAcEsTaTe", "TRACESTATE")],
                                 SAME, [{"foo": "1"}] * 3),
    "empty state": ([states(""), states("foo=1", ""), states("", "foo=1")], SAME, [{}, {"foo": "1"}, {"foo": "1"}]),
    "states of several fields": ([states("foo=1,bar=2", "rojo=1,congo=2", "baz=3")], SAME,
                                 [{"foo": "1", "bar": "2", "rojo": "1", "congo": "2", "baz": "3"}]),
    "keys twice": ([states("foo=1,foo=1"), states("foo=1,foo=2"), states("foo=1", "foo=1"), states("foo=1", "foo=2")], SAME,
                   [{"foo": "[12]"}] * 4),
    "all allowed characters": ([states(f"{LETTERS}={VALUE}"), states(f"{LETTERS}@a-z0-9_-*/={VALUE}")], SAME,
                               [{LETTERS: VALUE}, {f"{LETTERS}@a-z0-9_-*/": VALUE}]),
    "blanks in the state": ([states("foo=1 \t , \t bar=2, \t baz=3"), states("foo=1\t \t,\t \tbar=2,\t \tbaz=3")], SAME,
                            [{"foo": "1", "bar": "2", "baz": "3"}] * 2),
    "blanks around the state": ([states(field) for field in (" foo=1", "\tfoo=1", "foo=1 ", "foo=1\t", "\t foo=1 \t")], SAME,
                                [{"foo": "1"}] * 5),
    "keys of other characters": ([states("foo =1"), states("FOO=1"), states("foo.bar=1")], SAME, [{}] * 3),
    "at signs in keys": ([states(f"{key}=1,bar=2") for key in ("foo@", "@foo", "foo@@bar", "foo@bar@baz")], SAME,
                         [{"foo@": "1", "bar": "2"}, {}, {"foo@@bar": "1", "bar": "2"}, {"foo@bar@baz": "1", "bar": "2"}]),
    "32 members": ([states(bars(1, 10), bars(11, 20), bars(21, 30), bars(31, 32)),
                    states(bars(1, 10), bars(11, 20), bars(21, 30), bars(31, 33))], SAME,
                   [{f"bar{i:02}": f"{i:02}" for i in range(1, 33)}, {}]),
    "length of keys": ([states("foo=1", f"{key}=1") for key in (*LONG, "z" * 257)], SAME,
                       [*({"foo": "1", key: "1"} for key in LONG), {}]),
    "values of other characters": ([states("foo=bar=baz"), states("foo=,bar=3")], SAME, [{}, {}]),
    "random flag": (parents(f"00-{ID}-{PARENT}-02"), SAME, [{}]),
}
MANY = {"three calls": (GOOD, 1), "three calls without parent": ("", None),
        "three calls with a wrong parent": (f"00-{'0' * 32}-{PARENT}-01", None)}

SERVICES = {
    "c": lambda site: [app("w3c-service", "{port}")],
    "python": lambda site: [script(site, "w3c.py")],
    "perl": lambda site: [script(site, "w3c.pl")],
    "php": lambda site: [php_server(site, "w3c.php")],
    "nginx-c": lambda site: [behind := app("w3c-service", "{port}"),
                             nginx(site, f"location / {{ proxy_pass http://127.0.0.1:{behind.listen}; }}")],
    "nginx-php-fpm": lambda site: fpm_behind_nginx(site, "w3c.php"),
}


def fpm_behind_nginx(site, name):
    fpm = php_fpm(site)
    params = "\n".join(f"fastcgi_param {param};" for param in (
        f"SCRIPT_FILENAME {site.path / name}", "REQUEST_METHOD $request_method", "CONTENT_TYPE $content_type",
        "CONTENT_LENGTH $content_length", "REQUEST_URI $request_uri", "QUERY_STRING $query_string"))
    return [fpm, nginx(site, f"location / {{ fastcgi_pass unix:{fpm.listen}; {params} }}")]


class Service:
    """A service under us, or not, and somebody that it can call."""

    def __init__(self, name, folder, instrumented=True):
        self.name, self.folder, self.instrumented = name, folder, instrumented

    def __enter__(self):
        self.stack = ExitStack()
        site, self.sink, self.origin = (self.stack.enter_context(it) for it in (Site(), Sink(), Origin()))
        run = Runner(self.sink, "relay", self.folder)
        for plan in SERVICES[self.name](site):
            self.port = self.stack.enter_context(Serving(run, plan, instrumented=self.instrumented)).port
        return self

    def __exit__(self, *_):
        self.stack.close()

    def ask(self, fields, calls=1):
        """Return: the headers of each call that it made because of this."""
        self.origin.clear()
        actions = [{"url": f"{self.origin.url}/{i}", "arguments": []} for i in range(calls)]
        body = json.dumps(actions).encode()
        lines = ["POST /test HTTP/1.1", f"Host: 127.0.0.1:{self.port}", "Accept: application/json",
                 "Content-Type: application/json", f"Content-Length: {len(body)}", "Connection: close",
                 *(f"{name}: {value}" for name, value in fields)]
        with Asker(self.port) as asker:
            asker.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
            answer = asker.answer()
        assert (answer.status, answer.body) == (200, b"[]")
        assert [request.target for request in self.origin.requests] == [f"/{i}" for i in range(calls)]
        return self.origin.requests


@pytest.fixture(scope="module", params=SERVICES)
def service(request, tmp_path_factory):
    with Service(request.param, tmp_path_factory.mktemp("w3c")) as service:
        yield service
        assert not service.sink.sins


def context_of(request):
    """(trace id, parent id, flags) of the one traceparent."""
    value, = request.header("traceparent")
    match = TRACEPARENT.fullmatch(value)
    assert match, value
    trace, parent, flags = match.groups()
    assert int(trace, 16) and int(parent, 16)
    return trace, parent, int(flags, 16)


def state_of(request):
    """[(key, value)]"""
    fields = request.header("tracestate")
    assert fields == [field.strip(" \t") for field in fields]
    members = [member.strip(" \t") for field in fields for member in field.split(",")]
    matches = [MEMBER.fullmatch(member) for member in members if member]
    assert all(matches), members
    return [match.groups() for match in matches]


def check(service, name):
    requests, trace, wanted = CASES[name]
    for number, fields in enumerate(requests):
        request, = service.ask(fields)
        got_trace, got_parent, flags = context_of(request)
        assert got_trace == ID if trace == SAME else all(got_trace not in value for _, value in fields), fields
        assert got_parent != PARENT and not flags & ~3
        if trace == SAME:
            sent = int(fields[0][1].strip().split("-")[3], 16)
            assert flags == sent & 3, fields
        state = state_of(request)
        if trace == NEW:
            assert not state
        if wanted and name == "keys twice":
            assert {key for key, _ in state} == {"foo"} and state[0][1] in "12"
        elif wanted:
            assert state == list(wanted[number].items()), fields


@pytest.mark.parametrize("name", CASES)
def test_case(service, name):
    check(service, name)


@pytest.mark.parametrize("name", MANY)
def test_calls(service, name):
    parent, traces = MANY[name]
    contexts = [context_of(request) for request in service.ask([("traceparent", parent)] if parent else [], 3)]
    assert len({parent for _, parent, _ in contexts}) == 3
    assert len({trace for trace, _, _ in contexts}) == 1  # also without a parent: they are one request's
    assert ({trace for trace, _, _ in contexts} == {ID}) == (traces == 1)


def test_without_us_no_case_passes(tmp_path):
    with Service("c", tmp_path, instrumented=False) as service:
        for name in CASES:
            with pytest.raises(ValueError, match="not enough values"):  # there is no traceparent
                check(service, name)
