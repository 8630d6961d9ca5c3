# SPDX-License-Identifier: MIT
"""What an operator sees of an ensemble: the four-letter words of a leader, a follower and an
observer, and of a server without a quorum, side by side with Apache's.

The first part has no counterpart in Apache: three of ours from one Lua script, and an own word that
tells what `stats` knows of a member.

Both kinds go through the same scene: member 1 alone, then three members and an observer, then the
same requests through each. What depends on time, ports and ids is made equal before it is compared.
"""
import os
import re
import sys
import tempfile

import harness
from cluster import Cluster, wait_until
from ensemble import client

ROLES = ("leader", "follower", "observer")
ALONE = ("ruok", "isro", "srvr", "stat", "conf", "cons", "mntr", "dump", "dirs", "wchs", "wchc",
         "wchp", "hash", "gtmk", "crst", "srst")
# Lines of mntr that are the same after the same requests. What only one role has is absent
# elsewhere, which is compared as well.
FIGURES = """server_state peer_state quorum_size learners synced_followers synced_observers
synced_non_voting_followers pending_syncs last_proposal_size max_proposal_size min_proposal_size
proposal_count commit_count learner_proposal_received_count learner_commit_received_count
global_sessions local_sessions znode_count ephemerals_count""".split()
# Those whose values depend on time or on who was there first: they must be there, or not.
PRESENT = """leader_uptime observer_master_id looking_count diff_count snap_count cnt_election_time
cnt_unavailable_time cnt_leader_unavailable_time cnt_follower_sync_time
cnt_observer_sync_time""".split()


def ask(cluster, number, word):
    return harness.four_letter_word(cluster.members[number].port, word)


def plain_conf(cluster, number, text):
    """The keys in order; ports by what they are for; the members as they stand."""
    for member, (quorum, election) in cluster.ports.items():
        text = text.replace(str(quorum), "QUORUM-%d" % member)
        text = text.replace(str(election), "ELECTION-%d" % member)
    text = re.sub(r"^(quorumPort=QUORUM|electionPort=ELECTION|serverId=)-?%d$" % number,
                  r"\1-OWN", text, flags=re.M)
    text = re.sub(r"^(clientPort|dataDir|dataLogDir|dataDirSize|dataLogSize|"
                  r"clientPortListenBacklog)=.*$", r"\1", text, flags=re.M)
    return text


def plain_config(cluster, connection):
    """What clients read of the members; its mtime is that of the member's start."""
    data, stat = connection.get("/zookeeper/config")
    return plain_conf(cluster, 0, data.decode()).splitlines() + [
        "version %d, cversion %d, aversion %d, czxid %d, mzxid %d" % (
            stat.version, stat.cversion, stat.aversion, stat.czxid, stat.mzxid)]


def plain_srvr(text):
    text = re.sub(r"^(Zookeeper version|Latency min/avg/max|Received|Sent): .*$", r"\1", text,
                  flags=re.M)
    return re.sub(r"^Zxid: 0x(.)0*[0-9a-f]+$", r"Zxid: epoch \1", text, flags=re.M)


def plain_mntr(text):
    values = dict(line[len("zk_"):].split("\t", 1) for line in text.splitlines() if "\t" in line)
    chosen = {name: values.get(name, "absent") for name in FIGURES}
    chosen.update((name, "there" if name in values else "absent") for name in PRESENT)
    return chosen


def plain_dump(text):
    """The sessions: how many and with which timeouts; by time only where the leader says it."""
    text = text[:text.index("Connections dump:")]
    text = re.sub(r"0x[0-9a-f]+", "0xID", text)
    text = re.sub(r"Session Sets \(\d+\)", "Session Sets (N)", text)
    return [line for line in text.splitlines() if " expire at " not in line]


def alone(cluster):
    """Member 1 is up, the others are not."""
    cluster.launch(1)
    up = wait_until(lambda: answers(cluster, 1, "ruok", "imok"), 20)
    if up is None:
        raise RuntimeError("no answer: %s" % cluster.members[1].log_tail(10))
    found = {word: ask(cluster, 1, word) for word in ALONE}
    found["hash"] = found["hash"].rstrip("\n")  # Apache forgets the line end there
    return found


def answers(cluster, number, word, expected):
    try:
        return ask(cluster, number, word) == expected
    except OSError:
        return False


def requests(cluster):
    """The same number and sizes of transactions through each member."""
    for number in sorted(cluster.members):
        connection = client("127.0.0.1:%d" % cluster.members[number].port)
        connection.create("/n%d" % number, b"hello")
        for _ in range(3):
            connection.set("/n%d" % number, b"x" * 100)
        connection.stop()
        connection.close()


