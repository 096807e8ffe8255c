# SPDX-License-Identifier: Apache-2.0
"""A program that lives on and makes requests when asked to (tests/apps/talk.c), and a look at relays."""
import os
import signal
import subprocess
import time

from conftest import DEADLINE_S, wait_for_end
from paths import APPS


class Talk:
    def __init__(self, run, origin, env=None):
        self.process = run.popen([APPS / "talk", origin.port], env, stdin=subprocess.PIPE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        out, err = self.process.communicate(timeout=DEADLINE_S)
        assert (out, err, self.process.returncode) == (b"", b"", 0)

    def ask(self, path="/", count=1):
        self.process.stdin.write(f"{path} {count}\n".encode())
        self.process.stdin.flush()
        assert self.process.stdout.readline() == b"%d answered\n" % count


def wait_until(condition):
    """For what sends no event."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def status_of(pid):
    with open(f"/proc/{pid}/status") as status:
        return dict(line.rstrip("\n").split(":\t", 1) for line in status if ":\t" in line)


def name_of(pid):
    """The abstract address (without its zero) that a relay serves."""
    inode = os.stat(f"/proc/{pid}/fd/3").st_ino
    for line in open("/proc/net/unix").read().splitlines()[1:]:
        fields = line.split()
        if int(fields[6]) == inode:
            return fields[7][1:]
    raise AssertionError(f"relay {pid} does not listen")


def is_up(pid):
    """A relay blocks SIGTERM once it is ready to take it."""
    return int(status_of(pid)["SigBlk"], 16) >> (signal.SIGTERM - 1) & 1


def terminate(pid):
    """A relay delivers what it has, and ends."""
    try:
        wait_until(lambda: is_up(pid))
        os.kill(pid, signal.SIGTERM)
    except (FileNotFoundError, ProcessLookupError):
        return  # by itself
    assert wait_for_end(pid, DEADLINE_S)


def end(run):
    for pid in run.relays():
        terminate(pid)
