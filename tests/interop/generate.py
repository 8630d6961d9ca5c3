# SPDX-License-Identifier: MIT
"""Makes the random steps that differential.py plays, from a seed and nothing else.

A step is plain data (it goes to JSON and back). What is only known while playing stays a symbol
inside a body: {"version": path} is the version last seen, {"made": n} a path that some create
answered, {"zxid": "last"} the last zxid of that connection on that server.
"""
import random

import raw

SLOTS = 6
NAMES = ["a", "b", "c", "d"]
BAD_PATHS = [
    "", "foo", "foo/bar", "/", "//", "/a/", "/a//b", "/a/.", "/a/..", "/a/./b", "/a/../b", "/.",
    "/..", "/...", "/a/...", "/a\x00b", "/a\x01", "/a\x1f", "/a\x7f", "/a\u0085", "/a\u009f",
    "/a\u00a0", "/a\ud800x", "/a\ue000", "/a\uf8ff", "/a\uf900", "/a\uffef", "/a\ufff0",
    "/a\uffff", "/a\U0001f600", "/\u00e9t\u00e9", "/a b", "/a/b\x00", "a", "/a/b/", None,
    "/zookeeper", "/zookeeper/quota", "/zookeeper/config", "/zookeeper/x", "/nothing/here",
    "/%", "/" + "n" * 300, "/a/\u65e5\u672c",
]
U1 = "u1:Y0MszoV+aKhY2ycdUuUTB2gjZYU="          # any well-formed digest id that nobody owns
GOOD_ACLS = [
    raw.OPEN_ACL, [(1, "world", "anyone")], [(31, "auth", "")], [(31, "auth", None)],
    [(31, "digest", U1), (1, "world", "anyone")], [(31, "ip", "127.0.0.1")],
    [(31, "ip", "127.0.0.0/8"), (1, "world", "anyone")], [(15, "world", "anyone")],
    [(27, "world", "anyone")], [(30, "world", "anyone")], [(31, "ip", "10.0.0.0/8")],
    [(1, "world", "anyone"), (30, "auth", "")], [(63, "world", "anyone")], [(0, "world", "anyone")],
    [(31, "world", "anyone"), (31, "world", "anyone")], [(-1, "world", "anyone")],
    [(31, "digest", "u:p:"), (31, "world", "anyone")], [(31, "digest", ":p"), (31, "auth", "x")],
]
BAD_ACLS = [
    None, [], [(31, "world", "someone")], [(31, "none", "x")], [(31, None, "x")],
    [(31, "digest", "nocolon")], [(31, "digest", "a:")], [(31, "digest", "a:b:c")],
    [(31, "digest", None)], [(31, "world", None)], [(31, "ip", None)], [(31, "ip", "1.2.3")],
    [(31, "ip", "1.2.3.4/33")], [(31, "ip", "1.2.3.4/-1")], [(31, "ip", "1.2.3.256")],
    [(31, "ip", "")], [(31, "super", "")], [(31, "x509", "CN=x")], [(31, "sasl", "a@b@c")],
    [(31, "", "")], [(31, "world", "anyone"), (31, "digest", "bad")], [(31, "ip", "1.2.3.4/x")],
]
CREDENTIALS = [("digest", b"u1:p1"), ("digest", b"u2:p2"), ("digest", b"u3:p3:x"),
               ("ip", b"1.2.3.4"), ("digest", b"nocolon")]
BAD_CREDENTIALS = [("world", b"anyone"), ("none", b""), ("digest", None), ("sasl", b"x"),
                   ("", b""), (None, b"x")]
LIMITS = ["count=5,bytes=40", "count=-1,bytes=-1=;byteHardLimit=10;countHardLimit=4",
          "count=3,bytes=1000=;countHardLimit=6", "count=-1,bytes=20=;byteHardLimit=60",
          "count=1,bytes=1", "nonsense", "", "count=2,bytes=x"]
QUOTA_NODES = ["/q", "/q/a", "/zookeeper/quota/q", "/zookeeper/quota/q/zookeeper_limits",
               "/zookeeper/quota/q/zookeeper_stats", "/zookeeper/quota/q/a/zookeeper_stats"]
