# SPDX-License-Identifier: MIT
"""zab_node and Apache servers when their histories differ, and when members keep failing.

    zab_trouble.py [--build DIR] [--only trees|extra|churn|gateway|garbage]

trees: whole trees of some megabytes, from Apache and to Apache. extra: entries that were never
committed, on Apache's side and on ours, are dropped. churn: members are killed and stopped under
load; nothing acknowledged is lost and all end with equal trees. gateway: the same where three of
us lead, through an Apache observer. garbage: strangers at both ports.
"""
import os
import random
import re
import shutil
import signal
import socket
import sys
import threading
import time

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException

import harness
from members import Member, Node, connect, main, server_lines, until


def ensemble(program, properties=None, observers=(), count=3):
    """Two Apache servers and the node as third; server 2 leads, the node is not started."""
    lines = server_lines(count, observers)
    one, two = Member(1, lines, properties), Member(2, lines, properties)
    one.launch()
    two.launch()
    two.wait_mode("leader")
    one.wait_mode("follower")
    return lines, one, two, Node(program, 3, lines)


def catch_up(node, *members):
    """The node has applied what the members have; returns its status."""
    until(lambda: int(node.status()["applied"], 16) >= max(m.zxid() for m in members))
    return node.status()


def end(*members):
    return [member.remove() for member in members]


def trees(tap, program):
    lines, one, two, node = ensemble(program, {"zookeeper.forceSnapshotSync": "true"})
    client = connect(two)
    blob = os.urandom(200000)
    for number in range(60):
        client.create("/big%d" % number, blob + b"%d" % number)
    for number in range(2000):
        client.create_async("/small%d" % number, b"x" * (number % 50))
    client.sync("/")
    client.create("/end", ephemeral=True)
    node.start()
    node.wait(r"^serving epoch 1", seconds=30)
    state = catch_up(node, two)
    tap.ok(int(state["znodes"]) > 2060 and int(state["sessions"]) >= 1,
           "a tree of 12 MB comes from Apache", state)
    client.set("/end", b"more")
    state = catch_up(node, two)
    tap.ok(int(state["compared"]) >= 1 and state["different"] == "0",
           "and is Apache's, by the digest of the next write", state)
    client.stop()
    # Now it leads, and a server that has lost all its data comes.
    since = node.mark()
    two.kill()
    node.wait(r"^serving epoch 2", since=since)
    one.wait_mode("follower")
    shutil.rmtree(os.path.join(two.data_dir, "version-2"))
    two.launch()
    two.wait_mode("follower")
    node.wait(r"^tree of \d{8} bytes sent", since=since)
    client = connect(two)
    tap.ok(client.get("/big59")[0] == blob + b"59" and len(client.get_children("/")) > 2060,
           "and goes to an Apache server that lost its data")
    client.create("/after", b"")
    client.stop()
    two.kill()
    two.launch()
    two.wait_mode("follower")
    client = connect(two)
    tap.ok(client.exists("/after") and client.exists("/big0"), "which starts again on it")
    client.stop()
    state = catch_up(node, one, two)
    tap.ok(state["different"] == "0", "no digest differed", state)
    # A node that has lost all catches up with a tree, too.
    node.kill()
    client = connect(one, timeout=40)
    since = 0
    node.start()
    node.wait(r"^serving epoch", seconds=30)
    client.create("/again", b"")
    client.stop()
    state = catch_up(node, one, two)
    tap.ok(state["different"] == "0" and int(state["znodes"]) > 2060,
           "the node starts empty and gets it back", state)
    end(one, two, node)


def write_alone(member, paths):
    """The server without its ensemble writes more transactions in the epoch that it is in."""
    lonely = harness.Apache({"tickTime": 500}, data_dir=member.data_dir)
    lonely.start()
    client = connect(lonely)
    for path in paths:
        client.create(path, b"never committed")
    client.stop()
    client.close()
    lonely.stop()