def together(cluster):
    """{role: {word: answer}}"""
    cluster.launch(2, 3, 4)
    cluster.wait_serving(seconds=30)
    requests(cluster)
    members = {"leader": cluster.leader(), "follower": cluster.followers()[0], "observer": 4}
    connections = [client("127.0.0.1:%d" % cluster.members[number].port)
                   for number in members.values()]
    connections[1].create("/ephemeral", b"", ephemeral=True)
    for connection in connections:
        connection.sync("/")
    found = {}
    for role, number in members.items():
        found[role] = {
            "isro": ask(cluster, number, "isro"),
            "srvr": plain_srvr(ask(cluster, number, "srvr")).splitlines(),
            "conf": plain_conf(cluster, number, ask(cluster, number, "conf")).splitlines(),
            "mntr": plain_mntr(ask(cluster, number, "mntr")),
            "dump": plain_dump(ask(cluster, number, "dump")),
            "/zookeeper/config": plain_config(cluster, connections[ROLES.index(role)]),
        }
    for connection in connections:
        connection.stop()
        connection.close()
    return found


def scene(kind):
    with Cluster({number: kind for number in (1, 2, 3, 4)}, observers=(4,),
                 settings={"maxClientCnxns": 60}) as cluster:
        return alone(cluster), together(cluster)


SCRIPT = """
local id = tonumber(os.getenv("MOONKEEPER_ID"))
return {
  id = id, data_dir = "%(directory)s/" .. id, tick_time_ms = 500, four_letter_words = "*",
  client_address = "127.0.0.1:" .. ({ %(clients)s })[id],
  servers = { %(servers)s },
  commands = {
    memb = function(stats)
      return ("%%s %%s %%s %%s %%s"):format(stats.role, stats.peer_state, stats.serving,
        stats.epoch, stats.leader_id)
    end,
  },
}
"""


def told(port):
    try:
        return harness.four_letter_word(port, "memb", 2)
    except OSError as error:
        return str(error)


def scripted(tap):
    """Each member is the same Lua script with another MOONKEEPER_ID."""
    clients = [harness.free_port() for _ in range(3)]
    with tempfile.TemporaryDirectory(prefix="interop-script-") as directory:
        path = os.path.join(directory, "server.lua")
        servers = ", ".join('{ quorum = "127.0.0.1:%d", election = "127.0.0.1:%d" }' % (
            harness.free_port(), harness.free_port()) for _ in clients)
        with open(path, "w") as script:
            script.write(SCRIPT % {"directory": directory, "servers": servers,
                                   "clients": ", ".join(map(str, clients))})
        processes = []

        def launch(number):
            with open("%s/%d.log" % (directory, number), "wb") as log:
                processes.append(harness.start_process(
                    [harness.Moonkeeper.PROGRAM, "run", path], stdout=log, stderr=log,
                    env=dict(os.environ, MOONKEEPER_ID=str(number))))

        try:
            launch(1)
            looking = "looking looking - election false nil nil"
            alone = wait_until(lambda: told(clients[0]) == looking, 10)
            tap.ok(alone is not None, "an own word of a member without a quorum", told(clients[0]))
            launch(2)
            launch(3)
            wait_until(lambda: all(" true " in told(port) for port in clients), 20)
            answers = [told(port) for port in clients]
            leaders = [number for number, answer in enumerate(answers, 1)
                       if answer.startswith("leader ")]
            expected = ["leader leading - broadcast true 1 %d" % number if number in leaders else
                        "follower following - broadcast true 1 %s" % (leaders or ["?"])[0]
                        for number in (1, 2, 3)]
            tap.ok(len(leaders) == 1 and answers == expected, "own words of three members",
                   "\n".join(answers))
        finally:
            for process in processes:
                harness.end_process(process)


def differences(left, right):
    if isinstance(left, dict):
        return ["%s: %s, but %s" % (name, left[name], right[name])
                for name in left if left[name] != right[name]]
    return ["%s\n  but\n%s" % (left, right)] if left != right else []


def main():
    tap = harness.Tap()
    reason = next(filter(None, map(harness.missing, ("apache", "moonkeeper"))), None)
    if reason:
        tap.skip("ensemble_words", reason)
        return tap.done()
    scripted(tap)
    apache_alone, apache = scene("apache")
    ours_alone, ours = scene("moonkeeper")
    unlike = differences(apache_alone, ours_alone)
    tap.ok(not unlike, "without a quorum each word answers as Apache's", "\n".join(unlike))
    for role in ROLES:
        for word in apache[role]:
            unlike = differences(apache[role][word], ours[role][word])
            tap.ok(not unlike, "%s of the %s is as Apache's" % (word, role), "\n".join(unlike))
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
