# SPDX-License-Identifier: Apache-2.0
"""Surroundings that lack what we would need: the program runs on as if we were not there."""
import resource
import subprocess

import pytest

from conftest import HOMES, own_mounts
from http_spans import pair
from paths import APPS, LAUNCHER, PRELOAD

PYTHON = "/usr/bin/python3"
CURL = ["curl", "-sS"]
URLLIB = [PYTHON, "-c", "import sys, urllib.request as u; sys.stdout.buffer.write(u.urlopen(sys.argv[1]).read())"]

EMPTY = [path for path in ("/proc", "/dev", "/etc", "/tmp", "/var") if not str(LAUNCHER).startswith(path + "/")]


def limited(name, limit):
    return {"preexec_fn": lambda: resource.setrlimit(getattr(resource, "RLIMIT_" + name), (limit, limit))}


@pytest.mark.parametrize("home", HOMES)
@pytest.mark.parametrize("command", [CURL, URLLIB], ids=["curl", "python"])
@pytest.mark.parametrize("name, limit", [("NOFILE", 16), ("NOFILE", 8), ("FSIZE", 0), ("FSIZE", 8192), ("AS", 256 << 20),
                                         ("STACK", 256 << 10), ("MEMLOCK", 0), ("CORE", 0)])
def test_small_limits(run, origin, name, limit, command, home):
    plain = run([*command, origin.url + "/x"], instrumented=False, **limited(name, limit))
    ours = run([*command, origin.url + "/x"], **limited(name, limit))
    assert ours.behaviour == plain.behaviour and ours.seconds < plain.seconds + 1.5
    run.settle()


@pytest.mark.parametrize("home", HOMES)
def test_sixteen_descriptors_are_enough(run, origin, spans, home):
    run([*CURL, origin.url], **limited("NOFILE", 16))
    pair(spans(1), origin.requests)


PRELOAD_US = ["-E", f"LD_PRELOAD={PRELOAD}"]
# What the kernel refuses, as strace has it refuse: to the program, its threads, and the relay that it starts.
# Then the spans that arrive nevertheless: by the relay, in process.
REFUSALS = {
    "memfd_create:ENOMEM": (0, 0), "memfd_create:ENOSYS": (0, 0), "memfd_create:EMFILE": (0, 0), "ftruncate:ENOMEM": (0, 0),
    "eventfd2:EMFILE": (1, 0), "pidfd_open:ENOSYS": (1, 1), "close_range:ENOSYS": (1, 1), "clone,clone3:EAGAIN": (0, 0),
    "sendmsg:ENOBUFS": (1, 1), "getrandom:ENOSYS": (1, 1), "epoll_create1:EMFILE": (0, 0),
    "readlink,readlinkat:ENOENT": (1, 1), "bind:EACCES": (1, 1), "prctl:EPERM": (1, 1), "fcntl:EINVAL": (0, 0), "munmap:EINVAL": (1, 1),
    "ppoll:ENOSYS": (1, 1), "signalfd4:EMFILE": (0, 1), "setsid:EPERM": (1, 1), "madvise:EINVAL": (1, 1),
}


def refuse(calls, error, when=""):
    return ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={calls}", "-e", f"inject={calls}:error={error}{when}"]


@pytest.mark.parametrize("home", HOMES)
@pytest.mark.parametrize("refusal", REFUSALS)
def test_refused_by_the_kernel(run, sink, origin, refusal, home):
    command = ["wget", "-q", "-O", "-", origin.url + "/x"]
    inject = refuse(*refusal.split(":"))
    plain = run([*inject, *command], instrumented=False)
    ours = run([*inject, *PRELOAD_US, *command], run.env(), instrumented=False, timeout=20)
    assert ours.behaviour == plain.behaviour
    run.settle()
    assert len(sink.spans) == REFUSALS[refusal][HOMES.index(home)]


@pytest.fixture(scope="session")
def mappings_at_start(tmp_path_factory):
    """Memory mappings that a program has asked for when its main() begins to work, with us."""
    path = tmp_path_factory.mktemp("mappings") / "strace"
    subprocess.run(["strace", "-f", "-qq", "-o", path, "-e", "trace=mmap", *PRELOAD_US, APPS / "talk", "1"], check=True,
                   stdin=subprocess.DEVNULL, capture_output=True)
    return path.read_text().count("mmap(")


@pytest.mark.parametrize("home", HOMES)
@pytest.mark.parametrize("more", range(1, 16))
def test_memory_that_ends(run, origin, mappings_at_start, more, home):
    """From some moment after its start on a program gets no mapping any more; it needs none itself."""
    inject = refuse("mmap", "ENOMEM", f":when={mappings_at_start + more}+")
    process = subprocess.run([*inject, *PRELOAD_US, APPS / "talk", str(origin.port)], env=run.env(), input=b"/ 3\n",
                             capture_output=True, timeout=20)
    assert (process.stdout, process.stderr, process.returncode) == (b"3 answered\n", b"", 0)
    run.settle()


@own_mounts
@pytest.mark.parametrize("home", HOMES)
@pytest.mark.parametrize("change", ["-o remount,bind,ro /", *(f"-t tmpfs -o ro,size=4k none {path}" for path in EMPTY)])
def test_a_poor_file_system(run, origin, spans, change, home):
    changed = ["unshare", "-m", "sh", "-c", f"mount {change} && exec \"$@\"", "sh"]
    result = run([*changed, LAUNCHER, *CURL, origin.url + "/x"], run.env(), instrumented=False, cwd="/")
    assert result.behaviour == (b"GET /x\n", b"", 0)
    pair(spans(1), origin.requests)
