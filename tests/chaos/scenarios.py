# SPDX-License-Identifier: MIT
"""The scenarios: what is done to an ensemble while clients work on it, until a time is up."""
import time


class Scenario:
    def __init__(self, harm, members=3, short=False, settings=None):
        self.name, self.harm, self.members = harm.__name__, harm, members
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
    """SIGSTOP of the leader for 1-8 s: its lease is over, it must not answer as a leader."""
    while time.monotonic() < until:
        stage.pause(stage.leader(), stage.random.uniform(1, 8))
        time.sleep(stage.random.uniform(1, 3))


def stop_follower(stage, until):
    """SIGSTOP of a follower for 1-8 s: it must not answer from what it knew before."""
    while time.monotonic() < until:
        stage.pause(stage.follower(), stage.random.uniform(1, 8))
        time.sleep(stage.random.uniform(0.5, 2))


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


ALL = [
    Scenario(calm, short=True),
    Scenario(kill_leader, short=True),
    Scenario(kill_follower),
    Scenario(kill_all, short=True),
    Scenario(kill_any, settings={"snapCount": 300}),
    Scenario(stop_leader, short=True),
    Scenario(stop_follower),
    Scenario(restart_storm),
]
BY_NAME = {scenario.name: scenario for scenario in ALL}
