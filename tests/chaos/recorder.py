# SPDX-License-Identifier: MIT
"""Sessions that keep an ensemble busy and write down all that they see (history.py).

One thread with one event loop serves all sessions (and the proxy, if there is one). Each session
keeps a few requests under way, reconnects to any member when its connection ends, and never
sends anything again: what was not answered stays open, and checker.py finds in the logs whether
it took effect.
"""
import asyncio
import random
import struct
import threading
import time

import history
import paths  # noqa: F401
import raw

ACCOUNTS = ["/bank/%d" % number for number in range(6)]
ACCOUNT_BEGIN = 100
KEYS = ["/k/%d" % number for number in range(12)]
EPHEMERALS_MAX = 4
OPERATIONS_MAX = 60000  # of one run: a bound for memory and for the checker
ANSWER_SECONDS = 12     # then a client gives the connection up
now_ns = time.monotonic_ns


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def run(self, coroutine, seconds=60):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(seconds)

    def call(self, function, *arguments):
        """In the loop's thread; waits for the result."""
        async def inside():
            return function(*arguments)
        return self.run(inside())

    def stop(self):
        async def cancel():
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        self.run(cancel())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)


ENCODE = {
    raw.CREATE: lambda args: raw.create(args[0], args[1], flags=args[2]),
    raw.CREATE2: lambda args: raw.create(args[0], args[1], flags=args[2]),
    raw.DELETE: lambda args: raw.path_version(*args),
    raw.SET_DATA: lambda args: raw.set_data(*args),
    raw.GET_DATA: lambda args: raw.path_watch(args[0]),
    raw.EXISTS: lambda args: raw.path_watch(args[0]),
    raw.GET_CHILDREN: lambda args: raw.path_watch(args[0]),
    raw.SYNC: lambda args: raw.buffer(args[0]),
    raw.MULTI: lambda args: raw.multi([(opcode, ENCODE[opcode](part)) for opcode, part in args]),
    raw.MULTI_READ: lambda args: raw.multi([(raw.GET_DATA, raw.path_watch(path))
                                            for path in args]),
    raw.CLOSE_SESSION: lambda args: b"",
}


class Link(asyncio.Protocol):
    """One connection of a session."""

    def __init__(self, session, member):
        self.session, self.member = session, member
        self.number = session.connections
        self.input = bytearray()
        self.outstanding = []
        self.transport = None
        self.ready = asyncio.get_running_loop().create_future()
        self.closed = self.closing = False
        self.moved = asyncio.Event()

    def connection_made(self, transport):
        self.transport = transport
        session = self.session
        request = raw.connect_request(session.id, session.password, session.timeout_ms,
                                      session.last_zxid)
        transport.write(raw.integer(len(request)) + request)

    def data_received(self, data):
        self.input += data
        at = 0
        while len(self.input) - at >= 4:
            size = struct.unpack_from(">i", self.input, at)[0]
            if len(self.input) - at - 4 < size:
                break
            self.frame(bytes(self.input[at + 4:at + 4 + size]))
            at += 4 + size
        del self.input[:at]
        self.moved.set()

    def frame(self, frame):
        if not self.ready.done():
            reader = raw.Reader(frame)
            reader.integer()
            self.ready.set_result((reader.integer(), reader.long(), reader.buffer()))
            return
        xid, zxid, error = struct.unpack_from(">iqi", frame)
        if not self.outstanding or self.outstanding[0].xid != xid:
            self.session.history.complaints.append(
                "order: session 0x%x got xid %d, waited for %s" % (
                    self.session.id, xid, self.outstanding[:1]))
            self.transport.abort()
            return
        operation = self.outstanding.pop(0)
        operation.answer(now_ns(), error, zxid, frame[16:])
        self.session.seen(zxid, operation)

    def connection_lost(self, error):
        self.closed = True
        if not self.ready.done():
            self.ready.set_result(None)
        self.moved.set()

    def send(self, opcode, args):
        session = self.session
        session.xid += 1
        operation = history.Operation(session.id, self.number, session.xid, opcode, args,
                                      now_ns(), self.member)
        session.history.operations.append(operation)
        self.outstanding.append(operation)
        body = raw.integer(session.xid) + raw.integer(opcode) + ENCODE[opcode](args)
        if not self.transport.is_closing():
            self.transport.write(raw.integer(len(body)) + body)
        return operation


