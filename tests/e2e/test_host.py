# SPDX-License-Identifier: Apache-2.0
"""The surroundings that programs run in: whatever is missing or refused, they run as if we were not there."""
import os
import shutil

import pytest

from acts import check_all, play, traced
from conftest import HOMES, own_mounts
from paths import APPS, BUILD, PRELOAD

JEMALLOC = "libjemalloc.so.2"
LOOK = ("ls /proc/self/fd; grep -c 'memfd\\|otel-instrument' /proc/self/maps; grep '^Threads\\|^Sig' /proc/self/status;"
        " ulimit -a; ls -l /proc/self/fd | wc -l; exec true")
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def shell(*lines):
    """A shell that does something and then becomes the program that follows."""
    return ["/bin/sh", "-c", "; ".join([*lines, 'exec "$@"']), "sh"]


def private(*lines):
    """The same with mounts of its own."""
    return ["unshare", "-m", *shell("set -e", *lines)]


def once(run, origin, before=(), env=None, **more):
    return play(run, origin, "families", "once", "/once", answered=1, before=before, env=env, **more)


# --- programs that we have nothing to do with

@pytest.mark.parametrize("home", HOMES)
@pytest.mark.parametrize("command", [["true"], ["false"], ["sh", "-c", LOOK], ["cat", "/proc/self/limits"],
                                     ["ls", "/nonexistent"], ["sh", "-c", "kill -9 $$"], ["sh", "-c", "exit 77"],
                                     ["sh", "-c", "echo a; echo b >&2; echo c | cat | sort; ls -d /"]])
def test_programs_without_network(run, sink, command, home):
    run.both(command)
    assert not run.relays() and not sink.requests


def test_the_kill_switch(run, origin, sink):
    for value in ("true", "TRUE"):
        requests = once(run, origin, env={"OTEL_SDK_DISABLED": value})
        assert not traced(requests)
    result = run.both(["sh", "-c", LOOK], {"OTEL_SDK_DISABLED": "true"})
    assert result.status == 0 and not run.relays() and not sink.requests


def test_every_call_gives_the_same(run, sink, origin):
    result = run.both([APPS / "host-calls"])
    assert result.status == 0 and result.stdout.startswith(b"errno at the start of main = 0\n")
    run.settle()
    assert all(span.name == "connect" or span.status == "ERROR" for span in sink.spans)


# --- what stands beside us in LD_PRELOAD

@pytest.mark.parametrize("home", HOMES)
def test_another_allocator(run, origin, spans, home):
    check_all(spans, play(run, origin, "families", "busy", answered=160, env={"LD_PRELOAD": JEMALLOC}))


def test_another_wrapper(run, origin, spans):
    result = run.both([APPS / "families", "once", origin.port, "/once"], {"LD_PRELOAD": str(APPS / "wrap-connect.so")})
    assert result.behaviour == (b"1 answered\nwrapped 1\n", b"", 0)
    check_all(spans, traced(origin.requests))


@pytest.mark.parametrize("copy", [False, True])
def test_our_library_twice(run, origin, spans, tmp_path, copy):
    second = PRELOAD
    if copy:
        for file in ("libotel-preload.so", "libotel-export.so", "otel-relay"):
            shutil.copy2(BUILD / file, tmp_path)
        second = tmp_path / "libotel-preload.so"
    run.base["LD_PRELOAD"] = f"{second}:{PRELOAD}"
    command = [APPS / "families", "programs", origin.port]
    result = run(command, run.env(), instrumented=False)
    assert result.stdout.endswith(b"12 answered\n") and not result.stderr and result.status == 0
    requests = traced(origin.requests)
    assert len(requests) == 12
    check_all(spans, requests)


def test_binding_at_once(run, origin, spans):
    check_all(spans, once(run, origin, env={"LD_BIND_NOW": "1"}))


def test_a_static_program_in_the_middle(run, origin, spans, tmp_path):
    source = tmp_path / "middle.c"
    source.write_text("#include <unistd.h>\nint main(int c, char **v) { return c > 1 ? execv(v[1], v + 1) : 3; }\n")
    assert run(["gcc", "-static", "-o", tmp_path / "middle", source], instrumented=False).status == 0
    check_all(spans, once(run, origin, before=["/usr/bin/env", tmp_path / "middle"]))


@only_root
def test_a_setuid_program(run, origin, sink, tmp_path):
    program = tmp_path / "privileged"
    shutil.copy2(APPS / "families", program)
    program.chmod(0o4755)
    for folder in [tmp_path, *tmp_path.parents]:
        if folder.stat().st_uid == os.geteuid() and "pytest" in str(folder):
            folder.chmod(0o755)
    command = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", program, "once", origin.port, "/once"]
    result = run.both(command)
    assert result.behaviour == (b"1 answered\n", b"", 0)
    assert not traced(origin.requests) and not sink.requests


# --- what is missing

NO_PROC = "mount -t tmpfs none /proc"
READ_ONLY = "mount -o remount,ro,bind /"
NO_TMP = f"mount --bind {BUILD} /mnt; mount -t tmpfs none /tmp; mount -o remount,ro,bind /tmp; umask 0"


@own_mounts
@pytest.mark.parametrize("home", HOMES)
@pytest.mark.parametrize("lines", [[NO_PROC], [READ_ONLY], [READ_ONLY, NO_PROC], ["mount -t tmpfs none /dev"]])
def test_mounts(run, origin, spans, lines, home):
    check_all(spans, once(run, origin, before=private(*lines)))


@own_mounts
@pytest.mark.parametrize("home", HOMES)
@pytest.mark.parametrize("lines", [[NO_PROC], [READ_ONLY], [NO_TMP]])
def test_mounts_that_the_launcher_sees(run, origin, spans, lines, home):
    command = ["unshare", "-m", *shell("set -e", f"mount --bind {BUILD} /mnt", *lines), "/mnt/otel-instrument", "--strict", "--",
               "/mnt/tests/apps/families", "once", origin.port, "/once"]
    result = run(command, run.env(), instrumented=False)
    assert result.behaviour == (b"1 answered\n", b"", 0)
    check_all(spans, traced(origin.requests))
    assert len(origin.requests) == 1


# --- what is limited

@pytest.mark.parametrize("home", HOMES)
@pytest.mark.parametrize("limit, exported", [("-f 0", 0), ("-f 4096", 1), ("-v 40000", None), ("-v 8000", None), ("-s 256", 1),
                                             ("-u 1", None), ("-t 5", 1), ("-l 0", 1), ("-n 8", None), ("-n 4", None)])
def test_limits(run, origin, sink, limit, exported, home):
    requests = once(run, origin, before=shell(f"ulimit {limit}"))
    run.settle()
    assert len(requests) == 1
    assert exported is None or len(sink.wait(exported)) == exported


@pytest.mark.parametrize("home", HOMES)
@pytest.mark.parametrize("act, count", [("first", 3), ("later", 6)])
@pytest.mark.parametrize("refused, exported", [("no_memfd", 0), ("no_unix", 3), ("no_clone", None), ("no_exec", 3),
                                               ("no_files", None), ("no_options", None)])
def test_sandboxes(run, origin, sink, refused, exported, act, count, home):
    requests = play(run, origin, "sandbox", act, refused, answered=count)
    run.settle()
    assert len(requests) == count
    if act == "later":
        exported = count if refused != "no_options" else None
    assert len(sink.spans) <= count
    assert exported is None or len(sink.wait(exported)) == exported
