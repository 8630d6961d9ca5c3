# SPDX-License-Identifier: MIT
"""One greedy connection does not keep the others waiting.

    fair.py [--server moonkeeper|apache] [--seconds 3] [--children 240000] [--slowest 0.5]

An attacker (a process of its own) sends requests that are small and expensive as fast as they are
answered, deep in a pipeline: reads of 1 MB nodes, lists of huge nodes, lists of ephemerals that
match nothing, multiReads of 200 MB that are refused. Meanwhile a victim pings; its slowest ping
is compared generously, as other processes want the processor as well. Before a connection's share
of a turn was bounded, some of these attacks held the victim for more than a minute.
"""
import argparse
import select
import subprocess
import sys
import time

import harness
import raw

DATA_BYTES = 1000000
EPHEMERALS_PER_CHILD = 3          # as many ephemerals as a third of the children
PARTS_PER_MULTI = 2000


def pipelined(connection, frames, window=8):
    """Sends writes, some at a time, and checks their answers."""
    waiting = 0
    for opcode, body in frames:
        connection.request(opcode, body)
        waiting += 1
        while waiting >= window:
            waiting -= answered(connection)
    while waiting:
        waiting -= answered(connection)


def answered(connection):
    reply = connection.read(60)
    if not isinstance(reply, raw.Reply) or reply.err:
        raise RuntimeError("a write for the scene was answered %r" % (reply[:3],))
    return 1


def create_many(connection, path, count, flags=0):
    def frames():
        for begin in range(0, count, PARTS_PER_MULTI):
            yield raw.MULTI, raw.multi([
                (raw.CREATE, raw.create("%s%08d" % (path, i), b"", flags=flags))
                for i in range(begin, min(begin + PARTS_PER_MULTI, count))])
    pipelined(connection, frames())


def set_scene(port, children):
    connection = raw.connect(port)
    pipelined(connection, [(raw.CREATE, raw.create("/big", b"x" * DATA_BYTES)),
                           (raw.CREATE, raw.create("/many", b""))])
    create_many(connection, "/many/child-", children)
    connection.close_session()


BIG = (raw.GET_DATA, raw.path_watch("/big"))
LIST = (raw.GET_CHILDREN, raw.path_watch("/many"))
ATTACKS = {  # requests, and how many of them are sent at a time
    "reads": (BIG, 200),
    "lists": (LIST, 50),
    "ephemerals": ((raw.GET_EPHEMERALS, raw.buffer("/no-such-prefix")), 200),
    "multi-reads": ((raw.MULTI_READ, raw.multi([BIG] * 15)), 20),
    "refused multi-reads": ((raw.MULTI_READ, raw.multi([BIG] * 200)), 200),
    "multi-reads of lists": ((raw.MULTI_READ, raw.multi([LIST] * 3)), 20),
    "refused multi-reads of lists": ((raw.MULTI_READ, raw.multi([LIST] * 20)), 200),
    "watches": ((raw.SET_WATCHES, raw.set_watches(2**62, *[
        ["/w%05d" % i for i in range(20000)] if j == 1 else [] for j in range(3)])), 8),
    "writes": ((raw.MULTI, raw.multi([(raw.SET_DATA, raw.set_data("/many", b""))] * 20000)), 8),
}


def attack(port, name, children):
    """Runs in the attacker's process until it is ended. Prints the bytes received, now and then."""
    (opcode, body), depth = ATTACKS[name]
    connection = raw.connect(port)
    if name == "ephemerals":
        create_many(connection, "/e-", children // EPHEMERALS_PER_CHILD, flags=1)
    frame = raw.integer(1) + raw.integer(opcode) + body
    block = memoryview((raw.integer(len(frame)) + frame) * depth)
    connection.socket.setblocking(False)
    scratch, sent, received, told = bytearray(1 << 20), 0, 0, 0
    print("ready", flush=True)
    while True:
        readable, writable, _ = select.select([connection.socket], [connection.socket], [])
        try:
            if readable:
                count = connection.socket.recv_into(scratch)
                if count == 0:
                    return 1
                received += count
            if writable:
                sent = (sent + connection.socket.send(block[sent:])) % len(block)
        except BlockingIOError:
            pass
        except OSError:
            return 1
        if time.monotonic() - told > 0.2:
            told = time.monotonic()
            print(received, flush=True)


class Victim:
    def __init__(self, port):
        self.connection = raw.connect(port)
        self.waits = []

    def ping(self):
        began = time.monotonic()
        err, _ = self.connection.call(raw.PING, b"", raw.XID_PING, timeout=60)
        if err:
            raise RuntimeError("a ping was answered %r" % (err,))
        self.waits.append(time.monotonic() - began)

    def ping_for(self, seconds):
        self.waits = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.ping()
            time.sleep(0.002)
        self.waits.sort()

    def told(self):
        ms = [wait * 1000 for wait in self.waits]
        return "slowest of %d pings %.1f ms, 99%% within %.1f ms, half within %.2f ms" % (
            len(ms), ms[-1], ms[len(ms) * 99 // 100], ms[len(ms) // 2])


def run(tap, server, options):
    began = time.monotonic()
    set_scene(server.port, options.children)
    tap.note("scene with %d children in %.1f s" % (options.children, time.monotonic() - began))
    victim = Victim(server.port)
    victim.ping_for(min(options.seconds, 1))
    tap.note("nobody else: " + victim.told())
    for name in options.attack or ATTACKS:
        attacker = harness.start_process(
            [sys.executable, __file__, "--attacker", name, "--port", str(server.port),
             "--children", str(options.children)], stdout=subprocess.PIPE, text=True)
        if attacker.stdout.readline().strip() != "ready":
            tap.ok(False, "%s: the attacker is ready" % name)
            continue
        victim.ping_for(options.seconds)
        lives = attacker.poll() is None
        harness.end_process(attacker)
        got = [int(line) for line in attacker.stdout if line.strip().isdigit()]
        attacker.stdout.close()
        tap.ok(lives and got and got[-1] > 0, "%s: the attacker is served as well: %.1f MB" % (
            name, got[-1] / 1e6 if got else 0))
        tap.ok(victim.waits[-1] < options.slowest, "%s: %s" % (name, victim.told()),
               "more than %.0f ms" % (options.slowest * 1000))
    tap.ok(server.alive(), "the server lives", server.log_tail())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--server", choices=harness.KINDS, default="moonkeeper")
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--children", type=int, default=240000)
    parser.add_argument("--slowest", type=float, default=0.5,
                        help="seconds that a ping of the victim may take")
    parser.add_argument("--attack", action="append", choices=ATTACKS)
    parser.add_argument("--attacker", choices=ATTACKS, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.attacker:
        return attack(options.port, options.attacker, options.children)
    tap = harness.Tap()
    reason = harness.missing(options.server)
    if reason:
        tap.skip("fair", reason)
        return tap.done()
    if options.server == "apache" and not options.attack:
        tap.skip("fair", "Apache answers a ping after seconds, and ends at the multi-reads; "
                 "--attack runs one by itself")
        return tap.done()
    server = harness.KINDS[options.server]()
    return harness.run_on(tap, "the fairness test", server,
                          lambda tap, server: run(tap, server, options))


if __name__ == "__main__":
    sys.exit(main())
