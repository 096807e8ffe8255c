# SPDX-License-Identifier: Apache-2.0
"""Every setting: what it does, and that a bad value costs one warning and nothing else."""
import os
import platform
import re
import socket
import subprocess
import time
import uuid
from datetime import datetime, timezone
from pathlib import Path

import pytest

from conftest import DEADLINE_S, HOMES
from http_spans import pair
from log import LINE, Log
from paths import APPS, LAUNCHER, ROOT
from talk import Talk, end

PYTHON = "/usr/bin/python3"
CURL = ["curl", "-sS", "-o", "/dev/null"]
WGET = ["wget", "-q", "--tries=1", "-O", "/dev/null"]
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def log(tmp_path):
    return Log(tmp_path / "agent.log", "warn")


def rows():
    text = (ROOT / "agent/config/config.def").read_text()
    return re.findall(r'^SETTING\((\w+), "(\w+)", (\w+)(?:\((\w+)\))?, "([^"]*)", (\w+),', text, re.M)


BAD_VALUES = {
    "BOOL": ["yes", "1", "TRUEE"], "INT": ["0", "-1", "12x", "99999999999999999999", "1.5"],
    "DURATION": ["-1", "5s", "1e3"], "TIMEOUT": ["-5", "ten"], "ENUM": ["frob"], "ENUMS": ["frob", "frob,nix"],
}


@pytest.mark.parametrize("name, value", [(row[1], value) for row in rows() for value in BAD_VALUES.get(row[2], [])])
def test_a_bad_value_is_one_warning_and_the_default(run, sink, origin, spans, log, name, value):
    result = run([*CURL, origin.url], {**log.env, name: value}, strict=False)
    assert result.stdout == b"" and result.status == 0
    end(run)
    spans(1)
    launcher, = result.stderr.decode().splitlines()
    assert launcher.startswith("otel-instrument: warning: ") and name in launcher and value in launcher
    if name != "OTEL_LOG_LEVEL":
        assert [level for level, text in log.lines if name in text and value in text] == ["warn"]


