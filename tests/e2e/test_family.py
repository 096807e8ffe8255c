# SPDX-License-Identifier: Apache-2.0
"""Context from process to process: what children find in their environment, and the tree of process spans."""
import os
import re
import signal

import pytest

from conftest import HOMES
from paths import APPS, LAUNCHER

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GIVEN = {"TRACEPARENT": f"00-{TRACE}-{SPAN}-01", "TRACESTATE": "vendor=1", "BAGGAGE": "user=42"}
SPANNED = {"OTEL_INSTRUMENT_PROCESS_SPAN": "true"}
FORKED = ["execve", "execv", "execvp", "execvpe", "execl", "execlp", "execle", "fexecve", "execveat", "syscall",
          "second", "empty"]
DIRECT = ["posix_spawn", "posix_spawnp", "vfork", "system", "popen", "many"]
BY_HAND = "00-11111111111111111111111111111111-2222222222222222-01"


def check_tree(spans, parent=""):
    """One root (below @parent), nobody orphaned, no child before its parent or after its end. Return: the root."""
    by_id = {span.span_id: span for span in spans}
    assert len(by_id) == len(spans)
    assert len({span.trace_id for span in spans}) == 1
    roots = [span for span in spans if span.parent_id == parent]
    assert len(roots) == 1, [(span.name, span.attributes, span.parent_id) for span in roots]
    for span in spans:
        if span is roots[0]:
            continue
        above = by_id.get(span.parent_id)
        assert above, ("orphan", span.name, span.attributes)
        assert above.start <= span.start and span.end <= above.end, (above.name, span.name)
    return roots[0]


def chains(spans):
    """Names from the root down to each span, sorted."""
    by_id = {span.span_id: span for span in spans}

    def chain(span):
        above = by_id.get(span.parent_id)
        return (chain(above) if above else ()) + (span.name,)
    return sorted(chain(span) for span in spans)


def shell(run, script, env=None, **more):
    result = run(["/bin/sh", "-c", script], {**SPANNED, **(env or {})}, **more)
    return result


def pairs(stdout):
    """way -> [traceparent, tracestate, baggage] as host-family printed them."""
    return {line.split()[0]: line.split()[1:] for line in stdout.decode().splitlines() if " " in line}


def test_children_find_what_their_parent_was_given(run):
    result = run.both([APPS / "host-family", *FORKED[:-1], *DIRECT[:-1], "hand"], GIVEN)
    seen = pairs(result.stdout)
    assert seen.pop("hand") == [BY_HAND, "by=hand", "none"]
    assert set(seen) == set(FORKED[:-1] + DIRECT[:-1])
    assert all(found == list(GIVEN.values()) for found in seen.values())
    assert b"environ changed" not in result.stdout


def test_children_of_a_stripped_environment_get_the_context(run):
    seen = pairs(run([APPS / "host-family", "empty", "many"], GIVEN).stdout)
    assert seen == {"empty": list(GIVEN.values()), "many": list(GIVEN.values())}


def test_nothing_is_added_where_there_is_no_context(run):
    seen = pairs(run.both([APPS / "host-family", *FORKED, *DIRECT]).stdout)
    assert all(found == ["none"] * 3 for found in seen.values())


@pytest.mark.parametrize("home", HOMES)
def test_children_find_the_process_span(run, sink, home):
    # In process, what goes on with a program that does not load us is lost.
    ways = [way for way in FORKED if home == "relay" or way != "empty"]
    result = run([APPS / "host-family", *ways, *DIRECT, "hand"], {**GIVEN, **SPANNED})
    assert (result.status, result.stderr) == (0, b"") and b"environ changed" not in result.stdout
    seen = pairs(result.stdout)
    assert seen.pop("hand") == [BY_HAND, "by=hand", "none"]
    run.settle()
    spans = {span.span_id: span for span in sink.spans}
    host, = [span for span in spans.values() if span.parent_id == SPAN]
    assert host.name == "host-family" and host.trace_id == TRACE
    for way, found in seen.items():
        version, trace, span_id, flags = found[0].split("-")
        assert (version, trace, flags) == ("00", TRACE, "01") and found[1:] == ["vendor=1", "user=42"]
        if way in DIRECT:
            assert span_id == host.span_id, way
        else:
            assert spans[span_id].parent_id == host.span_id, way


def test_shells_behave(run):
    """system() and popen() are our own when there is something to pass on."""
    run.both([APPS / "host-shell"], {**GIVEN, **SPANNED})
    run.both([APPS / "host-shell"])