WORDS = ["ruok", "isro", "srvr", "stat", "conf", "cons", "dump", "mntr", "envi", "wchs", "wchc",
         "wchp", "dirs", "gtmk", "srst", "crst"]


def text_of(value):
    return ascii(value) if not isinstance(value, str) or len(value) < 60 else ascii(value[:60])


class Generator:
    """One stream of steps. claims keeps apart what versions of Apache treat differently: on one
    connection a path has one-shot, persistent or recursive watches, never a mixture."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.claims = {}

    # ---- small choices

    def chance(self, probability):
        return self.random.random() < probability

    def pick(self, items):
        return self.random.choice(items)

    def good_path(self):
        depth = self.pick([1, 1, 1, 2, 2, 2, 3, 3, 4])
        return "".join("/" + self.pick(NAMES) for _ in range(depth))

    def path(self):
        draw = self.random.random()
        if draw < 0.06:
            return self.pick(BAD_PATHS)
        if draw < 0.12:
            return {"made": self.random.randrange(1000)}
        if draw < 0.14:
            return self.pick(["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"])
        return self.good_path()

    def data(self):
        draw = self.random.random()
        if draw < 0.1:
            return None
        if draw < 0.2:
            return b""
        size = self.pick([1, 3, 5, 10, 30]) if draw < 0.99 else self.pick([1000, 70000])
        return bytes(self.random.randrange(256) for _ in range(min(size, 50))) * (1 + size // 50)

    def acl(self):
        draw = self.random.random()
        if draw < 0.75:
            return raw.OPEN_ACL
        return self.pick(GOOD_ACLS if draw < 0.93 else BAD_ACLS)

    def version(self, path, kind="version"):
        draw = self.random.random()
        if draw < 0.55 or not isinstance(path, str):
            return self.pick([-1, -1, -1, -1, 0, 1, -2, 2**31 - 1, -2**31])
        return {kind: path, "delta": 0 if draw < 0.9 else self.pick([1, -1])}

    # ---- bodies made of parts

    def op(self, opcode, name, parts, *details, **more):
        """A part is bytes, {"made"}, {"version"}, {"aversion"} or {"zxid"}."""
        body = [part.hex() if isinstance(part, bytes) else part for part in parts]
        text = " ".join([name] + [text_of(detail) for detail in details])
        return dict(op=opcode, body=body, text=text, **more)

    @staticmethod
    def path_part(path):
        return path if isinstance(path, dict) else raw.buffer(path)

    @staticmethod
    def version_part(version):
        return version if isinstance(version, dict) else raw.integer(version)

    def claim(self, slot, path, kind):
        """Whether this connection may set this kind of watch on path."""
        return self.claims.setdefault((slot, path), kind) == kind

    def watch(self, slot, path, kind="oneshot"):
        if not self.chance(0.6) or not isinstance(path, str):
            return 0
        return self.pick([1, 1, 1, 255]) if self.claim(slot, path, kind) else 0

    # ---- requests

    def create(self, multi=False):
        path, data, acl = self.path(), self.data(), self.acl()
        opcode = self.pick([raw.CREATE, raw.CREATE, raw.CREATE2, raw.CREATE2,
                            raw.CREATE_CONTAINER, raw.CREATE_TTL])
        parts = [self.path_part(path), raw.buffer(data), raw.acl_vector(acl)]
        marks = []
        if opcode == raw.CREATE_TTL:
            flags = self.pick([5, 5, 5, 6, 6, 0, 1, 4])
            if flags in (5, 6):
                ttl = self.pick([1, 1000, 10**6, 10**9, 2**40 - 1, 2**40, 0, -1, 2**62, -2**63])
            else:
                ttl = self.pick([0, 1, 1000])      # a negative one kills Apache 3.8
            tail = raw.integer(flags) + raw.long(ttl)
        elif opcode == raw.CREATE_CONTAINER:
            flags, ttl = self.pick([4] if multi else [4, 4, 4, 4, 0, 2]), None
            tail = raw.integer(flags)
        else:
            flags = self.pick([0, 0, 0, 0, 0, 1, 1, 2, 2, 3]) if not self.chance(0.06) \
                else self.pick([4, 5, 6, 7, -1, 100])
            ttl = None
            tail = raw.integer(flags)
        if multi and flags not in range(0, 7):
            marks.append("bad-flags")
        if opcode != raw.CREATE_TTL and flags in (5, 6):
            marks.append("ttl-flag")
        return self.op(opcode, {1: "create", 15: "create2", 19: "createContainer",
                                21: "createTTL"}[opcode], parts + [tail], path, data, acl, flags,
                       ttl, path=path, marks=marks,
                       risky=bool(marks) or path is None or acl in BAD_ACLS)

    def delete(self):
        path = self.path() if self.chance(0.6) else {"made": self.random.randrange(1000)}
        version = self.version(path)
        return self.op(raw.DELETE, "delete", [self.path_part(path), self.version_part(version)],
                       path, version, risky=path is None)

    def set_data(self):
        path, data = self.path(), self.data()
        version = self.version(path)
        return self.op(raw.SET_DATA, "setData", [self.path_part(path), raw.buffer(data),
                                                 self.version_part(version)],
                       path, data, version, path=path, risky=path is None)

    def check(self):
        path = self.path()
        version = self.version(path)
        return self.op(raw.CHECK, "check", [self.path_part(path), self.version_part(version)],
                       path, version, risky=path is None)

    def set_acl(self):
        path = self.path()
        acl = self.acl() if self.chance(0.6) else self.pick(GOOD_ACLS)
        version = self.version(path, "aversion")
        return self.op(raw.SET_ACL, "setACL", [self.path_part(path), raw.acl_vector(acl),
                                               self.version_part(version)],
                       path, acl, version, path=path)

    def read(self, slot):
        path = self.path() if self.chance(0.97) else self.pick(QUOTA_NODES)
        opcode, name = self.pick([
            (raw.EXISTS, "exists"), (raw.EXISTS, "exists"), (raw.GET_DATA, "getData"),
            (raw.GET_DATA, "getData"), (raw.GET_CHILDREN, "getChildren"),
            (raw.GET_CHILDREN2, "getChildren2"), (raw.GET_ACL, "getACL"), (raw.SYNC, "sync"),
            (raw.GET_EPHEMERALS, "getEphemerals"), (raw.WHO_AM_I, "whoAmI"), (raw.PING, "ping"),
            (raw.GET_ALL_CHILDREN_NUMBER, "getAllChildrenNumber")])
        if opcode in (raw.GET_ACL, raw.SYNC, raw.GET_EPHEMERALS, raw.GET_ALL_CHILDREN_NUMBER):
            return self.op(opcode, name, [self.path_part(path)], path, path=path)
        if opcode in (raw.WHO_AM_I, raw.PING):
            return self.op(opcode, name, [], xid=raw.XID_PING if opcode == raw.PING else None)
        watch = self.watch(slot, path)
        return self.op(opcode, name, [self.path_part(path), raw.boolean(watch)], path, watch,
                       path=path, watch=bool(watch))

    def multi_part(self):
        part = self.pick([self.create, self.create, self.set_data, self.set_data, self.delete,
                          self.check])
        return part(True) if part == self.create else part()

    def multi(self):
        size = self.pick([0, 1, 2, 2, 3, 3, 4, 6, 10]) if self.chance(0.97) else 60
        parts, marks, body, risky = [], [], [], False
        deep = self.good_path()
        for index in range(size):
            if size == 60:
                deep = deep + "/m" if len(deep) < 120 else deep[:2]
                part = self.op(raw.CREATE2, "create2", [raw.create(deep, b"x")], deep)
            else:
                part = self.multi_part()
            marks += part.get("marks", [])
            risky = risky or part.get("risky", False)
            body += [raw.multi_header(part["op"], 0, -1)] + part["body"]
            parts.append(part["text"])
        if self.chance(0.03):
            body.append(self.pick([
                raw.multi_header(raw.MULTI, 0, -1) + raw.MULTI_END,
                raw.multi_header(raw.GET_DATA, 0, -1) + raw.path_watch("/a"),
                raw.multi_header(99, 0, -1), raw.multi_header(raw.SET_ACL, 0, -1)]))
            marks.append("malformed")
            parts.append("<refused part>")
        end = raw.MULTI_END
        if self.chance(0.02):
            end = self.pick([b"", raw.MULTI_END[:5]])
            marks.append("malformed")
        body = [bytes.fromhex(part) if isinstance(part, str) else part for part in body + [end]]
        return self.op(raw.MULTI, "multi [%s]" % "; ".join(parts), body, marks=marks,
                       risky=risky or bool(marks))

    def multi_read(self):
        body, texts = [], []
        for _ in range(self.pick([0, 1, 2, 3, 8])):
            path = self.path()
            opcode = self.pick([raw.GET_DATA, raw.GET_CHILDREN])
            body += [raw.multi_header(opcode, 0, -1), self.path_part(path), raw.boolean(0)]
            texts.append("%d %s" % (opcode, text_of(path)))
        if self.chance(0.05):
            body += [raw.multi_header(raw.CREATE, 0, -1), raw.create("/mr", b"x")]
        return self.op(raw.MULTI_READ, "multiRead [%s]" % "; ".join(texts),
                       body + [raw.MULTI_END])

    def watch_request(self, slot):
        path = self.good_path() if self.chance(0.9) else self.pick(["/", "/zookeeper", "", "x"])
        draw = self.random.random()
        if draw < 0.5:
            mode = self.pick([0, 0, 1, 1, 1, 2, -1])
            kind = {0: "persistent", 1: "recursive"}.get(mode)
            if kind and not self.claim(slot, path, kind):
                mode = 7
            return self.op(raw.ADD_WATCH, "addWatch", [raw.buffer(path), raw.integer(mode)], path,
                           mode)
        opcode, name = self.pick([(raw.CHECK_WATCHES, "checkWatches"),
                                  (raw.REMOVE_WATCHES, "removeWatches")])
        kind = self.pick([1, 2, 3, 3, 3, 0, 6, -1, 4, 5])
        claimed = self.claims.get((slot, path))
        if kind in (1, 2, 4, 5) and claimed in ("persistent", "recursive"):
            kind = 3
        if opcode == raw.REMOVE_WATCHES and kind in (4, 5) and claimed:
            kind = 3
        return self.op(opcode, name, [raw.buffer(path), raw.integer(kind)], path, kind,
                       path=path, watch_type=kind)

    def set_watches(self, slot):
        lists = [[], [], [], [], []]
        for kind, indexes in (("oneshot", (0, 1, 2)), ("persistent", (3,)), ("recursive", (4,))):
            for index in indexes:
                for _ in range(self.pick([0, 0, 1, 2, 4])):
                    path = self.good_path()
                    if self.claim(slot, path, kind):
                        lists[index].append(path)
        old = self.chance(0.3)
        if old:
            lists = lists[:3]
        zxid = {"zxid": self.pick(["last", "last", "half", "zero"])}
        return self.op(raw.SET_WATCHES if old else raw.SET_WATCHES2, "setWatches",
                       [zxid, raw.set_watches(0, *lists)[8:]], zxid, lists,
                       xid=self.pick([None, None, raw.XID_SET_WATCHES]))

    def odd(self):
        """Requests that are wrong in their bytes but leave the connection usable."""
        draw = self.random.random()
        if draw < 0.15:
            return self.op(raw.RECONFIG, "reconfig",
                           [raw.reconfig("server.2=h:1:2;3", None, None, -1)])
        if draw < 0.3:
            path = self.good_path()
            watch = self.watch(0, None)
            return self.op(raw.GET_DATA, "getData with bytes left over",
                           [raw.path_watch(path, watch), b"left over"], path)
        opcode, body = self.pick([
            (raw.CREATE, raw.create("/a", b"x")), (raw.CREATE2, raw.create("/b/q", b"xyz")),
            (raw.SET_DATA, raw.set_data("/a", b"x")), (raw.DELETE, raw.path_version("/a")),
            (raw.SET_ACL, raw.set_acl("/a", raw.OPEN_ACL)), (raw.GET_DATA, raw.path_watch("/a")),
            (raw.EXISTS, raw.path_watch("/a")), (raw.GET_CHILDREN, raw.path_watch("/a")),
            (raw.CREATE_CONTAINER, raw.create("/c", b"", flags=4)),
            (raw.MULTI, raw.multi([(raw.SET_DATA, raw.set_data("/a", b"x"))])),
            (raw.GET_ACL, raw.buffer("/a")), (raw.ADD_WATCH, raw.buffer("/a") + raw.integer(0)),
            (raw.SET_WATCHES, raw.set_watches(0, ["/a"], [], []))])
        if draw < 0.75:
            body = body[:self.random.randrange(len(body))]
            how = "cut"
        else:
            body = self.pick([-2, -2**31, 2**31 - 1, 2**20 * 3]).to_bytes(4, "big", signed=True) \
                + body[4:]
            how = "length"
            if opcode in (raw.SET_WATCHES, raw.MULTI):
                body = body[:10]
        marks = ["malformed"] if opcode in raw.WRITES else []
        return self.op(opcode, "op %d %s to %s" % (opcode, how, body.hex()), [body], marks=marks)

    def one(self, slot):
        draw = self.random.random()
        for limit, make in ((0.26, self.create), (0.36, self.delete), (0.50, self.set_data),
                            (0.55, self.set_acl), (0.64, self.multi), (0.66, self.multi_read)):
            if draw < limit:
                return make()
        if draw < 0.74:
            return self.watch_request(slot)
        return self.read(slot) if draw < 0.96 else self.odd()

    # ---- steps

    def batch(self, slot, ops):
        return {"do": "batch", "slot": slot, "ops": ops}

    def quota(self, slot):
        """Steps under /q, the only place with quotas. Each request has a step of its own: hard
        limits are checked against what is committed, so pipelined writes race in Apache."""
        root = "/q"     # of nested quotas Apache keeps the innermost statistics only
        base = "/zookeeper/quota" + root
        draw = self.random.random()
        if draw < 0.15:
            # Statistics that outlive their limits are not updated by Apache, nor ever right again.
            names = self.pick([["limits", "stats"], ["stats"]])
            ops = [self.op(raw.DELETE, "delete", [
                raw.path_version("%s/zookeeper_%s" % (base, name))], name) for name in names]
        elif draw < 0.3:
            limits = self.pick(LIMITS)
            ops = [self.op(raw.SET_DATA, "set limits", [
                raw.set_data(base + "/zookeeper_limits", limits)], limits)]
        elif draw < 0.45:
            ops = [self.op(raw.CREATE, "create", [raw.create(path, b"")], path)
                   for path in ("/q", "/q/a", "/zookeeper/quota/q", "/zookeeper/quota/q/a")]
            for name, data in (("limits", self.pick(LIMITS)), ("stats", "count=0,bytes=0")):
                path = "%s/zookeeper_%s" % (base, name)
                ops.append(self.op(raw.CREATE, "create", [raw.create(path, data)], path, data))
        else:
            ops = []
            for _ in range(self.pick([1, 2, 5])):
                path = self.pick(["/q", "/q/a", "/q/b", "/q/a/a", "/q/a/b"])
                data = self.data()
                if self.chance(0.4):
                    ops.append(self.op(raw.SET_DATA, "setData", [
                        raw.set_data(path, data, self.pick([-1, -1, 0]))], path, data))
                elif self.chance(0.3):
                    ops.append(self.op(raw.DELETE, "delete", [raw.path_version(path)], path))
                else:
                    flags = self.pick([0, 0, 1, 2])
                    ops.append(self.op(raw.CREATE2, "create2", [
                        raw.create(path, data, flags=flags)], path, data, flags))
            if self.chance(0.2):
                body = []
                for op in ops:
                    body += [bytes.fromhex(raw.multi_header(op["op"], 0, -1).hex() + part)
                             for part in op["body"]]
                text = "; ".join(op["text"] for op in ops)
                ops = [self.op(raw.MULTI, "multi [%s]" % text, body + [raw.MULTI_END])]
        reads = [self.op(raw.GET_DATA, "getData", [raw.path_watch(base + "/zookeeper_" + name)],
                         name) for name in ("limits", "stats")]
        return [self.batch(slot, [op]) for op in ops] + [self.batch(slot, reads)]

    def authenticate(self, slot, good=True):
        scheme, data = self.pick(CREDENTIALS if good else BAD_CREDENTIALS)
        if good and self.chance(0.15):
            scheme, data = "digest", b"super:test"
        op = self.op(raw.AUTH, "auth", [raw.auth(scheme, data)], scheme, data,
                     xid=self.pick([raw.XID_AUTH, raw.XID_AUTH, None]), closes=not good)
        return self.batch(slot, [op])

    def forget(self, slot):
        for key in [key for key in self.claims if key[0] == slot]:
            del self.claims[key]

    def reconnect(self, slot):
        """Leaves the connection in one way and comes back in another."""
        how = self.pick(["drop", "drop", "drop", "close", "close", "steal", "password", "ahead"])
        steps = []
        if how == "close":          # the last request still finds the connection's watches
            op = self.op(raw.CLOSE_SESSION, "closeSession", [], closes=True)
            steps.append(self.batch(slot, [self.one(slot), op]))
        if how != "ahead":          # which is refused, and leaves the connection as it was
            self.forget(slot)
        steps.append({"do": "connect", "slot": slot, "how": how,
                      "timeout_ms": self.pick([30000, 40000, 10000, 100000, 2**31 - 1]),
                      "read_only": self.pick([0, 0, 1, None]),
                      "version": self.pick([0, 0, 7])})
        if self.chance(0.5):
            steps.append(self.authenticate(slot))
        if how in ("drop", "steal") and self.chance(0.8):
            steps.append(self.batch(slot, [self.set_watches(slot)]))
        return steps

    def break_connection(self, slot):
        self.forget(slot)
        kind = self.random.randrange(5)
        if kind == 0:
            code = self.pick([0, 10, 23, 99, 108, 1000, -5])
            op = self.op(code, "unknown op", [b"\0" * self.pick([0, 4, 20])], code, closes=True)
            return [self.batch(slot, [op])]
        data = [raw.integer(-1), raw.integer(0x100000), raw.integer(0),
                raw.integer(6) + b"\0" * 6, b"ruok", raw.integer(-2**31), b"GET / HTTP/1.0\r\n"]
        if kind == 1:
            return [self.authenticate(slot, good=False)]
        return [{"do": "raw", "slot": slot, "data": self.pick(data).hex()}]

    def steps(self, operations):
        """Yields steps until about that many requests were made."""
        for slot in range(SLOTS):
            yield {"do": "connect", "slot": slot, "how": "fresh", "timeout_ms": 30000,
                   "read_only": 0, "version": 0}
        yield self.batch(0, [self.op(raw.AUTH, "auth super", [raw.auth("digest", b"super:test")],
                                     xid=raw.XID_AUTH)])
        made = 0
        while made < operations:
            slot = self.random.randrange(SLOTS)
            draw = self.random.random()
            if draw < 0.03:
                steps = self.reconnect(slot)
            elif draw < 0.045:
                steps = self.break_connection(slot)
            elif draw < 0.06:
                steps = [self.authenticate(slot)]
            elif draw < 0.12:
                steps = self.quota(slot)
            elif draw < 0.135:
                steps = [self.batch(slot, [self.set_watches(slot)])]
            elif draw < 0.145:
                steps = [{"do": "word", "word": self.pick(WORDS)}]
            elif draw < 0.15:
                op = self.op(raw.SASL, "sasl", [raw.buffer(self.pick([b"", b"x"]))])
                steps = [self.batch(slot, [op])]
            else:
                count = self.pick([1, 1, 2, 4, 8, 16, 24])
                ops = [self.one(slot) for _ in range(count)]
                # A multi that fails behind pipelined writes may leave Apache with a stale view
                # of the nodes that it names, so a multi comes first. One that may end in -5 is
                # alone: what its first parts did stays visible to the writes behind it.
                multis = [op for op in ops if op["op"] == raw.MULTI and not op.get("risky")]
                risky = [op for op in ops if op["op"] == raw.MULTI and op.get("risky")]
                # And Apache checks a write behind a pipelined setACL against the old ACL as long as
                # the new one is not committed, so setACL comes last.
                acls = [op for op in ops if op["op"] == raw.SET_ACL]
                ops = [op for op in ops if op["op"] not in (raw.MULTI, raw.SET_ACL)]
                steps = [self.batch(slot, multis[:1] + ops + acls[:1])]
                steps += [self.batch(slot, [op]) for op in multis[1:] + risky + acls[1:]]
            for step in steps:
                made += len(step.get("ops", ()))
                yield step
