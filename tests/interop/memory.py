# SPDX-License-Identifier: MIT
"""However much clients make the server keep, its memory stays within what the options say.

    memory.py [--server moonkeeper] [--megabytes 1200] [--attack NAME]

With the default limits (512 MiB for what connections hold, 512 MiB for watches, 128 MiB for those
of one connection) clients try to make it keep 1,200 MB: events that nobody reads, answers that
nobody reads, beginnings of requests, watches on paths of 1 MB. The peak of the resident memory is
read from the kernel. A healthy client is served all the time, and nothing is kept for attackers
that have gone.
"""
import argparse
import socket
import sys
import threading
import time

import garbage
import harness
import raw

MIB = 1 << 20
BUFFERS_TOTAL = 512 * MIB
WATCHES_TOTAL, WATCHES_OWN = 512 * MIB, 128 * MIB
SLACK = 160 * MIB               # the server itself, and what malloc keeps back
BIG = 1000000
LONG_PATH = "/" + "p" * 16000
REFUSED, NO_NODE = -8, -101


def status_kib(server, name):
    with open("/proc/%d/status" % server.process.pid) as status:
        for line in status:
            if line.startswith(name + ":"):
                return int(line.split()[1])
    return 0


def forget_peak(server):
    with open("/proc/%d/clear_refs" % server.process.pid, "w") as refs:
        refs.write("5")


def is_sanitized(server):
    with open("/proc/%d/maps" % server.process.pid) as maps:
        return "asan" in maps.read()


def in_threads(work, count, threads=8):
    """work(number) for each number below count; returns the results."""
    results = [None] * count

    def run(first):
        for number in range(first, count, threads):
            try:
                results[number] = work(number)
            except (OSError, ConnectionError) as error:
                results[number] = error
    running = [threading.Thread(target=run, args=(i,)) for i in range(min(threads, count))]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return results


def deaf_connection(port):
    """With a session; the kernel takes little for it."""
    connection = raw.Connection(port)
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    if not isinstance(connection.handshake(timeout_ms=30000), tuple):
        raise ConnectionError("no handshake")
    return connection


