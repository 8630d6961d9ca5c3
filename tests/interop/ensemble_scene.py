# SPDX-License-Identifier: MIT
"""An ensemble of three voters and an observer, with clients that speak frame by frame; for
ensemble_sessions.py and ensemble_requests.py."""
import argparse
import os
import time

import harness
import raw
from cluster import Cluster

TICK_MS = 500
SUPER = (raw.AUTH, raw.auth("digest", harness.SUPER_AUTH))
NO_NODE, NO_AUTH, QUOTA_EXCEEDED = -101, -102, -125


class Scene:
    """What every scene has: the ensemble, its roles, and a place to say what was found."""

    def __init__(self, tap, cluster, kind):
        self.tap = tap
        self.cluster = cluster
        self.kind = kind
        self.name = ""

    def port(self, number):
        return self.cluster.members[number].port

    def ours(self, *numbers):
        return all(self.cluster.members[number].flavour == "moonkeeper" for number in numbers)

    def settle(self):
        """All members serve; returns (leader, followers, observer)."""
        for number, server in self.cluster.members.items():
            if not server.alive():
                self.cluster.launch(number)
        self.cluster.wait_serving(seconds=40)
        leader = self.cluster.leader()
        return leader, self.cluster.followers(), 4

    def ok(self, good, text, detail=""):
        return self.tap.ok(good, "%s: %s" % (self.name, text), detail)

    def connect(self, number, **fields):
        """Tries again while the member is behind or not yet serving."""
        limit = time.monotonic() + 15
        while True:
            try:
                return raw.connect(self.port(number), **fields)
            except OSError:
                if time.monotonic() > limit:
                    raise
                time.sleep(0.02)

    def handshake(self, number, **fields):
        connection = raw.Connection(self.port(number))
        return connection, connection.handshake(**fields)

    def resume(self, connection, number, **fields):
        """The same session on a new connection to a member; returns it and the answer."""
        values = dict({"session": connection.session, "password": connection.password,
                       "timeout_ms": connection.timeout_ms}, **fields)
        return self.handshake(number, **values)

    def owner(self, number, path):
        """ephemeralOwner as a member has it after a sync; None where there is no such node."""
        connection = self.connect(number)
        try:
            connection.call(raw.SYNC, raw.buffer("/"))
            error, stat = connection.call(raw.EXISTS, raw.path_watch(path))
            if error not in (0, NO_NODE):
                raise ConnectionError("exists answered %s" % error)
            return stat.owner if error == 0 else None
        finally:
            connection.close_session()

    def ensure(self, *paths):
        connection = self.connect(self.cluster.leader())
        for path in paths:
            connection.call(raw.CREATE, raw.create(path))
        connection.close_session()

    def signal(self, number, which):
        os.kill(self.cluster.members[number].process.pid, which)


def refused(answer):
    """timeout, session and password of a session that is not there (any more)."""
    return isinstance(answer, tuple) and answer[1:4] == (0, 0, b"\0" * 16)


def accepted(answer, connection):
    return isinstance(answer, tuple) and answer[2] == connection.session and \
        answer[3] == connection.password


def place(scene, number):
    return scene.cluster.mode(number) or "%d" % number


def ephemeral(path):
    return raw.CREATE, raw.create(path, b"e", flags=1)


def kinds(server):
    if server == "mixed":
        return {1: "apache", 2: "moonkeeper", 3: "moonkeeper", 4: "apache"}
    if server == "guest":  # ours learn from Apache's leader
        return {1: "moonkeeper", 2: "apache", 3: "apache", 4: "moonkeeper"}
    return {number: server for number in (1, 2, 3, 4)}


def main(description, scenes):
    """Runs all scenes, or those that --only names, on one ensemble."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--only", action="append", choices=sorted(scenes))
    parser.add_argument("--server", default="moonkeeper",
                        choices=("moonkeeper", "apache", "mixed", "guest"))
    options = parser.parse_args()
    tap = harness.Tap()
    members = kinds(options.server)
    reason = next(filter(None, map(harness.missing, set(members.values()))), None)
    if reason:
        tap.skip("sessions of an ensemble", reason)
        return tap.done()
    settings = {"tickTime": TICK_MS, "minSessionTimeout": 1000}
    cluster = Cluster(members, observers=(4,), settings=settings)
    try:
        for server in cluster.members.values():
            server.properties["znode.container.checkIntervalMs"] = 1000
        cluster.launch()
        scene = Scene(tap, cluster, options.server)
        for name in options.only or scenes:
            scene.name = name
            began = time.monotonic()
            try:
                scenes[name](scene)
            except (RuntimeError, OSError, StopIteration, TimeoutError, TypeError) as error:
                scene.ok(False, "ended by %s" % type(error).__name__, error)
            tap.note("%s took %.1f s" % (name, time.monotonic() - began))
    finally:
        for number, server in cluster.members.items():
            if tap.failed:
                tap.note("--- %d\n%s" % (number, server.log_tail(12)))
                server.keep("a check failed")
            else:
                server.remove()
    return tap.done()

