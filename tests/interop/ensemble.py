# SPDX-License-Identifier: MIT
"""Ensembles of real processes: our servers alone, and together with Apache's.

    ensemble.py [--only NAME]

ours      three of ours: service, writes through each, leader killed with -9, its return, all killed
mixed     one of ours joins two Apache servers, follows, leads, is followed
takeover  a running Apache ensemble becomes ours one restart at a time, and one goes back
observer  an observer of ours in our ensemble
read_only a member without a quorum serves reads, where that is wanted
big_tree  a fresh member is given a hundred megabytes
damaged   a member whose log is spoilt is given the leader's tree
broken_tree   the same member, when the tree breaks off on its way

In each, what was acknowledged must be there on every member, after everything.
"""
import argparse
import os
import socket
import struct
import sys
import threading
import time

import harness
import raw
from cluster import Cluster, wait_until

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException


def client(hosts):
    connection = KazooClient(hosts=hosts, timeout=10, randomize_hosts=False,
                             connection_retry={"max_tries": -1, "delay": 0.05, "max_delay": 0.3})
    connection.start(30)
    return connection


class Writer(threading.Thread):
    """Creates /w/N one after another, whatever happens; knows which were acknowledged."""

    def __init__(self, hosts, root="/w"):
        super().__init__(daemon=True)
        self.root = root
        self.acknowledged = []
        self.unknown = 0
        self.done = threading.Event()
        self.connection = client(hosts)
        self.connection.ensure_path(root)

    def run(self):
        number = 0
        while not self.done.is_set():
            number += 1
            try:
                self.connection.create("%s/%d" % (self.root, number), b"%d" % number)
                self.acknowledged.append(number)
            except (KazooException, TimeoutError):
                self.unknown += 1
                time.sleep(0.05)

    def finish(self):
        self.done.set()
        self.join(30)
        self.connection.stop()
        self.connection.close()


def tree_of(port):
    """{path: (data, zxids, version)} of all that users made."""
    connection = client("127.0.0.1:%d" % port)
    found = {}
    try:
        connection.sync("/")
        paths = ["/"]
        while paths:
            path = paths.pop()
            data, stat = connection.get(path)
            if not path.startswith("/zookeeper"):
                found[path] = (data, stat.czxid, stat.mzxid, stat.version, stat.ephemeralOwner)
            paths += [path.rstrip("/") + "/" + child for child in connection.get_children(path)]
    finally:
        connection.stop()
        connection.close()
    return found


def check_same(tap, cluster, name, acknowledged=(), root="/w", numbers=None):
    """All members hold the same tree with all that was acknowledged in it."""
    numbers = list(numbers or cluster.members)
    trees = {}

    def same():
        for number in numbers:
            trees[number] = tree_of(cluster.members[number].port)
        return all(trees[number] == trees[numbers[0]] for number in numbers)

    agree = wait_until(same, 15, 0.2) is not None
    missing = {number: [n for n in acknowledged if "%s/%d" % (root, n) not in trees[number]]
               for number in numbers}
    tap.ok(agree, "%s: the members hold one tree" % name,
           {number: len(tree) for number, tree in trees.items()})
    tap.ok(not any(missing.values()), "%s: nothing acknowledged is missing (%d)" % (
        name, len(acknowledged)), {number: lost[:5] for number, lost in missing.items()})


def write_through_each(tap, cluster, name):
    seen = []
    for number, server in cluster.members.items():
        connection = client("127.0.0.1:%d" % server.port)
        path = "/through-%d-%d" % (number, int(time.monotonic() * 1000))
        connection.create(path, b"x")
        connection.set(path, b"y")
        transaction = connection.transaction()
        transaction.create(path + "/a")
        transaction.check(path, 1)
        seen.append((path, connection.get(path)[0], [str(r) for r in transaction.commit()]))
        connection.stop()
        connection.close()
    connection = client(cluster.hosts())
    connection.sync("/")
    good = all(connection.exists(path) and data == b"y" for path, data, _ in seen)
    connection.stop()
    connection.close()
    tap.ok(good, "%s: a write through each member" % name, seen)


def settle(tap, cluster, name, numbers=None, seconds=20):
    took = cluster.wait_serving(numbers, seconds)
    tap.ok(cluster.leader() is not None, "%s: served after %.2f s, %s leads" % (
        name, took, cluster.leader()))