def unread_events(port, size):
    """Few changes of a node with a long name are told to many who do not listen."""
    watchers = []
    for _ in range(60):
        watchers.append(deaf_connection(port))
        watchers[-1].call(raw.ADD_WATCH, raw.buffer(LONG_PATH) + raw.integer(0))
    writer = raw.connect(port)
    parts = [(raw.SET_DATA, raw.set_data(LONG_PATH, b""))] * 50
    changes = size // (60 * len(LONG_PATH))
    for _ in range(changes // len(parts)):
        err, _ = writer.call(raw.MULTI, raw.multi(parts), timeout=30)
        if err:
            raise RuntimeError("the writer got %r" % (err,))
    return watchers + [writer]


def unread_answers(port, size):
    """Each asks for 15 MB and reads nothing."""
    part = (raw.GET_DATA, raw.path_watch("/big"))

    def work(_):
        connection = deaf_connection(port)
        connection.request(raw.MULTI_READ, raw.multi([part] * 15))
        return connection
    return in_threads(work, size // (15 * BIG))


def beginnings(port, size):
    """Each sends a request of 1 MB without its end."""
    beginning = raw.integer(BIG) + b"x" * (BIG - 1)

    def work(_):
        connection = raw.connect(port, timeout_ms=30000)
        connection.send_bytes(beginning)
        return connection
    return in_threads(work, size // BIG)


def watches(port, size):
    """Each watches 200 paths of 1 MB; the answers are counted."""
    name = "n" * (BIG - 100)

    def work(number):
        connection = raw.connect(port, timeout_ms=30000)
        connection.answers = []
        for i in range(200):
            body = raw.path_watch("/%d-%d-%s" % (number, i, name), 1)
            connection.answers.append(connection.call(raw.EXISTS, body, timeout=30)[0])
        return connection
    return in_threads(work, size // (200 * BIG), threads=2)


def check_watches(tap, connections):
    set_of = [connection.answers.count(NO_NODE) for connection in connections]
    others = {err for connection in connections for err in connection.answers}
    tap.ok(others <= {NO_NODE, REFUSED}, "a watch is set or refused with -8", others)
    tap.ok(all(count <= WATCHES_OWN // (BIG - 100) for count in set_of)
           and 500 < sum(set_of) <= WATCHES_TOTAL // (BIG - 100),
           "watches set by each of %d connections: %s" % (len(set_of), set_of))


ATTACKS = {
    "events": (unread_events, BUFFERS_TOTAL),
    "answers": (unread_answers, BUFFERS_TOTAL),
    "beginnings": (beginnings, BUFFERS_TOTAL),
    "watches": (watches, WATCHES_TOTAL),
}


def kept(server):
    """Bytes, as the server counts them."""
    figures = dict(line.split("\t") for line in
                   harness.four_letter_word(server.port, "mntr").splitlines())
    return sum(int(figures.get(name, 0)) for name in ("zk_buffer_bytes", "zk_watch_memory_bytes"))


def wait_for(condition, seconds=8):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


def attack(tap, server, name, size):
    work, limit = ATTACKS[name]
    forget_peak(server)
    before = status_kib(server, "VmRSS")
    began = time.monotonic()
    connections = work(server.port, size)
    peak = status_kib(server, "VmHWM")
    tap.ok(peak * 1024 < limit + SLACK, "%s: at most %d MiB resident, %d MiB before, in %.1f s" % (
        name, peak // 1024, before // 1024, time.monotonic() - began),
        "more than %d MiB" % ((limit + SLACK) // MIB))
    if name == "watches":
        check_watches(tap, connections)
    for connection in connections:
        if isinstance(connection, raw.Connection):
            connection.close()
    tap.ok(wait_for(lambda: kept(server) < MIB), "%s: nothing is kept when they have gone (%d KiB; "
           "%d MiB resident)" % (name, kept(server) // 1024, status_kib(server, "VmRSS") // 1024))


def run(tap, server, options):
    if is_sanitized(server):
        tap.skip("memory", "a sanitizer keeps what was freed")
        return
    connection = raw.connect(server.port)
    connection.call(raw.CREATE, raw.create("/big", b"x" * (BIG - 1000)))
    connection.call(raw.CREATE, raw.create(LONG_PATH))
    connection.close_session()
    healthy = garbage.Healthy(server.port)
    healthy.start()
    for name in options.attack or ATTACKS:
        attack(tap, server, name, options.megabytes * 1000000)
    healthy.stopping.set()
    healthy.join(20)
    tap.ok(not healthy.problem and healthy.calls > 0, "a healthy client made %d calls meanwhile; "
           "the slowest took %.0f ms" % (healthy.calls, healthy.slowest * 1000), healthy.problem)
    with open(server.log_path, errors="replace") as log:
        lines = [line for line in log if "buffers_total_bytes" in line or "watch_bytes_" in line]
    tap.ok(0 < len(lines) <= 15, "%d lines in the log name the options" % len(lines))
    tap.ok(server.alive(), "the server lives", server.log_tail())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--server", choices=harness.KINDS, default="moonkeeper")
    parser.add_argument("--megabytes", type=int, default=1200)
    parser.add_argument("--attack", action="append", choices=ATTACKS)
    options = parser.parse_args()
    tap = harness.Tap()
    reason = harness.missing(options.server)
    if options.server == "apache":
        reason = "Apache has no such limits, and a Java heap of its own"
    if reason:
        tap.skip("memory", reason)
        return tap.done()
    server = harness.KINDS[options.server]()
    return harness.run_on(tap, "the memory test", server,
                          lambda tap, server: run(tap, server, options))


if __name__ == "__main__":
    sys.exit(main())
