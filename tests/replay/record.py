#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Record what real servers do. usage: record.py EPOLL_PROXY [SERVER...]

Runs each server as a reverse proxy on loopback under strace, and writes <SERVER>.trace beside this
file. The traces are in the tree: this is only needed to renew them.
"""
import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile

from convert import convert
from drive import drive
from servers import servers

REQUESTS = 480
AT_ONCE = 64
CALLS = ('accept,accept4,connect,close,read,readv,recvfrom,recvmsg,write,writev,sendto,sendmsg,sendfile,splice,'
         'epoll_wait,epoll_pwait,epoll_pwait2,poll,ppoll,select,pselect6')


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def children(pid):
    with open(f'/proc/{pid}/task/{pid}/children', encoding='ascii') as f:
        return [int(word) for word in f.read().split()]


def stop(tracer):
    """The server by its own signal; strace ends with it."""
    for pid in children(tracer.pid):
        os.kill(pid, signal.SIGTERM)
    tracer.wait(30)


def record(command_of):
    front, back = free_port(), free_port()
    started = []
    with tempfile.TemporaryDirectory() as home:
        os.chmod(home, 0o755)
        raw = os.path.join(home, 'strace')
        command = command_of(home, front, back)

        def start():
            started.append(subprocess.Popen(['strace', '-f', '-ttt', '-xx', '-s', '4096', '-e', 'trace=' + CALLS,
                                             '-e', 'signal=none', '-o', raw, *command]))
        try:
            asyncio.run(drive(front, back, start, REQUESTS, AT_ONCE))
        finally:
            for tracer in started:
                stop(tracer)
        with open(raw, encoding='ascii') as f:
            return convert(f, front, back)


def version(name, command):
    option = {'nginx': '-v', 'haproxy': '-v', 'apache2': '-v', 'lighttpd': '-v'}.get(os.path.basename(command))
    if not option:
        return name
    done = subprocess.run([command, option], capture_output=True, text=True, check=True)
    return (done.stdout or done.stderr).splitlines()[0]


def main():
    program, *chosen = sys.argv[1:]
    here = os.path.dirname(os.path.abspath(__file__))
    for name, command_of in servers(os.path.abspath(program)).items():
        if chosen and name not in chosen:
            continue
        lines = record(command_of)
        with tempfile.TemporaryDirectory() as home:
            head = f'# {name}: {version(name, command_of(home, 1, 2)[0])}; {REQUESTS} requests, {AT_ONCE} at once'
        with open(os.path.join(here, name + '.trace'), 'w', encoding='ascii') as f:
            f.write('\n'.join([head, *lines, '']))
        print(name, len(lines), 'events')


if __name__ == '__main__':
    main()
