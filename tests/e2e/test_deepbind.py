# SPDX-License-Identifier: Apache-2.0
"""What a program opens with RTLD_DEEPBIND is seen like anything else: php-curl, and plugins linked in every way."""
import re

import pytest

from curl_servers import CurlOrigin
from http_spans import TRACEPARENT, check_http, check_same_bytes, pair
from paths import APPS, PRELOAD

FOLDER = APPS / "deepbind"
HOST = FOLDER / "deepbind-host"
PLUGINS = ["lazy", "now", "norelro", "pointers"]

EASY = """$c = curl_init($argv[1]); curl_setopt($c, CURLOPT_RETURNTRANSFER, true);
if (isset($argv[2])) curl_setopt($c, CURLOPT_POSTFIELDS, $argv[2]);
var_dump(curl_exec($c), curl_getinfo($c, CURLINFO_RESPONSE_CODE), curl_errno($c));"""
MULTI = """$m = curl_multi_init(); $all = [];
foreach (['/a', '/b', '/c'] as $path) {
        $c = curl_init($argv[1] . $path); curl_setopt($c, CURLOPT_RETURNTRANSFER, true);
        curl_multi_add_handle($m, $c); $all[] = $c;
}
do { curl_multi_exec($m, $running); if ($running) curl_multi_select($m); } while ($running);
foreach ($all as $c) { var_dump(curl_multi_getcontent($c)); curl_multi_remove_handle($m, $c); }"""


@pytest.fixture
def origin():
    with CurlOrigin() as origin:
        yield origin


def plugin(name):
    return FOLDER / f"deepbind-{name}.so"


def both(run, origin, command):
    """Run without and with us: same behaviour, same bytes. Return: result, the requests under us."""
    plain = run(command, instrumented=False)
    before = sorted(origin.requests, key=lambda request: request.path)
    origin.clear()
    ours = run(command)
    requests = sorted(origin.requests, key=lambda request: request.path)
    assert ours.behaviour == plain.behaviour
    check_same_bytes(before, requests)
    return ours, requests


@pytest.mark.parametrize("binding", ["", "1"])
@pytest.mark.parametrize("path, status, body", [
    ("/items?id=1", 200, None), ("/echo", 200, "a=1&b=2"), ("/echo", 200, "x" * 50000), ("/status/404", 404, None)])
def test_php_curl(run, origin, spans, path, status, body, binding):
    run.base.update({"LD_BIND_NOW": binding} if binding else {})
    result, (request,) = both(run, origin, ["php", "-r", EASY, "--", origin.url + path, *([body] if body else [])])
    assert f"int({status})".encode() in result.stdout
    (span, _), = pair(spans(1), [request])
    check_http(span, request, origin.url + path, status)


def test_php_curl_fails(run, spans):
    result = run.both(["php", "-r", EASY, "--", "http://127.0.0.1:1/"])
    assert b"bool(false)" in result.stdout
    span, = spans(1)
    assert (span.name, span.status, span.attributes["error.type"]) == ("GET", "ERROR", "CURLE_COULDNT_CONNECT")


def test_php_curl_multi(run, origin, spans):
    result, requests = both(run, origin, ["php", "-r", MULTI, "--", origin.url])
    assert result.status == 0 and len(requests) == 3
    for span, request in pair(spans(3), requests):
        check_http(span, request, origin.url + request.path, 200)


@pytest.mark.parametrize("name", PLUGINS)
def test_a_plugin_and_its_return(run, origin, spans, name):
    result, requests = both(run, origin, [HOST, "requests", origin.port, plugin(name)])
    assert len(re.findall(rb"^\d+ bytes$", result.stdout, re.M)) == 2
    assert [request.path for request in requests] == ["/first", "/second"]
    for span, request in pair(spans(2), requests):
        check_http(span, request, f"http://localhost:{origin.port}{request.path}", 200)


def test_a_plugin_that_uses_libcurl(run, origin, spans):
    _, requests = both(run, origin, [HOST, "curl", origin.url, plugin("curl")])
    assert requests
    pair(spans(len(requests)), requests)


@pytest.mark.parametrize("name", ["own-lazy", "own-now"])
@pytest.mark.parametrize("companion", [[], ["lazy"]])
def test_a_send_of_its_own_stays(run, origin, name, companion):
    result = run.both([HOST, "requests", origin.port, *map(plugin, companion), plugin(name)])
    assert result.stdout.count(b"send of the plugin's own") == 2


def test_plugins_on_several_threads(run, origin, spans):
    names = ["lazy", "now", "pointers", "lazy"]
    result = run([HOST, "threads", origin.port, *map(plugin, names)])
    assert result.stdout == b"50 good\n" * len(names) and result.status == 0
    pair(spans(50 * len(names)), origin.requests)


def test_callers_are_told_the_same(run):
    """RUNPATH, $ORIGIN, RTLD_NEXT, RTLD_DEFAULT and dlerror all are the caller's."""
    result = run.both([HOST, "names", 0, plugin("opener")])
    assert result.stdout.count(b": opened") == 4 and result.stdout.count(b"loaded by the program") >= 1
    assert result.stdout.count(b"cannot open shared object file") == 3 and b"loaded by nobody" not in result.stdout


@pytest.mark.parametrize("name", PLUGINS)
def test_pages_keep_their_protection(run, origin, name):
    result = run.both([HOST, "maps", origin.port, plugin(name)])
    assert result.stdout.splitlines()[0].startswith(b"r") and b"rwx" not in result.stdout


def test_the_switch_leaves_plugins_alone(run, origin, sink):
    result = run([HOST, "requests", origin.port, plugin("now")], {"OTEL_SDK_DISABLED": "true"})
    assert result.status == 0 and not TRACEPARENT.search(origin.requests[0].raw) and not sink.spans


def test_a_second_copy_stays_out(run, origin, tmp_path):
    copy = tmp_path / "copy.so"
    copy.write_bytes(PRELOAD.read_bytes())
    plain = run([HOST, "requests", origin.port, plugin("lazy")], instrumented=False)
    ours = run([HOST, "requests", origin.port, plugin("lazy")], {"LD_PRELOAD": copy})
    assert ours.behaviour == plain.behaviour
