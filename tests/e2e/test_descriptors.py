# SPDX-License-Identifier: Apache-2.0
"""Whatever a program does with descriptors: it sees its own only, none gets a byte of ours, and export goes on."""
import pytest

from acts import check_all, play
from conftest import HOMES

SWEEPS = ["closefrom", "loop", "raw-loop", "range", "raw-range", "listed"]


def descriptors(run, origin, act, *more, answered, **options):
    return play(run, origin, "descriptors", act, *more, answered=answered, **options)


def test_high_numbers(run, origin, spans):
    check_all(spans, descriptors(run, origin, "high", answered=3))


@pytest.mark.parametrize("home", HOMES)
@pytest.mark.parametrize("sweep", SWEEPS)
def test_everything_is_closed(run, origin, spans, sweep, home):
    check_all(spans, descriptors(run, origin, "sweep", sweep, answered=6))


@pytest.mark.parametrize("home", HOMES)
@pytest.mark.parametrize("act", ["cover-file", "cover-socket"])
def test_every_number_is_the_programs(run, origin, spans, act, home):
    check_all(spans, descriptors(run, origin, act, answered=8))


@pytest.mark.parametrize("act, count", [("peek", 3), ("copies", 5), ("reused", 8)])
def test_one_connection(run, origin, spans, act, count):
    check_all(spans, descriptors(run, origin, act, answered=count))


def test_a_connection_that_was_passed_on(run, origin, spans):
    requests = descriptors(run, origin, "passed", answered=10)
    ours = [request for request in requests if request.target != "/passed"]
    assert len(ours) == 4 and all(not request.header("traceparent") for request in requests if request.target == "/passed")
    check_all(spans, ours)


def test_numbers_are_reused_all_the_time(run, origin, spans):
    requests = descriptors(run, origin, "storm", answered=300)
    others = check_all(spans, requests, more=300)
    assert {(span.name, span.status) for span in others} == {("connect", "UNSET")}


@pytest.mark.parametrize("home", HOMES)
@pytest.mark.parametrize("act, count", [("few", 5), ("spare", 3)])
def test_numbers_are_scarce(run, origin, sink, act, count, home):
    requests = descriptors(run, origin, act, answered=count)
    run.settle()
    assert len(requests) == count and len(sink.spans) <= count
