# SPDX-License-Identifier: Apache-2.0
"""The relay's own troubles: killed, missing, stopped, impersonated, talked to by strangers; and what it prints."""
import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import time
from contextlib import contextmanager

import pytest

from conftest import DEADLINE_S, HOMES, find_relays, wait_for_end
from http_spans import pair
from log import Log
from paths import BUILD, LAUNCHER
from sink import Sink
from talk import Talk, end, name_of, status_of, terminate

PYTHON = "/usr/bin/python3"
CURL = ["curl", "-sS", "-o", "/dev/null"]
LINGER = {"OTEL_INSTRUMENT_RELAY_LINGER": "60000"}
QUICK_S = 2  # no run of these programs takes longer, whatever the relay does
AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="takes a second user")


@pytest.fixture
def log(tmp_path):
    return Log(tmp_path / "agent.log")


def learn_name(run, origin, env=None):
    """The first name under which programs with these settings will look for a relay; nobody has it now."""
    run([*CURL, origin.url + "/learn"], {**LINGER, **(env or {})})
    pid, = run.relays()
    name = name_of(pid)
    end(run)
    return name


@contextmanager
def squatter(name, backlog=64, user=()):
    """Somebody listens under the name and never accepts."""
    code = ("import socket, sys\ns = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
            "s.bind('\\0' + sys.argv[1])\ns.listen(int(sys.argv[2]))\nprint('ready', flush=True)\nsys.stdin.read()")
    process = subprocess.Popen([*user, PYTHON, "-c", code, name, str(backlog)], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)
    with process:
        assert process.stdout.readline() == b"ready\n"
        yield
        process.stdin.close()


# Its life

def kill(relay):
    os.kill(relay, signal.SIGKILL)
    assert wait_for_end(relay, DEADLINE_S)


@contextmanager
def stopped(run):
    """Meanwhile the relay takes nothing; then it is killed."""
    relay, = run.relays()
    os.kill(relay, signal.SIGSTOP)
    yield
    kill(relay)


def test_killed_while_a_program_lives_on(run, sink, origin, spans):
    with Talk(run, origin) as talk:
        for i in range(1, 4):
            talk.ask(f"/before/{i}")
            sink.wait(i)
            kill(*run.relays())
        talk.ask("/after", 5)
        sink.wait(8)
    assert len(pair(spans(8), origin.requests)) == 8


def test_its_successor_knows_a_process_by_the_same_id(run, sink, origin, spans):
    with Talk(run, origin) as talk, Talk(run, origin) as other:
        talk.ask("/before")
        other.ask("/other")
        sink.wait(2)
        kill(*run.relays())
        talk.ask("/after")
        sink.wait(3)
    ids = {span.attributes["url.full"].rpartition("/")[2]: span.resource["service.instance.id"] for span in spans(3)}
    assert ids["before"] == ids["after"] != ids["other"]


def test_what_is_in_the_ring_outlives_the_relay(run, sink, origin, spans):
    with Talk(run, origin) as talk:
        talk.ask("/before")
        sink.wait(1)
        with stopped(run):
            talk.ask("/in-the-ring", 10)
        talk.ask("/after", 10)
    assert len(pair(spans(21), origin.requests)) == 21


def test_killed_after_the_last_request(run, sink, origin, spans):
    with Talk(run, origin) as talk:
        talk.ask()
        sink.wait(1)
        with stopped(run):
            talk.ask("/last", 3)
    assert len(pair(spans(4), origin.requests)) == 4


def test_terminated_it_delivers_first(run, sink, origin):
    with Talk(run, origin, {"OTEL_BSP_SCHEDULE_DELAY": "60000"}) as talk:
        talk.ask(count=7)
        end(run)
        assert len(sink.wait(7, 0)) == 7
        talk.ask(count=1)
    end(run)
    assert len(sink.wait(8, 0)) == 8


def test_it_ends_after_its_linger(run, sink, origin, spans):
    result = run([*CURL, origin.url], {"OTEL_INSTRUMENT_RELAY_LINGER": "700"})
    begin = time.monotonic()
    pid, = run.relays()
    assert wait_for_end(pid, DEADLINE_S) and result.status == 0
    assert 0.5 < time.monotonic() - begin < 0.7 + QUICK_S
    spans(1)


