# SPDX-License-Identifier: Apache-2.0
"""Real client programs: the same result and bytes as without us, one right span per request."""
import subprocess

import pytest

from conftest import HOMES
from http_spans import check_http, check_same_bytes, pair

PYTHON = "/usr/bin/python3"
URLLIB = "import sys, urllib.request as u; sys.stdout.buffer.write(u.urlopen(sys.argv[1]).read())"
REQUESTS = "import sys, requests; r = requests.get(sys.argv[1]); print(r.status_code, r.text, end='')"
TINY = "use HTTP::Tiny; my $r = HTTP::Tiny->new->get(shift); print $r->{status}, $r->{content};"
IO_SOCKET = """use IO::Socket; my ($h, $p, $t) = shift =~ m{http://([^:/]+):(\\d+)(.*)};
my $s = IO::Socket::INET->new(PeerAddr => $h, PeerPort => $p) or die $!;
print $s "GET $t HTTP/1.1\\r\\nHost: $h:$p\\r\\nConnection: close\\r\\n\\r\\n"; print while <$s>;"""
PHP = "echo file_get_contents($argv[1]);"
RUBY = "require 'net/http'; print Net::HTTP.get(URI(ARGV[0]))"
NODE = "require('http').get(process.argv[1], r => r.on('data', d => process.stdout.write(d)))"

CLIENTS = {
    "curl": ["curl", "-sS"],
    "wget": ["wget", "-q", "--tries=1", "-O", "-"],
    "python-urllib": [PYTHON, "-c", URLLIB],
    "python-requests": [PYTHON, "-c", REQUESTS],
    "perl-http-tiny": ["perl", "-e", TINY],
    "perl-io-socket": ["perl", "-e", IO_SOCKET],
    "php-streams": ["php", "-r", PHP, "--"],
    "ruby-net-http": ["ruby", "-e", RUBY],
    "node-http": ["node", "-e", NODE],
}
OVER_A_LIMIT = [("node-http", "/big-head")]  # of the client itself, without us as well
LEAVES_EARLY = [("wget", "/trailer")]        # does not read to the end: see the test below
PATHS = ["/items?id=1", "/chunked", "/trailer", "/close", "/big", "/big-head", "/slow"]


def both(run, origin, command, env=None, **more):
    """Run without and with us, compare what the program and the server saw. Return: result, requests under us."""
    run_plain = run(command, {k: v for k, v in (env or {}).items() if not k.startswith("OTEL_")}, instrumented=False, **more)
    plain = origin.requests
    origin.clear()
    ours = run(command, env, **more)
    assert ours.behaviour == run_plain.behaviour
    check_same_bytes(plain, origin.requests)
    return ours, origin.requests


@pytest.mark.parametrize("client, path", [(client, path) for client in CLIENTS for path in PATHS
                                          if (client, path) not in OVER_A_LIMIT + LEAVES_EARLY])
def test_get(run, origin, spans, client, path):
    url = origin.url + path
    result, (request,) = both(run, origin, [*CLIENTS[client], url])
    assert result.status == 0 and result.stdout
    (span, request), = pair(spans(1), [request])
    assert span.parent_id == ""
    check_http(span, request, url, 200)


@pytest.mark.parametrize("client, path", LEAVES_EARLY)
def test_a_client_that_ends_before_the_response_does(run, origin, spans, client, path):
    _, requests = both(run, origin, [*CLIENTS[client], origin.url + path])
    (span, _), = pair(spans(1), requests)
    assert (span.name, span.status, span.attributes["http.response.status_code"]) == ("GET", "UNSET", 200)
    assert "otel.instrument.incomplete" not in span.attributes


@pytest.mark.parametrize("home", HOMES)
@pytest.mark.parametrize("client", CLIENTS)
def test_get_in_both_homes(run, origin, spans, client, home):
    url = origin.url + "/items"
    _, requests = both(run, origin, [*CLIENTS[client], url])
    (span, request), = pair(spans(1), requests)
    check_http(span, request, url, 200)
    assert span.resource["service.name"] == "e2e"


@pytest.mark.parametrize("client", CLIENTS)
def test_a_name_instead_of_an_address(run, origin, spans, client):
    url = f"http://localhost:{origin.port}/named"
    _, requests = both(run, origin, [*CLIENTS[client], url])
    (span, request), = pair(spans(1), requests)
    check_http(span, request, url, 200)


@pytest.mark.parametrize("client", CLIENTS)
def test_the_parent_comes_from_the_environment(run, origin, spans, client):
    trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    _, requests = both(run, origin, [*CLIENTS[client], origin.url + "/x"],
                       {"TRACEPARENT": f"00-{trace}-{parent}-01"})
    (span, _), = pair(spans(1), requests)
    assert (span.trace_id, span.parent_id, span.flags & 0x300) == (trace, parent, 0x300)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_parent_that_is_not_sampled(run, origin, spans, client):
    trace = "0af7651916cd43dd8448eb211c80319c"
    run([*CLIENTS[client], origin.url + "/x"], {"TRACEPARENT": f"00-{trace}-b7ad6b7169203331-00"})
    context, = origin.requests[0].header("traceparent")
    assert context.startswith(f"00-{trace}-") and context.endswith("-00")
    assert spans(0) == []