def extra(tap, program):
    lines, one, two, node = ensemble(program)
    node.start()
    node.wait(r"^serving epoch 1")
    client = connect(one)
    client.create("/kept", b"")
    client.stop()
    since = node.mark()
    two.kill()
    node.wait(r"^serving epoch 2", since=since)
    write_alone(two, ["/extra1", "/extra2"])
    client = connect(one, timeout=30)
    client.create("/newer", b"")
    client.stop()
    two.launch()
    two.wait_mode("follower")
    client = connect(two)
    tap.ok(client.exists("/newer") and client.exists("/kept") and not client.exists("/extra1") and
           not client.exists("/extra2"), "what an Apache follower has too much is dropped")
    client.create("/more", b"")
    client.stop()
    two.kill()
    two.launch()
    two.wait_mode("follower")
    client = connect(two)
    tap.ok(client.exists("/more") and not client.exists("/extra1"),
           "and does not come back when it starts again")
    client.stop()
    state = catch_up(node, one, two)

    for way in ("TRUNC", "SNAP"):
        ours(tap, one, two, node, way)
    end(one, two, node)


def ours(tap, one, two, node, way):
    """The node leads, and logs what nobody else has before the others are lost."""
    since = node.mark()
    if node.status()["role"] != "leading":
        for member in (one, two):
            member.kill()
        node.wait(r"^role looking", since=since)
        one.launch()  # whose history is not longer, and whose id is smaller
        node.wait(r"^serving", since=since, seconds=30)
        two.launch()
        two.wait_mode("follower")
        one.wait_mode("follower")
    state = catch_up(node, one, two)
    one.signal(signal.SIGSTOP)
    two.signal(signal.SIGSTOP)
    time.sleep(0.3)
    node.say("submit 3")
    time.sleep(0.2)
    ahead = node.status()
    since = node.mark()
    one.kill()
    two.kill()
    node.wait(r"^role looking", since=since)
    base = max(int(state["persisted"], 16), int(state["epoch"]) << 32)
    tap.ok(int(ahead["persisted"], 16) == base + 3 and ahead["committed"] == state["committed"],
           "it logs what nobody acknowledges", (state, ahead))
    node.signal(signal.SIGSTOP)
    one.launch()
    two.launch()
    one.wait_serving()
    two.wait_serving()
    if way == "SNAP":  # a transaction of the new epoch: TRUNC would have to cross epochs
        client = connect(two)
        client.create("/without" + way, b"")
        client.stop()
    node.signal(signal.SIGCONT)
    node.wait(r"^serving epoch", since=since, seconds=30)
    client = connect(two)
    client.create("/with" + way, b"")
    client.stop()
    state = catch_up(node, one, two)
    tap.ok(state["different"] == "0" and state["role"] == "following",
           "and drops it under a leader that does not know it (%s)" % way, state)
    line = {"TRUNC": "dropping what was never committed", "SNAP": "the leader sends its tree"}[way]
    tap.ok(line in node.log_tail(12), "which it tells", node.log_tail(20))


class Writer(threading.Thread):
    """Creates nodes one after the other through one server, whatever happens."""

    def __init__(self, member, name):
        super().__init__(daemon=True)
        self.member, self.name_, self.acknowledged, self.sent = member, name, [], 0
        self.stopping = False

    def run(self):
        client = KazooClient("127.0.0.1:%d" % self.member.port, timeout=4)
        client.start_async()
        while not self.stopping:
            path = "/%s%06d" % (self.name_, self.sent)
            self.sent += 1
            try:
                client.create_async(path, b"").get(timeout=3)
                self.acknowledged.append((time.monotonic(), path))
            except (KazooException, client.handler.timeout_exception):
                time.sleep(0.02)
        client.stop()
        client.close()


def story(lost, events, *nodes):
    """What happened around the acknowledgement of writes that are lost."""
    if not lost:
        return ""
    first, last = min(lost)[0], max(lost)[0]
    lines = [(moment, what) for moment, what in events]
    lines += [(first, "first of %d lost: %s" % (len(lost), min(lost)[1])),
              (last, "last of them: %s" % max(lost)[1])]
    for node in nodes:
        lines += [(moment, "%d: %s" % (node.id, line)) for moment, line in node.lines
                  if not line.startswith(("status", "committed", "request"))]
    return "\n".join("%.3f %s" % line for line in sorted(lines) if first - 15 < line[0] < last + 15)


