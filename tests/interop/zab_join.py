# SPDX-License-Identifier: MIT
"""The step machine zab and the network of native/server among real Apache servers.

    zab_join.py [--build DIR] [--only alone|mixed]

zab_node (zab_node.c) is a member without clients. Alone: three of them elect a leader, commit, lose
the leader by kill -9, and elect another. Mixed: two Apache servers, one zab_node as voter and one
as observer; it follows, its acknowledgements commit, it is elected and Apache follows it, logs what
it proposes and starts again on that.
"""
import sys
import time

import harness
from members import Member, Node, connect, main, server_lines, until


def alone(tap, program):
    nodes = [Node(program, number, lines) for lines in [server_lines(3)] for number in (1, 2, 3)]
    for node in nodes:
        node.start()
    for node in nodes:
        node.wait(r"^serving epoch")
    tap.ok(True, "three servers elect a leader")
    leader = next(node for node in nodes if node.status()["role"] == "leading")
    others = [node for node in nodes if node is not leader]
    leader.say("submit 100")
    for node in nodes:
        node.wait(r"^committed 0x100000064$")
    tap.ok(True, "a hundred transactions are committed by all")
    slowest = 0
    for round_number in range(3):
        marks = [node.mark() for node in others]
        killed = time.monotonic()
        leader.kill()
        moments = [node.wait(r"^serving epoch", since=mark)[0]
                   for node, mark in zip(others, marks)]
        slowest = max(slowest, max(moments) - killed)
        dead = leader
        leader = next(node for node in others if node.status()["role"] == "leading")
        since = leader.mark()
        leader.say("submit 10")
        _, match = leader.wait(r"^committed 0x(\w+0a)$", since=since)
        dead.start()
        dead.wait(r"^committed 0x%s$" % match.group(1))
        others = [node for node in nodes if node is not leader]
    tap.ok(slowest < 2, "a leader killed by -9 is replaced within 2 s, three times",
           "%.3f s" % slowest)
    tap.note("slowest of three: %.0f ms" % (slowest * 1000))
    digests = {(node.status()["applied"], node.status()["digest"]) for node in nodes}
    tap.ok(len(digests) == 1, "all end with the same state", digests)
    statuses = [node.remove() for node in nodes]
    tap.ok(statuses == [0, 0, 0], "all end cleanly", statuses)


def mixed(tap, program):
    lines = server_lines(4, observers=(4,))
    one, two = Member(1, lines), Member(2, lines)
    voter, observer = Node(program, 3, lines), Node(program, 4, lines)
    one.launch()
    two.launch()
    two.wait_mode("leader")
    one.wait_mode("follower")
    client = connect(one)
    client.create("/before", b"apache alone")
    tap.ok(True, "two Apache servers of three lead alone")

    voter.start()
    voter.wait(r"^role following leader 2 phase broadcast")
    voter.wait(r"^serving epoch 1")
    tap.ok(True, "it joins as a follower")
    for number in range(50):
        client.create("/a%d" % number, b"x" * number, ephemeral=number % 7 == 0)
    top = two.zxid()
    voter.wait(r"^committed 0x%x$" % top)
    state = voter.status()
    tap.ok(int(state["compared"]) > 40 and state["different"] == "0",
           "what it applies has Apache's digests", state)

    observer.start()
    observer.wait(r"^role observing leader 2 phase broadcast")
    observer.wait(r"^serving epoch 1")
    client.set("/before", b"observed")
    top = two.zxid()
    observer.wait(r"^committed 0x%x$" % top)
    tap.ok(observer.status()["digest"] == voter.status()["digest"], "and one as an observer",
           (observer.status(), voter.status()))
    client.stop()

    one.kill()
    client = connect(two)
    for number in range(50):
        client.create("/b%d" % number, b"y")
    top = two.zxid()
    voter.wait(r"^committed 0x%x$" % top)
    tap.ok(True, "writes are committed by its acknowledgements alone")
    client.stop()

    one.launch()
    one.wait_mode("follower")
    since = voter.mark()
    watched = observer.mark()
    two.kill()
    voter.wait(r"^serving epoch 2", since=since, seconds=20)
    tap.ok(voter.status()["role"] == "leading", "Apache's leader killed: it is elected")
    one.wait_mode("follower")
    tap.ok(True, "Apache follows it")
    observer.wait(r"^serving epoch 2", since=watched, seconds=20)
    tap.ok(True, "its observer follows it")
    voter.say("submit 20")
    voter.wait(r"^committed 0x2000000\w\w$", since=since)
    client = connect(one)
    client.create("/led", b"by us")
    client.create("/led/eph", b"", ephemeral=True)
    client.sync("/led")
    tap.ok(client.get("/led")[0] == b"by us" and client.get("/b49")[0] == b"y",
           "a client of the Apache follower writes, syncs and reads")
    transaction = client.transaction()
    transaction.create("/led/m1", b"1")
    transaction.set_data("/led", b"2")
    transaction.delete("/a1")
    tap.ok(all(not isinstance(result, Exception) for result in transaction.commit()),
           "and a multi")
    client.stop()

    two.launch()
    two.wait_mode("follower")
    tap.ok(until(lambda: two.zxid() == one.zxid()), "the old leader comes back as a follower",
           (two.zxid(), one.zxid()))
    client = connect(two)
    tap.ok(client.get("/led")[0] == b"2" and client.exists("/led/eph") is None and
           client.exists("/a1") is None, "and has all that was written without it")
    client.stop()

    since = voter.mark()
    one.stop()
    two.stop()
    voter.wait(r"^not serving", since=since)
    tap.ok(True, "without a quorum it serves no more")
    one.launch()
    two.launch()
    voter.wait(r"^serving epoch", since=since + 1, seconds=30)
    one.wait_serving()
    two.wait_serving()
    client = connect(one)
    tap.ok(client.get("/led")[0] == b"2" and client.exists("/led/m1"),
           "Apache starts again on what it logged of us")
    client.create("/last", b"")
    client.stop()
    top = max(one.zxid(), two.zxid())
    tap.ok(until(lambda: int(voter.status()["applied"], 16) >= top and
                 int(observer.status()["applied"], 16) >= top), "all have the last write",
           (top, voter.status(), observer.status()))
    state, seen = voter.status(), observer.status()
    tap.ok(state["different"] == "0" and seen["different"] == "0" and
           state["digest"] == seen["digest"], "no digest differed", (state, seen))
    for member in (one, two):
        member.remove()
    statuses = [voter.remove(), observer.remove()]
    tap.ok(statuses == [0, 0], "both end cleanly", statuses)


if __name__ == "__main__":
    sys.exit(main(__doc__, (("alone", None, alone), ("mixed", harness.missing("apache"), mixed))))
