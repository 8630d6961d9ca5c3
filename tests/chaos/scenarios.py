# SPDX-License-Identifier: MIT
"""The scenarios: what is done to an ensemble while clients work on it, until a time is up."""
import time


class Scenario:
    def __init__(self, harm, members=3, short=False, settings=None, proxied=False,
                 observers=(), name=None):
        self.name, self.harm, self.members = name or harm.__name__, harm, members
        self.proxied, self.observers = proxied, observers
        self.short, self.settings = short, settings or {}


def calm(stage, until):
    """Nothing happens: shows that load and checker are right."""
    time.sleep(max(0, until - time.monotonic()))


def kill_leader(stage, until):
    """kill -9 of the leader, again and again; it returns a moment later."""
    while time.monotonic() < until:
        leader = stage.leader()
        stage.kill(leader)
        time.sleep(stage.random.uniform(0.1, 2))
        stage.launch(leader)
        time.sleep(stage.random.uniform(1, 3))


def kill_follower(stage, until):
    """kill -9 of a follower, again and again; it returns a moment later."""
    while time.monotonic() < until:
        number = stage.follower()
        stage.kill(number)
        time.sleep(stage.random.uniform(0.1, 2))
        stage.launch(number)
        time.sleep(stage.random.uniform(0.5, 2))


def kill_all(stage, until):
    """kill -9 of all at once; they return in any order."""
    while time.monotonic() < until:
        numbers = list(stage.cluster.members)
        stage.kill(*numbers)
        stage.random.shuffle(numbers)
        for number in numbers:
            stage.launch(number)
            time.sleep(stage.random.choice((0, 0, 0.3, 1)))
        stage.leader()
        time.sleep(stage.random.uniform(1, 3))


def kill_any(stage, until):
    """kill -9 of one or two at random, at short intervals, with snapshots all the time."""
    while time.monotonic() < until:
        numbers = stage.random.sample(list(stage.cluster.members), stage.random.choice((1, 1, 2)))
        stage.kill(*numbers)
        time.sleep(stage.random.uniform(0, 1.5))
        stage.launch(*numbers)
        time.sleep(stage.random.uniform(0.2, 2.5))


def stop_leader(stage, until):
    """SIGSTOP of the leader for up to 8 s: its lease is over, it must not answer as a leader."""
    while time.monotonic() < until:
        stage.pause(stage.leader(), stage.random.uniform(3, 8))
        time.sleep(stage.random.uniform(1, 2))
        stage.pause(stage.leader(), stage.random.uniform(0.5, 2.5))
        time.sleep(stage.random.uniform(0.5, 2))


def stop_follower(stage, until):
    """SIGSTOP of a follower for up to 8 s: it must not answer from what it knew before."""
    while time.monotonic() < until:
        stage.pause(stage.follower(), stage.random.uniform(3, 8))
        time.sleep(stage.random.uniform(0.5, 2))
        stage.pause(stage.follower(), stage.random.uniform(0.5, 2.5))
        time.sleep(stage.random.uniform(0.5, 2))


def stop_often(stage, until):
    """Short ticks, and SIGSTOP of the leader for far more than syncLimit, again and again."""
    while time.monotonic() < until:
        stage.pause(stage.leader(), stage.random.uniform(1.8, 2.5))
        time.sleep(stage.random.uniform(0.3, 1))


def restart_storm(stage, until):
    """Every member is restarted at its own short intervals, cleanly or with kill -9."""
    while time.monotonic() < until:
        number = stage.random.choice(list(stage.cluster.members))
        server = stage.cluster.members[number]
        if stage.random.random() < 0.5:
            stage.kill(number)
        else:
            status = server.stop()
            stage.tell("stopped %d" % number)
            if status != 0:
                stage.surprises.append("member %d stopped with status %s\n%s" % (
                    number, status, server.log_tail(15)))
        stage.launch(number)
        time.sleep(stage.random.uniform(0.05, 1.2))


HISTORY_ENTRIES = 10000  # that a leader keeps for those who were away (zab_options_init)