def kill_leader(tap, cluster, name, writer, gently=False):
    """The leader ends under load: how long until a write succeeds again; then its return."""
    leader = cluster.leader()
    time.sleep(0.5)
    before = len(writer.acknowledged)
    began = time.monotonic()
    status = cluster.members[leader].stop() if gently else cluster.members[leader].kill()
    stopped = time.monotonic() - began
    if gently:
        tap.ok(status == 0 and stopped < 4, "%s: leader %s stops within %.2f s" % (
            name, leader, stopped), status)
    took = wait_until(lambda: len(writer.acknowledged) > before + 3, 20)
    tap.ok(took is not None, "%s: leader %s %s, written again after %.2f s" % (
        name, leader, "stopped" if gently else "killed", time.monotonic() - began))
    cluster.launch(leader)
    settle(tap, cluster, "%s: its return" % name)


def ours(tap):
    with Cluster({1: "moonkeeper", 2: "moonkeeper", 3: "moonkeeper"}) as cluster:
        cluster.launch()
        settle(tap, cluster, "ours")
        write_through_each(tap, cluster, "ours")
        writer = Writer(cluster.hosts())
        writer.start()
        for gently in (False, True, False, True):
            kill_leader(tap, cluster, "ours", writer, gently)
        writer.finish()
        check_same(tap, cluster, "ours", writer.acknowledged)
        for server in cluster.members.values():
            server.kill()
        cluster.launch()
        settle(tap, cluster, "ours: all killed")
        check_same(tap, cluster, "ours: all killed", writer.acknowledged)


def mixed(tap):
    with Cluster({1: "apache", 2: "apache", 3: "moonkeeper"}) as cluster:
        cluster.launch(1, 2)
        settle(tap, cluster, "mixed", (1, 2))
        writer = Writer(cluster.hosts((1, 2)))
        writer.start()
        time.sleep(1)
        cluster.launch(3)
        settle(tap, cluster, "mixed: ours joins")
        follower = next(number for number in cluster.followers() if number != 3)
        before = len(writer.acknowledged)
        cluster.members[follower].kill()
        tap.ok(wait_until(lambda: len(writer.acknowledged) > before + 20, 20) is not None,
               "mixed: ours and an Apache leader are a quorum")
        cluster.launch(follower)
        settle(tap, cluster, "mixed: the other Apache returns")
        write_through_each(tap, cluster, "mixed")
        cluster.members[cluster.leader()].kill()
        wait_until(lambda: cluster.leader() is not None, 20)
        tap.note("after the Apache leader was killed %s leads" % cluster.leader())
        for number, server in cluster.members.items():
            if not server.alive():
                cluster.launch(number)
        settle(tap, cluster, "mixed: all are there again")
        writer.finish()
        check_same(tap, cluster, "mixed", writer.acknowledged)


def takeover(tap):
    with Cluster({1: "apache", 2: "apache", 3: "apache"}) as cluster:
        cluster.launch()
        settle(tap, cluster, "takeover: Apache alone")
        writer = Writer(cluster.hosts())
        writer.start()
        for number in (1, 2, 3):
            cluster.replace(number, "moonkeeper")
            cluster.launch(number)
            settle(tap, cluster, "takeover: %d is ours" % number, seconds=30)
            write_through_each(tap, cluster, "takeover: %d is ours" % number)
        cluster.replace(2, "apache")
        cluster.launch(2)
        settle(tap, cluster, "takeover: 2 goes back to Apache", seconds=30)
        write_through_each(tap, cluster, "takeover: 2 goes back")
        writer.finish()
        check_same(tap, cluster, "takeover", writer.acknowledged)


def observer(tap):
    kinds = {1: "moonkeeper", 2: "moonkeeper", 3: "moonkeeper", 4: "moonkeeper"}
    with Cluster(kinds, observers=(4,)) as cluster:
        cluster.launch()
        settle(tap, cluster, "observer")
        tap.ok(cluster.mode(4) == "observer", "observer: 4 observes", cluster.mode(4))
        write_through_each(tap, cluster, "observer")
        cluster.members[4].kill()
        writer = Writer(cluster.hosts((1, 2, 3)))
        writer.start()
        time.sleep(1)
        cluster.launch(4)
        settle(tap, cluster, "observer: it returns")
        writer.finish()
        check_same(tap, cluster, "observer", writer.acknowledged)