def test_the_program_does_not_see_it(run, origin, spans):
    code = """
import os, signal, sys, urllib.request as u
seen = []
signal.signal(signal.SIGCHLD, lambda *a: seen.append(a))
before = sorted(os.listdir('/proc/self/fd'))
u.urlopen(sys.argv[1]).read()
try:
    print(os.waitpid(-1, os.WNOHANG))
except ChildProcessError:
    print('no child')
print(seen, open(f'/proc/self/task/{os.getpid()}/children').read(), len(os.listdir('/proc/self/task')))
child = os.fork()
if child == 0:
    os._exit(5)
print(os.waitstatus_to_exitcode(os.wait()[1]), len(seen))
"""
    result = run([PYTHON, "-c", code, origin.url], LINGER)
    assert result.behaviour == (b"no child\n[]  1\n5 1\n", b"", 0)
    pid, = run.relays()
    status = status_of(pid)
    assert int(status["PPid"]) != os.getpid() and int(status["SigBlk"], 16) & ~(1 << 14) == 0
    assert os.getsid(pid) == int(status["NSsid"]) != os.getsid(0) and os.readlink(f"/proc/{pid}/cwd") == "/"
    assert [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in range(3)] == ["/dev/null"] * 3
    end(run)
    spans(1)


def test_it_inherits_nothing(run, origin, spans, tmp_path):
    """A pipe, a file and a lock of the program must not live on in it."""
    code = ("import os, sys, urllib.request as u\n"
            "r, w = os.pipe2(0)\nf = os.open('kept', os.O_CREAT | os.O_RDWR)\nu.urlopen(sys.argv[1]).read()")
    run([PYTHON, "-c", code, origin.url], LINGER)
    pid, = run.relays()
    targets = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
    assert not [target for target in targets if "kept" in target or target.startswith("pipe:")]
    end(run)
    spans(1)


@pytest.mark.parametrize("home", HOMES)
def test_a_command_substitution_returns_at_once(run, origin, spans, home):
    """Whoever reads our output to its end must not have to wait for the relay's."""
    script = f"x=$({LAUNCHER} curl -sS $0 2>&1); echo \"<$x>\""
    for more in ({}, {"OTEL_LOG_LEVEL": "error"}):
        result = run(["sh", "-c", script, origin.url], run.env({**LINGER, **more}), instrumented=False)
        assert result.behaviour == (b"<GET />\n", b"", 0) and result.seconds < QUICK_S
    assert bool(run.relays()) == (home == "relay")
    end(run)
    spans(2)


# Who shares one

def test_one_for_all_programs_of_a_script(run, origin, spans):
    run(["sh", "-c", "for i in 1 2 3 4 5 6 7 8; do curl -sS -o /dev/null $0 & done; wait", origin.url], LINGER)
    assert len(run.relays()) == 1
    end(run)
    spans(8)


def test_one_per_endpoint(run, sink, origin, spans):
    with Sink() as other:
        run([*CURL, origin.url], LINGER)
        run([*CURL, origin.url], {**LINGER, "OTEL_EXPORTER_OTLP_ENDPOINT": other.url})
        (first,), (second,) = run.relays(), find_relays(other.port)
        assert first != second and name_of(first) != name_of(second)
        terminate(second)
        assert len(other.spans) == 1 and not other.sins
    end(run)
    spans(1)


PROXIES = [{}, {"https_proxy": "http://127.0.0.1:9"}, {"HTTPS_PROXY": "http://127.0.0.1:9"},
           {"https_proxy": "http://127.0.0.1:9", "no_proxy": "*"}, {"SSL_CERT_FILE": "/nowhere"}]


def test_one_per_proxy(run, origin, spans):
    """What a relay inherits decides how it gets to the collector, for whoever shares it."""
    names = set()
    for env in PROXIES * 2:
        run([*CURL, origin.url], {**LINGER, **env})
        names |= {name_of(pid) for pid in run.relays()}
    assert len(run.relays()) == len(names) == len(PROXIES)
    end(run)
    spans(2 * len(PROXIES))


def test_a_proxy_of_one_program_is_not_used_for_another(run, sink, origin):
    """The first program's relay cannot deliver; the second's can."""
    run([*CURL, "--noproxy", "*", origin.url], {**LINGER, "http_proxy": "http://127.0.0.1:9"})
    run([*CURL, origin.url], LINGER)
    assert len(run.relays()) == 2
    sink.wait(1)
    end(run)


@needs_root
def test_one_per_user(run, origin, spans):
    run([*CURL, origin.url], LINGER)
    result = run([*AS_NOBODY, LAUNCHER, *CURL, origin.url], run.env(LINGER), instrumented=False)
    assert result.behaviour == (b"", b"", 0)
    pids = run.relays()
    assert len(pids) == 2
    assert {status_of(pid)["Uid"].split()[0] for pid in pids} == {"0", "65534"}
    end(run)
    assert {span.resource["process.owner"] for span in spans(2)} == {"root", "nobody"}


# Not to be had

@pytest.fixture
def copy(tmp_path):
    """copy(files): the installed files, these ones only."""
    def make(*files):
        for name in ("otel-instrument", "libotel-preload.so", *files):
            shutil.copy(BUILD / name, tmp_path / name)
        return tmp_path / "otel-instrument"
    return make


