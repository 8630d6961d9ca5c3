# SPDX-License-Identifier: MIT
"""A TCP proxy between the members of an ensemble, and before their client ports, with faults.

For each ordered pair of members (dialler, dialled) it listens on a quorum and an election port;
each member's own configuration names those as the addresses of the others (ground.py). A member
says its real election address when it connects for an election, and is dialled back there; the
proxy puts the pair's own address in its place.

What passes from one member to another in one direction is a Way. The test sets its faults while
connections live; both directions of a pair, whoever dialled, have one Way each. All runs in the
loop of recorder.Loop; other threads use Loop.call.
"""
import asyncio
import random
import socket
import struct

import paths  # noqa: F401

CHUNK = 65536
BUFFER = 1 << 18  # bytes that a slow link holds, as a network would
PIECES = 200      # bytes of one read that pass one at a time


class Way:
    """Faults of one direction. Set them freely; they act on what comes next.

    stalled    nothing passes, nothing is lost: it comes later, as TCP brings it
    lossy      what comes is thrown away (for ever: end such connections when it ends)
    delay      seconds that each byte is late
    rate       bytes per second, None: no limit
    pieces     bytes pass one at a time (the first of each read)
    cut_after  the connection is cut when that many more bytes have passed, anywhere in a frame
    """

    def __init__(self):
        self.clear()

    def clear(self):
        self.stalled = self.lossy = self.pieces = False
        self.delay, self.rate, self.cut_after = 0, None, None
        self.free = getattr(self, "free", None) or asyncio.Event()
        self.free.set()

    def stall(self, stalled=True):
        self.stalled = stalled
        if stalled:
            self.free.clear()
        else:
            self.free.set()


def reset(writer):
    """RST instead of FIN: the other side sees an error, and what is under way is lost."""
    connection = writer.get_extra_info("socket")
    if connection is not None and connection.fileno() >= 0:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class Proxy:
    def __init__(self, loop):
        self.loop = loop
        self.ways = {}      # (from, to): Way
        self.servers = []
        self.pairs = {}     # frozenset of two ends: set of (writer, writer)
        self.refusing = set()
        self.bytes = 0

    def way(self, source, target):
        if (source, target) not in self.ways:
            self.ways[source, target] = Way()
        return self.ways[source, target]

    async def listen(self, dialler, dialled, port, own_port, hello_port=None):
        """Listens on own_port for `dialler`, and connects to `dialled` at port. With hello_port
        the address in an election's first message becomes that port."""
        self.way(dialler, dialled)
        self.way(dialled, dialler)

        async def accepted(reader, writer):
            await self.serve(dialler, dialled, port, hello_port, reader, writer)
        self.servers.append(await asyncio.start_server(accepted, "127.0.0.1", own_port))

    async def serve(self, dialler, dialled, port, hello_port, reader, writer):
        pair = frozenset((dialler, dialled))
        if pair in self.refusing:
            reset(writer)
            return
        try:
            await self.way(dialler, dialled).free.wait()   # a dial needs both directions
            await self.way(dialled, dialler).free.wait()
            there_reader, there = await asyncio.open_connection("127.0.0.1", port)
        except (OSError, asyncio.CancelledError):
            reset(writer)
            return
        for one in (writer, there):
            one.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        both = (writer, there)
        self.pairs.setdefault(pair, set()).add(both)
        ways = (self.way(dialler, dialled), self.way(dialled, dialler))
        halves = []
        try:
            if hello_port:
                there.write(await self.hello(reader, hello_port))
            halves = [asyncio.ensure_future(self.carry(ways[0], reader, there)),
                      asyncio.ensure_future(self.carry(ways[1], there_reader, writer))]
            await asyncio.wait(halves, return_when=asyncio.FIRST_COMPLETED)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.pairs[pair].discard(both)
            for half in halves:
                half.cancel()
            rough = any(way.cut_after == 0 for way in ways)
            for way in ways:
                way.cut_after = way.cut_after or None
            for one in both:
                if rough:
                    reset(one)
                else:
                    one.close()

    @staticmethod
    async def hello(reader, port):
        """The first message of an election connection with another port in its address."""
        head = await reader.readexactly(20)
        address = await reader.readexactly(struct.unpack(">i", head[16:])[0])
        told = address.rsplit(b":", 1)[0] + b":%d" % port
        return head[:16] + struct.pack(">i", len(told)) + told

    async def carry(self, way, reader, writer):
        """One direction of one connection, until it ends."""
        queue, held = asyncio.Queue(), [0]
        feeder = asyncio.ensure_future(self.feed(way, reader, queue, held))
        loop = asyncio.get_running_loop()
        try:
            while True:
                due, data = await queue.get()
                if due > loop.time():
                    await asyncio.sleep(due - loop.time())
                await way.free.wait()
                if not data:
                    return
                held[0] -= len(data)
                if not way.lossy and not await self.pass_on(way, data, writer):
                    return
        except OSError:
            pass
        finally:
            feeder.cancel()

    async def feed(self, way, reader, queue, held):
        loop = asyncio.get_running_loop()
        while True:
            await way.free.wait()
            while held[0] > BUFFER:
                await asyncio.sleep(0.005)
            try:
                data = await reader.read(CHUNK)
            except OSError:
                data = b""
            self.bytes += len(data)
            held[0] += len(data)
            queue.put_nowait((loop.time() + way.delay, data))
            if not data:
                return

    async def pass_on(self, way, data, writer):
        """False: this was the end of the connection."""
        if way.cut_after is not None and len(data) >= way.cut_after:
            writer.write(data[:way.cut_after])
            way.cut_after = 0
            return False
        if way.cut_after is not None:
            way.cut_after -= len(data)
        if way.pieces:
            for at in range(min(len(data), PIECES)):
                writer.write(data[at:at + 1])
                await asyncio.sleep(0)
            data = data[PIECES:]
        step = max(1, way.rate // 50) if way.rate else len(data)
        for at in range(0, len(data), step or 1):
            writer.write(data[at:at + step])
            await writer.drain()
            if way.rate:
                await asyncio.sleep(step / way.rate)
        return True

    # ---- called in the loop's thread (Loop.call) --------------------------------------------

    def cut(self, one, two, rough=True):
        """Ends the connections between two ends; rough: with RST. Returns how many."""
        links = list(self.pairs.get(frozenset((one, two)), ()))
        for both in links:
            for writer in both:
                reset(writer) if rough else writer.close()
        return len(links)

    def cut_within(self, source, target):
        """The next frame from source to target is cut somewhere inside."""
        self.way(source, target).cut_after = random.randint(1, 40)

    def refuse(self, one, two, refused=True):
        """New connections are refused."""
        (self.refusing.add if refused else self.refusing.discard)(frozenset((one, two)))

    def part(self, one, two, both=True):
        """Nothing passes from one to two (and back); connections stay open, half dead."""
        self.way(one, two).stall()
        if both:
            self.way(two, one).stall()

    def lose(self, source, target):
        """What source sends to target is lost: target's side believes in a silent source."""
        self.way(source, target).lossy = True

    def heal(self):
        """No faults; connections that lost bytes are ended, stalled ones go on."""
        for (source, target), way in self.ways.items():
            if way.lossy or way.cut_after is not None:
                self.cut(source, target)
            way.clear()
        self.refusing.clear()

    async def close(self):
        for server in self.servers:
            server.close()
        for pair in list(self.pairs):
            self.cut(*pair)
