# SPDX-License-Identifier: MIT
"""The differences between servers that differential.py accepts, each with a name and a reason.

Rules apply only where the two servers are of different kinds; Apache against Apache must agree
without any. "old" is Apache 3.8, "new" is a server that behaves like 3.9. docs/compatibility.md
explains the same list to users.
"""
import raw

MARSHALLING, UNIMPLEMENTED, NO_AUTH, NO_WATCHER = -5, -6, -102, -121

REASONS = {
    "notification-zxid":
        "3.8 sends zxid -1 in notifications, 3.9 the zxid of the change (-1 for events that "
        "setWatches makes up)",
    "undecodable-write-zxid":
        "3.8 spends a zxid on a write that it cannot decode, 3.9 does not",
    "multi-bad-flags":
        "create flags that do not exist fail one part of a multi in 3.8.0, the whole request (-5) "
        "since 3.8.2",
    "error-body":
        "a reply with an error may carry a partial record; clients do not read it",
    "exists-needs-read":
        "exists asks for READ since 3.8.4 and 3.9.2; without it no watch is left either",
    "check-watches-per-connection":
        "checkWatches looks at the watches of the asking connection; 3.8 looked at everybody's",
    "watcher-types-4-and-5":
        "checkWatches and removeWatches know persistent and recursive watchers since 3.9",
    "replay-needs-read":
        "setWatches shows nothing of a node that the connection may not read; 3.8 made up the "
        "event without asking",
    "odd-path-watchers":
        "checkWatches and removeWatches of 3.8 walk the parents of the path, which fails (-5) or "
        "finds nothing for one that does not begin with '/'; 3.9 looks at the path itself",
    "sync-echo":
        "sync answers its path: Apache decodes and encodes it, so that malformed UTF-8 becomes "
        "U+FFFD and characters above U+FFFF become two surrogates; here the bytes come back",
    "create2-in-a-multi":
        "create2, createContainer and createTTL in a multi are answered as create, without Stat, "
        "by 3.8.0 and 3.8.1 where their flags do not need the type (ZOOKEEPER-4026)",
    "empty-path-counts-the-root":
        "getAllChildrenNumber of the path '' (no valid path, but not refused) counts the root as "
        "its own child in Apache",
    "password-before-take-over":
        "a handshake with a wrong password closes the session's connection in Apache, which looks "
        "at the password later; not here",
    "dump-owners-without-ephemerals":
        "dump of 3.8 lists a session as an owner of ephemerals after the last one was deleted",
    "acl-order":
        "the ids that an entry of scheme auth stands for come in no defined order",
}


def is_malformed(path):
    """Whether these bytes are not UTF-8."""
    try:
        (path or b"").decode("utf-8")
    except UnicodeDecodeError:
        return True
    return False


def surrogates(path):
    """As Apache encodes text: each half of a surrogate pair alone."""
    units = path.decode("utf-8").encode("utf-16-be")
    return b"".join(units[at:at + 2].decode("utf-16-be", "surrogatepass").encode(
        "utf-8", "surrogatepass") for at in range(0, len(units), 2))


def same_but_create2(old, new):
    """Whether two answers to a multi differ only in creates that the new one answers in full."""
    def same(a, b):
        return a == b or (a[0] == raw.CREATE and b[0] == raw.CREATE2 and a[1:3] == b[1:3]
                          and a[3] == b[3][0])
    return isinstance(old, list) and isinstance(new, list) and len(old) == len(new) \
        and all(same(a, b) for a, b in zip(old, new))


class Rules:
    """Explains mismatches; counts what it explained; remembers what follows from one later."""

    def __init__(self, old_side):
        """old_side: 0 or 1, the side that is Apache 3.8, or None if both are of one kind."""
        self.old_side = old_side
        self.used = {}
        self.phantoms = set()

    @property
    def active(self):
        return self.old_side is not None

    def is_new(self, side):
        return self.active and side != self.old_side

    def refused_password(self, ends):
        """What the session's connection saw of a handshake with a wrong password, by side."""
        return self.active and ends[self.old_side] == raw.EOF \
            and ends[1 - self.old_side] == raw.SILENCE and self.note("password-before-take-over")

    def note(self, name):
        assert name in REASONS
        self.used[name] = self.used.get(name, 0) + 1
        return True

    def reply(self, slot, op, pair):
        """Whether the difference of two reply tokens (kind, xid, zxid, err, record) is known."""
        if not self.active or pair[0][0] != "reply" or pair[1][0] != "reply":
            return False
        old, new = pair[self.old_side], pair[1 - self.old_side]
        if old[1] != new[1]:
            return False
        opcode, path = op["op"], op.get("path")
        errors = (old[3], new[3])
        if opcode == raw.MULTI and set(op["marks"]) & {"bad-flags", "ttl-flag"} \
                and errors == (0, MARSHALLING):
            return self.note("multi-bad-flags")
        if opcode == raw.MULTI and errors == (0, 0) and same_but_create2(old[4], new[4]):
            return self.note("create2-in-a-multi")
        if old[2] != new[2]:
            return False
        if opcode == raw.EXISTS and errors == (0, NO_AUTH):
            if op.get("watch"):
                self.phantoms.add((slot, path))
            return self.note("exists-needs-read")
        if opcode == raw.GET_ALL_CHILDREN_NUMBER and path == "" and errors == (0, 0) \
                and old[4] == new[4] + 1:
            return self.note("empty-path-counts-the-root")
        if opcode == raw.SYNC and errors == (0, 0) \
                and (is_malformed(new[4]) or old[4] == surrogates(new[4])):
            return self.note("sync-echo")
        if opcode in (raw.CHECK_WATCHES, raw.REMOVE_WATCHES):
            if path is not None and not path.startswith("/") \
                    and old[3] in (MARSHALLING, NO_WATCHER) and new[3] in (0, NO_WATCHER):
                return self.note("odd-path-watchers")
            if op["watch_type"] in (4, 5) and old[3] == MARSHALLING and new[3] in (0, NO_WATCHER):
                return self.note("watcher-types-4-and-5")
            if errors == (0, NO_WATCHER):
                if (slot, path) in self.phantoms:
                    return self.note("exists-needs-read")
                if opcode == raw.CHECK_WATCHES:
                    return self.note("check-watches-per-connection")
        return False

    def extra_event(self, side, slot, event, may_read):
        """Whether an event that only one side sent is known. may_read(path) asks the servers."""
        if not self.active or side != self.old_side:
            return False
        path = event[3].decode("utf-8", "replace")
        if (slot, path) in self.phantoms:
            self.phantoms.discard((slot, path))
            return self.note("exists-needs-read")
        if event[4] and not may_read(path):
            return self.note("replay-needs-read")
        return False

    def dump_owners(self, side):
        """Whether owners without ephemerals in the dump of that side are known."""
        return side == self.old_side and self.note("dump-owners-without-ephemerals")
