# SPDX-License-Identifier: MIT
"""One of the two servers that differential.py compares, as seen by its clients: connections and
sessions, and how the server's own numbers (zxids, session ids, times) become those that both
sides share. Used by player.py.
"""
import bisect
import time

import generate
import raw


class Slot:
    """One client: its connection and what a client remembers of its session."""

    def __init__(self):
        self.connection = None
        self.session = 0
        self.password = b"\0" * 16
        self.last_zxid = 0


class Side:
    """One server and how its numbers translate into those that both sides share."""

    def __init__(self, server):
        self.server = server
        self.slots = [Slot() for _ in range(generate.SLOTS)]
        self.burned = []            # zxids that only this side may have spent
        self.last_zxid = 0
        self.sessions = {}
        self.times = {}

    # ---- normalising

    def zxid(self, zxid):
        return zxid - bisect.bisect_right(self.burned, zxid) if zxid > 0 else zxid

    def raw_zxid(self, zxid):
        for burned in self.burned:
            if burned <= zxid:
                zxid += 1
        return zxid

    def seen_zxid(self, zxid):
        self.last_zxid = max(self.last_zxid, zxid)

    def time(self, zxid, stamp):
        """Times must be present, and equal for equal transactions."""
        if zxid == 0 or abs(stamp / 1000 - time.time()) > 3600:
            return stamp
        return "T" if self.times.setdefault(zxid, stamp) == stamp else "changed"

    def stat(self, stat):
        return raw.Stat(
            self.zxid(stat.czxid), self.zxid(stat.mzxid), self.time(stat.czxid, stat.ctime),
            self.time(stat.mzxid, stat.mtime), stat.version, stat.cversion, stat.aversion,
            self.sessions.get(stat.owner, stat.owner), stat.length, stat.children,
            self.zxid(stat.pzxid))

    @staticmethod
    def acl(entries):
        """Neighbours of scheme digest with equal permissions came from one entry auth."""
        result = []
        for entry in entries:
            at = len(result)
            while at and entry[1] == result[at - 1][1] == b"digest" \
                    and entry[0] == result[at - 1][0] and entry < result[at - 1]:
                at -= 1
            result.insert(at, entry)
        return result

    def record(self, opcode, value):
        if isinstance(value, raw.Stat):
            return self.stat(value)
        if isinstance(value, tuple):
            return tuple(self.record(opcode, item) for item in value)
        if isinstance(value, list):
            if opcode == raw.GET_ACL:
                return self.acl(value)
            items = [self.record(opcode, item) for item in value]
            plain = items and all(isinstance(item, bytes) for item in items)
            return sorted(items) if plain or opcode == raw.WHO_AM_I else items
        return value

    def reply(self, op, reply, strict):
        self_consumed = reply.zxid > self.last_zxid
        zxid = reply.zxid
        record = raw.decode_reply(op["op"], reply.body) if reply.err == 0 else None
        failed = reply.err == -5 or (isinstance(record, list) and record and record[0][0] == -1)
        if op["op"] == raw.MULTI and (reply.err == -5 or (op.get("marks") and failed)):
            zxid = "*"              # Player.level finds out what it has used up
        elif op.get("marks") and op["op"] in raw.WRITES and failed:
            if self_consumed:
                self.burned.append(reply.zxid)
            zxid = "*"
        self.seen_zxid(reply.zxid)
        if reply.err and strict and op["op"] != raw.MULTI_READ:
            record = reply.body
        return ("reply", reply.xid, zxid if zxid == "*" else self.zxid(zxid), reply.err,
                self.record(op["op"], record))

    # ---- talking

    def open_slots(self):
        return [index for index, slot in enumerate(self.slots)
                if slot.connection and not slot.connection.closed]

    def send(self, index, requests):
        """requests: (opcode, body, xid); all in one write."""
        connection = self.slots[index].connection
        data = b""
        for opcode, body, xid in requests:
            if xid is None:
                connection.xid += 1
                xid = connection.xid
            frame = raw.integer(xid) + raw.integer(opcode) + body
            data += raw.integer(len(frame)) + frame
        connection.send_bytes(data)

    def collect(self, index, replies, until_eof=False):
        """Messages of one connection until that many replies, or the end."""
        connection, got = self.slots[index].connection, []
        while replies > 0 or until_eof:
            message = connection.read(10 if replies > 0 else 5)
            got.append(message)
            if message in (raw.EOF, raw.SILENCE):
                break
            if isinstance(message, raw.Reply):
                replies -= 1
        self.slots[index].last_zxid = max(self.slots[index].last_zxid, connection.last_zxid)
        return got

    def handshake(self, index, fresh=False, keep_old=False, **fields):
        """Opens a connection for this slot; the answer is normalised."""
        slot = self.slots[index]
        if slot.connection and not keep_old:
            slot.connection.close()
        connection = raw.Connection(self.server.port)
        if not fresh:
            fields = dict(dict(session=slot.session, password=slot.password,
                               last_zxid=slot.last_zxid), **fields)
        answer = connection.handshake(**fields)
        if not isinstance(answer, tuple):
            connection.close()
            return answer, None
        version, timeout_ms, session, password, read_only = answer
        if fresh and session:
            self.sessions[session] = "S%d" % len(self.sessions)
        token = ("handshake", version, timeout_ms, self.sessions.get(session, session),
                 len(password), any(password), read_only)
        if timeout_ms == 0:
            end = connection.read(5)
            connection.close()
            return token + (end,), None
        return token, connection

    def adopt(self, index, connection):
        slot = self.slots[index]
        connection.xid = 0
        slot.connection = connection
        slot.session, slot.password = connection.session, connection.password

    def close(self):
        for slot in self.slots:
            if slot.connection:
                slot.connection.close()