def left_behind(stage, until):
    """A follower misses more than the leader keeps in memory, and leaders die around its return."""
    while time.monotonic() < until:
        number = stage.follower()
        stage.kill(number)
        stage.bulk(stage.leader(), HISTORY_ENTRIES + stage.random.randint(-2000, 2000))
        stage.launch(number)
        time.sleep(stage.random.uniform(0, 0.3))
        if stage.random.random() < 0.6:
            leader = stage.leader()
            stage.kill(leader)
            time.sleep(stage.random.uniform(0, 0.5))
            stage.launch(leader)
        time.sleep(stage.random.uniform(1, 2))


def wiped(stage, until):
    """A member's disk is empty when it returns; the others are there all the time."""
    while time.monotonic() < until:
        number = stage.random.choice(list(stage.cluster.members))
        stage.cluster.wait_serving()
        stage.kill(number)
        stage.leader()
        stage.cluster.wait_serving(stage.others(number))
        stage.wipe(number)
        stage.launch(number)
        stage.cluster.wait_serving()
        time.sleep(stage.random.uniform(0.5, 1.5))


def observed(stage, until):
    """Two observers and three voters are killed and stopped at random."""
    while time.monotonic() < until:
        number = stage.random.choice(list(stage.cluster.members))
        if stage.random.random() < 0.3:
            stage.pause(number, stage.random.uniform(0.5, 4))
        else:
            stage.kill(number)
            time.sleep(stage.random.uniform(0, 1.5))
            stage.launch(number)
        time.sleep(stage.random.uniform(0, 1.5))


# ---- links, through the proxy -----------------------------------------------------------------

def rest(stage, until, low, high):
    time.sleep(max(0, min(until + 1 - time.monotonic(), stage.random.uniform(low, high))))


def linked_calm(stage, until):
    """Nothing happens, but all goes through the proxy."""
    rest(stage, until, 999, 999)


def isolate_leader(stage, until):
    """The leader is cut off from all other members, its connections stay open; then healed."""
    while time.monotonic() < until:
        leader = stage.leader()
        for other in stage.others(leader):
            stage.link("part", leader, other)
        rest(stage, until, 1, 6)
        stage.link("heal")
        rest(stage, until, 1, 3)


def isolate_any(stage, until):
    """A member at random is cut off, half of the time by refused and reset connections."""
    while time.monotonic() < until:
        number = stage.random.choice(list(stage.cluster.members))
        deed = stage.random.choice(("part", "refuse"))
        for other in stage.others(number):
            stage.link(deed, number, other)
            if deed == "refuse":
                stage.link("cut", number, other)
        rest(stage, until, 1, 5)
        stage.link("heal")
        rest(stage, until, 0.5, 2)


def one_way_out(stage, until):
    """What the leader sends is late for seconds, or lost; it hears all."""
    while time.monotonic() < until:
        leader, deed = stage.leader(), stage.random.choice(("part", "lose"))
        for other in stage.others(leader):
            stage.link(deed, leader, other, *([False] if deed == "part" else []))
        rest(stage, until, 1, 6)
        stage.link("heal")
        rest(stage, until, 1, 3)


def one_way_in(stage, until):
    """What the leader is sent is late for seconds, or lost; all hear it."""
    while time.monotonic() < until:
        leader, deed = stage.leader(), stage.random.choice(("part", "lose"))
        for other in stage.others(leader):
            stage.link(deed, other, leader, *([False] if deed == "part" else []))
        rest(stage, until, 1, 6)
        stage.link("heal")
        rest(stage, until, 1, 3)


def one_way_any(stage, until):
    """Some ordered pairs of members, at random, are deaf for each other."""
    while time.monotonic() < until:
        numbers = list(stage.cluster.members)
        for _ in range(stage.random.randint(1, 3)):
            one, two = stage.random.sample(numbers, 2)
            stage.link("part", one, two, False)
        rest(stage, until, 0.5, 5)
        stage.link("heal")
        rest(stage, until, 0.5, 2)


