# SPDX-License-Identifier: MIT
"""One ensemble with clients at work: what a scenario acts on (Stage)."""
import os
import random
import shutil
import signal
import time

import proxy
import recorder
import paths  # noqa: F401
import harness
import raw
from cluster import Cluster, wait_until

HEALTHY_SECONDS = 25


CLIENT = "client"


class LinkedCluster(Cluster):
    """Every member knows the others by ports of the proxy, one pair of ports for each ordered
    pair of members: who connects there is known."""

    def __init__(self, kinds, **options):
        self.pair_ports = {(one, two): (harness.free_port(), harness.free_port())
                           for one in kinds for two in kinds if one != two}
        super().__init__(kinds, **options)
        self.client_ports = {number: harness.free_port() for number in kinds}

    def member(self, number, kind, data_dir=None):
        server = super().member(number, kind, data_dir)
        for other in self.ports:
            if other != number:
                server.settings["server.%d" % other] = "127.0.0.1:%d:%d:%s" % (
                    *self.pair_ports[number, other],
                    "observer" if other in self.observers else "participant")
        return server

    async def link(self, links):
        for (one, two), (quorum, election) in self.pair_ports.items():
            await links.listen(one, two, self.ports[two][0], quorum)
            await links.listen(one, two, self.ports[two][1], election,
                               hello_port=self.pair_ports[two, one][1])
        for number, port in self.client_ports.items():
            await links.listen(CLIENT, number, self.members[number].port, port)


