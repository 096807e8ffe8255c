# SPDX-License-Identifier: Apache-2.0
"""
The two ends between which a server is recorded: clients whose requests overlap, each request with a
target of its own and no context header, and a backend that answers late and out of order.
"""
import asyncio
import random


async def read_head(reader):
    head = (await reader.readuntil(b'\r\n\r\n')).lower()
    at = head.find(b'content-length:')
    return head, int(head[at + 15:].split(b'\r', 1)[0]) if at >= 0 else 0


class Backend:
    def __init__(self, chance):
        self.chance = chance
        self.seen = []

    async def serve(self, reader, writer):
        try:
            while await self.answer(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()

    async def answer(self, reader, writer):
        head, length = await read_head(reader)
        await reader.readexactly(length)
        self.seen.append(head.split(b' ')[1])
        await asyncio.sleep(self.chance.random() * 0.03)
        body = b'x' * self.chance.choice((2, 2, 300))
        last = self.chance.random() < 0.05 or b'connection: close' in head or b'http/1.0\r' in head
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n'
                     % (len(body), b'Connection: close\r\n' if last else b''))
        if self.chance.random() < 0.3:  # the body comes in a later read
            await writer.drain()
            await asyncio.sleep(0.004)
        writer.write(body)
        await writer.drain()
        return not last


class Clients:
    def __init__(self, chance, port, count):
        self.chance, self.port = chance, port
        self.left = iter(range(count))
        self.answered = 0

    async def run(self):
        reader = writer = None
        for number in self.left:
            if not writer or self.chance.random() < 0.1:
                if writer:
                    writer.close()
                reader, writer = await asyncio.open_connection('127.0.0.1', self.port)
            if not await self.ask(number, reader, writer):
                writer.close()
                writer = None
        if writer:
            writer.close()

    async def ask(self, number, reader, writer):
        body = b'y' * 40 if self.chance.random() < 0.2 else b''
        length = b'Content-Length: %d\r\n' % len(body) if body else b''
        writer.write(b'%s /r%d HTTP/1.1\r\nHost: a\r\n%s\r\n' % (b'POST' if body else b'GET', number, length))
        if body:
            await writer.drain()
            await asyncio.sleep(0.004)
            writer.write(body)
        head, length = await read_head(reader)
        await reader.readexactly(length)
        if b' 200 ' not in head:
            raise RuntimeError(head)
        self.answered += 1
        if self.chance.random() < 0.3:
            await asyncio.sleep(self.chance.random() * 0.02)
        return b'connection: close' not in head


async def until_listening(port):
    for _ in range(600):
        try:
            _, writer = await asyncio.open_connection('127.0.0.1', port)
            writer.close()
            return
        except OSError:
            await asyncio.sleep(0.05)
    raise RuntimeError(f'nobody listens on {port}')


async def drive(front, back, start, requests, at_once):
    """start() runs the server once the backend listens. Returns how many requests were answered."""
    chance = random.Random(1)
    backend = Backend(chance)
    listener = await asyncio.start_server(backend.serve, '127.0.0.1', back, backlog=256)
    start()
    await until_listening(front)
    clients = Clients(chance, front, requests)
    await asyncio.wait_for(asyncio.gather(*(clients.run() for _ in range(at_once))), 120)
    listener.close()
    assert len(set(backend.seen)) == clients.answered == requests, (len(backend.seen), clients.answered)