def churn(tap, program, seconds=float(os.environ.get("CHURN_SECONDS", "25"))):
    seed = int(os.environ.get("SEED", random.randrange(1 << 30)))
    tap.note("seed %d" % seed)
    rand = random.Random(seed)
    lines, one, two, node = ensemble(program, observers=(4,), count=4)
    observer = Node(program, 4, lines)
    node.start()
    observer.start()
    node.wait(r"^serving epoch 1")
    observer.wait(r"^serving epoch 1")
    writers = [Writer(one, "a"), Writer(two, "b")]
    for writer in writers:
        writer.start()
    limit = time.monotonic() + seconds
    events = []
    while time.monotonic() < limit:
        time.sleep(rand.uniform(0.5, 2))
        what = rand.choice(["kill one", "kill two", "stop node", "stop one", "stop two",
                            "stop observer"])
        events.append((time.monotonic(), what))
        member = {"one": one, "two": two, "node": node, "observer": observer}[what.split()[1]]
        ours = member in (node, observer)
        if what.startswith("kill"):
            member.kill()
            time.sleep(rand.uniform(0, 1.5))
            member.launch()
        else:
            member.signal(signal.SIGSTOP)
            time.sleep(rand.choice([0.3, 1, 6 if ours else 1.5]))
            member.signal(signal.SIGCONT)
    for member in (one, two):
        member.wait_serving(60)
    before = sum(len(writer.acknowledged) for writer in writers)
    until(lambda: sum(len(writer.acknowledged) for writer in writers) > before + 20, 30)
    for writer in writers:
        writer.stopping = True
        writer.join(20)
    total = sum(len(writer.acknowledged) for writer in writers)
    tap.note("%d acknowledged; %s" % (total, ", ".join(what for _, what in events)))
    tap.ok(total > before, "writes go on after the last failure", node.log_tail())
    until(lambda: one.zxid() == two.zxid())
    for member in (node, observer):
        catch_up(member, one, two)
    present = node.children() & observer.children()
    lost = [(moment, path) for writer in writers for moment, path in writer.acknowledged
            if path[1:] not in present]
    tap.ok(not lost, "no acknowledged write is lost", story(lost, events, node, observer))
    holes = 0
    for member in (one, two):
        client = connect(member)
        client.sync("/")
        holes += len(node.children() - set(client.get_children("/")) - {""})
        client.stop()
    if holes:  # its log is behind its memory when a connection breaks (hazard 4712)
        tap.note("%d znodes are missing on an Apache server: its own fault, known" % holes)
    states = [catch_up(member, one, two) for member in (node, observer)]
    tap.ok(states[0]["digest"] == states[1]["digest"] and
           all(state["different"] == "0" for state in states), "all trees are equal", states)
    end(one, two)
    tap.ok(end(node, observer) == [0, 0], "the nodes end cleanly")


