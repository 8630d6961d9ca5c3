# SPDX-License-Identifier: MIT
"""kill -9 in the middle of a pipelined write load; nothing acknowledged may be missing.

    crash.py [--server moonkeeper|apache] [--rounds 10] [--seed N]

Each round several connections write without waiting; the server is killed at a random moment and
started again on its directory. What it then holds must be, for each connection, exactly the state
after some prefix of its requests, and that prefix must reach at least to the last acknowledged
one. Sessions and their ephemeral nodes must have survived too. At the end Apache starts on the
directory, writes, is killed, and the first kind of server starts on what Apache left: each time
the whole tree, stats and ACLs included, must be the same.
"""
import argparse
import random
import select
import sys
import time

import harness
import raw

WRITERS = 4
WINDOW = 48
# No session may expire while trees are compared, however slow this machine is today.
SESSION_TIMEOUT_MS = 3600000
SETTINGS = {"snapCount": 400, "preAllocSize": 64, "maxSessionTimeout": SESSION_TIMEOUT_MS}


class Writer:
    """One connection, its requests in order, and the states that they lead to."""

    def __init__(self, port, root):
        self.root = root
        self.connection = raw.connect(port, timeout_ms=SESSION_TIMEOUT_MS)
        for path, flags in ((root, 0), (root + "/counter", 0), (root + "/here", 1)):
            err, _ = self.connection.call(raw.CREATE, raw.create(path, b"0", flags=flags))
            assert err == 0, (path, err)
        self.sent = 0
        self.acknowledged = 0
        self.wrong = None

    def request(self, number):
        """The request with this number; it succeeds if all before it did."""
        node = "%s/n%d" % (self.root, number)
        value = b"%d" % number
        if number % 7 == 3:
            return raw.MULTI, raw.multi([
                (raw.CREATE, raw.create(node, value)),
                (raw.SET_DATA, raw.set_data(self.root + "/counter", value))])
        if number % 5 == 4:
            return raw.DELETE, raw.path_version("%s/n%d" % (self.root, number - 2))
        if number % 3 == 2:
            return raw.SET_DATA, raw.set_data(self.root + "/counter", value)
        return raw.CREATE2, raw.create(node, value, flags=0)

    @staticmethod
    def apply(state, number):
        """state: {node name: data}. Mirrors request()."""
        value = b"%d" % number
        if number % 7 == 3:
            state["n%d" % number] = state["counter"] = value
        elif number % 5 == 4:
            state.pop("n%d" % (number - 2), None)
        elif number % 3 == 2:
            state["counter"] = value
        else:
            state["n%d" % number] = value

    def expected_error(self, number):
        """Deletes of what was never created fail."""
        if number % 7 != 3 and number % 5 == 4:
            other = number - 2
            made = other >= 0 and (other % 7 == 3 or not (other % 5 == 4 or other % 3 == 2))
            return 0 if made else -101
        return 0

    def fill(self):
        data = b""
        while self.sent - self.acknowledged < WINDOW:
            opcode, body = self.request(self.sent)
            self.sent += 1
            frame = raw.integer(self.sent) + raw.integer(opcode) + body
            data += raw.integer(len(frame)) + frame
        if data:
            self.connection.send_bytes(data)

    def drain(self, timeout):
        """Reads replies; returns False at the end of the connection."""
        while True:
            message = self.connection.read(timeout)
            if message == raw.EOF:
                return False
            if message == raw.SILENCE:
                return True
            timeout = 0
            number = message.xid - 1
            if number != self.acknowledged or message.err != self.expected_error(number):
                self.wrong = self.wrong or "reply %r instead of that to %d" % (
                    message, self.acknowledged)
            self.acknowledged += 1

    def check(self, tree):
        """Compares with the tree after the restart; returns what is wrong, or None."""
        if self.wrong:
            return self.wrong
        prefix = self.root + "/"
        held = {path[len(prefix):]: entry[0] for path, entry in tree.items()
                if path.startswith(prefix)}
        if held.pop("here", None) is None:
            return "the ephemeral node of %s is gone" % self.root
        state = {"counter": b"0"}
        for number in range(self.acknowledged):
            self.apply(state, number)
        for number in range(self.acknowledged, self.sent + 1):
            if state == held:
                return None
            self.apply(state, number)
        missing = set(state) - set(held)
        return "%s holds no state between request %d (acknowledged) and %d (sent); of the last " \
            "state it lacks %s" % (self.root, self.acknowledged, self.sent, sorted(missing)[:9])