class Session:
    def __init__(self, recorder, number):
        self.recorder, self.history, self.number = recorder, recorder.history, number
        self.random = random.Random("%s/%d" % (recorder.seed, number))
        # A patient session goes on sending to a member that does not answer, so that a member that
        # was stopped or cut off finds requests of a later time. The others soon wait. Of those,
        # half survive any scenario and half expire when a fault lasts.
        patient = number % 4 == 0
        self.wanted_ms = 30000 if number % 2 or patient else 4000
        self.depth = 1000 if patient else self.random.choice((1, 4, 12))
        self.burst = 2 if patient else self.depth
        self.names = 0
        self.connections = 0
        self.link = None
        self.fresh()

    def fresh(self):
        self.id, self.password, self.xid, self.last_zxid = 0, b"\0" * 16, 0, 0
        self.timeout_ms = self.wanted_ms
        self.versions = {}
        self.mine = []      # made and not yet deleted
        self.ephemerals = 0
        self.balance = None

    def seen(self, zxid, operation):
        self.last_zxid = max(self.last_zxid, zxid)
        if operation.opcode in (raw.GET_DATA, raw.SET_DATA) and not operation.error:
            body = operation.body  # ends in a Stat of 68 bytes, the version at 32
            self.versions[operation.args[0]] = struct.unpack_from(">i", body, len(body) - 36)[0]

    async def live(self):
        while not self.recorder.ending:
            try:
                await self.connect()
            except (OSError, asyncio.TimeoutError):
                pass
            await asyncio.sleep(self.random.uniform(0.02, 0.15))

    async def connect(self):
        member, port = self.random.choice(self.recorder.targets)
        self.connections += 1
        loop = asyncio.get_running_loop()
        _, link = await asyncio.wait_for(loop.create_connection(
            lambda: Link(self, member), "127.0.0.1", port), 2)
        try:
            answer = await asyncio.wait_for(link.ready, 3)
            if answer is None:
                return
            if answer[0] == 0:
                self.history.expired[self.id] = now_ns()
                self.fresh()
                return
            _, self.id, self.password = answer
            self.history.timeouts[self.id] = answer[0]
            self.link = link
            await self.work(link)
        finally:
            self.link = None
            link.transport.abort()

    async def work(self, link):
        """Until the connection ends or somebody gives up."""
        recorder = self.recorder
        while not link.closed:
            oldest = link.outstanding[0].called if link.outstanding else now_ns()
            if now_ns() - oldest > ANSWER_SECONDS * 1e9:
                return
            if recorder.ending:
                if not link.closing:
                    link.send(raw.CLOSE_SESSION, ())
                    link.closing = True
                elif recorder.aborting:
                    return
            elif len(link.outstanding) < self.depth and \
                    len(self.history.operations) < OPERATIONS_MAX:
                for _ in range(self.random.randint(1, self.burst)):
                    self.act(link)
                await asyncio.sleep(self.random.uniform(0.5, 1.5) * recorder.pace * self.burst)
                continue
            link.moved.clear()
            try:
                await asyncio.wait_for(link.moved.wait(), 0.2)
            except asyncio.TimeoutError:
                pass

    # ---- requests ---------------------------------------------------------------------------

    def act(self, link):
        deed = self.random.choices(
            (self.make, self.sequential, self.set, self.get, self.unmake, self.transfer,
             self.audit, self.synced, self.overtaking, self.ephemeral, self.children,
             self.mixture),
            (14, 6, 20, 20, 6, 12, 4, 8, 5, 3, 2, 4))[0]
        deed(link)

    def unique(self):
        self.names += 1
        return "/c/%x-%d-%d" % (self.id, self.number, self.names)

    def make(self, link):
        path = self.unique()
        link.send(self.random.choice((raw.CREATE, raw.CREATE2)), (path, b"x" * (self.names % 60),
                                                                   0))
        self.mine.append(path)

    def sequential(self, link):
        link.send(raw.CREATE2, ("/q/n-", b"", 2))

    def set(self, link):
        """By version: the last that was seen, so that sessions compete; sometimes any."""
        path = self.random.choice(KEYS)
        version = self.versions.get(path, -1) if self.random.random() < 0.8 else -1
        link.send(raw.SET_DATA, (path, b"%d-%d" % (self.number, self.xid), version))
        if version >= 0:
            self.versions[path] = version + 1

    def get(self, link):
        link.send(self.random.choice((raw.GET_DATA, raw.GET_DATA, raw.EXISTS)),
                  (self.random.choice(KEYS + self.mine[-3:]),))

    def unmake(self, link):
        if self.mine:
            path = self.mine.pop(self.random.randrange(len(self.mine)))
            link.send(raw.DELETE, (path, self.random.choice((-1, 0, 0, 1))))

    def audit(self, link):
        """All accounts at one moment; what is seen serves the next transfers."""
        self.balance = link.send(raw.MULTI_READ, tuple(ACCOUNTS))

    def transfer(self, link):
        if self.balance is None or self.balance.returned is None:
            if self.balance is None or self.balance not in link.outstanding:
                self.audit(link)
            return
        parts = raw.decode_reply(raw.MULTI_READ, self.balance.body)
        self.balance = None
        one, two = self.random.sample(range(len(ACCOUNTS)), 2)
        amount = self.random.randint(1, 9)
        link.send(raw.MULTI, [
            (raw.SET_DATA, (ACCOUNTS[at], b"%d" % (int(parts[at][3][0]) + change),
                            parts[at][3][1].version))
            for at, change in ((one, amount), (two, -amount))])

    def synced(self, link):
        link.send(raw.SYNC, ("/",))
        link.send(raw.GET_DATA, (self.random.choice(KEYS),))

    def overtaking(self, link):
        """A write right behind syncs must not be answered before them."""
        for _ in range(self.random.randint(1, 3)):
            link.send(raw.SYNC, ("/",))
        self.set(link)

    def ephemeral(self, link):
        if self.ephemerals < EPHEMERALS_MAX:
            self.ephemerals += 1
            link.send(raw.CREATE, ("/e/%x-%d" % (self.id, self.ephemerals), b"", 1))

    def children(self, link):
        link.send(raw.GET_CHILDREN, ("/e",))

    def mixture(self, link):
        """A create and a delete as one; the delete may fail, and then nothing is made."""
        path = self.unique()
        gone = self.mine.pop() if self.mine else "/c/never"
        link.send(raw.MULTI, [(raw.CREATE, (path, b"m", 0)), (raw.DELETE, (gone, 0))])