def bridge(stage, until):
    """Five members in two halves of two that see only the fifth in common."""
    while time.monotonic() < until:
        numbers = list(stage.cluster.members)
        stage.random.shuffle(numbers)
        for one in numbers[:2]:
            for two in numbers[2:4]:
                stage.link("part", one, two)
        rest(stage, until, 2, 6)
        stage.link("heal")
        rest(stage, until, 1, 3)


def slow_link(stage, until):
    """Links with delays of up to 300 ms, narrow ones, and bytes one at a time."""
    def change(way):
        way.delay = stage.random.choice((0, 0.005, 0.05, 0.3))
        way.rate = stage.random.choice((None, None, 20000, 100000))
        way.pieces = stage.random.random() < 0.3
    while time.monotonic() < until:
        numbers = list(stage.cluster.members)
        pairs = [stage.random.sample(numbers, 2) for _ in range(stage.random.randint(1, 4))]
        stage.tell("slow: %s" % (pairs,))
        stage.ways(change, *pairs)
        rest(stage, until, 1, 4)
        if stage.random.random() < 0.5:
            stage.link("heal")
            rest(stage, until, 0.5, 1)


def cut_links(stage, until):
    """Connections between members end at random: RST, FIN, or inside a frame."""
    while time.monotonic() < until:
        one, two = stage.random.sample(list(stage.cluster.members), 2)
        deed = stage.random.choice(("cut", "within", "gentle"))
        if deed == "within":
            stage.link("cut_within", one, two)
        else:
            stage.link("cut", one, two, deed == "cut")
        rest(stage, until, 0.05, 1)


def client_cuts(stage, until):
    """Clients' connections end at random, inside frames too, or fall silent one way."""
    while time.monotonic() < until:
        number = stage.random.choice(list(stage.cluster.members))
        pair = stage.random.choice((("client", number), (number, "client")))
        deed = stage.random.choice(("cut", "cut_within", "cut_within", "lose", "part"))
        stage.link(deed, *pair)
        rest(stage, until, 0.05, 1)
        if deed in ("lose", "part"):
            rest(stage, until, 0.5, 3)
            stage.link("heal")


def everything(stage, until):
    """Kills, stops, partitions and cuts at random, two or three members at a time."""
    while time.monotonic() < until:
        one, two = stage.random.sample(list(stage.cluster.members), 2)
        dice = stage.random.randrange(6)
        if dice == 0:
            stage.kill(one)
            rest(stage, until, 0, 2)
            stage.launch(one)
        elif dice == 1:
            stage.pause(one, stage.random.uniform(0.5, 4))
        elif dice == 2:
            stage.link("cut", one, two)
        elif dice == 3:
            stage.link("cut_within", one, two)
        elif dice == 4:
            stage.link("part", one, two, stage.random.random() < 0.5)
        else:
            stage.link("heal")
        rest(stage, until, 0, 1.5)


ALL = [
    Scenario(calm, short=True),
    Scenario(kill_leader, short=True),
    Scenario(kill_follower),
    Scenario(kill_all, short=True),
    Scenario(kill_any, settings={"snapCount": 300}),
    Scenario(stop_leader, short=True),
    Scenario(stop_follower),
    Scenario(stop_often, settings={"tickTime": 100, "syncLimit": 5}),
    Scenario(restart_storm),
    Scenario(left_behind, settings={"snapCount": 5000}),
    Scenario(wiped, settings={"snapCount": 1000}),
    Scenario(observed, members=5, observers=(4, 5)),
    Scenario(linked_calm, proxied=True),
    Scenario(isolate_leader, proxied=True, short=True),
    Scenario(isolate_any, proxied=True),
    Scenario(one_way_out, proxied=True),
    Scenario(one_way_in, proxied=True),
    Scenario(one_way_any, proxied=True),
    Scenario(bridge, members=5, proxied=True),
    Scenario(slow_link, proxied=True),
    Scenario(cut_links, proxied=True, short=True),
    Scenario(client_cuts, proxied=True),
    Scenario(everything, proxied=True, settings={"snapCount": 500}),
    Scenario(everything, proxied=True, settings={"snapCount": 500}, members=5,
             name="everything_five"),
]
BY_NAME = {scenario.name: scenario for scenario in ALL}
