# SPDX-License-Identifier: MIT
"""Three zab_nodes in network namespaces whose links are cut: whole, one way, and in a bridge.

    zab_partition.py [--build DIR]          SEED=7 PARTITION_ROUNDS=100

A cut swallows packets without a sign (frames go to an address that nobody has). In each round one
cut is made and healed while the leader creates znodes named by their zxids. Whoever says "committed"
must be right: after the heal every server has all that was ever committed, and they agree. Needs
root and network namespaces.
"""
import atexit
import os
import random
import re
import subprocess
import sys
import time

from members import Node, main, until

NUMBERS = (1, 2, 3)
NOBODY = "02:00:00:00:00:99"


def ip(*words, check=True):
    return subprocess.run(["ip", *words], check=check, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode


def missing():
    """Why this cannot run here, or None."""
    name = "mkp%d-try" % os.getpid()
    try:
        if os.geteuid() != 0 or ip("netns", "add", name, check=False) != 0:
            return "network namespaces need root"
        made = ip("-n", name, "link", "add", "try0", "type", "veth",
                  "peer", "name", "try1", check=False)
        ip("netns", "del", name)
        return "there are no virtual network pairs here" if made != 0 else None
    except OSError as error:
        return str(error)


def address(number):
    return "10.77.0.%d" % number


class Net:
    """A namespace for each number, and a wire between each two."""

    def __init__(self):
        atexit.register(self.remove)
        for number in NUMBERS:
            ip("netns", "add", self.name(number))
            ip("-n", self.name(number), "link", "set", "lo", "up")
            ip("-n", self.name(number), "addr", "add", address(number) + "/32", "dev", "lo")
        for one in NUMBERS:
            for other in NUMBERS:
                if one < other:
                    ip("link", "add", "to%d" % other, "netns", self.name(one), "type", "veth",
                       "peer", "name", "to%d" % one, "netns", self.name(other))
        for one in NUMBERS:
            for other in NUMBERS:
                if one != other:
                    wire = "to%d" % other
                    ip("-n", self.name(one), "link", "set", wire, "up")
                    ip("-n", self.name(one), "route", "add", address(other) + "/32", "dev", wire,
                       "src", address(one))

    def name(self, number):
        return "mkp%d-%d" % (os.getpid(), number)

    def inside(self, number):
        return ["ip", "netns", "exec", self.name(number)]

    def cut(self, one, other):
        """What `one` sends to `other` is lost."""
        ip("-n", self.name(one), "neigh", "replace", address(other), "lladdr", NOBODY,
           "dev", "to%d" % other, "nud", "permanent")

    def heal(self):
        for one in NUMBERS:
            for other in NUMBERS:
                if one != other:
                    ip("-n", self.name(one), "neigh", "del", address(other), "dev",
                       "to%d" % other, check=False)

    def remove(self):
        for number in NUMBERS:
            ip("netns", "del", self.name(number), check=False)


def draw(rand):
    """A name, and the directions that are cut. Two servers can always hear each other."""
    one, other, third = rand.sample(NUMBERS, 3)
    return rand.choice([
        ("server %d cut off" % one,
         [(one, other), (other, one), (one, third), (third, one)]),
        ("server %d mute" % one, [(one, other), (one, third)]),
        ("server %d deaf" % one, [(other, one), (third, one)]),
        ("%d and %d cut, both hear %d" % (one, other, third), [(one, other), (other, one)]),
        ("%d to %d one way" % (one, other), [(one, other)]),
    ])


def committed_by(nodes):
    """For each epoch, the largest zxid that anybody called committed."""
    largest = {}
    for node in nodes:
        for _, line in list(node.lines):
            match = re.match(r"committed 0x([0-9a-f]+)$", line)
            if match:
                zxid = int(match.group(1), 16)
                largest[zxid >> 32] = max(largest.get(zxid >> 32, 0), zxid)
    return largest


def feed(nodes, seconds):
    """Whoever leads creates znodes; returns how much of the time somebody served."""
    limit = time.monotonic() + seconds
    served = rounds = 0
    while time.monotonic() < limit:
        rounds += 1
        leaders = [node for node in nodes if node.status()["serving"] == "1" and
                   node.status()["role"] == "leading"]
        served += 1 if leaders else 0
        for node in leaders:
            node.say("create 20")
        time.sleep(0.05)
    return served / rounds


def partition(tap, program):
    seed = int(os.environ.get("SEED", random.randrange(1 << 30)))
    rounds = int(os.environ.get("PARTITION_ROUNDS", "8"))
    tap.note("seed %d" % seed)
    rand = random.Random(seed)
    net = Net()
    lines = ["server.%d=%s:2888:3888" % (number, address(number)) for number in NUMBERS]
    nodes = [Node(program, number, lines, net.inside(number)).start() for number in NUMBERS]
    for node in nodes:
        node.wait(r"^serving")
    for _ in range(rounds):
        what, directions = draw(rand)
        seconds = rand.choice([0.5, 2, 4, 8])
        for one, other in directions:
            net.cut(one, other)
        served = feed(nodes, seconds)
        net.heal()
        healed = time.monotonic()
        whole = until(lambda: all(node.status()["serving"] == "1" for node in nodes) and
                      len({node.status()["epoch"] for node in nodes}) == 1, 30)
        took = time.monotonic() - healed
        feed(nodes, 0.3)
        same = until(lambda: len({(node.status()["applied"], node.status()["digest"])
                                  for node in nodes}) == 1)
        lost = []
        committed = committed_by(nodes)
        for node in nodes:
            have = node.children()
            lost += ["%x" % zxid for epoch, last in committed.items()
                     for zxid in range((epoch << 32) + 1, last + 1) if "%016x" % zxid not in have]
        tap.ok(whole and same and not lost, "%s for %.1f s" % (what, seconds),
               "%s\nlost: %s\n%s" % ([node.status() for node in nodes], lost[:10],
                                      "\n".join(node.log_tail(12) for node in nodes)))
        tap.note("served %.0f %% of the time, whole again after %.1f s" % (served * 100, took))
    different = [node.status()["different"] for node in nodes]
    tap.ok(different == ["0"] * 3, "no digest differed", different)
    statuses = [node.remove() for node in nodes]
    tap.ok(statuses == [0, 0, 0], "all end cleanly", statuses)


if __name__ == "__main__":
    sys.exit(main(__doc__, [("partition", missing(), partition)]))
