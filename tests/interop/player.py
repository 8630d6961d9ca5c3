# SPDX-License-Identifier: MIT
"""Plays the steps of generate.py on two servers and compares everything that comes back.

A step goes to both servers, then each open connection is pinged, so that all watch events of the
step are in before the next one: no reply depends on a race. Compared are replies (error, zxid,
record byte for byte), events and their order, handshakes, closed sockets, four-letter words, and
at the end the whole tree with stats and ACLs. What sides.py does not normalise and rules.py does
not explain is a Difference. Used by differential.py.
"""
import re

import generate
import harness
import raw
from rules import Rules
from sides import Side

CREATES = (raw.CREATE, raw.CREATE2, raw.CREATE_CONTAINER, raw.CREATE_TTL)


class Difference(Exception):
    pass


class Player:
    """Plays steps on two sides; raises Difference at the first that no rule explains."""

    def __init__(self, left, right, verbose=False):
        self.sides = (Side(left), Side(right))
        kinds = (left.flavour, right.flavour)
        old = kinds.index("apache") if kinds[0] != kinds[1] else None
        self.rules = Rules(old)
        self.known = {}             # path -> Stat, from the left
        self.made = []
        self.verbose = verbose
        self.requests = 0
        self.events = 0
        self.errors = {}

    # ---- symbols

    def part(self, side, slot, part):
        if isinstance(part, str):
            return bytes.fromhex(part)
        if "made" in part:
            return raw.buffer(self.made[part["made"] % len(self.made)] if self.made else b"/a")
        if "zxid" in part:
            last = self.sides[0].zxid(self.sides[0].slots[slot].last_zxid)
            wanted = {"last": last, "half": last // 2, "zero": 0}[part["zxid"]]
            return raw.long(side.raw_zxid(wanted))
        for kind in ("version", "aversion"):
            if kind in part:
                stat = self.known.get(part[kind])
                value = getattr(stat, kind) + part["delta"] if stat else -1
                return raw.integer(value)
        raise ValueError(part)

    def learn(self, op, token):
        if token[0] != "reply" or token[3] != 0:
            return
        record = token[4]
        if op["op"] == raw.MULTI and isinstance(record, list):
            for item in record[:-1]:
                if item[0] in (raw.CREATE, raw.CREATE2) and item[2] == 0:
                    self.learn_path(item[3] if item[0] == raw.CREATE else item[3][0])
        elif op["op"] in CREATES:
            self.learn_path(record if op["op"] == raw.CREATE else record[0])
        stat = record if isinstance(record, raw.Stat) else None
        if isinstance(record, tuple) and len(record) == 2 and isinstance(record[1], raw.Stat):
            stat = record[1]
        if stat and isinstance(op.get("path"), str):
            self.known[op["path"]] = stat

    def learn_path(self, path):
        if path and path[-10:].isdigit():
            self.made.append(path)
            del self.made[:-40]

    # ---- comparing

    def tokens(self, side, slot, messages, ops):
        """Normalised messages; events are ("event", type, state, path, made_up, zxid)."""
        result, replies = [], iter(ops)
        replay = any(op["op"] in (raw.SET_WATCHES, raw.SET_WATCHES2) for op in ops)
        for message in messages:
            if isinstance(message, raw.Event):
                zxid = "-" if self.rules.active else side.zxid(message[0])
                if self.rules.active and message[0] != -1:
                    self.rules.note("notification-zxid")
                result.append(("event", message[1], message[2], message[3], replay, zxid))
            elif isinstance(message, raw.Reply):
                result.append(side.reply(next(replies), message, not self.rules.active))
            else:
                result.append((message,))
        return result

    @staticmethod
    def sort_events(tokens):
        """closeSession deletes its ephemerals in no defined order."""
        result, run = [], []
        for token in tokens + [None]:
            if token and token[0] == "event":
                run.append(token)
                continue
            result += sorted(run, key=repr)
            run = []
            if token:
                result.append(token)
        return result

    def may_read(self, slot, path):
        answers = []
        for side in self.sides:
            connection = side.slots[slot].connection
            err, _ = connection.call(raw.GET_DATA, raw.path_watch(path))
            side.seen_zxid(connection.last_zxid)
            answers.append(err != -102)
        return all(answers)

    def compare(self, slot, ops, left, right, where):
        queues = [list(left), list(right)]
        pending = iter(ops)
        while queues[0] or queues[1]:
            heads = [queue[0] if queue else ("nothing",) for queue in queues]
            if heads[0] == heads[1]:
                if heads[0][0] == "reply":
                    op = next(pending)
                    self.learn(op, heads[0])
                    self.errors[heads[0][3]] = self.errors.get(heads[0][3], 0) + 1
                self.events += heads[0][0] == "event"
                queues[0].pop(0), queues[1].pop(0)
                continue
            skipped = False
            for number in (0, 1):
                if heads[number][0] == "event" and self.rules.extra_event(
                        number, slot, heads[number], lambda path: self.may_read(slot, path)):
                    queues[number].pop(0)
                    skipped = True
                    break
            if skipped:
                continue
            op = next(pending, {"op": 0, "text": "nothing", "marks": []})
            if self.rules.reply(slot, dict({"marks": []}, **op), heads):
                self.learn(op, heads[0])
                queues[0].pop(0), queues[1].pop(0)
                continue
            raise Difference("%s, connection %d, at: %s\n  left  %r\n  right %r\n"
                             "  then left  %r\n  then right %r" % (
                                 where, slot, op["text"], heads[0], heads[1],
                                 queues[0][1:4], queues[1][1:4]))

    def compare_plain(self, left, right, where):
        if left != right:
            raise Difference("%s\n  left  %r\n  right %r" % (where, left, right))

    # ---- steps

    def settle(self, stepped=None, sort=False):
        """Pings every other open connection, so that all events of the step are in."""
        indexes = self.sides[0].open_slots()
        self.compare_plain(indexes, self.sides[1].open_slots(), "open connections")
        indexes = [index for index in indexes if index != stepped]
        ping = {"op": raw.PING, "text": "ping after the step", "marks": []}
        for side in self.sides:
            for index in indexes:
                side.send(index, [(raw.PING, b"", raw.XID_PING)])
        for index in indexes:
            got = [self.tokens(side, index, side.collect(index, 1), [ping]) for side in self.sides]
            if sort:
                got = [self.sort_events(tokens) for tokens in got]
            self.compare(index, [ping], *got, "events of other connections")

    @staticmethod
    def replies_of(ops, got):
        """(op, reply of the left, reply of the right) for each."""
        return zip(ops, *([token for token in tokens if token[0] == "reply"] for tokens in got))

    def play_batch(self, step):
        slot, ops = step["slot"], step["ops"]
        self.requests += len(ops)
        closes = any(op.get("closes") for op in ops)
        requests = []
        for side in self.sides:
            requests.append([(op["op"], b"".join(self.part(side, slot, part)
                                                 for part in op["body"]), op.get("xid"))
                             for op in ops])
        for side, batch in zip(self.sides, requests):
            side.send(slot, batch)
        sort = any(op["op"] == raw.CLOSE_SESSION for op in ops)
        got = []
        for side in self.sides:
            messages = side.collect(slot, len(ops), closes)
            got.append(self.tokens(side, slot, messages, ops))
        if sort:
            got = [self.sort_events(tokens) for tokens in got]
        self.compare(slot, ops, *got, "replies")
        if not closes and any(op["op"] == raw.MULTI and -5 in [token[3] for token in tokens]
                              for op, *tokens in self.replies_of(ops, got)):
            self.level(slot)
        self.settle(slot, sort)

    def level(self, slot):
        """A multi that ends in -5 uses up a zxid, but Apache does not always show it at once: the
        next write tells on both sides what has been used up."""
        errors, zxids = [], []
        for side in self.sides:
            connection = side.slots[slot].connection
            request = raw.path_version("/zookeeper/nothing to delete")
            errors.append(connection.call(raw.DELETE, request)[0])
            side.seen_zxid(connection.last_zxid)
            zxids.append(side.zxid(connection.last_zxid))
        self.compare_plain(*errors, "write after a multi that was refused")
        self.compare_plain(*zxids, "zxid after a multi that was refused")

    def play_raw(self, step):
        got = []
        for side in self.sides:
            side.slots[step["slot"]].connection.send_bytes(bytes.fromhex(step["data"]))
        for side in self.sides:
            got.append(side.collect(step["slot"], 0, True))
        self.compare_plain(*got, "after malformed bytes %s" % step["data"])
        self.settle()

    def play_connect(self, step):
        slot, how = step["slot"], step["how"]
        if how == "close":
            return
        fields = {"timeout_ms": step["timeout_ms"], "read_only": step["read_only"],
                  "version": step["version"]}
        if how == "password":
            fields["password"] = b"wrong password.."
        tokens, connections = [], []
        for side in self.sides:
            extra = {}
            if how == "ahead":
                extra["last_zxid"] = side.last_zxid + 1000
            token, connection = side.handshake(
                slot, fresh=how == "fresh", keep_old=how in ("steal", "password", "ahead"),
                **fields, **extra)
            if how in ("steal", "password"):
                token = (token, side.slots[slot].connection.read(
                    0.3 if how == "password" and self.rules.is_new(self.sides.index(side)) else 5))
            tokens.append(token)
            connections.append(connection)
        if how == "password" and self.rules.refused_password([token[1] for token in tokens]):
            new = self.sides[1 - self.rules.old_side]
            self.compare_plain(new.slots[slot].connection.call(raw.PING, b"", raw.XID_PING),
                               (0, None), "connection %d after a wrong password" % slot)
            new.slots[slot].connection.close()      # both sides go on as after Apache's answer
            tokens = [token[0] for token in tokens]
        self.compare_plain(*tokens, "connect (%s) of connection %d" % (how, slot))
        for side, connection in zip(self.sides, connections):
            if connection:
                if how == "steal":
                    side.slots[slot].connection.close()
                side.adopt(slot, connection)
        self.settle()

    def revive(self):
        """Every connection that the server closed comes back at once: its session if it lives."""
        for index in range(generate.SLOTS):
            slots = [side.slots[index] for side in self.sides]
            if slots[0].connection is None or not slots[0].connection.closed:
                continue
            for fresh in (False, True):
                results = [side.handshake(index, fresh=fresh, timeout_ms=30000)
                           for side in self.sides]
                self.compare_plain(results[0][0], results[1][0],
                                   "coming back of connection %d" % index)
                if results[0][1]:
                    break
            for side, result in zip(self.sides, results):
                side.adopt(index, result[1])
            self.settle()

    def play_word(self, step):
        got = [harness.four_letter_word(side.server.port, step["word"]) for side in self.sides]
        shapes = [self.word_shape(side, step["word"], text)
                  for side, text in zip(self.sides, got)]
        if shapes[0] != shapes[1]:
            raise Difference("four-letter word %s\n--- left\n%s\n--- right\n%s\n--- compared as\n"
                             "%r\n%r" % (step["word"], got[0], got[1], *shapes))

    def word_shape(self, side, word, text):
        if word in ("ruok", "isro", "gtmk", "srst", "crst"):
            return text
        lines = text.split("\n")
        if word == "srvr":
            pairs = [line.split(": ", 1) for line in lines if ": " in line]
            keep = {"Mode", "Node count", "Zxid"}
            values = {key: value for key, value in pairs if key in keep}
            values["Zxid"] = side.zxid(int(values["Zxid"], 16))
            return [pair[0] for pair in pairs], values, text.endswith("\n")
        if word == "conf":
            return [line.split("=")[0] for line in lines]
        if word == "mntr":
            values = dict(line.split("\t", 1) for line in lines if "\t" in line)
            return {key: values.get("zk_" + key) for key in (
                "server_state", "znode_count", "ephemerals_count", "num_alive_connections")[:3]}
        if word == "envi":
            return lines[0], "zookeeper.version" in text
        if word == "dump":
            return self.dump_shape(side, text)
        if word == "stat":
            return [re.sub(r"[0-9.]+|0x[0-9a-f]+", "N", line.split(":")[0]) for line in lines
                    if not line.startswith(" /") and "ookeeper version" not in line]
        if word == "dirs":
            return re.sub("[0-9]+", "N", text)
        if word == "cons":
            keys = set(re.findall(r"[(,]([a-z]+)=", text))
            return sorted(keys), text.endswith("\n\n")
        if word == "wchs":
            return re.sub("[0-9]+", "N", text)
        return text[-1:]

    def dump_shape(self, side, text):
        """Sections, sessions, and which session owns which ephemerals. Only Apache 3.8 lists an
        owner whose ephemerals are all gone."""
        def name(line):
            return re.sub(r"0x[0-9a-f]+",
                          lambda match: side.sessions.get(int(match.group(), 16), "?"), line)
        sections = re.fullmatch(
            r"SessionTracker dump:\nSession Sets \(\d+\)/\((\d+)\):\n(.*?)"
            r"ephemeral nodes dump:\nSessions with Ephemerals \((\d+)\):\n(.*?)"
            r"Connections dump:\nConnections Sets \(\d+\)/\(\d+\):\n.*", text, re.S)
        if not sections:
            return text
        # How many connections there are is a race: of those that were taken over, too.
        session_count, sessions, owner_count, owners = sections.groups()
        sessions = sorted(name(line) for line in re.findall(r"^\t(0x.*)$", sessions, re.M))
        owned = {name(owner): sorted(paths.split("\n\t")[1:]) for owner, paths in
                 re.findall(r"^(0x[0-9a-f]+):((?:\n\t[^\n]*)*)$", owners, re.M)}
        shape = (int(session_count) == len(sessions), int(owner_count) == len(owned),
                 sessions)
        empty = [owner for owner, paths in owned.items() if not paths]
        if empty and self.rules.dump_owners(self.sides.index(side)):
            owned = {owner: paths for owner, paths in owned.items() if paths}
        return shape, owned

    def play(self, step):
        getattr(self, "play_" + step["do"])(step)
        if step["do"] != "word":
            self.revive()

    def compare_trees(self):
        """Walks both trees as super user; returns the number of nodes."""
        trees = []
        for side in self.sides:
            connection = raw.connect(side.server.port)
            side.sessions[connection.session] = "walker"
            connection.call(raw.AUTH, raw.auth("digest", harness.SUPER_AUTH), raw.XID_AUTH)
            tree = raw.walk(connection)
            connection.close_session()
            trees.append({path: (data, self.sides[0].acl(acl), stat and side.stat(stat))
                          for path, (data, acl, stat) in tree.items()})
        for path in sorted(set(trees[0]) | set(trees[1])):
            self.compare_plain(trees[0].get(path), trees[1].get(path), "final tree at %r" % path)
        return len(trees[0])