def start_again(server):
    """After kill -9 the port may linger for a moment."""
    return server.start(60)


def tree_of(port):
    connection = raw.connect(port)
    connection.call(raw.AUTH, raw.auth("digest", harness.SUPER_AUTH), raw.XID_AUTH)
    tree = raw.walk(connection)
    connection.close_session()
    return tree


def differences(left, right, limit=5):
    lines = []
    for path in sorted(set(left) | set(right)):
        if left.get(path) != right.get(path):
            lines.append("%s\n  before %r\n  after  %r" % (path, left.get(path), right.get(path)))
    return "%d differences\n%s" % (len(lines), "\n".join(lines[:limit])) if lines else None


def load(server, writers, writes):
    """Kill -9 when that many writes are acknowledged and others under way; the last replies."""
    end = time.monotonic() + 60
    while sum(writer.acknowledged for writer in writers) < writes and time.monotonic() < end:
        for writer in writers:
            writer.fill()
        ready = select.select([writer.connection.socket for writer in writers], [], [], 0.01)[0]
        for writer in writers:
            if writer.connection.socket in ready:
                writer.drain(0)
    for writer in writers:
        writer.fill()
    server.kill()
    for writer in writers:
        while writer.drain(5):
            pass


def crash_round(tap, server, number, chance):
    writers = [Writer(server.port, "/load/r%d-w%d" % (number, index)) for index in range(WRITERS)]
    load(server, writers, chance.randint(100, 6000))
    seconds = start_again(server)
    tree = tree_of(server.port)
    problems = [problem for problem in (writer.check(tree) for writer in writers) if problem]
    acknowledged = sum(writer.acknowledged for writer in writers)
    in_flight = sum(writer.sent for writer in writers) - acknowledged
    # One session comes back and closes, one stays away; both were alive when the power went.
    old = writers[0].connection
    connection = raw.Connection(server.port)
    answer = connection.handshake(session=old.session, password=old.password,
                                  last_zxid=old.last_zxid)
    if not isinstance(answer, tuple) or answer[2] != old.session:
        problems.append("session 0x%x cannot be resumed: %r" % (old.session, answer))
    else:
        connection.close_session()
    other = raw.connect(server.port)
    if other.call(raw.EXISTS, raw.path_watch(writers[0].root + "/here"))[0] != -101:
        problems.append("the ephemeral node outlived its closed session")
    other.close_session()
    for writer in writers:
        writer.connection.close()
    tap.ok(not problems, "kill %d: %d writes acknowledged, %d in flight, back in %.2f s" % (
        number, acknowledged, in_flight, seconds), "\n".join(problems))
    return tree_of(server.port)