class Recorder:
    """targets: [(member, port)]; pace: seconds between the requests of one session."""

    def __init__(self, loop, targets, sessions=14, seed=1, pace=0.012):
        self.loop, self.targets, self.seed, self.pace = loop, targets, seed, pace
        self.history = history.History()
        self.history.wall_offset = time.time_ns() - now_ns()
        self.ending = self.aborting = False
        self.sessions = [Session(self, number) for number in range(sessions)]

    def prepare(self):
        """The nodes that all sessions use."""
        connection = raw.connect(self.targets[0][1])
        for path, data in [("/c", b""), ("/q", b""), ("/e", b""), ("/k", b""), ("/bank", b"")] + [
                (key, b"0") for key in KEYS] + [
                (account, b"%d" % ACCOUNT_BEGIN) for account in ACCOUNTS]:
            error, _ = connection.call(raw.CREATE, raw.create(path, data))
            if error:
                raise RuntimeError("create %s: %s" % (path, error))
        connection.close_session()

    def start(self):
        async def begin():
            self.tasks = [asyncio.ensure_future(session.live()) for session in self.sessions]
        self.loop.run(begin())

    def answered(self):
        """How many writes succeeded so far (a rough figure: read from another thread)."""
        return sum(1 for operation in self.history.operations[-400:]
                   if operation.writes and operation.error == 0)

    def last_write(self):
        """When a write was last answered with success (monotonic s)."""
        return max((operation.returned for operation in self.history.operations[-4000:]
                    if operation.returned and operation.writes and not operation.error),
                   default=0) / 1e9

    def finish(self, seconds=5):
        """No new requests; waits for what is under way and closes the sessions that it can."""
        async def end():
            self.ending = True
            _, late = await asyncio.wait(self.tasks, timeout=seconds)
            self.aborting = True
            if late:
                _, late = await asyncio.wait(late, timeout=2)
            for task in late:
                task.cancel()
        self.loop.run(end())
        return self.history
