# SPDX-License-Identifier: Apache-2.0
"""Requests that one thread reads, and whose calls another one makes, or a later turn of the loop: eight at a time, all
calls alike, so that nothing but the hand-over says whose a call is."""
import pytest

from serving import app
from test_causality import judge, press

COUNT, AT_ONCE = 800, 8
HOWS = [("visit-threads", "posix"), ("visit-threads", "c11"), ("visit-std", "thread"), ("visit-std", "async"),
        ("visit-glib", "pool"), ("visit-glib", "task"), ("visit-glib", "idle"), ("visit-uv", "work"),
        ("visit-uv", "after"), ("visit-event", "once"), ("visit-event", "read")]

NOT_FOLLOWED = [("visit-glib", "idle")]  # nothing is guessed


@pytest.mark.parametrize("name, how", HOWS, ids=[" ".join(row) for row in HOWS])
def test_each_call_under_the_request_that_was_handed_over(run, spans, name, how):
    seen = press(run, lambda port: app(name, "{port}", port, how), "same", count=COUNT, at_once=AT_ONCE, depth=AT_ONCE)
    verdicts = judge(spans(2 * COUNT), seen)
    print(name, how, dict(verdicts))
    if (name, how) in NOT_FOLLOWED:
        assert verdicts["wrong"] == 0
    else:
        assert verdicts == {"right": COUNT}