def spoil(directory):
    """Turns bytes around in the middle of the newest log; returns its name."""
    logs = [name for name in os.listdir(directory) if name.startswith("log.")]
    newest = max(logs, key=lambda name: int(name.split(".")[1], 16))
    with open(os.path.join(directory, newest), "r+b") as log:
        log.seek(400)
        found = log.read(16)
        log.seek(400)
        log.write(bytes(byte ^ 0xff for byte in found))
    return newest


def damaged(tap):
    """A member whose log is damaged in the middle: it votes again only with the leader's tree."""
    with Cluster({1: "moonkeeper", 2: "moonkeeper", 3: "moonkeeper"}) as cluster:
        cluster.launch()
        settle(tap, cluster, "damaged")
        writer = Writer(cluster.hosts())
        writer.start()
        wait_until(lambda: len(writer.acknowledged) > 100, 20)
        number = cluster.followers()[0]
        server = cluster.members[number]
        server.stop()
        name = spoil(os.path.join(server.data_dir, "version-2"))
        cluster.launch(number)
        settle(tap, cluster, "damaged: %d returns with its %s spoilt" % (number, name))
        told = "cannot trust its data" in server.log_tail(60)
        tap.ok(told, "damaged: it says so", server.log_tail(20))
        writer.finish()
        check_same(tap, cluster, "damaged", writer.acknowledged)
        for other in cluster.members.values():
            other.stop()
        cluster.launch()
        settle(tap, cluster, "damaged: all restarted")
        check_same(tap, cluster, "damaged: all restarted", writer.acknowledged)


def send_half_a_tree(cluster, member, leader):
    """Plays `leader` and the third for one election, and the beginning of a tree for `member`."""
    others = [number for number in (1, 2, 3) if number != member]
    listener = socket.create_server(("127.0.0.1", cluster.ports[leader][0]))
    listener.settimeout(0.1)
    voters, end, link = {}, time.time() + 20, None
    while link is None and time.time() < end:
        for number in others:
            try:
                if number not in voters:
                    voters[number] = socket.create_connection(
                        ("127.0.0.1", cluster.ports[member][1]), 2)
                    address = b"127.0.0.1:%d" % cluster.ports[number][1]
                    voters[number].sendall(
                        struct.pack(">qqi", -65536, number, len(address)) + address)
                voters[number].sendall(struct.pack(
                    ">iiqqqqii", 44, 2 if number == leader else 1, leader, 9 << 32, 1, 9, 2, 0))
            except OSError:
                voters.pop(number, None)
        try:
            link = listener.accept()[0]
        except TimeoutError:
            pass
    listener.close()
    try:
        link.settimeout(5)
        info = link.recv(40)
        link.sendall(struct.pack(">iqiii", 17, 9 << 32, 4, 0x10000, -1))  # LEADERINFO, epoch 9
        promise = link.recv(24)
        link.sendall(struct.pack(">iqii", 15, 9 << 32, -1, -1) + b"half of")  # SNAP
        time.sleep(0.3)
        return len(info) == 40 and len(promise) == 24
    finally:
        for connection in [link, *voters.values()]:
            connection.close()


def broken_tree(tap):
    """A member whose log is damaged and whose new tree breaks off goes on, and is given another."""
    with Cluster({1: "moonkeeper", 2: "moonkeeper", 3: "moonkeeper"}) as cluster:
        cluster.launch()
        settle(tap, cluster, "broken tree")
        writer = Writer(cluster.hosts())
        writer.start()
        wait_until(lambda: len(writer.acknowledged) > 100, 20)
        writer.finish()
        for member in cluster.members.values():
            member.stop()
        server = cluster.members[1]
        spoil(os.path.join(server.data_dir, "version-2"))
        cluster.launch(1)
        for attempt in (1, 2):
            sent = send_half_a_tree(cluster, 1, 3)
            told = wait_until(lambda: server.log_tail(400).count("connection to leader 3 is lost")
                              == attempt, 10)
            tap.ok(sent and told is not None and server.alive(),
                   "broken tree: the member goes on, attempt %d" % attempt, server.log_tail(8))
        cluster.launch(2)
        cluster.launch(3)
        settle(tap, cluster, "broken tree: the others are back")
        check_same(tap, cluster, "broken tree", writer.acknowledged)


