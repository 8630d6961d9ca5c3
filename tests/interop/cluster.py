# SPDX-License-Identifier: MIT
"""Ensembles of several servers on loopback, of either kind or mixed, for the suites.

A member is a harness.Server with server.N lines and a myid file. A cluster knows who leads, waits
for service, and compares what its members hold.
"""
import os
import time

import harness

TICK_MS = 500


def wait_until(condition, seconds, step=0.02):
    """The seconds that it took, or None."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        if condition():
            return time.monotonic() - began
        time.sleep(step)
    return None


class Cluster:
    """kinds: {id: "moonkeeper" or "apache"}; observers: ids that do not vote."""

    def __init__(self, kinds, observers=(), settings=None):
        self.ports = {number: (harness.free_port(), harness.free_port()) for number in kinds}
        self.observers = set(observers)
        self.settings = dict({"tickTime": TICK_MS, "initLimit": 20, "syncLimit": 8,
                              "maxSessionTimeout": 60000}, **(settings or {}))
        self.members = {number: self.member(number, kind) for number, kind in kinds.items()}

    def lines(self):
        return {"server.%d" % number: "127.0.0.1:%d:%d:%s" % (
            quorum, election, "observer" if number in self.observers else "participant")
            for number, (quorum, election) in self.ports.items()}

    def member(self, number, kind, data_dir=None):
        settings = dict(self.settings, **self.lines())
        if number in self.observers:
            settings["peerType"] = "observer"
        server = harness.KINDS[kind](settings, data_dir=data_dir)
        with open(os.path.join(server.data_dir, "myid"), "w") as myid:
            myid.write("%d\n" % number)
        return server

    def replace(self, number, kind):
        """Another kind of server on the same directory and ports; the old one is stopped."""
        old = self.members[number]
        old.stop()
        self.members[number] = self.member(number, kind, old.data_dir)
        self.members[number].port = old.port
        return self.members[number]

    def launch(self, *numbers):
        """Starts them without waiting for service: that takes a quorum."""
        for number in numbers or self.members:
            server = self.members[number]
            with open(server.log_path, "ab") as log:
                server.process = harness.start_process(
                    server.command(server.write_config()), stdout=log,
                    stderr=harness.subprocess.STDOUT, stdin=harness.subprocess.DEVNULL,
                    cwd=server.work_dir)

    def mode(self, number):
        """"leader", "follower", "observer", "standalone" or None."""
        server = self.members[number]
        if not server.alive():
            return None
        try:
            for line in harness.four_letter_word(server.port, "srvr", 1).split("\n"):
                if line.startswith("Mode: "):
                    return line[len("Mode: "):].strip()
        except OSError:
            pass
        return None

    def leader(self):
        for number in self.members:
            if self.mode(number) == "leader":
                return number
        return None

    def followers(self):
        return [number for number in self.members if self.mode(number) == "follower"]

    def wait_serving(self, numbers=None, seconds=30):
        numbers = list(numbers or self.members)
        took = wait_until(lambda: all(self.mode(number) for number in numbers), seconds)
        if took is None:
            raise RuntimeError("not serving after %d s: %s\n%s" % (
                seconds, {number: self.mode(number) for number in numbers},
                "\n".join("--- %d\n%s" % (number, self.members[number].log_tail(15))
                          for number in numbers)))
        return took

    def zxid(self, number):
        for line in harness.four_letter_word(self.members[number].port, "srvr", 2).split("\n"):
            if line.startswith("Zxid: "):
                return int(line[len("Zxid: "):], 16)
        return None

    def hosts(self, numbers=None):
        return ",".join("127.0.0.1:%d" % self.members[number].port
                        for number in numbers or self.members)

    def stop(self):
        for server in self.members.values():
            server.stop()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        for server in self.members.values():
            if kind is None or kind is SystemExit:
                server.remove()
            else:
                server.keep(kind.__name__)
