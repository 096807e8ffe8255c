# SPDX-License-Identifier: Apache-2.0
"""Strangers at the relay's door: whatever they bring, it lives and serves its own programs."""
import contextlib
import fcntl
import mmap
import os
import socket
import struct

from talk import Talk, end, name_of, wait_until
from test_relay import AS_NOBODY, CURL, LINGER, PYTHON, needs_root

HANDOVER = struct.pack("<IHHII", 0x6c65746f, 1, 0, 1, 0)


def dial(name):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.connect("\0" + name)  # waits while the backlog is full
    sock.settimeout(10)
    return sock


F_ADD_SEALS = 1033


def sealed(content, size=None, seals=0x7):
    """A memfd; seals: 1 seal, 2 shrink, 4 grow."""
    fd = os.memfd_create("stranger", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(fd, content)
    if size:
        os.ftruncate(fd, size)
    if seals:
        fcntl.fcntl(fd, F_ADD_SEALS, seals)
    return fd


def ring_of(pid):
    """A true ring: a copy of what a program has."""
    for fd in os.listdir(f"/proc/{pid}/fd"):
        if os.readlink(f"/proc/{pid}/fd/{fd}").startswith("/memfd:"):
            return open(f"/proc/{pid}/fd/{fd}", "rb").read()
    raise AssertionError("no ring")


def strange_parcels(ring):
    """(message, descriptors) of everything that is no hand-over; the relay must close each of them."""
    zero, null, pipe = os.open("/dev/zero", os.O_RDWR), os.open("/dev/null", os.O_RDWR), os.pipe()
    page = ring[:4096]
    parcels = [
        (b"", []), (b"x", []), (b"x" * 60000, []), (HANDOVER, []), (HANDOVER[:8], [sealed(ring)]),
        (b"\0" * 16, [sealed(ring)]), (HANDOVER[:4] + b"\xff\xff" + HANDOVER[6:], [sealed(ring)]),
        (HANDOVER, [zero]), (HANDOVER, [null]), (HANDOVER, [pipe[0]]), (HANDOVER, [pipe[1]] * 4),
        (HANDOVER, [sealed(ring, seals=0)]), (HANDOVER, [sealed(ring, seals=1)]), (HANDOVER, [sealed(ring[:-4096])]),
        (HANDOVER, [sealed(ring[:100])]), (HANDOVER, [sealed(page)]), (HANDOVER, [sealed(b"")]),
        (HANDOVER, [sealed(b"\xff" * len(ring))]), (HANDOVER, [sealed(b"\0" * len(ring))]),
        (HANDOVER, [sealed(page, size=1 << 40, seals=7)]),
        (HANDOVER[:6] + b"\1\0" + HANDOVER[8:], [zero, zero, zero, zero]),
        (HANDOVER, [zero] * 200), (HANDOVER, [os.open("/", os.O_RDONLY)]), (HANDOVER, [os.open(__file__, os.O_RDONLY)]),
    ]
    for offset in range(0, 256, 8):  # a header that lies, in each word once
        for word in (b"\xff" * 8, b"\0" * 8, b"\x01" + b"\0" * 7):
            parcels.append((HANDOVER, [sealed(ring[:offset] + word + ring[offset + 8:])]))
    return parcels


def test_strangers_do_not_disturb_it(run, sink, origin, spans):
    with Talk(run, origin, LINGER) as talk:
        talk.ask("/true")
        sink.wait(1)
        pid, = run.relays()
        name, descriptors = name_of(pid), len(os.listdir(f"/proc/{pid}/fd"))
        for i, (message, fds) in enumerate(strange_parcels(ring_of(talk.process.pid))):
            with dial(name) as sock:
                try:
                    socket.send_fds(sock, [message], fds) if fds else sock.send(message)
                    sock.send(b"W")
                    sock.send(b"F" * 1000)
                except OSError:
                    pass  # turned away meanwhile
            for fd in set(fds):
                if os.readlink(f"/proc/self/fd/{fd}").startswith("/memfd:"):
                    os.close(fd)
            talk.ask(f"/{i}")
        count = 1 + i + 1
        sink.wait(count)
        assert run.relays() == [pid], "it died of it"
        wait_until(lambda: len(os.listdir(f"/proc/{pid}/fd")) <= descriptors)
    end(run)
    got = [span for span in sink.wait(count, 0) if span.resource["process.pid"] == talk.process.pid]
    assert {span.attributes["url.full"] for span in got} >= {f"{origin.url}/{j}" for j in range(i + 1)}
    sink.sins.clear()  # copies of a true ring bring its span again


def test_a_ring_that_changes_under_its_eyes(run, sink, origin, spans):
    """A client that is a true one at first and then writes nonsense everywhere, all the time."""
    with Talk(run, origin, LINGER) as talk:
        talk.ask("/true")
        sink.wait(1)
        pid, = run.relays()
        ring = ring_of(talk.process.pid)
        fd = sealed(ring)
        with mmap.mmap(fd, len(ring)) as memory, dial(name_of(pid)) as sock:
            socket.send_fds(sock, [HANDOVER], [fd])
            for i in range(200):
                position = os.urandom(2)
                at = int.from_bytes(position, "little") % (len(ring) - 64)
                memory[at:at + 64] = os.urandom(64)
                with contextlib.suppress(OSError):  # turned away
                    sock.send(b"W")
        os.close(fd)
        talk.ask("/still")
        wait_until(lambda: any(span.attributes.get("url.full", "").endswith("/still") for span in sink.wait(0, 0)))
        assert run.relays() == [pid]
    end(run)
    sink.sins.clear()


def test_thousands_of_connections(run, sink, origin, spans):
    with Talk(run, origin, LINGER) as talk:
        talk.ask()
        sink.wait(1)
        pid, = run.relays()
        name = name_of(pid)
        for _ in range(10000):
            dial(name).close()
        crowd = [dial(name) for _ in range(500)]
        talk.ask(count=2)
        run([*CURL, origin.url], LINGER)
        sink.wait(4)
        for sock in crowd:
            sock.close()
        assert run.relays() == [pid]
    end(run)
    spans(4)


@needs_root
def test_another_user_is_turned_away(run, sink, origin, spans):
    with Talk(run, origin, LINGER) as talk:
        talk.ask()
        sink.wait(1)
        pid, = run.relays()
        code = ("import socket, sys\ns = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\ns.settimeout(5)\n"
                "s.connect('\\0' + sys.argv[1])\ntry:\n    print(s.recv(10))\nexcept ConnectionResetError:\n    print(b'')")
        result = run([*AS_NOBODY, PYTHON, "-c", code, name_of(pid)], instrumented=False)
        assert result.stdout == b"b''\n"
    end(run)
    spans(1)