def test_missing_it_is_replaced_by_a_thread(run, origin, spans, copy):
    launcher = copy("libotel-export.so")
    result = run([launcher, *CURL, origin.url], run.env(), instrumented=False)
    assert result.behaviour == (b"", b"", 0) and not run.relays()
    pair(spans(1), origin.requests)


@pytest.mark.parametrize("what", ["not executable", "no program", "ends at once"])
def test_broken_it_harms_nobody(run, sink, origin, spans, copy, what):
    launcher = copy("libotel-export.so", "otel-relay")
    relay = launcher.parent / "otel-relay"
    if what == "not executable":
        relay.chmod(0o644)
    else:
        relay.write_bytes(b"#!/bin/false\n" if what == "ends at once" else b"\x7fELF and then nothing")
        relay.chmod(0o755)
    result = run([launcher, *CURL, origin.url], run.env(), instrumented=False)
    assert result.behaviour == (b"", b"", 0) and result.seconds < QUICK_S
    if what != "ends at once":
        pair(spans(1), origin.requests)


def test_nothing_to_export_with(run, sink, origin, copy):
    launcher = copy()
    result = run([launcher, *CURL, origin.url], run.env(), instrumented=False)
    assert result.behaviour == (b"", b"", 0) and result.seconds < QUICK_S
    assert not sink.requests


@needs_root
def test_its_name_is_held_by_another_user(run, origin, spans):
    name = learn_name(run, origin)
    with squatter(name, user=AS_NOBODY):
        result = run([*CURL, origin.url], LINGER)
        assert result.behaviour == (b"", b"", 0) and result.seconds < QUICK_S
        pid, = run.relays()
        assert name_of(pid) == name + ".1"
        end(run)
    spans(2)


@needs_root
def test_all_its_names_are_held_by_another_user(run, origin, spans):
    name = learn_name(run, origin)
    with squatter(name, user=AS_NOBODY), squatter(name + ".1", user=AS_NOBODY), \
            squatter(name + ".2", user=AS_NOBODY), squatter(name + ".3", user=AS_NOBODY):
        result = run([*CURL, origin.url], LINGER)
        assert result.behaviour == (b"", b"", 0) and result.seconds < QUICK_S and not run.relays()
    spans(2)


def test_its_name_is_bound_by_somebody_who_does_not_listen(run, origin, spans):
    name = learn_name(run, origin)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as holder:
        holder.bind("\0" + name)
        result = run([*CURL, origin.url], LINGER)
        assert result.behaviour == (b"", b"", 0) and result.seconds < QUICK_S
        end(run)
        spans(2)


@pytest.mark.parametrize("backlog", [64, 0], ids=["accepts nobody", "full"])
def test_its_name_is_held_by_ourselves(run, origin, sink, backlog):
    """Spans may be lost then, the program not."""
    name = learn_name(run, origin)
    with squatter(name, backlog):
        filler = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        filler.setblocking(False)
        filler.connect("\0" + name)
        for command in ([*CURL, origin.url], ["wget", "-q", "-O", "/dev/null", origin.url]):
            result = run(command, {"OTEL_INSTRUMENT_EXIT_TIMEOUT": "500"})
            assert result.behaviour == (b"", b"", 0) and result.seconds < QUICK_S
        result = run([*CURL, origin.url], {"OTEL_TRACES_EXPORTER": "console", "OTEL_INSTRUMENT_EXIT_TIMEOUT": "500"})
        assert result.status == 0 and result.seconds < QUICK_S
        filler.close()
    run.settle()


# A full ring

def test_a_full_ring_drops_and_says_so(run, sink, origin, log):
    env = {**log.env, "OTEL_BSP_MAX_QUEUE_SIZE": "4"}
    with Talk(run, origin, env) as talk:
        talk.ask("/first")
        sink.wait(1)
        pid, = run.relays()
        os.kill(pid, signal.SIGSTOP)
        begin = time.monotonic()
        talk.ask("/many", 200)
        assert time.monotonic() - begin < QUICK_S
        os.kill(pid, signal.SIGCONT)
        sink.wait(5)
    run.settle()
    taken = len(sink.wait(5, 0))
    assert 5 <= taken < 20, taken
    assert log.outcomes() == {"delivered": taken, "in process": 201 - taken}
    assert [level for level, text in log.lines if f"{201 - taken} spans dropped: ring full" in text] == ["warn"]
    assert all(request.header("traceparent") for request in origin.requests)


# What the console shows

def console(run, origin, command, env=None, **more):
    return run(command, {"OTEL_TRACES_EXPORTER": "console", **(env or {})}, **more)


