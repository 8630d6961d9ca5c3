# SPDX-License-Identifier: MIT
"""One huge thing does not keep the others waiting.

    huge.py [--server moonkeeper|apache] [--seconds 2] [--size 1.0] [--slowest 0.5] [--deed NAME]

Where fair.py asks for much again and again, here one single thing is huge: a connection with a
million watches ends, a list of all watches is asked for, a session with 80,000 ephemerals is
closed, a multi has 20,000 parts. A process of its own does it while a victim pings without a
pause; the victim's slowest ping is how long the server did nothing else.
"""
import argparse
import socket
import subprocess
import sys
import time

import fair
import harness
import raw

WATCHES, EPHEMERALS, PARTS, CONNECTIONS = 1000000, 80000, 20000, 2000
PATHS_PER_REQUEST = 20000


def connect_with_watches(port, count):
    connection = raw.connect(port)
    for begin in range(0, count, PATHS_PER_REQUEST):
        paths = ["/watched/%07d" % i for i in range(begin, min(begin + PATHS_PER_REQUEST, count))]
        err, _ = connection.call(raw.SET_WATCHES, raw.set_watches(2**62, [], paths, []), timeout=60)
        if err:
            raise RuntimeError("setWatches was answered %r" % (err,))
    return connection


def end_of_watches(port, size):
    """A connection with very many watches ends."""
    connection = connect_with_watches(port, int(WATCHES * size))
    yield
    connection.close()
    yield 0


def end_of_session(port, size):
    """A session with very many ephemerals is closed."""
    connection = raw.connect(port)
    fair.create_many(connection, "/e-", int(EPHEMERALS * size), flags=1)
    yield
    connection.request(raw.CLOSE_SESSION)
    yield len(connection.read_frame(60))


def multi_of(kind):
    def multi(port, size):
        connection = raw.connect(port)
        count = int(PARTS * size * (0.7 if kind == "create" else 1))  # a frame has a limit
        paths = ["/multi-%05d" % i for i in range(count)]
        if kind == "delete":
            fair.create_many(connection, "/d-", count)
        body = raw.multi([
            (raw.CREATE, raw.create(path, b"x")) if kind == "create" else
            (raw.DELETE, raw.path_version("/d-%08d" % i)) if kind == "delete" else
            (raw.SET_DATA, raw.set_data("/", b"")) for i, path in enumerate(paths)])
        yield
        connection.request(raw.MULTI, body)
        yield len(connection.read_frame(60))
    return multi


def word(name):
    """A four-letter word that lists everything there is."""
    def ask(port, size):
        kept = [connect_with_watches(port, int(WATCHES * size / 5))]
        kept += [raw.connect(port) for _ in range(int(CONNECTIONS * size))]
        fair.create_many(kept[0], "/e-", int(EPHEMERALS * size), flags=1)
        yield
        with socket.create_connection(("127.0.0.1", port), 60) as connection:
            connection.sendall(name.encode())
            received = 0
            while chunk := connection.recv(1 << 18):
                received += len(chunk)
        yield received
        for connection in kept:
            connection.close_session()
    return ask


DEEDS = {
    "the end of a million watches": end_of_watches,
    "closeSession of 80,000 ephemerals": end_of_session,
    "a multi of 20,000 setData": multi_of("set"),
    "a multi of 14,000 creates": multi_of("create"),
    "a multi of 20,000 deletes": multi_of("delete"),
    "wchc": word("wchc"),
    "wchp": word("wchp"),
    "dump": word("dump"),
    "cons": word("cons"),
    "stat": word("stat"),
}


def do(port, name, size):
    """Runs in the doer's process: prepares, waits for a line, does it, tells the bytes received."""
    deed = DEEDS[name](port, size)
    next(deed)
    print("ready", flush=True)
    sys.stdin.readline()
    began = time.monotonic()
    received = next(deed)
    print("%d %.3f" % (received, time.monotonic() - began), flush=True)
    sys.stdin.readline()  # what was prepared goes when nobody measures
    for _ in deed:
        pass
    return 0


class Victim(fair.Victim):
    def ping_until(self, is_over):
        self.waits = []
        while not is_over():
            self.ping()
        self.waits.sort()


def run_deed(tap, server, victim, name, options):
    doer = harness.start_process(
        [sys.executable, __file__, "--do", name, "--port", str(server.port),
         "--size", str(options.size)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    if doer.stdout.readline().strip() != "ready":
        tap.ok(False, "%s: all is prepared" % name)
        return
    time.sleep(0.3)  # what the preparing left behind
    begins, ends = time.monotonic() + 0.1, time.monotonic() + options.seconds
    told = []

    def is_over():
        if not told and time.monotonic() > begins:
            doer.stdin.write("\n")
            doer.stdin.flush()
            told.append(True)
        return time.monotonic() > ends

    victim.ping_until(is_over)
    answer = doer.stdout.readline().split()
    doer.stdin.close()
    doer.wait(60)
    doer.stdout.close()
    tap.ok(len(answer) == 2, "%s: it is done: %s bytes after %s s" % (
        name, *(answer if len(answer) == 2 else ("no", "?"))))
    tap.ok(victim.waits[-1] < options.slowest, "%s: %s" % (name, victim.told()),
           "more than %.0f ms" % (options.slowest * 1000))


def run(tap, server, options):
    victim = Victim(server.port)
    end = time.monotonic() + 1
    victim.ping_until(lambda: time.monotonic() > end)
    tap.note("nobody else: " + victim.told())
    for name in options.deed or DEEDS:
        run_deed(tap, server, victim, name, options)
    tap.ok(server.alive(), "the server lives", server.log_tail())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--server", choices=harness.KINDS, default="moonkeeper")
    parser.add_argument("--seconds", type=float, default=2, help="that the victim pings")
    parser.add_argument("--size", type=float, default=1.0, help="how huge")
    parser.add_argument("--slowest", type=float, default=0.5,
                        help="seconds that a ping of the victim may take")
    parser.add_argument("--deed", action="append", choices=DEEDS)
    parser.add_argument("--do", choices=DEEDS, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.do:
        return do(options.port, options.do, options.size)
    tap = harness.Tap()
    reason = harness.missing(options.server)
    if reason:
        tap.skip("huge", reason)
        return tap.done()
    server = harness.KINDS[options.server](
        properties={"jute.maxbuffer": 4 << 20} if options.server == "apache" else None)
    return harness.run_on(tap, "the test of huge things", server,
                          lambda tap, server: run(tap, server, options))


if __name__ == "__main__":
    sys.exit(main())