def gateway(tap, program, seconds=float(os.environ.get("CHURN_SECONDS", "15"))):
    seed = int(os.environ.get("SEED", random.randrange(1 << 30)))
    tap.note("seed %d" % seed)
    rand = random.Random(seed)
    lines = server_lines(4, observers=(4,))
    nodes = [Node(program, number, lines).start() for number in (1, 2, 3)]
    apache = Member(4, lines + ["peerType=observer"])
    apache.launch()
    apache.wait_mode("observer")
    tap.ok(True, "an Apache observer joins three of us")
    writers = [Writer(apache, "a"), Writer(apache, "b")]
    for writer in writers:
        writer.start()
    limit = time.monotonic() + seconds
    events = []
    while time.monotonic() < limit:
        time.sleep(rand.uniform(0.2, 1.5))
        member = rand.choice(nodes + [next((node for node in nodes
                                            if node.status()["role"] == "leading"), nodes[0])])
        pause = rand.choice([0.3, 1, 4])
        events.append((time.monotonic(), "stop %d for %.1f s" % (member.id, pause)))
        member.signal(signal.SIGSTOP)
        time.sleep(pause)
        member.signal(signal.SIGCONT)
    apache.wait_serving(60)
    before = sum(len(writer.acknowledged) for writer in writers)
    until(lambda: sum(len(writer.acknowledged) for writer in writers) > before + 20, 30)
    for writer in writers:
        writer.stopping = True
        writer.join(20)
    total = sum(len(writer.acknowledged) for writer in writers)
    tap.note("%d acknowledged; %s" % (total, ", ".join(what for _, what in events)))
    tap.ok(total > before, "writes go on after the last failure")
    states = [catch_up(node, apache) for node in nodes]
    present = set.intersection(*(node.children() for node in nodes))
    lost = [(moment, path) for writer in writers for moment, path in writer.acknowledged
            if path[1:] not in present]
    tap.ok(not lost, "no acknowledged write is lost", story(lost, events, *nodes))
    tap.ok(len({state["digest"] for state in states}) == 1 and
           all(state["different"] == "0" for state in states), "all trees are equal", states)
    digest_errors = [line for line in open(apache.log_path) if "igest" in line and "WARN" in line]
    tap.ok(not digest_errors, "the observer finds no other digest", "".join(digest_errors[:5]))
    end(apache)
    tap.ok(end(*nodes) == [0, 0, 0], "the nodes end cleanly")


def garbage(tap, program):
    lines, one, two, node = ensemble(program)
    node.start()
    node.wait(r"^serving epoch 1")
    since = node.mark()
    two.kill()
    node.wait(r"^serving epoch 2", since=since)
    one.wait_mode("follower")
    client = connect(one)
    since = node.mark()
    with open(node.log_path) as log:
        before = len(list(log))
    rand = random.Random(7)
    quorum_port, election_port = [int(port) for port in re.search(
        r"server.3=127.0.0.1:(\d+):(\d+)", "\n".join(lines)).groups()]
    first = b"\0\0\0\x0b" + bytes(16)
    hello = b"\xff" * 6 + bytes(9) + b"\x09" + b"\0\0\0\x0b127.0.0.1:1"
    openings = [b"", first, first[:4], hello, hello + b"\0\0\0\x28", b"GET / HTTP/1.1\r\n\r\n",
                b"\x80" + bytes(30), b"\0\0\0\x10" + bytes(8) + b"\x7f\xff\xff\xff"]
    kept = []
    for number in range(400):
        port = rand.choice([quorum_port, election_port])
        with_tail = rand.choice(openings) + rand.randbytes(rand.choice([0, 1, 30, 3000]))
        connection = socket.create_connection(("127.0.0.1", port), 5)
        try:
            connection.sendall(with_tail)
        except OSError:
            pass
        if number % 3 == 0:
            kept.append(connection)
        else:
            connection.close()
        if number % 50 == 0:
            client.create("/g%d" % number, b"")
    client.create("/end", b"")
    status = node.status()
    tap.ok(status["role"] == "leading" and not any(
        line.startswith("not serving") for _, line in node.lines[since:]),
        "it leads on among 400 strangers", status)
    with open(node.log_path) as log:
        told = list(log)[before:]
    refusals = [line for line in told if "is refused" in line]
    tap.ok(2 < len(refusals) <= 10 and len(told) <= 40, "and writes a few lines about them",
           "".join(told))
    for line in refusals[:3]:
        tap.note(line.split(" ", 1)[1].strip()[:150])
    for connection in kept:
        connection.close()
    client.stop()
    since = node.mark()
    one.kill()
    node.wait(r"^not serving", since=since)
    one.launch()
    node.wait(r"^serving", since=since, seconds=30)
    tap.ok(True, "elections go on after that")
    end(one, two)
    tap.ok(end(node) == [0], "and it ends cleanly")


if __name__ == "__main__":
    sys.exit(main(__doc__, [(run.__name__, harness.missing("apache"), run)
                            for run in (trees, extra, churn, gateway, garbage)]))