@pytest.mark.parametrize("home", HOMES)
def test_the_console_shows_a_tree_on_stderr_before_the_end(run, sink, origin, home):
    script = "curl -sS -o /dev/null $0/one; curl -sS -o /dev/null $0/status/404; echo done >&2"
    result = console(run, origin, ["sh", "-c", script, origin.url])
    text = result.stderr.decode()
    assert result.stdout == b"" and result.status == 0 and not sink.requests
    assert -1 < text.index("/one") < text.index("/status/404") < text.index("done")
    assert "404" in text and "\x1b" not in text and re.search(r"\d ?(ms|µs|s)\b", text)


def test_the_console_shows_one_tree_of_many_processes(run, origin):
    script = """curl -sS -o /dev/null $0/one; (curl -sS -o /dev/null $0/two; :)
                printf '%s\\n' a b | xargs -P2 -I{} curl -sS -o /dev/null $0/{}; sh -c 'curl -sS -o /dev/null $0/deep; :' $0"""
    result = console(run, origin, ["sh", "-c", script, origin.url], {"OTEL_INSTRUMENT_PROCESS_SPAN": "true"})
    lines = result.stderr.decode().splitlines()
    assert result.status == 0 and sum("trace" in line for line in lines) == 1, lines
    assert lines[1].startswith("└─ ") and all(line.startswith("   ") for line in lines[2:]), lines
    for path in ("/one", "/two", "/a", "/b", "/deep"):
        assert sum(path in line for line in lines) == 1, lines


def test_the_console_goes_to_each_program_s_own_stderr(run, origin):
    with Talk(run, origin, {"OTEL_TRACES_EXPORTER": "console"}).process as first:
        other = console(run, origin, [*CURL, origin.url + "/other"])
        _, err = first.communicate(b"/mine 1\n", DEADLINE_S)
    assert b"/other" in other.stderr and b"/mine" not in other.stderr
    assert b"/mine" in err and b"/other" not in err


def on_terminal(run, command, env):
    """What a terminal would show."""
    leader, follower = pty.openpty()
    process = subprocess.Popen([LAUNCHER, *command], env=run.env(env), stdin=follower, stdout=follower, stderr=follower)
    os.close(follower)
    shown = b""
    while select.select([leader], [], [], DEADLINE_S)[0]:
        try:
            part = os.read(leader, 65536)
        except OSError:  # nobody has it open any more
            break
        shown += part
    process.wait(DEADLINE_S)
    os.close(leader)
    return shown


@pytest.mark.parametrize("home", HOMES)
@pytest.mark.parametrize("env, colour", [({"TERM": "xterm"}, True), ({"TERM": "dumb"}, False),
                                         ({"TERM": "xterm", "NO_COLOR": "1"}, False)])
def test_colours_on_a_terminal_only(run, origin, env, colour, home):
    shown = on_terminal(run, [*CURL, origin.url + "/shown"], {"OTEL_TRACES_EXPORTER": "console", **env})
    assert b"/shown" in shown and (b"\x1b[" in shown) == colour


def test_the_console_in_a_command_substitution(run, origin):
    script = f"x=$({LAUNCHER} curl -sS $0/inner 2>&1); echo \"$x\" | wc -l; echo end"
    env = run.env({**LINGER, "OTEL_TRACES_EXPORTER": "console"})
    result = run(["sh", "-c", script, origin.url], env, instrumented=False)
    lines, last = result.stdout.split()
    assert int(lines) >= 2 and last == b"end" and result.seconds < QUICK_S
    end(run)


@pytest.mark.parametrize("home", HOMES)
@pytest.mark.parametrize("where", ["closed pipe", "full pipe", "closed", "/dev/full"])
def test_a_stderr_that_takes_nothing(run, origin, where, home):
    redirect = {"closed": "2>&-", "/dev/full": "2>/dev/full", "closed pipe": "", "full pipe": ""}[where]
    reader, writer = os.pipe()
    if where == "full pipe":
        os.set_blocking(writer, False)
        try:
            while os.write(writer, b"x" * 4096):
                pass
        except BlockingIOError:
            pass
        os.set_blocking(writer, True)
    if where == "closed pipe":
        os.close(reader)
    begin = time.monotonic()
    process = subprocess.Popen(["sh", "-c", f"exec {LAUNCHER} curl -sS $0 {redirect}", origin.url], stdout=subprocess.PIPE,
                               stderr=writer, env=run.env({"OTEL_TRACES_EXPORTER": "console"}))
    out, _ = process.communicate(timeout=DEADLINE_S)
    assert (out, process.returncode) == (b"GET /\n", 0)
    assert time.monotonic() - begin < 4
    os.close(writer)
    if where != "closed pipe":
        os.close(reader)