@pytest.mark.parametrize("name", [row[1] for row in rows()])
def test_an_empty_value_is_none(run, sink, origin, spans, log, name):
    keep = {"OTEL_EXPORTER_OTLP_ENDPOINT": {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": sink.url + "/v1/traces"}}.get(name, {})
    result = run([*CURL, origin.url], {**log.env, name: "", **keep})
    assert result.behaviour == (b"", b"", 0)
    end(run)
    spans(1)
    assert not log.text


# OTEL_SDK_DISABLED

@pytest.mark.parametrize("value, on", [("true", False), ("TRUE", False), ("false", True), ("False", True)])
def test_disabled(run, sink, origin, value, on):
    run.both(CURL + [origin.url], {"OTEL_SDK_DISABLED": value})
    run.settle()
    assert len(sink.spans) == on
    assert bool(origin.requests[1].header("traceparent")) == on


def test_disabled_leaves_no_trace_in_the_process(run, sink):
    look = "import os; print('memfd' in open('/proc/self/maps').read(), len(os.listdir('/proc/self/task')))"
    for env in ({"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none"}):
        assert run([PYTHON, "-c", look], env).stdout == b"False 1\n"
    assert not sink.requests


# OTEL_TRACES_EXPORTER

@pytest.mark.parametrize("home", HOMES)
def test_no_exporter_no_relay(run, sink, origin, home):
    look = ("import os, sys, urllib.request as u\nu.urlopen(sys.argv[1]).read()\n"
            "print('memfd' in open('/proc/self/maps').read(), len(os.listdir('/proc/self/task')))")
    result = run([PYTHON, "-c", look, origin.url], {"OTEL_TRACES_EXPORTER": "none"})
    assert result.behaviour == (b"False 1\n", b"", 0)
    assert not run.relays() and not sink.requests


@pytest.mark.parametrize("value, otlp, console", [
    ("otlp", 1, 0), ("OTLP", 1, 0), ("console", 0, 1), ("otlp,console", 1, 1), (" console , otlp ", 1, 1),
    ("otlp,otlp", 1, 0),
])
def test_exporters(run, sink, origin, value, otlp, console):
    result = run(CURL + [origin.url + "/seen"], {"OTEL_TRACES_EXPORTER": value})
    run.settle()
    assert len(sink.spans) == otlp and (b"/seen" in result.stderr) == bool(console)
    assert result.stdout == b"" and result.status == 0


@pytest.mark.parametrize("value, otlp", [("otlp,none", 1), ("otlp,zipkin", 1)])
def test_exporters_with_one_that_is_not_to_be_had(run, sink, origin, spans, log, value, otlp):
    run(CURL + [origin.url], {**log.env, "OTEL_TRACES_EXPORTER": value}, strict=False)
    spans(otlp)
    assert [level for level, text in log.lines if "OTEL_TRACES_EXPORTER" in text] == ["warn"]


@pytest.mark.parametrize("value", ["grpc", "http/json"])
def test_a_protocol_not_supported_yet(run, sink, origin, spans, log, value):
    run(CURL + [origin.url], {**log.env, "OTEL_EXPORTER_OTLP_PROTOCOL": value}, strict=False)
    spans(1)
    (level, text), = log.lines
    assert level == "warn" and "not supported" in text and value in text


# The resource

def resource_of(run, origin, spans, env=None, command=CURL, **more):
    run([*command, origin.url], env, **more)
    return spans(1)[0].resource


@pytest.mark.parametrize("env, name", [
    ({}, "e2e"),
    ({"OTEL_SERVICE_NAME": ""}, "unknown_service:curl"),
    ({"OTEL_SERVICE_NAME": "", "OTEL_RESOURCE_ATTRIBUTES": "service.name=listed"}, "listed"),
    ({"OTEL_SERVICE_NAME": "named", "OTEL_RESOURCE_ATTRIBUTES": "service.name=listed"}, "named"),
    ({"OTEL_SERVICE_NAME": "Zähler 1"}, "Zähler 1"),
    ({"OTEL_SERVICE_NAME": "", "OTEL_RESOURCE_ATTRIBUTES": "service.name="}, "unknown_service:curl"),
])
def test_service_name(run, origin, spans, env, name):
    assert resource_of(run, origin, spans, env)["service.name"] == name


def test_resource_attributes(run, origin, spans):
    given = ("deployment.environment.name=test, a%2Cb = c%3Dd%20%C3%A4 ,twice=1,twice=2,host.name=mine,"
             "telemetry.sdk.name=fake,,")
    resource = resource_of(run, origin, spans, {"OTEL_RESOURCE_ATTRIBUTES": given})
    assert resource["deployment.environment.name"] == "test" and resource["a,b"] == "c=d ä"
    assert resource["twice"] == "2" and resource["host.name"] == "mine"
    assert resource["telemetry.sdk.name"] == "otel-instrument"


@pytest.mark.parametrize("bad", ["no-equals", "a=%zz", "=v", "a=%ff", "a=b%00"])
def test_bad_resource_attributes_are_all_discarded(run, origin, spans, log, bad):
    resource = resource_of(run, origin, spans, {**log.env, "OTEL_RESOURCE_ATTRIBUTES": f"good=1,{bad}"}, strict=False)
    assert "good" not in resource and resource["service.name"] == "e2e"
    assert [level for level, text in log.lines if "OTEL_RESOURCE_ATTRIBUTES" in text] == ["warn"]


def os_release():
    lines = Path("/etc/os-release").read_text().splitlines()
    return {key: value.strip('"') for key, value in (line.split("=", 1) for line in lines if "=" in line)}


@pytest.mark.parametrize("home", HOMES)
def test_the_resource_is_right(run, origin, spans, home):
    before = datetime.now(timezone.utc).timestamp()
    process = run.popen([APPS / "talk", origin.port], stdin=subprocess.PIPE)
    process.communicate(b"/ 1\n", DEADLINE_S)
    after = datetime.now(timezone.utc).timestamp()
    resource = dict(spans(1)[0].resource)
    started = datetime.fromisoformat(resource.pop("process.creation.time").replace("Z", "+00:00")).timestamp()
    assert before - 0.1 <= started <= after
    assert uuid.UUID(resource.pop("service.instance.id")).version == 4
    release, version = os_release(), re.search(r"version: '([^']+)'", (ROOT / "meson.build").read_text())[1]
    expected = {
        "service.name": "e2e",
        "telemetry.sdk.name": "otel-instrument", "telemetry.sdk.language": "c", "telemetry.sdk.version": version,
        "process.pid": process.pid, "process.executable.name": "talk", "process.command": str(APPS / "talk"),
        "process.owner": "root" if os.getuid() == 0 else __import__("pwd").getpwuid(os.getuid()).pw_name,
        "host.name": socket.gethostname(), "host.arch": {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()],
        "os.type": "linux", "os.name": release["NAME"], "os.version": release.get("VERSION_ID"),
        "os.description": release["PRETTY_NAME"],
    }
    for path in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        if "host.id" not in expected and os.path.exists(path) and len(Path(path).read_text().strip()) == 32:
            expected["host.id"] = Path(path).read_text().strip()
    assert resource == {key: value for key, value in expected.items() if value is not None}


def test_each_process_has_an_instance_of_its_own(run, origin, spans):
    run(["sh", "-c", "curl -sS -o /dev/null $0; curl -sS -o /dev/null $0", origin.url])
    assert len({span.resource["service.instance.id"] for span in spans(2)}) == 2


def test_secrets_of_the_command_line_stay_out_of_the_resource(run, origin, spans):
    run([*CURL, "-H", "Authorization: Bearer s3cr3t", origin.url])
    assert "s3cr3t" not in str(spans(1))


# TRACEPARENT and TRACESTATE

@pytest.mark.parametrize("home", HOMES)
@pytest.mark.parametrize("command", [CURL, WGET], ids=["curl", "wget"])
def test_a_parent_from_the_environment(run, origin, spans, command, home):
    run([*command, origin.url], {"TRACEPARENT": PARENT, "TRACESTATE": "a=1, b=2"})
    (span, request), = pair(spans(1), origin.requests)
    assert (span.trace_id, span.parent_id) == tuple(PARENT.split("-")[1:3]) and span.flags == 0x301
    assert [entry.replace(" ", "") for entry in request.header("tracestate")] == ["a=1,b=2"]
    assert span.trace_state.replace(" ", "") == "a=1,b=2"


@pytest.mark.parametrize("command", [CURL, WGET], ids=["curl", "wget"])
def test_a_parent_that_is_not_sampled(run, sink, origin, command):
    run([*command, origin.url], {"TRACEPARENT": PARENT[:-2] + "00", "TRACESTATE": "a=1"})
    assert not run.relays() and not sink.requests
    request, = origin.requests
    version, trace, parent, flags = request.header("traceparent")[0].split("-")
    assert (version, trace, flags) == ("00", PARENT.split("-")[1], "00") and parent != PARENT.split("-")[2]
    assert request.header("tracestate") == ["a=1"]


@pytest.mark.parametrize("bad", ["garbage", PARENT.upper(), "ff" + PARENT[2:], PARENT + "-more", PARENT[:-1],
                                 PARENT.replace("-", "_"), f"00-{'0' * 32}-{'1' * 16}-01", f"00-{'1' * 32}-{'0' * 16}-01"])
def test_an_invalid_parent_is_none(run, origin, spans, bad):
    run([*CURL, origin.url], {"TRACEPARENT": bad, "TRACESTATE": "a=1"})
    (span, request), = pair(spans(1), origin.requests)
    assert span.parent_id == "" and span.trace_id != PARENT.split("-")[1] and span.flags & 0x200 == 0
    assert not request.header("tracestate") and span.trace_state == ""


def test_a_parent_of_a_later_version(run, origin, spans):
    run([*CURL, origin.url], {"TRACEPARENT": "cc" + PARENT[2:] + "-what-comes-later"})
    (span, _), = pair(spans(1), origin.requests)
    assert (span.trace_id, span.parent_id) == tuple(PARENT.split("-")[1:3])


@pytest.mark.parametrize("bad", ["no member", "a=1,A=2", "a=" + "x" * 300, ",".join(f"k{i}=1" for i in range(33))])
def test_an_invalid_tracestate_is_left_behind(run, origin, spans, bad):
    run([*CURL, origin.url], {"TRACEPARENT": PARENT, "TRACESTATE": bad})
    (span, request), = pair(spans(1), origin.requests)
    assert span.parent_id == PARENT.split("-")[2] and not request.header("tracestate") and span.trace_state == ""


# Messages

LEVELS = ["none", "error", "warn", "info", "debug", "OFF", "Trace", ""]


@pytest.mark.parametrize("level, home", [*((level, "relay") for level in LEVELS), ("error", "inproc"), ("debug", "inproc")])
def test_log_levels(run, sink, origin, spans, tmp_path, level, home):
    log = Log(tmp_path / "levels.log", level)
    result = run([*CURL, origin.url], {**log.env, "OTEL_EXPORTER_OTLP_HEADERS": "no name=v"})
    spans(1)
    assert result.behaviour == (b"", b"", 0)
    seen = {level for level, _ in log.lines}
    allowed = {"none": 0, "OFF": 0, "": 0, "error": 1, "warn": 2, "info": 3, "debug": 4, "Trace": 4}[level]
    assert seen <= set(["error", "warn", "info", "debug"][:allowed])
    assert ("warn" in seen) == (allowed >= 2) and ("info" in seen) == (allowed >= 3)


@pytest.mark.parametrize("home", HOMES)
def test_messages_go_to_stderr_when_asked_for(run, sink, origin, spans, home):
    result = run([*CURL, origin.url], {"OTEL_LOG_LEVEL": "debug"})
    spans(1)
    assert result.stdout == b"" and result.status == 0
    for line in result.stderr.decode().splitlines():
        assert LINE.fullmatch(line), line


def test_a_log_file_is_ours_alone(run, origin, spans, tmp_path):
    log = Log(tmp_path / "file.log")
    run([*CURL, origin.url], log.env)
    spans(1)
    assert log.lines and log.path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("path", ["/nonexistent/dir/log", "/", "/dev/full", "link"])
def test_a_log_file_that_cannot_be(run, origin, spans, tmp_path, path):
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    if path == "link":
        path = tmp_path / "link"
        path.symlink_to(victim)
    result = run([*CURL, origin.url], {"OTEL_LOG_LEVEL": "debug", "OTEL_INSTRUMENT_LOG_FILE": str(path)})
    assert result.behaviour == (b"", b"", 0) and victim.read_text() == "untouched"
    spans(1)


# Timing, queue, context

def test_the_schedule_delay(run, sink, origin):
    with Talk(run, origin, {"OTEL_BSP_SCHEDULE_DELAY": "1200"}) as talk:
        begin = time.monotonic()
        talk.ask()
        sink.wait(1)
        assert 1.1 < time.monotonic() - begin < 2.5
    run.settle()


def test_a_batch_larger_than_the_queue(run, sink, origin, spans, log):
    env = {**log.env, "OTEL_BSP_MAX_QUEUE_SIZE": "8", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "100"}
    run([*CURL, origin.url], env, strict=False)
    spans(1)
    assert [level for level, text in log.lines if "OTEL_BSP_MAX_EXPORT_BATCH_SIZE" in text] == ["warn"]


@pytest.mark.parametrize("home", HOMES)
def test_an_existing_context_is_respected(run, sink, origin, home):
    command = [*CURL, "-H", f"TraceParent: {PARENT}", origin.url]
    run.both(command, {"OTEL_INSTRUMENT_EXISTING_CONTEXT": "respect"})
    run.settle()
    plain, ours = origin.requests
    assert ours.raw == plain.raw and not sink.spans


def test_settings_given_as_options_beat_the_environment(run, sink, origin, spans):
    result = run([LAUNCHER, "--service_name=option", "--", *CURL, origin.url], run.env(), instrumented=False)
    assert result.behaviour == (b"", b"", 0)
    span, = spans(1)
    assert span.resource["service.name"] == "option"


def test_what_a_program_changes_later_changes_nothing(run, sink, origin, spans):
    code = ("import os, sys, urllib.request as u\nos.environ['OTEL_SERVICE_NAME'] = 'late'\n"
            "os.environ['OTEL_EXPORTER_OTLP_ENDPOINT'] = 'http://127.0.0.1:1'\nu.urlopen(sys.argv[1]).read()")
    run([PYTHON, "-c", code, origin.url])
    span, = spans(1)
    assert span.resource["service.name"] == "e2e"
