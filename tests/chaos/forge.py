# SPDX-License-Identifier: MIT
"""Checks the checker: a correct run made by hand passes, each forged one is refused by name.

    forge.py        TAP; takes a second
"""
import copy
import os
import random
import struct
import sys
import tempfile
import zlib

import checker
import history
import logs
import model
import paths  # noqa: F401
import raw
from harness import Tap

SESSIONS = (0x100000000000001, 0x200000000000001, 0x300000000000001)
ACCOUNTS = ["/bank/%d" % number for number in range(4)]
MS = 1000000
MEMBERS = ("1", "2", "3")


def pack_stat(stat):
    return struct.pack(">qqqqiiiqiiq", *stat)


def pack_record(kind, record):
    if kind in (raw.CREATE, raw.CREATE2):
        path, data, acl, ephemeral, creates = record
        return (raw.buffer(path) + raw.buffer(data) + raw.acl_vector(acl)
                + raw.boolean(ephemeral) + raw.integer(creates))
    if kind == raw.SET_DATA:
        return raw.buffer(record[0]) + raw.buffer(record[1]) + raw.integer(record[2])
    if kind == raw.DELETE:
        return raw.buffer(record[0])
    if kind == raw.MULTI:
        return raw.vector(record, lambda part: raw.integer(part[0]) + raw.buffer(
            pack_record(*part)))
    if kind == raw.CLOSE_SESSION:
        return raw.vector(record, raw.buffer)
    return raw.integer(record[0])


def make_entry(session, cxid, zxid, time, kind, record):
    header = struct.pack(">qiqqi", session, cxid, zxid, time, kind)
    return logs.decode_entry(header + pack_record(kind, record))


def retold(entry, **changes):
    """The entry with some fields changed, its bytes included."""
    changed = entry._replace(**changes)
    return make_entry(changed.session, changed.cxid, changed.zxid, changed.time, changed.type,
                      changed.record)