@pytest.mark.parametrize("client", CLIENTS)
def test_off_is_off(run, origin, sink, client):
    plain = run([*CLIENTS[client], origin.url + "/x"], instrumented=False)
    off = run([*CLIENTS[client], origin.url + "/x"], {"OTEL_SDK_DISABLED": "true"})
    assert off.behaviour == plain.behaviour
    assert origin.requests[0].raw == origin.requests[1].raw
    assert not sink.spans and not run.relays()


SENDERS = {
    "curl-post": ["curl", "-sS", "-d", "a=1&b=2", "{url}"],
    "curl-post-chunked": ["curl", "-sS", "-H", "Transfer-Encoding: chunked", "-d", "a=1", "{url}"],
    "curl-put-expect": ["curl", "-sS", "-H", "Expect: 100-continue", "-T", "{file}", "{url}"],
    "wget-post": ["wget", "-q", "--tries=1", "-O", "-", "--post-data=a=1&b=2", "{url}"],
    "python-post": [PYTHON, "-c", "import sys, urllib.request as u\n"
                    "print(u.urlopen(sys.argv[1], data=b'x' * 100000).read())", "{url}"],
    "php-post": ["php", "-r", "echo file_get_contents($argv[1], false, stream_context_create("
                 "['http' => ['method' => 'POST', 'content' => str_repeat('y', 50000)]]));", "--", "{url}"],
    "ruby-post": ["ruby", "-e", "require 'net/http'; print Net::HTTP.post(URI(ARGV[0]), 'z' * 50000).body", "{url}"],
    "node-post": ["node", "-e", "const q = require('http').request(process.argv[1], {method: 'POST'}, "
                  "r => r.on('data', d => process.stdout.write(d))); q.write('n'.repeat(50000)); q.end('e')", "{url}"],
    "perl-post": ["perl", "-e", "use HTTP::Tiny; print HTTP::Tiny->new->post(shift, {content => 'p' x 50000})->{content}",
                  "{url}"],
}


@pytest.mark.parametrize("sender", SENDERS)
def test_a_body_arrives_whole(run, origin, spans, tmp_path, sender):
    url = origin.url + "/echo"
    (tmp_path / "upload").write_bytes(b"upload " * 10000)
    command = [word.format(url=url, file=tmp_path / "upload") if word[0] == "{" else word for word in SENDERS[sender]]
    result, requests = both(run, origin, command)
    assert result.status == 0 and requests[0].body and len(result.stdout) >= len(requests[0].body)
    (span, request), = pair(spans(1), requests)
    check_http(span, request, url, 200)


KEEPERS = {
    "curl": ["curl", "-sS", "{url}/1", "{url}/2", "{url}/chunked", "{url}/3"],
    "wget": ["wget", "-q", "--tries=1", "-O", "-", "{url}/1", "{url}/2", "{url}/3", "{url}/4"],
    "python-session": [PYTHON, "-c", "import sys, requests\ns = requests.Session()\n"
                       "for p in '1', '2', 'chunked', '3': print(s.get(sys.argv[1] + '/' + p).text)", "{url}"],
    "ruby-session": ["ruby", "-e", "require 'net/http'; u = URI(ARGV[0]); Net::HTTP.start(u.host, u.port) { |h| "
                     "%w[/1 /2 /chunked /3].each { |p| print h.get(p).body } }", "{url}"],
    "perl-session": ["perl", "-e", "use HTTP::Tiny; my $h = HTTP::Tiny->new; my $u = shift; "
                     "print $h->get(qq($u/$_))->{content} for qw(1 2 chunked 3)", "{url}"],
    "node-agent": ["node", "-e", "const http = require('http'), agent = new http.Agent({keepAlive: true, maxSockets: 1});"
                   "const u = process.argv[1], p = ['/1', '/2', '/chunked', '/3'];"
                   "const next = () => p.length ? http.get(u + p.shift(), {agent}, r => { r.on('data', d => "
                   "process.stdout.write(d)); r.on('end', next) }) : agent.destroy(); next()", "{url}"],
}


@pytest.mark.parametrize("keeper", KEEPERS)
def test_many_requests_on_one_connection(run, origin, spans, keeper):
    command = [word.replace("{url}", origin.url) for word in KEEPERS[keeper]]
    result, requests = both(run, origin, command)
    assert result.status == 0
    assert len({request.connection for request in requests}) == 1, "this client was to keep its connection"
    for span, request in pair(spans(4), requests):
        check_http(span, request, origin.url + request.target, 200)