def read_only(tap):
    """What is left of three serves who accepts that; nobody writes; it ends with the election."""
    settings = {"readonlymode.enabled": "true"}
    with Cluster({1: "moonkeeper", 2: "moonkeeper", 3: "moonkeeper"}, settings=settings) as cluster:
        cluster.launch()
        settle(tap, cluster, "read-only")
        connection = client(cluster.hosts())
        connection.create("/kept", b"x")
        connection.sync("/kept")
        connection.stop()
        connection.close()
        left = cluster.leader()
        last = cluster.zxid(left)
        for number in cluster.members:
            if number != left:
                cluster.members[number].kill()
        port = cluster.members[left].port

        def session(read_only, **fields):
            opened = raw.Connection(port)
            return opened, opened.handshake(read_only=read_only, **fields)

        began = time.monotonic()
        answer = raw.EOF
        while answer == raw.EOF and time.monotonic() - began < 10:
            reader, answer = session(1)
            time.sleep(0.05)
        tap.ok(isinstance(answer, tuple) and answer[4] == 1 and answer[1] > 0,
               "read-only: a session after %.1f s" % (time.monotonic() - began), answer)
        error, found = reader.call(raw.GET_DATA, raw.path_watch("/kept"))
        tap.ok(error == 0 and found[0] == b"x", "read-only: reads", (error, found))
        refused = [reader.call(raw.CREATE, raw.create("/new"))[0],
                   reader.call(raw.SYNC, raw.buffer("/"))[0],
                   reader.call(raw.MULTI, raw.multi([(raw.DELETE, raw.path_version("/kept"))]))[0]]
        tap.ok(refused == [-119] * 3, "read-only: create, sync and multi are refused", refused)
        tap.ok(session(0)[1] == raw.EOF, "read-only: others are sent away")
        tap.ok(session(1, last_zxid=last + 100)[1] == raw.EOF,
               "read-only: a client that saw more is sent away")
        tap.ok(harness.four_letter_word(port, "isro").strip() == "ro", "read-only: isro says ro")
        cluster.launch(*(number for number in cluster.members if number != left))
        settle(tap, cluster, "read-only: all are there again")
        tap.ok(reader.read(5) == raw.EOF, "read-only: its client is sent away")
        write_through_each(tap, cluster, "read-only: over")


def fill(port, count, bytes_each=1000):
    """Creates /big/0, /big/1, ... with many requests under way."""
    connection = raw.connect(port)
    connection.call(raw.CREATE, raw.create("/big"))
    sent = 0
    for answered in range(count):
        while sent < count and sent - answered < 500:
            connection.request(raw.CREATE, raw.create("/big/%d" % sent, b"x" * bytes_each))
            sent += 1
        reply = connection.read()
        if reply.err:
            raise RuntimeError("create answered %d" % reply.err)
    connection.close_session()


def big_tree(tap, count=100000):
    """A fresh member is given a tree that its disk writes slower than the network brings it."""
    with Cluster({1: "moonkeeper", 2: "moonkeeper", 3: "moonkeeper"}) as cluster:
        cluster.launch(1, 2)
        settle(tap, cluster, "big tree", (1, 2))
        fill(cluster.members[cluster.leader()].port, count)
        for what in ("a fresh member", "restarted"):
            cluster.launch(3)
            settle(tap, cluster, "big tree: " + what, seconds=60)
            reader = raw.connect(cluster.members[3].port)
            reader.call(raw.SYNC, raw.buffer("/"))
            found = reader.call(raw.GET_ALL_CHILDREN_NUMBER, raw.buffer("/big"))
            last = reader.call(raw.GET_DATA, raw.path_watch("/big/%d" % (count - 1)))
            tap.ok(found == (0, count) and last[0] == 0 and last[1][0] == b"x" * 1000,
                   "big tree: %s has all of it" % what, found)
            reader.close_session()
            cluster.members[3].stop()


SCENES = {"big_tree": big_tree, "damaged": damaged, "broken_tree": broken_tree,
          "read_only": read_only, "ours": ours, "mixed": mixed, "takeover": takeover, "observer": observer}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", choices=sorted(SCENES))
    parser.add_argument("--server", default="moonkeeper")
    options = parser.parse_args()
    tap = harness.Tap()
    for name in options.only or SCENES:
        needs = ("moonkeeper", "apache") if name in ("mixed", "takeover") else ("moonkeeper",)
        reason = next(filter(None, map(harness.missing, needs)), None)
        if reason:
            tap.skip(name, reason)
            continue
        try:
            SCENES[name](tap)
        except (RuntimeError, KazooException, StopIteration, TimeoutError, OSError) as error:
            tap.ok(False, "%s: %s" % (name, type(error).__name__), error)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
