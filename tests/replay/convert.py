# SPDX-License-Identifier: Apache-2.0
"""
What strace wrote -> one event per line: "THREAD EVENT [FD [...]]", in the order in which a library inside
the server would see them: what comes in when its call returns, what goes out when its call begins.

  wait                     a wait for descriptors returned
  accept FD / connect FD   a connection from a client / to the backend
  in FD METHOD TARGET      a request's head has been read whole
  body FD                  bytes of its body were read
  out FD METHOD TARGET     a request's head goes out whole
  push FD                  more bytes of it go out
  back FD [end]            bytes of a response were read; its last ones
  reply FD [end]           bytes of a response go out; its last ones
  close FD
"""
import re

WAITS = {'epoll_wait', 'epoll_pwait', 'epoll_pwait2', 'poll', 'ppoll', 'select', 'pselect6'}
READS = {'read', 'readv', 'recvfrom', 'recvmsg'}
WRITES = {'write', 'writev', 'sendto', 'sendmsg'}
BLIND = {'sendfile', 'splice'}
RESULT = re.compile(r'^.*\)\s+= (-?\d+)')
LINE = re.compile(r'(\d+)\s+[\d.]+ (?:<\.\.\. (\w+) resumed>|(\w+)\()(.*)$')


class Call:
    def __init__(self, thread, name, text, begin):
        self.thread, self.name, self.text, self.begin, self.end = thread, name, text, begin, None

    def finish(self, text, end):
        self.text += text
        self.end = end
        self.result = int(RESULT.search(self.text).group(1))

    @property
    def order(self):
        """When it is seen: what it brings in is there when it returns; a closed number may be used again before."""
        brings = self.name in WAITS or self.name in READS or self.name.startswith('accept')
        return self.end if brings else self.begin

    @property
    def fd(self):
        return int(re.match(r'-?\d+', self.text).group())

    @property
    def bytes(self):
        pattern = r'iov_base="((?:\\x..)*)"' if 'iov_base' in self.text else r'"((?:\\x..)*)"'
        found = re.findall(pattern, self.text)
        found = found if 'iov_base' in self.text else found[:1]
        data = b''.join(bytes.fromhex(text.replace('\\x', '')) for text in found)[:max(self.result, 0)]
        if len(data) != max(self.result, 0):
            raise ValueError(f'cut: {self.text[:80]}')
        return data


def calls(lines):
    under_way = {}
    for number, line in enumerate(lines):
        match = LINE.match(line)
        if not match:
            continue
        thread, resumed, name, text = match.groups()
        if resumed:
            call = under_way.pop(thread)
        else:
            call = Call(thread, name, '', number)
        if text.endswith('<unfinished ...>'):
            call.text += text.removesuffix('<unfinished ...>')
            under_way[thread] = call
        elif RESULT.search(text):  # else the process ended in it
            call.finish(text, number)
            yield call


class Messages:
    """One direction of a connection. feed() says per message that it touches: its head if that has become
    whole by this, whether there were bytes of it after its head, and whether it ended."""

    def __init__(self):
        self.head, self.left = b'', None

    def feed(self, data):
        while data:
            first, body = None, False
            if self.left is None:
                self.head += data
                if b'\r\n\r\n' not in self.head:
                    return
                head, _, data = self.head.partition(b'\r\n\r\n')
                self.head = b''
                if b'transfer-encoding' in head.lower():
                    raise ValueError(head)
                length = re.search(rb'(?i)\r\ncontent-length: *(\d+)', head)
                self.left = int(length.group(1)) if length else 0
                first = head.split(b'\r\n')[0].decode('ascii').split(' ')
            taken = min(self.left, len(data))
            body = taken > 0
            data, self.left = data[taken:], self.left - taken
            ended = self.left == 0
            if ended:
                self.left = None
            yield first, body, ended


class Server:
    def __init__(self, front, back):
        self.front, self.back = f'htons({front})', f'htons({back})'
        self.roles = {}  # fd -> 'server' or 'client'
        self.streams = {}
        self.events = []  # (thread, text)

    def tell(self, call, text):
        self.events.append((call.thread, text))

    def opened(self, fd, role):
        self.roles[fd] = role
        self.streams[fd] = {'in': Messages(), 'out': Messages()}

    def see(self, call):
        if call.name in WAITS:
            self.tell(call, 'wait')
        elif call.name in ('accept', 'accept4') and call.result >= 0:
            self.opened(call.result, 'server')
            self.tell(call, f'accept {call.result}')
        elif call.name == 'connect' and self.back in call.text:
            if call.fd not in self.roles:
                self.opened(call.fd, 'client')
                self.tell(call, f'connect {call.fd}')
        elif call.name == 'close' and self.roles.pop(call.fd, None):
            self.tell(call, f'close {call.fd}')
        elif call.name in BLIND and any(int(n) in self.roles for n in re.findall(r'\d+', call.text)[:2]):
            raise ValueError(f'{call.name} is not understood')
        elif call.fd in self.roles and call.result > 0:
            if call.name in READS:
                self.transferred(call, 'in')
            elif call.name in WRITES:
                self.transferred(call, 'out')

    def transferred(self, call, way):
        role = self.roles[call.fd]
        requests = (role == 'server') == (way == 'in')
        words = {('server', 'in'): 'in body', ('client', 'out'): 'out push',
                 ('client', 'in'): 'back back', ('server', 'out'): 'reply reply'}[role, way].split()
        for first, body, ended in self.streams[call.fd][way].feed(call.bytes):
            if requests and first:
                self.tell(call, f'{words[0]} {call.fd} {first[0]} {first[1]}')
                body = False
            elif requests and body:
                self.tell(call, f'{words[1]} {call.fd}')
            elif not requests:
                self.tell(call, f'{words[0]} {call.fd}' + (' end' if ended else ''))


def convert(lines, front, back):
    server = Server(front, back)
    for call in sorted(calls(lines), key=lambda call: call.order):
        server.see(call)
    names, last, told = {}, {}, []
    for thread, text in server.events:
        if text == 'wait' and last.get(thread) in ('wait', None):
            continue
        last[thread] = text
        told.append(f'{names.setdefault(thread, len(names) + 1)} {text}')
    return told