METHODS = {
    "curl-head": (["curl", "-sSI", "{url}"], "HEAD"),
    "curl-delete": (["curl", "-sS", "-X", "DELETE", "{url}"], "DELETE"),
    "wget-head": (["wget", "-q", "--tries=1", "--spider", "{url}"], "HEAD"),
    "python-options": ([PYTHON, "-c", "import sys, requests; print(requests.options(sys.argv[1]).text)", "{url}"], "OPTIONS"),
}


@pytest.mark.parametrize("name", METHODS)
def test_other_methods(run, origin, spans, name):
    command, method = METHODS[name]
    url = origin.url + "/thing"
    both(run, origin, [url if word == "{url}" else word for word in command])
    (span, request), = pair(spans(1), origin.requests)
    assert request.method == method
    check_http(span, request, url, 200)


def test_an_unknown_method(run, origin, spans):
    both(run, origin, ["curl", "-sS", "-X", "FROB", origin.url + "/x"])
    (span, _), = pair(spans(1), origin.requests)
    assert span.name == "HTTP"
    assert span.attributes["http.request.method"] == "_OTHER"
    assert span.attributes["http.request.method_original"] == "FROB"


@pytest.mark.parametrize("command", [
    ["curl", "-sSL"], ["wget", "-q", "--tries=1", "-O", "-"], [PYTHON, "-c", URLLIB], [PYTHON, "-c", REQUESTS],
    ["php", "-r", PHP, "--"], ["perl", "-e", TINY],
], ids=["curl", "wget", "python-urllib", "python-requests", "php", "perl"])
def test_each_hop_of_a_redirect_is_a_span(run, origin, spans, command):
    both(run, origin, [*command, origin.url + "/redirect/2"])
    pairs = pair(spans(3), origin.requests)
    for (span, request), (path, status) in zip(pairs, [("/redirect/2", 302), ("/redirect/1", 302), ("/status/200", 200)]):
        check_http(span, request, origin.url + path, status)
    if command[0] == "curl":
        assert [span.attributes.get("http.request.resend_count") for span, _ in pairs] == [None, 1, 2]


def test_credentials_and_signatures_stay_secret(run, origin, spans):
    url = f"http://user:secret@127.0.0.1:{origin.port}/x?sig=secret&a=b"
    both(run, origin, ["curl", "-sS", url])
    span, = spans(1)
    assert "secret" not in str(span)
    assert span.attributes["url.full"] == f"http://REDACTED:REDACTED@127.0.0.1:{origin.port}/x?sig=REDACTED&a=b"


@pytest.mark.parametrize("client", ["curl", "python-requests", "perl-http-tiny"])
def test_a_context_of_the_program_s_own_stays(run, origin, spans, client):
    own = "00-11111111111111111111111111111111-2222222222222222-01"
    command = {
        "curl": ["curl", "-sS", "-H", f"TraceParent: {own}", origin.url],
        "python-requests": [PYTHON, "-c", "import sys, requests; requests.get(sys.argv[1], headers={'traceparent': sys.argv[2]})",
                            origin.url, own],
        "perl-http-tiny": ["perl", "-e", "use HTTP::Tiny; HTTP::Tiny->new->get($ARGV[0], {headers => {traceparent => $ARGV[1]}})",
                           origin.url, own],
    }[client]
    plain = run(command, instrumented=False)
    assert run(command).behaviour == plain.behaviour
    assert origin.requests[0].raw == origin.requests[1].raw
    assert spans(0) == []


def test_a_proxy_gets_the_absolute_form(run, origin, spans):
    both(run, origin, ["wget", "-q", "--tries=1", "-O", "-", "http://example.org:8080/a?b"],
         {"http_proxy": origin.url, "no_proxy": "127.0.0.1"})  # the relay's export obeys the same variables
    (span, request), = pair(spans(1), origin.requests)
    assert request.target.startswith("http://example.org")
    check_http(span, request, "http://example.org:8080/a?b", 200, peer=("127.0.0.1", origin.port))


def git(*args, cwd):
    subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main", *args],
                   cwd=cwd, check=True, capture_output=True)


def test_git_clone(run, origin, spans, tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    git("init", cwd=work)
    (work / "file").write_text("content\n")
    git("add", ".", cwd=work)
    git("commit", "-m", "one", cwd=work)
    git("clone", "--bare", work, tmp_path / "repo.git", cwd=tmp_path)
    git("repack", "-ad", cwd=tmp_path / "repo.git")
    git("update-server-info", cwd=tmp_path / "repo.git")
    origin.files = tmp_path
    url = origin.url + "/files/repo.git"
    plain = run(["git", "clone", url, "copy"], instrumented=False)
    before = origin.requests
    (tmp_path / "copy").rename(tmp_path / "plain")
    origin.clear()
    ours = run(["git", "clone", url, "copy"])
    assert ours.behaviour == plain.behaviour and ours.status == 0
    assert (tmp_path / "copy" / "file").read_text() == "content\n"
    check_same_bytes(before, origin.requests)
    for span, request in pair(spans(len(before)), origin.requests):
        assert span.name == "GET" and span.attributes["url.full"] == origin.url + request.target
