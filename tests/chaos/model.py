# SPDX-License-Identifier: MIT
"""The tree as a dictionary: what a ZooKeeper does with one request after another.

checker.py replays a run's transactions here and asks, at each, what the request that made it had
to give (judge), and what a read had to see. Written from the description of the protocol; it
shares nothing with the server.
"""
import logs
import paths  # noqa: F401
import raw

NO_NODE, BAD_VERSION, NODE_EXISTS, NOT_EMPTY = -101, -103, -110, -111
NO_CHILDREN_FOR_EPHEMERALS, INCONSISTENT = -108, -2
SEQUENTIAL, EPHEMERAL = 2, 1


class Node:
    __slots__ = ("data", "czxid", "mzxid", "ctime", "mtime", "version", "creates", "owner",
                 "pzxid", "children")

    def __init__(self, data=b"", zxid=0, time=0, owner=0):
        self.data = data
        self.czxid = self.mzxid = self.pzxid = zxid
        self.ctime = self.mtime = time
        self.version = self.creates = 0
        self.owner = owner
        self.children = set()

    def stat(self):
        return raw.Stat(self.czxid, self.mzxid, self.ctime, self.mtime, self.version,
                        2 * self.creates - len(self.children), 0, self.owner,
                        len(self.data or b""), len(self.children), self.pzxid)


def parent_of(path):
    return path.rsplit("/", 1)[0] or "/"


class Tree:
    def __init__(self):
        self.nodes = {path: Node() for path in ("/", "/zookeeper", "/zookeeper/config",
                                                "/zookeeper/quota")}
        self.nodes["/"].children = {"zookeeper"}
        self.nodes["/zookeeper"].children = {"config", "quota"}
        self.ephemerals = {}

    # ---- what transactions do ---------------------------------------------------------------

    def apply(self, entry):
        """Complaints, normally none."""
        if entry.type == raw.MULTI:
            if any(kind == logs.ERROR for kind, _ in entry.record):
                return []
            return [complaint for kind, record in entry.record
                    for complaint in self._apply(kind, record, entry)]
        return self._apply(entry.type, entry.record, entry)

    def _apply(self, kind, record, entry):
        if kind in (raw.CREATE, raw.CREATE2):
            return self._create(record, entry)
        if kind in (raw.DELETE, logs.DELETE_CONTAINER):
            return self._delete(record[0].decode(), entry.zxid)
        if kind == raw.SET_DATA:
            node = self.nodes.get(record[0].decode())
            if not node:
                return ["0x%x sets %s, which is not there" % (entry.zxid, record[0])]
            node.data, node.version = record[1], record[2]
            node.mzxid, node.mtime = entry.zxid, entry.time
        elif kind == raw.CLOSE_SESSION:
            return self._close(record, entry)
        return []

    def _create(self, record, entry):
        path = record[0].decode()
        parent = self.nodes.get(parent_of(path))
        if path in self.nodes or not parent:
            return ["0x%x creates %s: there already, or no parent" % (entry.zxid, path)]
        owner = entry.session if record[3] else 0
        self.nodes[path] = Node(record[1], entry.zxid, entry.time, owner)
        parent.children.add(path.rsplit("/", 1)[1])
        parent.creates, parent.pzxid = max(parent.creates, record[4]), entry.zxid
        if owner:
            self.ephemerals.setdefault(owner, set()).add(path)
        return []

    def _delete(self, path, zxid):
        node = self.nodes.pop(path, None)
        if not node:
            return ["0x%x deletes %s, which is not there" % (zxid, path)]
        parent = self.nodes[parent_of(path)]
        parent.children.discard(path.rsplit("/", 1)[1])
        parent.pzxid = max(parent.pzxid, zxid)
        if node.owner:
            self.ephemerals.get(node.owner, set()).discard(path)
        return []

    def _close(self, record, entry):
        listed = {path.decode() for path in record}
        owned = set(self.ephemerals.pop(entry.session, ()))
        complaints = []
        if listed != owned:
            complaints.append("0x%x closes session 0x%x: lists %s, owned are %s" % (
                entry.zxid, entry.session, sorted(listed)[:5], sorted(owned)[:5]))
        for path in owned:
            self._delete(path, entry.zxid)
        return complaints

    # ---- what requests must give ------------------------------------------------------------

    def judge(self, opcode, args):
        """(error, transaction's type, path that it is about) for a request, before it."""
        if opcode in (raw.CREATE, raw.CREATE2):
            path, _, flags = args
            parent = self.nodes.get(parent_of(path))
            if not parent:
                return NO_NODE, opcode, path
            if parent.owner:
                return NO_CHILDREN_FOR_EPHEMERALS, opcode, path
            if flags & SEQUENTIAL:
                path = "%s%010d" % (path, parent.creates)
            return (NODE_EXISTS if path in self.nodes else 0), opcode, path
        path, version = args[0], args[-1]
        node = self.nodes.get(path)
        if not node:
            return NO_NODE, opcode, path
        if version != -1 and version != node.version:
            return BAD_VERSION, opcode, path
        if opcode == raw.DELETE and node.children:
            return NOT_EMPTY, opcode, path
        return 0, opcode, path

    def judge_multi(self, parts):
        """(error, [error of each part]). Parts of one multi are about different nodes here."""
        errors = [self.judge(opcode, args)[0] for opcode, args in parts]
        first = next((i for i, error in enumerate(errors) if error), None)
        if first is None:
            return 0, errors
        return errors[first], [0] * first + [errors[first]] + [INCONSISTENT] * (
            len(parts) - first - 1)

    def result(self, opcode, path):
        """The record of a successful reply, after the transaction. None: there is no such."""
        if opcode != raw.DELETE and path not in self.nodes:
            return None
        if opcode == raw.CREATE:
            return path.encode()
        if opcode == raw.CREATE2:
            return (path.encode(), self.nodes[path].stat())
        if opcode == raw.SET_DATA:
            return self.nodes[path].stat()
        return None

    def read(self, opcode, args):
        """(error, record) of a read; children as a set."""
        if opcode == raw.MULTI_READ:
            parts = []
            for path in args:
                node = self.nodes.get(path)
                parts.append((raw.GET_DATA, 0, 0, (node.data, node.stat())) if node
                             else (-1, 0, NO_NODE, NO_NODE))
            return 0, parts + [(-1, 1, -1)]
        node = self.nodes.get(args[0])
        if not node:
            return NO_NODE, None
        if opcode == raw.GET_DATA:
            return 0, (node.data, node.stat())
        if opcode == raw.EXISTS:
            return 0, node.stat()
        return 0, sorted(name.encode() for name in node.children)