PYTHON = """
import os, subprocess
say = 'echo py ${TRACEPARENT-none}'
print(subprocess.run(['sh', '-c', say], capture_output=True, text=True).stdout, end='', flush=True)
print(subprocess.run(say, shell=True, capture_output=True, text=True, close_fds=False).stdout, end='', flush=True)
print(subprocess.check_output(['sh', '-c', say], env=dict(os.environ), text=True, preexec_fn=lambda: None), end='', flush=True)
os.system(say)
print(os.popen(say).read(), end='', flush=True)
os.waitpid(os.posix_spawn('/bin/sh', ['sh', '-c', say], os.environ), 0)
os.waitpid(os.spawnlp(os.P_NOWAIT, 'sh', 'sh', '-c', say), 0)
"""
PERL = """
$| = 1; my $say = 'echo pl ${TRACEPARENT-none}';
system($say); system('sh', '-c', $say); print `$say`; print qx{sh -c '$say'};
open(my $f, '-|', $say); print <$f>; close($f);
if (my $pid = fork) { waitpid($pid, 0) } else { exec 'sh', '-c', $say }
"""


@pytest.mark.parametrize("command, count", [(["/usr/bin/python3", "-c", PYTHON], 7), (["perl", "-e", PERL], 6)])
def test_interpreters(run, sink, command, count):
    result = run(command, SPANNED)
    found = re.findall(r"^p[yl] 00-([0-9a-f]{32})-([0-9a-f]{16})-03$", result.stdout.decode(), re.M)
    assert (len(found), result.status, result.stderr) == (count, 0, b"")
    run.settle()
    check_tree(sink.spans)
    ids = {span.span_id for span in sink.spans}
    assert {(trace, span in ids) for trace, span in found} == {(sink.spans[0].trace_id, True)}


def test_a_process(run, spans):
    result = run(["/bin/true"], SPANNED)
    assert result.behaviour == (b"", b"", 0)
    span, = spans(1)
    assert (span.name, span.kind, span.status, span.parent_id) == ("true", "INTERNAL", "UNSET", "")
    assert span.attributes["process.executable.path"].endswith("/true")
    assert span.attributes["process.executable.name"] == "true"
    assert (span.attributes["process.exit.code"], span.attributes["process.pid"]) == (0, span.resource["process.pid"])


# How a process can end, and what its span says: exit code or None, finished or not.
ENDS = [("/bin/sh", "exit 3", 3), ("/usr/bin/python3", "import os; os._exit(4)", 4),
        ("/usr/bin/python3", "import ctypes; ctypes.CDLL(None).quick_exit(5)", 5),
        ("/usr/bin/python3", "import ctypes; ctypes.CDLL(None).exit(0x106)", 6),
        ("/usr/bin/python3", "import ctypes; ctypes.CDLL(None).error(7, 0, b'told')", 7),
        ("/usr/bin/python3", "import ctypes; ctypes.CDLL(None).syscall(231, 8)", 8),
        ("/bin/false", None, 1)]


@pytest.mark.parametrize("home", HOMES)
@pytest.mark.parametrize("program, text, code", ENDS)
def test_ends(run, spans, home, program, text, code):
    result = run([program, *(["-c", text] if text else [])], SPANNED)
    assert result.status == code
    span, = spans(1)
    assert (span.status, span.attributes["process.exit.code"]) == ("ERROR", code)
    assert "otel.instrument.incomplete" not in span.attributes


def test_a_killed_process(run, spans):
    assert run(["/bin/sh", "-c", "kill -9 $$"], SPANNED).status == -signal.SIGKILL
    span, = spans(1)
    assert "process.exit.code" not in span.attributes and span.attributes["otel.instrument.incomplete"] is True


def test_a_killed_child(run, spans):
    shell(run, "/bin/sh -c 'kill -9 $$'; exit 0")
    got = spans(2)
    assert check_tree(got).status == "UNSET"
    killed, = [span for span in got if span.parent_id]
    assert killed.status == "ERROR" and killed.attributes["error.type"] == "SIGKILL"


def test_replaced_programs_are_one_span(run, spans):
    result = shell(run, "exec /bin/sh -c 'exec env A=1 /bin/sh -c \"exec /nonexistent 2>/dev/null; exec false\"'")
    assert result.status == 127
    span, = spans(1)
    assert (span.status, span.attributes["process.exit.code"]) == ("ERROR", 127)


