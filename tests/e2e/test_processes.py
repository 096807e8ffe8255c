# SPDX-License-Identifier: Apache-2.0
"""Programs that make processes: nothing hangs, nothing is lost or doubled, and they see no child but their own."""
import os
from collections import Counter

import pytest

from acts import check_all, play, traced
from collectors import black_hole
from conftest import HOMES, own_mounts
from paths import APPS
from sink import Answer

pytestmark = pytest.mark.parametrize("home", HOMES)
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="changes its user")


def families(run, origin, act, answered, **options):
    return play(run, origin, "families", act, answered=answered, **options)


def pids(sink):
    return Counter(span.resource["process.pid"] for span in sink.spans)


def test_forks_while_threads_are_busy(run, origin, spans, sink):
    check_all(spans, families(run, origin, "busy", answered=160))
    assert sorted(pids(sink).values()) == [1] * 40 + [120]


def test_children_that_libc_does_not_know_of(run, origin, sink, home):
    requests = families(run, origin, "raw", answered=11)
    run.settle()
    assert {span.traceparent for span in sink.spans} <= {request.header("traceparent")[0] for request in requests}
    # In process, a child that was born while the thread was inside other people's code exports nothing.
    assert sorted(pids(sink).values())[-1] == 6 and len(sink.spans) >= (11 if home == "relay" else 6)
    assert len(sink.spans) == sum(pids(sink).values()) <= 11


def test_children_use_the_parents_connection(run, origin, spans, sink):
    check_all(spans, families(run, origin, "inherited", answered=10))
    assert sorted(pids(sink).values()) == [2, 2, 2, 4]


def test_grandchildren(run, origin, spans, sink):
    check_all(spans, families(run, origin, "generations", answered=1))
    assert sorted(pids(sink).values()) == [1] * 6


@pytest.mark.parametrize("act", ["daemonized", "daemon"])
def test_daemons(run, origin, spans, sink, act):
    check_all(spans, families(run, origin, act, answered=2))
    assert sorted(pids(sink).values()) == [1, 1]


def test_forks_while_the_collector_is_slow(run, origin, spans, sink):
    sink.otherwise = Answer(delay=0.1)
    requests = families(run, origin, "storm", answered=40, env={"OTEL_BSP_SCHEDULE_DELAY": "10"}, timeout=60)
    assert len(requests) == 80
    check_all(spans, requests)


def test_other_programs(run, origin, spans, sink):
    check_all(spans, families(run, origin, "programs", answered=12))
    assert sorted(pids(sink).values()) == [1] * 6 + [6]


def test_the_program_is_replaced(run, origin, spans, sink):
    check_all(spans, families(run, origin, "replaced", answered=1))
    assert list(pids(sink).values()) == [2]


@pytest.mark.parametrize("act, count, requests", [("reaper", 4, 124), ("watched", 2, 2), ("ignored", 2, 32),
                                                  ("subreaper", 2, 2)])
def test_a_program_sees_its_own_children_only(run, origin, spans, act, count, requests):
    seen = families(run, origin, act, answered=count)
    assert len(seen) == requests
    check_all(spans, seen)


@own_mounts
def test_the_first_process_of_a_container_has_no_more_children(run, origin, spans):
    container = ["unshare", "--pid", "--fork", "--mount-proc"]
    check_all(spans, families(run, origin, "watched", answered=2, before=container))


NEVER_BY_ITSELF = {"OTEL_BSP_SCHEDULE_DELAY": "60000", "OTEL_INSTRUMENT_RELAY_LINGER": "60000"}
CONTAINER = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]


@own_mounts
@pytest.mark.parametrize("first", ["true", "curl -sS -o /dev/null $0/first; true"], ids=["silent", "asks itself"])
def test_the_first_process_of_a_container_takes_the_relay_with_it(run, origin, sink, home, first):
    """What the others have done is sent before its end, which is the end of them all."""
    script = f"curl -sS -o /dev/null $0/one; curl -sS -o /dev/null $0/two; {first}"
    result = run([*CONTAINER, "sh", "-c", script, origin.url], NEVER_BY_ITSELF, timeout=20)
    assert result.behaviour == (b"", b"", 0) and not run.relays()
    assert len(sink.wait(len(origin.requests), 0)) == len(origin.requests) == 2 + first.startswith("curl")


@own_mounts
def test_those_that_live_with_the_first_process_of_a_container(run, origin, sink, home):
    """Their spans are sent as well, and those that are held back: nobody will do it later. Without a relay they are
    lost, as all that a killed process holds: it waits for nobody's end but its own."""
    code = ("import os, signal, sys, urllib.request as u\n"
            "r, w = os.pipe()\n"
            "if os.fork() == 0:\n"
            "    u.urlopen(sys.argv[1]).read()\n"
            "    try:\n"
            "        u.urlopen('http://localhost:1/')\n"
            "    except OSError:\n"
            "        os.write(w, b'x')\n"
            "        signal.pause()\n"
            "os.read(r, 1)\n")
    result = run([*CONTAINER, "/usr/bin/python3", "-c", code, origin.url], NEVER_BY_ITSELF, timeout=20)
    assert result.behaviour == (b"", b"", 0)
    sent = 0 if home == "inproc" else 2
    assert {span.status for span in sink.wait(sent, 0)} == ({"UNSET", "ERROR"} if sent else set())


@own_mounts
def test_the_first_process_of_a_container_waits_so_long_only(run, origin, home):
    with black_hole() as collector:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_INSTRUMENT_EXIT_TIMEOUT": "300"}
        result = run([*CONTAINER, "sh", "-c", "curl -sS -o /dev/null $0; true", origin.url], env, timeout=20)
        assert result.behaviour == (b"", b"", 0) and result.seconds < 1.5


@only_root
def test_another_user(run, origin, spans):
    check_all(spans, families(run, origin, "identity", answered=4))


@only_root
def test_another_user_from_the_start(run, origin, spans):
    nobody = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]
    check_all(spans, families(run, origin, "replaced", answered=1, before=nobody))


@only_root
def test_another_namespace(run, origin, spans):
    check_all(spans, families(run, origin, "namespaces", answered=2))


def test_a_black_hole_does_not_keep_anybody(run, origin, home):
    with black_hole() as collector:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_INSTRUMENT_EXIT_TIMEOUT": "300"}
        result = run([APPS / "families", "once", origin.port, "/once"], env)
        assert result.behaviour == (b"1 answered\n", b"", 0)
        assert result.seconds < (0.9 if home == "inproc" else 0.3)
        assert len(traced(origin.requests)) == 1