class Run:
    """A correct run: three members, three sessions, one request after another."""

    def __init__(self, seed=1, steps=400):
        self.random = random.Random(seed)
        self.tree, self.zxid, self.now = model.Tree(), 0, 0
        self.order, self.history, self.xids = [], history.History(), {}
        for session in SESSIONS:
            self.history.timeouts[session] = 10000
            self.commit(session, 0, raw.CREATE_SESSION, (10000,))
        for path, data in [("/k", b""), ("/q", b""), ("/e", b""), ("/bank", b"")] + [
                (path, b"100") for path in ACCOUNTS] + [("/k/%d" % n, b"0") for n in range(4)]:
            self.request(SESSIONS[0], raw.CREATE2, (path, data, 0))
        for step in range(steps):
            if step == steps // 2:  # another leader
                self.zxid = (self.zxid >> 32) + 1 << 32
            self.step(step)

    def commit(self, session, cxid, kind, record):
        self.zxid += 1
        entry = make_entry(session, cxid, self.zxid, self.now // MS, kind, record)
        self.order.append(entry)
        assert not self.tree.apply(entry)

    def step(self, number):
        session, dice = self.random.choice(SESSIONS), self.random.randrange(10)
        key = "/k/%d" % self.random.randrange(4)
        version = self.tree.nodes[key].version
        if dice == 0:
            self.request(session, raw.CREATE2, ("/q/n-", b"", model.SEQUENTIAL))
        elif dice == 1:
            self.request(session, raw.CREATE, ("/e/%d" % number, b"", model.EPHEMERAL))
        elif dice < 5:
            self.request(session, raw.SET_DATA, (key, b"%d" % number, version - dice // 4))
        elif dice < 7:
            one, two = self.random.sample(ACCOUNTS, 2)
            parts = [(raw.SET_DATA, (path, b"%d" % (int(self.tree.nodes[path].data) + change),
                                     self.tree.nodes[path].version - (dice == 6 and change < 0)))
                     for path, change in ((one, 1), (two, -1))]
            self.request(session, raw.MULTI, parts)
        else:
            if dice == 9:
                self.request(session, raw.SYNC, ("/",))
            self.request(session, raw.GET_DATA, (key,))

    def request(self, session, opcode, args):
        xid = self.xids[session] = self.xids.get(session, 0) + 1
        op = history.Operation(session, 1, xid, opcode, args, self.now + 1 * MS)
        self.now += 10 * MS
        error, body = 0, b""
        if opcode == raw.MULTI:
            error, errors = self.tree.judge_multi(args)
            self.commit(session, xid, raw.MULTI, tuple(
                (kind, (part[0].encode(), part[1], part[2] + 1)) if not error
                else (logs.ERROR, (part_error,))
                for (kind, part), part_error in zip(args, errors)))
            for (kind, part), part_error in zip(args, errors):
                body += (raw.multi_header(-1, 0, part_error) + raw.integer(part_error) if error
                         else raw.multi_header(kind, 0, 0)
                         + pack_stat(self.tree.nodes[part[0]].stat()))
            error, body = 0, body + raw.MULTI_END
        elif opcode == raw.SYNC:
            body = raw.buffer("/")
        elif opcode == raw.GET_DATA:
            node = self.tree.nodes[args[0]]
            body = raw.buffer(node.data) + pack_stat(node.stat())
        else:
            error, kind, path = self.tree.judge(opcode, args)
            self.commit(session, xid, kind if not error else logs.ERROR,
                        self.record(kind, path, args) if not error else (error,))
            if not error:
                result = self.tree.result(opcode, path)
                body = (raw.buffer(result) if opcode == raw.CREATE else pack_stat(result)
                        if opcode == raw.SET_DATA else raw.buffer(path) + pack_stat(result[1]))
        op.answer(self.now, error, self.zxid, body)
        self.history.operations.append(op)

    def record(self, kind, path, args):
        if kind == raw.SET_DATA:
            return (path.encode(), args[1], self.tree.nodes[path].version + 1)
        parent = self.tree.nodes[model.parent_of(path)]
        return (path.encode(), args[1], raw.OPEN_ACL, args[2] & model.EPHEMERAL,
                parent.creates + 1)

    def check(self, logs_of=None, trees=None, snapshots=()):
        members = {name: (list((logs_of or {}).get(name, self.order)), list(snapshots))
                   for name in MEMBERS}
        return checker.Check(members, self.history, trees, stale_ms=2000,
                             bank=(ACCOUNTS, 400)).run()

    # what forgeries pick from
    def ops(self, *opcodes, good=True):
        return [op for op in self.history.operations
                if op.opcode in opcodes and (op.error == 0) == good]

    def index(self, op):
        return next(i for i, entry in enumerate(self.order) if entry.zxid == op.zxid)


def renumbered(order, at):
    """The order without the entry at `at`, its zxids closed up, as if it had never been."""
    kept = order[:at]
    for entry in order[at + 1:]:
        same_epoch = entry.zxid >> 32 == order[at].zxid >> 32
        kept.append(retold(entry, zxid=entry.zxid - 1) if same_epoch else entry)
    return kept


def lost(run):
    del run.order[-1]
    while run.order[-1].cxid == 0:
        del run.order[-1]


def lost_everywhere_at_new_epoch(run):
    """The last transaction of the old epoch is gone, as a bad election loses it."""
    last = max(i for i, entry in enumerate(run.order) if entry.zxid >> 32 == 0)
    del run.order[last]


def doubled(run):
    entry = next(entry for entry in reversed(run.order) if entry.type == raw.CREATE2)
    run.order.append(retold(run.order[-1], zxid=run.zxid + 1, session=entry.session,
                            cxid=entry.cxid))


def stale_read(run):
    op = run.ops(raw.GET_DATA)[-1]
    old = next(o for o in run.ops(raw.GET_DATA) if o.args == op.args and o.body != op.body)
    op.body = old.body


def read_from_nowhere(run):
    run.ops(raw.GET_DATA)[-1].zxid += 7


def read_behind_sync(run):
    ops = run.history.operations
    at = max(i for i, op in enumerate(ops) if op.opcode == raw.SYNC)
    ops[at + 1].zxid -= 1
    ops[at + 1].session = ops[at].session = 0x400000000000001


def very_stale(run):
    """The same answers, from a member that was cut off: right at its zxid, seconds too old."""
    op = run.ops(raw.GET_DATA)[0]
    late = copy.copy(op)
    late.session, late.called, late.returned = 0x400000000000001, run.now, run.now + MS
    run.history.operations.append(late)


def against_real_time(run):
    one, two = run.ops(raw.SET_DATA)[5:7]
    two.called, two.returned = one.called - 9 * MS, one.called - 8 * MS


def against_fifo(run):
    first, second = [i for i, e in enumerate(run.order) if e.session == SESSIONS[0] and e.cxid][-2:]
    one, two = run.order[first], run.order[second]
    run.order[first] = retold(one, cxid=two.cxid)
    run.order[second] = retold(two, cxid=one.cxid)


def not_a_prefix(run):
    op = run.ops(raw.SET_DATA)[10]
    before = history.Operation(op.session, 1, 100000, raw.SET_DATA, op.args, op.called - 1)
    run.history.operations.insert(run.history.operations.index(op), before)


def torn_multi(run):
    op = run.ops(raw.MULTI)[-1]
    good = max(i for i, e in enumerate(run.order) if e.type == raw.MULTI
               and e.record[0][0] == raw.SET_DATA)
    run.order[good] = retold(run.order[good], record=run.order[good].record[:1])
    return op


def blind_set(run):
    """A set with a wrong version that was applied and acknowledged."""
    op = run.ops(raw.SET_DATA, good=False)[-1]
    at = run.index(op)
    node = op.args[0]
    run.order[at] = retold(run.order[at], type=raw.SET_DATA,
                           record=(node.encode(), op.args[1], op.args[2] + 2))


def error_but_applied(run):
    op = run.ops(raw.SET_DATA)[-1]
    op.error, op.body = model.BAD_VERSION, b""


def wrong_stat(run):
    op = run.ops(raw.SET_DATA)[-1]
    stat = list(struct.unpack(">qqqqiiiqiiq", op.body))
    stat[4] += 1
    op.body = pack_stat(stat)


def reused_sequence(run):
    at = max(i for i, e in enumerate(run.order) if e.type == raw.CREATE2)
    record = list(run.order[at].record)
    record[0] = b"/q/n-%010d" % 0
    run.order[at] = retold(run.order[at], record=tuple(record))


def backward_session(run):
    run.ops(raw.GET_DATA)[-1].zxid = 1


def early_expiry(run):
    run.zxid += 1
    owned = [p.encode() for p in run.tree.ephemerals.get(SESSIONS[1], ())]
    run.order.append(make_entry(SESSIONS[1], 0, run.zxid, run.now // MS + 3000,
                                raw.CLOSE_SESSION, owned))


def survivor(run):
    """closeSession leaves an ephemeral."""
    run.zxid += 1
    owned = [p.encode() for p in run.tree.ephemerals[SESSIONS[1]]]
    run.order.append(make_entry(SESSIONS[1], 0, run.zxid, run.now // MS + 30000,
                                raw.CLOSE_SESSION, owned[1:]))


def after_close(run):
    early_expiry(run)
    run.order[-1] = retold(run.order[-1], time=run.now // MS + 30000)
    run.zxid += 1
    run.order.append(make_entry(SESSIONS[1], 9999, run.zxid, run.now // MS + 30000, logs.ERROR,
                                (-101,)))


FORGED = {  # name: (what forges it, the rule that must notice)
    "an acknowledged write in no log": (lost, "lost"),
    "the end of an epoch is gone everywhere": (lost_everywhere_at_new_epoch, "lost"),
    "one request took effect twice": (doubled, "twice"),
    "a read of an old value": (stale_read, "read"),
    "a read at a zxid that no log has": (read_from_nowhere, "read"),
    "a read behind a sync that misses a known write": (read_behind_sync, "sync"),
    "a read from a member cut off long ago": (very_stale, "stale"),
    "a write before one that was answered earlier": (against_real_time, "real time"),
    "two requests of a session in the wrong order": (against_fifo, "fifo"),
    "a later request executed without an earlier one": (not_a_prefix, "prefix"),
    "half a multi": (torn_multi, "bank"),
    "a set applied against its version": (blind_set, "replay"),
    "an error answered for what was applied": (error_but_applied, "answer"),
    "a Stat with a wrong version": (wrong_stat, "answer"),
    "a sequence number used again": (reused_sequence, "replay"),
    "a session that sees older state": (backward_session, "session"),
    "a session expired too early": (early_expiry, "early"),
    "an ephemeral that survives its session": (survivor, "replay"),
    "a request after the session's close": (after_close, "closed"),
}


def forged_logs(tap, run):
    """Members that differ."""
    middle = len(run.order) // 2
    without = run.order[:middle] + run.order[middle + 1:]
    other = list(run.order)
    other[-1] = retold(other[-1], time=other[-1].time + 1)
    for name, logs_of, rule in (
            ("a hole at one member", {"2": without}, "hole"),
            ("a hole at all", dict.fromkeys(MEMBERS, without), "hole"),
            ("a closed-up hole at all", dict.fromkeys(MEMBERS, renumbered(run.order, middle)),
             "zxid"),
            ("a tail missing at one member", {"3": run.order[:-3]}, "hole"),
            ("one zxid, two transactions", {"3": other}, "agreement")):
        complaints = run.check(logs_of)
        tap.ok(any(c.startswith(rule + ":") for c in complaints), "refused: " + name, complaints)
    begin = {"2": run.order[middle:]}
    tap.ok(not run.check(begin, snapshots=[run.order[middle - 1].zxid]),
           "passes: a member whose log begins behind its snapshot")
    tree = {path: (node.data, None, node.stat()) for path, node in run.tree.nodes.items()}
    tap.ok(not run.check(trees={"1": tree}), "passes: the tree at the end")
    tree["/k/1"] = (b"other", None, tree["/k/1"][2])
    tap.ok(any(c.startswith("end:") for c in run.check(trees={"1": tree})),
           "refused: another tree at the end")


def write_log(path, entries, damage=None):
    with open(path, "wb") as file:
        file.write(struct.pack(">iiq", logs.MAGIC, 2, 0))
        for entry in entries:
            data = entry.content
            file.write(struct.pack(">qi", zlib.adler32(data), len(data)) + data + b"B")
        file.write(b"\0" * 4096)
    if damage is not None:
        with open(path, "r+b") as file:
            file.seek(damage)
            file.write(b"\xff")


def log_files(tap, run):
    with tempfile.TemporaryDirectory() as directory:
        version = os.path.join(directory, "version-2")
        os.mkdir(version)
        write_log(os.path.join(version, "log.1"), run.order[:50])
        write_log(os.path.join(version, "log.%x" % run.order[50].zxid), run.order[50:])
        entries, _ = logs.read_member(directory)
        tap.ok(entries == run.order, "log files are read")
        write_log(os.path.join(version, "log.1"), run.order[:50], damage=1000)
        entries, _ = logs.read_member(directory)
        complaints = run.check({"1": entries})
        tap.ok(any(c.startswith("hole:") for c in complaints), "refused: damage in a log file",
               complaints)


def main():
    tap = Tap()
    for seed in (1, 2, 3):
        run = Run(seed)
        complaints = run.check()
        tap.ok(not complaints, "passes: a correct run of %d transactions, seed %d" % (
            len(run.order), seed), "\n".join(complaints))
    for name, (forge, rule) in FORGED.items():
        run = Run(4)
        forge(run)
        complaints = run.check()
        tap.ok(any(c.startswith(rule + ":") for c in complaints), "refused: " + name,
               "\n".join(complaints) or "no complaint")
    forged_logs(tap, Run(5))
    log_files(tap, Run(6))
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