class Stage:
    tick_ms = 500
    sync_limit = 4

    def __init__(self, scenario, seed):
        self.random = random.Random("%s/%s" % (scenario.name, seed))
        self.seed = seed
        settings = {"tickTime": self.tick_ms, "syncLimit": self.sync_limit, "initLimit": 20,
                    "snapCount": 100000, "autopurge.snapRetainCount": 3,
                    "maxSessionTimeout": 60000}
        settings.update(scenario.settings)
        self.tick_ms, self.sync_limit = settings["tickTime"], settings["syncLimit"]
        kinds = {number + 1: "moonkeeper" for number in range(scenario.members)}
        options = {"settings": settings, "observers": scenario.observers}
        self.loop = recorder.Loop()
        self.links = None
        if scenario.proxied:
            self.cluster = LinkedCluster(kinds, **options)
            self.links = proxy.Proxy(self.loop)
            self.loop.run(self.cluster.link(self.links))
        else:
            self.cluster = Cluster(kinds, **options)
        self.recorder = None
        self.story, self.surprises, self.trees = [], [], {}
        self.stopped = set()  # by SIGSTOP
        self.began = time.monotonic()

    def tell(self, text):
        self.story.append("%s +%.2f (%.3f) %s" % (
            time.strftime("%H:%M:%S"), time.monotonic() - self.began, time.monotonic(), text))

    def stale_ms(self):
        """How long a member may answer reads after it lost its leader, with some air for a busy
        machine."""
        return self.sync_limit * self.tick_ms + 1000

    @staticmethod
    def bank():
        return recorder.ACCOUNTS, recorder.ACCOUNT_BEGIN * len(recorder.ACCOUNTS)

    def begin(self):
        self.cluster.launch()
        self.cluster.wait_serving(seconds=30)
        ports = self.cluster.client_ports if self.links else {
            number: server.port for number, server in self.cluster.members.items()}
        self.recorder = recorder.Recorder(self.loop, list(ports.items()), seed=self.seed)
        self.recorder.prepare()
        self.recorder.start()
        time.sleep(1)

    # ---- harm -------------------------------------------------------------------------------

    def leader(self, seconds=10):
        """Whoever leads, waiting for one."""
        found = []
        wait_until(lambda: found.append(self.cluster.leader()) or found[-1], seconds, 0.05)
        return found[-1] or self.random.choice(list(self.cluster.members))

    def follower(self):
        leader = self.leader()
        return self.random.choice([n for n in self.voters() if n != leader])

    def voters(self):
        return [n for n in self.cluster.members if n not in self.cluster.observers]

    def kill(self, *numbers):
        for number in numbers:
            self.check_alive(number)
            if self.cluster.members[number].alive():
                self.cluster.members[number].process.send_signal(signal.SIGKILL)
        for number in numbers:
            self.cluster.members[number].kill()
        self.tell("killed %s" % (numbers,))

    def launch(self, *numbers):
        self.cluster.launch(*numbers)
        self.tell("started %s" % (numbers,))

    def check_alive(self, number):
        server = self.cluster.members[number]
        if not server.alive():
            self.surprises.append("member %d ended with status %s\n%s" % (
                number, server.process.poll(), server.log_tail(15)))

    def wipe(self, number):
        """An empty disk: all but the member's id is gone."""
        shutil.rmtree(os.path.join(self.cluster.members[number].data_dir, "version-2"))
        self.tell("wiped %d" % number)

    def bulk(self, number, count):
        """So many quick writes through a member, by a session that nobody records; fewer if it
        stops serving."""
        done = 0
        try:
            connection = raw.connect(self.cluster.members[number].port)
            connection.call(raw.CREATE, raw.create("/bulk", b""))
            while done < count:
                for _ in range(250):
                    connection.request(raw.SET_DATA, raw.set_data("/bulk", b"%d" % done))
                    done += 1
                for _ in range(250):
                    if not isinstance(connection.read(), raw.Reply):
                        raise ConnectionError
            connection.close_session()
        except (OSError, ConnectionError):
            pass
        self.tell("%d writes through %d" % (done, number))

    def pause(self, number, seconds):
        self.tell("SIGSTOP %d for %.1f s" % (number, seconds))
        self.cluster.members[number].process.send_signal(signal.SIGSTOP)
        self.stopped.add(number)
        time.sleep(seconds)
        self.resume(number)

    def resume(self, number):
        self.cluster.members[number].process.send_signal(signal.SIGCONT)
        self.stopped.discard(number)
        self.tell("SIGCONT %d" % number)

    def link(self, name, *arguments):
        """Has the proxy do something, by the name of its method."""
        self.tell("%s%s" % (name, arguments))
        return self.loop.call(getattr(self.links, name), *arguments)

    def ways(self, change, *pairs):
        """Changes the Way of each ordered pair."""
        def inside():
            for pair in pairs:
                change(self.links.way(*pair))
        self.loop.call(inside)

    def others(self, number):
        return [other for other in self.cluster.members if other != number]

    # ---- the end ----------------------------------------------------------------------------

    def heal(self):
        for number in list(self.stopped):
            self.resume(number)
        if self.links:
            self.link("heal")
        for number, server in self.cluster.members.items():
            self.check_alive(number)
            if not server.alive():
                self.launch(number)
        self.healed = time.monotonic()
        self.tell("healed")

    def wait_healthy(self):
        """Seconds until every member serves and writes succeed, or None."""
        def healthy():
            return all(self.cluster.mode(number) for number in self.cluster.members) and \
                self.recorder.last_write() > self.healed
        took = wait_until(healthy, HEALTHY_SECONDS, 0.05)
        if took is not None:
            time.sleep(1)
        return took

    def longest_pause(self):
        """Between two successful writes of anybody (s)."""
        times = sorted(op.returned for op in self.recorder.history.operations
                       if op.returned and op.writes and not op.error)
        return max((b - a for a, b in zip(times, times[1:])), default=0) / 1e9

    def finish(self):
        """Clients end; members agree; their trees are looked at; they stop."""
        self.recorder.finish()
        members = self.cluster.members

        def agree():
            try:
                return len({self.cluster.zxid(number) for number in members}) == 1
            except (OSError, TypeError):
                return False
        if wait_until(agree, 15, 0.1) is None:
            raise RuntimeError("members do not come to one zxid\n" + self.tails())
        for number, server in members.items():
            connection = raw.connect(server.port)
            connection.call(raw.SYNC, raw.buffer("/"))
            self.trees[str(number)] = raw.walk(connection)
            connection.close_session()
        if wait_until(agree, 15, 0.1) is None:
            raise RuntimeError("members do not come to one zxid at the end\n" + self.tails())
        for number, server in members.items():
            self.check_alive(number)
            status = server.stop()
            if status != 0:
                self.surprises.append("member %d stopped with status %s\n%s" % (
                    number, status, server.log_tail(15)))

    def stop_members(self):
        for number in list(self.stopped):
            self.resume(number)
        self.cluster.stop()

    def remove(self):
        if self.links:
            self.loop.run(self.links.close())
        self.loop.stop()
        for server in self.cluster.members.values():
            server.remove()

    def tails(self):
        return "\n".join("--- member %d\n%s" % (number, server.log_tail(12))
                         for number, server in self.cluster.members.items())