def prepare(port):
    """One node of each kind, so that the other server meets all kinds of transactions."""
    connection = raw.connect(port, timeout_ms=40000)
    connection.call(raw.AUTH, raw.auth("digest", b"user:password"), raw.XID_AUTH)
    calls = [
        (raw.CREATE, raw.create("/load", b"")), (raw.CREATE, raw.create("/kinds", None)),
        (raw.CREATE_CONTAINER, raw.create("/kinds/container", b"", flags=4)),
        (raw.CREATE_TTL, raw.create_ttl("/kinds/ttl", b"x", raw.OPEN_ACL, 5, 10**9)),
        (raw.CREATE, raw.create("/kinds/private", b"", [(31, "auth", "")])),
        (raw.CREATE2, raw.create("/kinds/s-", b"", flags=2)),
        (raw.SET_ACL, raw.set_acl("/kinds/container", [(31, "ip", "127.0.0.1")])),
        (raw.SET_DATA, raw.set_data("/", b"root")), (raw.SET_DATA, raw.set_data("/kinds", None)),
        (raw.CREATE, raw.create("/kinds/\u00e9t\u00e9", b"\xff\x00")),
        (raw.MULTI, raw.multi([])),
        (raw.MULTI, raw.multi([
            (raw.CREATE, raw.create("/kinds/m1", b"", flags=4)),
            (raw.CREATE2, raw.create("/kinds/m2", b"x")),
            (raw.CREATE_CONTAINER, raw.create("/kinds/m3", b"y")),
            (raw.CREATE_TTL, raw.create_ttl("/kinds/m4", b"", raw.OPEN_ACL, 5, 10**9)),
            (raw.CHECK, raw.path_version("/kinds/m2", 0)),
            (raw.SET_DATA, raw.set_data("/kinds/m3", b"z")),
            (raw.DELETE, raw.path_version("/kinds/m1"))])),
        (raw.MULTI, raw.multi([(raw.CREATE2, raw.create("/kinds/m5", b"")),
                               (raw.DELETE, raw.path_version("/kinds"))])),
        (raw.CREATE, raw.create("/zookeeper/quota/kinds", b"")),
        (raw.CREATE, raw.create("/zookeeper/quota/kinds/zookeeper_limits", b"count=9,bytes=99")),
        (raw.CREATE, raw.create("/zookeeper/quota/kinds/zookeeper_stats", b"")),
        (raw.DELETE, raw.path_version("/nothing")),
    ]
    for opcode, body in calls:
        connection.call(opcode, body)
    connection.close_session()


def hand_over(tap, server, kind, tree, name):
    """Another server starts on the directory; returns it and its tree."""
    server.kill()
    other = harness.KINDS[kind](SETTINGS, data_dir=server.data_dir)
    other.start(60)
    found = tree_of(other.port)
    tap.ok(found == tree, "%s: %d nodes with equal stats and ACLs" % (name, len(found)),
           differences(tree, found))
    return other, found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--server", choices=harness.KINDS, default="moonkeeper")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    tap = harness.Tap()
    reason = harness.missing(options.server)
    if reason:
        tap.skip("crash", reason)
        return tap.done()
    chance = random.Random(options.seed)
    servers = [harness.KINDS[options.server](SETTINGS)]
    server = servers[0]
    try:
        server.start()
        prepare(server.port)
        tree = {}
        for number in range(1, options.rounds + 1):
            found = crash_round(tap, server, number, chance)
            # What earlier rounds left, the ephemeral nodes included, is the same to the last byte.
            old = {path: entry for path, entry in tree.items() if path != "/load"}
            now = {path: found[path] for path in old if path in found}
            if number > 1:
                tap.ok(old == now, "kill %d: the %d nodes of earlier rounds are unchanged" % (
                    number, len(old)), differences(old, now))
            tree = found
        if harness.missing("apache"):
            tap.skip("Apache starts on the directory", harness.missing("apache"))
        else:
            other, found = hand_over(tap, server, "apache", tree, "Apache on %s's directory" %
                                     options.server)
            servers.append(other)
            prepare(other.port)
            round_tree = crash_round(tap, other, options.rounds + 1, chance)
            last, _ = hand_over(tap, other, options.server, round_tree,
                                "%s on Apache's directory" % options.server)
            servers.append(last)
    except (RuntimeError, OSError, AssertionError) as error:
        tap.ok(False, "the crash test runs to its end", error)
    for each in reversed(servers):
        if tap.failed:
            each.keep("a crash test failed")
        else:
            each.remove()
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
