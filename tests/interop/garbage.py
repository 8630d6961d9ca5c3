# SPDX-License-Identifier: MIT
"""Sends garbage and mutated frames while a healthy client is served.

    garbage.py [--server moonkeeper|apache] [--megabytes 32] [--seed N]

Four kinds of connections take turns: random bytes without a handshake; mutated handshakes; valid
requests with flipped bits, wrong lengths and cut ends after a good handshake; and floods of reads
whose replies nobody reads. The process must live, answer a healthy client all the time (the
longest wait is printed), and its resident memory must stay flat after the first quarter.
"""
import argparse
import random
import socket
import sys
import threading
import time

import harness
import raw

MEGABYTE = 1 << 20
PATHS = ["/g", "/g/a", "/g/b", "/g/c"]


class Healthy(threading.Thread):
    """Writes and reads twenty times a second and remembers the worst wait and what went wrong."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.connection = raw.connect(port)
        self.connection.call(raw.AUTH, raw.auth("digest", b"healthy:client"), raw.XID_AUTH)
        acl = [(31, "auth", "")]
        self.connection.call(raw.CREATE, raw.create("/healthy", b"0", acl))
        self.stopping = threading.Event()
        self.calls = 0
        self.slowest = 0.0
        self.problem = None

    def run(self):
        try:
            while not self.stopping.wait(0.05) and not self.problem:
                began = time.monotonic()
                value = b"%d" % self.calls
                err, _ = self.connection.call(raw.SET_DATA, raw.set_data("/healthy", value))
                if err:
                    self.problem = "set answered %r" % (err,)
                err, record = self.connection.call(raw.GET_DATA, raw.path_watch("/healthy"))
                if err or record[0] != value:
                    self.problem = "get answered %r %r" % (err, record)
                self.slowest = max(self.slowest, time.monotonic() - began)
                self.calls += 1
        except OSError as error:
            self.problem = "connection: %s" % error


class Attacker:
    def __init__(self, server, seed):
        self.port = server.port
        self.chance = random.Random(seed)
        self.sent = 0
        self.connections = 0
        # createTTL and quota nodes stay out: both can kill Apache 3.8, which this runs on too.
        path = self.chance.choice
        self.valid = []
        for _ in range(40):
            self.valid += [
                (raw.CREATE, raw.create(path(PATHS), b"x" * self.chance.randrange(60))),
                (raw.CREATE2, raw.create(path(PATHS), b"")),
                (raw.CREATE_CONTAINER, raw.create(path(PATHS), b"", flags=4)),
                (raw.DELETE, raw.path_version(path(PATHS))),
                (raw.SET_DATA, raw.set_data(path(PATHS), b"y" * self.chance.randrange(60))),
                (raw.GET_DATA, raw.path_watch(path(PATHS), 1)),
                (raw.EXISTS, raw.path_watch(path(PATHS), 1)),
                (raw.GET_CHILDREN2, raw.path_watch(path(PATHS), 1)),
                (raw.GET_ACL, raw.buffer(path(PATHS))), (raw.SYNC, raw.buffer(path(PATHS))),
                (raw.SET_ACL, raw.set_acl(path(PATHS), raw.OPEN_ACL)),
                (raw.MULTI, raw.multi([
                    (raw.CREATE, raw.create(path(PATHS), b"")),
                    (raw.SET_DATA, raw.set_data(path(PATHS), b"z")),
                    (raw.CHECK, raw.path_version(path(PATHS), 1)),
                    (raw.DELETE, raw.path_version(path(PATHS)))])),
                (raw.MULTI_READ, raw.multi([(raw.GET_DATA, raw.path_watch(path(PATHS)))] * 3)),
                (raw.SET_WATCHES2, raw.set_watches(0, [path(PATHS)], [path(PATHS)],
                                                   [path(PATHS)], [path(PATHS)], [path(PATHS)])),
                (raw.ADD_WATCH, raw.buffer(path(PATHS)) + raw.integer(self.chance.randrange(2))),
                (raw.REMOVE_WATCHES, raw.buffer(path(PATHS)) + raw.integer(3)),
                (raw.CHECK_WATCHES, raw.buffer(path(PATHS)) + raw.integer(3)),
                (raw.RECONFIG, raw.reconfig("server.1=h:1:2;3", None, None, -1)),
                (raw.AUTH, raw.auth("digest", b"a:b")), (raw.SASL, raw.buffer(b"token")),
                (raw.WHO_AM_I, b""), (raw.PING, b""),
                (raw.GET_EPHEMERALS, raw.buffer("/")),
                (raw.GET_ALL_CHILDREN_NUMBER, raw.buffer("/g")),
            ]

    def open(self):
        self.connections += 1
        connection = socket.create_connection(("127.0.0.1", self.port), 10)
        connection.settimeout(5)
        return connection

    def send(self, connection, data):
        """Sends without ever waiting for the reader of a full socket; counts what left."""
        try:
            connection.settimeout(0.5)
            connection.sendall(data)
            self.sent += len(data)
            return True
        except OSError:
            self.sent += len(data) // 2
            return False

    def swallow(self, connection):
        """Reads what is there."""
        try:
            connection.settimeout(0.002)
            while True:
                if not connection.recv(1 << 18):
                    return False
        except socket.timeout:
            return True
        except OSError:
            return False

    def random_bytes(self):
        with self.open() as connection:
            size = self.chance.choice([1, 3, 4, 5, 44, 45, 100, 5000, 200000])
            data = self.chance.randbytes(size)
            if self.chance.random() < 0.5:      # a plausible length in front
                data = raw.integer(self.chance.choice([0, 8, 44, 45, size, size + 1, 0xfffff])) \
                    + data
            self.send(connection, data)
            self.swallow(connection)

    def mutate(self, data):
        data = bytearray(data)
        kind = self.chance.random()
        if kind < 0.6:
            for _ in range(self.chance.choice([1, 1, 2, 5])):
                if data:
                    data[self.chance.randrange(len(data))] ^= 1 << self.chance.randrange(8)
        elif kind < 0.8:
            data = data[:self.chance.randrange(len(data) + 1)]
        elif kind < 0.9:
            data += self.chance.randbytes(self.chance.choice([1, 4, 100, 3000]))
        else:
            at = self.chance.randrange(max(1, len(data) - 4))
            value = self.chance.choice([-1, -2, 0, 2**31 - 1, -2**31, 0x100000])
            data[at:at + 4] = raw.integer(value)
        return bytes(data)

    def handshakes(self):
        with self.open() as connection:
            request = raw.connect_request(
                session=self.chance.choice([0, 0, 1, -1, 2**63 - 1]), timeout_ms=4000,
                password=self.chance.choice([b"\0" * 16, None, b"", b"x" * 1000]))
            request = self.mutate(request)
            self.send(connection, raw.integer(len(request)) + request)
            self.swallow(connection)

    def frame(self):
        opcode, body = self.chance.choice(self.valid)
        frame = raw.integer(self.chance.randrange(1 << 20)) + raw.integer(opcode) + body
        if self.chance.random() < 0.6:
            head, body = frame[:8], self.mutate(frame[8:])
            frame = head + body
        elif self.chance.random() < 0.02:
            frame = self.mutate(frame)
        length = len(frame)
        if self.chance.random() < 0.002:
            length = self.chance.choice([-1, 0, 4, 0x100000, 2**31 - 1, length + 1, length - 1])
        return raw.integer(length) + frame

    def requests(self):
        with self.open() as connection:
            request = raw.connect_request(timeout_ms=4000)
            self.send(connection, raw.integer(len(request)) + request)
            for _ in range(self.chance.choice([1, 5, 20])):
                block = b"".join(self.frame() for _ in range(200))
                if not self.send(connection, block) or not self.swallow(connection):
                    return

    def flood(self):
        """Asks for much and reads nothing; then goes away."""
        with self.open() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            request = raw.connect_request(timeout_ms=4000)
            self.send(connection, raw.integer(len(request)) + request)
            frame = raw.integer(1) + raw.integer(raw.GET_CHILDREN2) + raw.path_watch("/")
            block = (raw.integer(len(frame)) + frame) * 2000
            for _ in range(8):
                if not self.send(connection, block):
                    return

    def turn(self):
        kind = self.chance.random()
        if kind < 0.35:
            self.random_bytes()
        elif kind < 0.5:
            self.handshakes()
        elif kind < 0.98:
            self.requests()
        else:
            self.flood()


def run(tap, server, options):
    for path in PATHS:
        connection = raw.connect(server.port)
        connection.call(raw.CREATE, raw.create(path, b""))
        connection.close_session()
    healthy = Healthy(server.port)
    healthy.start()
    attacker = Attacker(server, options.seed)
    goal, quarter = options.megabytes * MEGABYTE, None
    began = time.monotonic()
    problem = None
    try:
        while attacker.sent < goal and server.alive() and not healthy.problem:
            attacker.turn()
            if quarter is None and attacker.sent >= goal / 4:
                quarter = server.resident_kib()
    except OSError as error:
        problem = "no new connection: %s" % error
    tap.ok(not problem and server.alive(), "%d MB of garbage on %d connections in %.0f s: the "
           "server lives" % (attacker.sent / MEGABYTE, attacker.connections,
                             time.monotonic() - began), problem or server.log_tail())
    time.sleep(0.3)
    healthy.stopping.set()
    healthy.join(20)
    tap.ok(not healthy.problem and healthy.calls > 0, "a healthy client made %d calls meanwhile; "
           "the slowest took %.0f ms" % (healthy.calls, healthy.slowest * 1000), healthy.problem)
    if not server.alive():
        return
    tap.ok(healthy.slowest < options.slowest, "no call took more than %.1f s" % options.slowest,
           healthy.slowest)
    after = server.resident_kib()
    grown = after - (quarter or after)
    flat = grown < max(16 * 1024, (quarter or 0) // 4)
    name = "resident memory: %d KiB after a quarter, %d KiB at the end" % (quarter or 0, after)
    if server.flavour == "apache":
        tap.skip(name, "a Java heap says little")
    else:
        tap.ok(flat, name, "grew by %d KiB" % grown)
    tap.ok("imok" in harness.four_letter_word(server.port, "ruok"), "ruok answers imok")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--server", choices=harness.KINDS, default="moonkeeper")
    parser.add_argument("--megabytes", type=int, default=32)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--slowest", type=float, default=2.0,
                        help="seconds that a call of the healthy client may take")
    options = parser.parse_args()
    tap = harness.Tap()
    reason = harness.missing(options.server)
    if reason:
        tap.skip("garbage", reason)
        return tap.done()
    server = harness.KINDS[options.server]()
    return harness.run_on(tap, "the garbage test", server,
                          lambda tap, server: run(tap, server, options))


if __name__ == "__main__":
    sys.exit(main())
