# SPDX-License-Identifier: MIT
"""`moonkeeper doctor` on real ensembles, of ours and of Apache's.

Each scene brings an ensemble into a state, asks, and compares exit status, the codes of the
findings and what is said of each server.
"""
import json
import os
import re
import signal
import subprocess
import sys

import harness
from cluster import Cluster, wait_until
from ensemble import Writer, client


def doctor(hosts, *options):
    """(exit status, standard output)"""
    finished = subprocess.run([harness.Moonkeeper.PROGRAM, "doctor", hosts, *options],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    return finished.returncode, finished.stdout.decode(errors="replace")


def examine(hosts, *options):
    status, text = doctor(hosts, "--json", "--timeout", "2", *options)
    found = json.loads(text)
    found["status"] = status
    found["codes"] = sorted(finding["code"] for finding in found["findings"])
    found["states"] = [server["state"] for server in found["servers"]]
    return found


def expect(tap, name, found, codes, **fields):
    """The findings are exactly these, and the fields have these values."""
    wanted = dict(fields, codes=sorted(codes), status=1 if codes else 0, healthy=not codes)
    seen = {key: found[key] for key in wanted}
    return tap.ok(seen == wanted, name, "%s\n%s" % (wanted, json.dumps(found, indent=1)))


def settled(cluster, numbers=None):
    cluster.wait_serving(numbers)
    wait_until(lambda: not examine(cluster.hosts(numbers))["findings"], 10, 0.3)


def healthy(tap, cluster):
    cluster.launch()
    settled(cluster)
    found = examine(cluster.hosts())
    expect(tap, "healthy", found, [], quorum=True, participants=3, participants_up=3, notes=[])
    tap.ok([server["id"] for server in found["servers"]] == [1, 2, 3] and
           sorted(found["states"]) == ["follower", "follower", "leader"],
           "healthy: who is what", found["states"])
    status, text = doctor(cluster.hosts())
    tap.ok(status == 0 and re.search("leads in epoch [1-9][0-9]* with 2 followers", text) and "Nothing is wrong." in text
           and "1 more may be lost" in text, "healthy: in sentences", text)
    found = examine(cluster.hosts((1,)))
    tap.ok(found["status"] == 0 and found["quorum"] and "Not asked: " in found["notes"][0],
           "healthy: one member is asked", json.dumps(found, indent=1))
    writer = Writer(cluster.hosts())
    writer.start()
    for _ in range(5):
        found = examine(cluster.hosts())
        if not expect(tap, "healthy: under load", found, [], quorum=True):
            break
    writer.finish()


def one_killed(tap, cluster):
    gone = cluster.followers()[0]
    cluster.members[gone].kill()
    leader = cluster.leader()
    wait_until(lambda: "zk_synced_followers\t1\n" in harness.four_letter_word(
        cluster.members[leader].port, "mntr"), 15)
    found = examine(cluster.hosts())
    expect(tap, "one killed", found, ["no_answer"], quorum=True, participants_up=2)
    tap.ok("server %d (" % gone in found["findings"][0]["text"]
           and "connection refused" in found["findings"][0]["text"]
           and "none may be lost" in found["quorum_text"], "one killed: which one", found)
    others = [number for number in cluster.members if number != gone]
    expect(tap, "one killed, and not asked", examine(cluster.hosts(others)), ["member_missing"],
           quorum=True, participants_up=2)
    cluster.launch(gone)
    settled(cluster)


def leader_frozen(tap, cluster):
    frozen = cluster.leader()
    others = [number for number in cluster.members if number != frozen]
    os.kill(cluster.members[frozen].process.pid, signal.SIGSTOP)
    try:
        took = wait_until(lambda: any(cluster.mode(number) == "leader" for number in others), 20)
        wait_until(lambda: all(cluster.mode(number) for number in others), 10)
        found = examine(cluster.hosts())
        expect(tap, "leader frozen", found, ["no_answer"], quorum=True, participants_up=2)
        tap.ok(took is not None and "no answer within 2 s" in found["findings"][0]["text"],
               "leader frozen: how it fell silent", found["findings"])
    finally:
        os.kill(cluster.members[frozen].process.pid, signal.SIGCONT)
    settled(cluster)


def two_killed(tap, cluster):
    left = cluster.leader()
    for number, server in cluster.members.items():
        if number != left:
            server.kill()
    wait_until(lambda: cluster.mode(left) is None, 15)
    found = examine(cluster.hosts())
    expect(tap, "two killed", found, ["no_answer", "no_answer", "no_leader"], quorum=False)
    tap.ok(sorted(found["states"]) == ["looking", "silent", "silent"]
           and "Start 1 server more" in found["findings"][0]["advice"], "two killed: what to do",
           json.dumps(found, indent=1))
    cluster.launch(*(number for number in cluster.members if number != left))
    settled(cluster)


def other_list(tap, cluster):
    """One that has an observer more in its list."""
    odd = cluster.followers()[0]
    server = cluster.members[odd]
    server.stop()
    server.settings["server.9"] = "127.0.0.1:%d:%d:observer" % (
        harness.free_port(), harness.free_port())
    cluster.launch(odd)
    cluster.wait_serving()
    wait_until(lambda: "no_answer" not in examine(cluster.hosts())["codes"], 10)
    found = examine(cluster.hosts())
    finding = next((f for f in found["findings"] if f["code"] == "lists_differ"), {"text": ""})
    expect(tap, "another list", found, ["lists_differ"], quorum=True)
    tap.ok("server %d (" % odd in finding["text"] and "Only there: server.9=" in finding["text"]
           and "Missing there: nothing" in finding["text"], "another list: whose, and what",
           finding)
    server.stop()
    del server.settings["server.9"]
    cluster.launch(odd)
    settled(cluster)


def same_id(tap, cluster):
    """A fourth server with the id of the second: the two drive each other out by turns."""
    extra = cluster.member(2, "moonkeeper")
    extra.settings["server.2"] = "127.0.0.1:%d:%d:participant" % (
        harness.free_port(), harness.free_port())
    hosts = "%s,127.0.0.1:%d" % (cluster.hosts(), extra.port)
    cluster.members[4] = extra
    cluster.launch(4)
    seen = set()
    told = wait_until(lambda: seen.update(examine(hosts)["codes"]) or
                      seen & {"duplicate_id", "not_a_member"}, 15, 0.3)
    tap.ok(told is not None, "one id twice", seen)
    extra.remove()
    del cluster.members[4]
    settled(cluster)


def quota(tap, cluster):
    connection = client(cluster.hosts())
    for path, data in (("/full", b""), ("/zookeeper/quota/full", b""),
                       ("/zookeeper/quota/full/zookeeper_limits", b"count=2,bytes=-1"),
                       ("/zookeeper/quota/full/zookeeper_stats", b"count=1,bytes=0"),
                       ("/full/a", b""), ("/full/b", b""), ("/full/c", b"")):
        connection.create(path, data)
    connection.sync("/")
    connection.stop()
    connection.close()
    found = examine(cluster.hosts())
    expect(tap, "a quota exceeded", found, ["quota_exceeded"], quorum=True)


def closed_words(tap):
    with Cluster({1: "moonkeeper", 2: "moonkeeper", 3: "moonkeeper"},
                 settings={"4lw.commands.whitelist": None}) as cluster:
        cluster.launch()
        settled(cluster)
        found = examine(cluster.hosts())
        expect(tap, "words closed", found, [], quorum=True)
        tap.ok(len(found["notes"]) == 1 and "mntr" in found["notes"][0] and
               "four_letter_words" in found["notes"][0], "words closed: which to open",
               found["notes"])
        cluster.members[cluster.followers()[0]].kill()
        expect(tap, "words closed, one killed", examine(cluster.hosts()), ["no_answer"],
               quorum=True)


def read_only(tap):
    with Cluster({1: "moonkeeper", 2: "moonkeeper", 3: "moonkeeper"},
                 settings={"readonlymode.enabled": "true"}) as cluster:
        cluster.launch()
        settled(cluster)
        for number in (1, 2):
            cluster.members[number].kill()
        wait_until(lambda: cluster.mode(3) == "read-only", 15)
        found = examine(cluster.hosts())
        expect(tap, "read-only", found, ["no_answer", "no_answer", "no_leader"], quorum=False,
               participants=3, states=["silent", "silent", "read-only"])
        tap.ok("Start 1 server more." in found["findings"][0]["advice"], "read-only: what to do",
               found["findings"])


def alone(tap):
    with harness.Moonkeeper() as server:
        expect(tap, "a single server", examine("127.0.0.1:%d" % server.port), [], quorum_text=
               "A single server, no ensemble: it is all there is.")


def apache(tap):
    """3.8.0 is known to lose writes: that is its only finding."""
    with Cluster({1: "apache", 2: "apache", 3: "moonkeeper"}) as cluster:
        cluster.launch()
        cluster.wait_serving()
        wait_until(lambda: examine(cluster.hosts())["codes"] == ["hazard_4643"], 10, 0.3)
        found = examine(cluster.hosts())
        expect(tap, "with Apache 3.8.0", found, ["hazard_4643"], quorum=True, participants_up=3)
        tap.ok([server["moonkeeper"] for server in found["servers"]] == [False, False, True],
               "with Apache 3.8.0: who is of which kind", found["servers"])


def main():
    tap = harness.Tap()
    reason = harness.missing("moonkeeper")
    if reason:
        tap.skip("doctor", reason)
        return tap.done()
    alone(tap)
    closed_words(tap)
    read_only(tap)
    with Cluster({1: "moonkeeper", 2: "moonkeeper", 3: "moonkeeper"}) as cluster:
        for scene in (healthy, one_killed, leader_frozen, two_killed, other_list, same_id,
                      quota):
            scene(tap, cluster)
    reason = harness.missing("apache")
    if reason:
        tap.skip("with Apache 3.8.0", reason)
    else:
        apache(tap)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