SCRIPTS = {
    "pipeline": ("echo a | cat | tr a b | cat >/dev/null; true", 0, 4),
    "subshells": ("(true; (/bin/true; /bin/false); /bin/true); (exit 3); exit 0", 0, 5),
    "substitution": ("x=$(echo $(/bin/echo deep)); test \"$x\" = deep", 0, 3),
    "background": ("sleep 0.1 & sleep 0.05 & wait; exit 4", 4, 3),
    "failing": ("/bin/false; nosuchcommand 2>/dev/null; /bin/false || exit 5", 5, 3),
    "many": ("for i in 1 2 3 4 5 6 7 8 9 10; do /bin/true; done", 0, 11),
    "xargs": ("echo 1 2 3 4 5 6 7 8 | xargs -P4 -n1 /bin/echo >/dev/null", 0, 10),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts(run, sink, name):
    script, status, count = SCRIPTS[name]
    result = shell(run, script)
    assert (result.status, result.stderr) == (status, b"")
    run.settle()
    root = check_tree(sink.spans)
    assert len(sink.spans) >= count, chains(sink.spans)
    assert root.attributes["process.exit.code"] == status


def write_script(path, text):
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return path


def test_a_nightly_script(run, origin, sink, tmp_path):
    """Nested scripts, pipes, subshells and parallel requests: one tree, requests included."""
    url = f"http://127.0.0.1:{origin.port}"
    inner = write_script(tmp_path / "inner.sh", f"curl -s -o /dev/null {url}/inner | cat\n(curl -s -o /dev/null {url}/sub)\n")
    outer = write_script(tmp_path / "nightly.sh", f"{inner}\nseq 12 | xargs -P4 -I@ curl -s -o /dev/null {url}/x/@\n"
                         f"wget -q -O /dev/null {url}/wget 2>/dev/null || true\n{inner} &\nwait\n")
    result = run([outer], SPANNED)
    assert result.behaviour == (b"", b"", 0)
    run.settle()
    check_tree(sink.spans)
    names = {span.span_id: span.name for span in sink.spans}
    clients = [span for span in sink.spans if span.kind == "CLIENT"]
    assert len(clients) == len(origin.requests) and len(clients) >= 16
    assert all(names[span.parent_id] in ("curl", "wget") for span in clients)
    assert {span.traceparent for span in clients} == {request.header("traceparent")[0] for request in origin.requests}


def test_a_cron_like_environment(run, origin, sink, tmp_path):
    script = write_script(tmp_path / "job.sh", f"curl -s -o /dev/null http://127.0.0.1:{origin.port}/job\n"
                          "env -i PATH=/usr/bin:/bin /bin/sh -c 'true; /bin/true'\n/bin/true\n")
    env = {"PATH": "/usr/bin:/bin", "SHELL": "/bin/sh", "LOGNAME": "root", **SPANNED}
    env.update({key: value for key, value in run.env().items() if key.startswith("OTEL_")})
    settings = [f"{key}={value}" for key, value in env.items()]
    result = run(["env", "-i", *settings, LAUNCHER, "--", "/bin/sh", "-c", str(script)], instrumented=False)
    assert result.behaviour == (b"", b"", 0)
    run.settle()
    check_tree(sink.spans)
    assert sum(span.kind == "CLIENT" for span in sink.spans) == 1


def test_a_program_that_does_not_load_us_ends_the_span(run, sink):
    """What it had begun is not lost."""
    shell(run, "/bin/true; exec env -u LD_PRELOAD /bin/true")
    run.settle()
    root = check_tree(sink.spans)
    assert root.attributes["otel.instrument.incomplete"] is True and len(sink.spans) == 2


def test_daemons_have_their_own(run, sink, origin):
    run([APPS / "families", "daemon", origin.port], SPANNED)
    run.settle()
    processes = [span for span in sink.spans if span.kind == "INTERNAL"]
    root, = [span for span in processes if not span.parent_id]
    assert len(processes) == 2 and root.attributes["process.exit.code"] == 0
    assert {span.parent_id for span in processes} == {"", root.span_id}


def test_given_context_and_no_sampling(run, sink):
    result = shell(run, "/bin/true; echo $TRACEPARENT", {"TRACEPARENT": f"00-{TRACE}-{SPAN}-00"})
    assert result.stdout.startswith(f"00-{TRACE}-".encode())
    run.settle()
    assert not sink.spans


CGI = {"GATEWAY_INTERFACE": "CGI/1.1", "REQUEST_METHOD": "GET", "HTTP_TRACEPARENT": GIVEN["TRACEPARENT"],
       "HTTP_TRACESTATE": "vendor=1"}


@pytest.mark.parametrize("env, continued", [
    (CGI, True), ({**CGI, "GATEWAY_INTERFACE": ""}, True), ({**CGI, "GATEWAY_INTERFACE": "", "REQUEST_METHOD": ""}, False),
    ({**CGI, "TRACEPARENT": BY_HAND}, False), ({**CGI, "OTEL_INSTRUMENT_TRUST_INBOUND": "false"}, False)])
def test_cgi(run, origin, spans, env, continued):
    run(["curl", "-s", f"http://127.0.0.1:{origin.port}/cgi"], env)
    span, = spans(1)
    assert (span.trace_id == TRACE, span.parent_id == SPAN, span.trace_state == "vendor=1") == (continued,) * 3


def test_forks_without_spans_stay_without(run, sink):
    run(["/bin/sh", "-c", "(true; /bin/true) | cat"], GIVEN)
    run.settle()
    assert not sink.spans and os.environ.get("OTEL_INSTRUMENT_PROCESS") is None
