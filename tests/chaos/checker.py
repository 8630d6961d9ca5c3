# SPDX-License-Identifier: MIT
"""Was this run of an ensemble correct? The zxid is the witness: no search.

The members' logs, read after the run, must be one order. It is replayed on a tree of our own;
each answer that a client got must be what that tree gives at the answer's zxid, and the order
must respect real time, each session's order of sending, and what a sync promises.

    checker.py KEPT_DIRECTORY     checks a run again that run.py kept
"""
import bisect
import sys

import logs
import model
import paths  # noqa: F401
import raw

COMPLAINTS_MAX = 25


class Known:
    """The highest zxid that any answer had shown at some time."""

    def __init__(self, operations):
        answers = sorted((op.returned, op.zxid) for op in operations if op.returned is not None)
        self.times = [time for time, _ in answers]
        self.highest, highest = [], 0
        for _, zxid in answers:
            highest = max(highest, zxid)
            self.highest.append(highest)

    def before(self, time):
        at = bisect.bisect_left(self.times, time)
        return self.highest[at - 1] if at else 0


class Check:
    """members: {name: (entries, snapshot zxids)}; trees: {name: {path: (data, acl, stat)}} as
    walked at the end. stale_ms: how far a read may lag behind what others were told."""

    def __init__(self, members, history, trees=None, stale_ms=None, tick_ms=500, bank=None):
        self.members, self.history, self.trees = members, history, trees or {}
        self.stale_ms, self.tick_ms, self.bank = stale_ms, tick_ms, bank
        self.complaints = list(history.complaints)
        self.notes = []
        self.order = []
        self.answered = [op for op in history.operations if op.returned is not None]
        self.known = Known(self.answered)

    def complain(self, rule, text):
        self.complaints.append("%s: %s" % (rule, text))

    def run(self):
        """The complaints; an empty list is a correct run."""
        self.one_order()
        self.by_request = {}
        for entry in self.order:
            key = (entry.session, entry.cxid)
            if entry.cxid > 0 and entry.session in self.history.timeouts:
                if key in self.by_request:
                    self.complain("twice", "session 0x%x xid %d is at 0x%x and at 0x%x" % (
                        entry.session, entry.cxid, self.by_request[key].zxid, entry.zxid))
                self.by_request[key] = entry
        self.acknowledged()
        self.real_time()
        self.sessions()
        self.replay()
        self.end_state()
        return self.complaints[:COMPLAINTS_MAX]

    # ---- the order --------------------------------------------------------------------------

    def one_order(self):
        merged = {}
        for name, (entries, _) in self.members.items():
            for entry in entries:
                other = merged.setdefault(entry.zxid, (entry, name))
                if other[0].content != entry.content:
                    self.complain("agreement", "0x%x is not the same at %s and %s: %r / %r" % (
                        entry.zxid, other[1], name, other[0][:6], entry[:6]))
        self.order = [merged[zxid][0] for zxid in sorted(merged)]
        previous = 0
        for entry in self.order:
            follows = entry.zxid == previous + 1 or (
                entry.zxid >> 32 > previous >> 32 and entry.zxid & 0xffffffff == 1)
            if not follows:
                self.complain("hole", "0x%x follows 0x%x" % (entry.zxid, previous))
            previous = entry.zxid
        for name, (entries, snapshots) in self.members.items():
            held = {entry.zxid for entry in entries}
            missing = [entry.zxid for entry in self.order if entry.zxid not in held]
            if not missing:
                continue
            cover = [zxid for zxid in snapshots if zxid >= missing[-1]]
            if cover and entries and entries[-1].zxid == self.order[-1].zxid:
                self.notes.append("member %s has its snapshot for %d transactions up to 0x%x" % (
                    name, len(missing), missing[-1]))
            elif not cover:
                self.complain("hole", "member %s lacks %d transactions, 0x%x to 0x%x" % (
                    name, len(missing), missing[0], missing[-1]))

    def acknowledged(self):
        for op in self.answered:
            if op.writes:
                entry = self.by_request.get((op.session, op.xid))
                if not entry:
                    self.complain("lost", "acknowledged, but in no log: %r" % op)
                elif entry.zxid != op.zxid:
                    self.complain("zxid", "is at 0x%x: %r" % (entry.zxid, op))

    def real_time(self):
        """Of all writes that took effect, answered or not; of reads behind a sync; of others,
        within the bound."""
        synced = {}
        for op in self.history.operations:
            if op.writes:
                entry = self.by_request.get((op.session, op.xid))
                if entry and entry.zxid <= self.known.before(op.called):
                    self.complain("real time", "0x%x was known before this write at 0x%x: %r" % (
                        self.known.before(op.called), entry.zxid, op))
            if op.returned is None:
                continue
            place = (op.session, op.connection)
            if op.opcode == raw.SYNC and op.error == 0:
                synced[place] = max(synced.get(place, 0), self.known.before(op.called))
            elif not op.writes:
                if op.zxid < synced.get(place, 0):
                    self.complain("sync", "0x%x was known before the sync in front of: %r" % (
                        synced[place], op))
                if self.stale_ms is not None:
                    known = self.known.before(op.called - self.stale_ms * 1000000)
                    if op.zxid < known:
                        self.complain("stale", "0x%x was known %d ms before the call: %r" % (
                            known, self.stale_ms, op))

    # ---- sessions ---------------------------------------------------------------------------

    def sessions(self):
        by_session = {}
        for op in self.history.operations:
            by_session.setdefault(op.session, []).append(op)
        for session, operations in by_session.items():
            self.forward_only(operations)
            self.prefixes(operations)
        closes = {}
        last_cxid = {}
        for entry in self.order:
            session = entry.session
            if session not in self.history.timeouts:
                continue
            if session in closes:
                self.complain("closed", "session 0x%x was closed at 0x%x and did 0x%x" % (
                    session, closes[session].zxid, entry.zxid))
            if entry.type == raw.CLOSE_SESSION:
                closes[session] = entry
                self.not_early(entry, by_session.get(session, []))
            if entry.cxid > 0:
                if entry.cxid <= last_cxid.get(session, 0):
                    self.complain("fifo", "session 0x%x: xid %d at 0x%x comes after xid %d" % (
                        session, entry.cxid, entry.zxid, last_cxid[session]))
                last_cxid[session] = entry.cxid
        for session in self.history.expired:
            if session not in closes:
                self.complain("expired", "session 0x%x was told so, but no log closes it" % session)

    def forward_only(self, operations):
        last = 0
        for op in operations:
            if op.returned is None:
                continue
            if op.zxid < last or (op.writes and op.zxid == last):
                self.complain("session", "answered behind 0x%x: %r" % (last, op))
            last = max(last, op.zxid)

    def prefixes(self, operations):
        """What one connection executed is a prefix of what it sent."""
        gap = {}
        for op in operations:
            if not op.writes:
                continue
            if (op.session, op.xid) not in self.by_request:
                gap.setdefault(op.connection, op)
            elif op.connection in gap:
                self.complain("prefix", "took effect: %r, but not: %r" % (op, gap[op.connection]))

    def not_early(self, entry, operations):
        """A session that its client did not close ends a timeout after its last sign of life."""
        if any(op.opcode == raw.CLOSE_SESSION for op in operations):
            return
        alive = max((op.called for op in operations if op.returned is not None), default=None)
        if alive is None:
            return
        lived_ms = entry.time - (alive + self.history.wall_offset) / 1e6
        if lived_ms < self.history.timeouts[entry.session] - 2 * self.tick_ms:
            self.complain("early", "session 0x%x of %d ms expired %d ms after a request" % (
                entry.session, self.history.timeouts[entry.session], lived_ms))

    # ---- the replay -------------------------------------------------------------------------

    def replay(self):
        operations = {(op.session, op.xid): op for op in self.history.operations}
        zxids = {entry.zxid for entry in self.order}
        reads = sorted((op for op in self.answered if not op.writes and op.opcode != raw.SYNC),
                       key=lambda op: op.zxid)
        tree, at = model.Tree(), 0
        self.tree = tree
        for entry in self.order:
            while at < len(reads) and reads[at].zxid < entry.zxid:
                self.check_read(tree, reads[at], zxids)
                at += 1
            op = operations.get((entry.session, entry.cxid)) if entry.cxid > 0 else None
            if op and op.opcode == raw.CLOSE_SESSION:
                op = None
            expected = self.expect(tree, op, entry) if op else None
            for complaint in tree.apply(entry):
                self.complain("replay", complaint)
            if expected and op.returned is not None:
                self.check_write(tree, op, *expected)
            if self.bank and entry.type in (raw.MULTI, raw.SET_DATA):
                self.check_bank(tree, entry)
        for op in reads[at:]:
            self.check_read(tree, op, zxids)

    def expect(self, tree, op, entry):
        """(error, what the parts give, path) of the request, and whether the log says so."""
        if op.opcode == raw.MULTI:
            error, errors = tree.judge_multi(op.args)
            kinds = [kind for kind, _ in entry.record] if entry.type == raw.MULTI else None
            wanted = [opcode if not error else None for opcode, _ in op.args]
            good = kinds is not None and len(kinds) == len(wanted) and (
                all(a == b for a, b in zip(kinds, wanted)) if not error
                else logs.ERROR in kinds)
            if good and not error:
                good = all(record[0].decode() == args[0] and (
                    opcode != raw.SET_DATA or record[1] == args[1])
                    for (_, record), (opcode, args) in zip(entry.record, op.args))
            if not good:
                self.complain("replay", "the log has %r for %r, expected error %d" % (
                    entry[:6], op, error))
            return error, errors, None
        error, kind, path = tree.judge(op.opcode, op.args)
        if error:
            good = entry.type == logs.ERROR and entry.record[0] == error
        else:
            good = entry.type in (kind, raw.CREATE if kind == raw.CREATE2 else kind)
            good = good and entry.record[0].decode() == path
            if good and kind in (raw.CREATE, raw.CREATE2, raw.SET_DATA):
                good = entry.record[1] == op.args[1]
            if good and kind == raw.SET_DATA:
                good = entry.record[2] == tree.nodes[path].version + 1
        if not good:
            self.complain("replay", "the log has %r for %r, expected error %d %s" % (
                entry[:6], op, error, path))
        return error, None, path

    def check_write(self, tree, op, error, errors, path):
        if op.opcode == raw.MULTI:
            # a failed multi answers its parts' errors, with error 0 or the first part's in front
            record = raw.decode_reply(raw.MULTI, op.body)
            wanted = []
            for (opcode, args), part in zip(op.args, errors):
                wanted.append((opcode, 0, 0, tree.result(opcode, args[0])) if not error
                              else (-1, 0, part, part))
            if record != wanted + [(-1, 1, -1)]:
                self.complain("answer", "should be %r, is %r: %r" % (wanted, record, op))
            return
        record = raw.decode_reply(op.opcode, op.body) if not op.error else None
        wanted = tree.result(op.opcode, path) if not error else None
        if op.error != error or record != wanted:
            self.complain("answer", "should be error %d %r, is %r: %r" % (
                error, wanted, record, op))

    def check_read(self, tree, op, zxids):
        if op.zxid not in zxids and op.zxid & 0xffffffff:
            self.complain("read", "its zxid is in no log: %r" % op)
            return
        record = raw.decode_reply(op.opcode, op.body) if not op.error else None
        if op.opcode == raw.GET_CHILDREN and record is not None:
            record = sorted(record)
        error, wanted = tree.read(op.opcode, op.args)
        if op.error != error or record != wanted:
            self.complain("read", "should be error %d %r, is %r: %r" % (error, wanted, record, op))

    def check_bank(self, tree, entry):
        accounts, total = self.bank
        nodes = [tree.nodes.get(path) for path in accounts]
        if all(nodes):
            total_now = sum(int(node.data) for node in nodes)
            if total_now != total:
                self.complain("bank", "%d after 0x%x, not %d" % (total_now, entry.zxid, total))

    def end_state(self):
        """What each member shows at the end; nodes of sessions may be gone by then."""
        wanted = {path: (node.data, node.stat()) for path, node in self.tree.nodes.items()
                  if path != "/" and not node.owner and not path.startswith(("/zookeeper", "/e"))}
        for name, tree in self.trees.items():
            found = {path: (value[0], value[2]) for path, value in tree.items()
                     if path != "/" and not path.startswith(("/zookeeper", "/e"))}
            if found != wanted:
                differs = [path for path in set(found) | set(wanted)
                           if found.get(path) != wanted.get(path)]
                self.complain("end", "member %s: %d nodes differ, %s is %r, should be %r" % (
                    name, len(differs), differs[0], found.get(differs[0]),
                    wanted.get(differs[0])))


def main():
    import glob
    import os
    import history
    directory = sys.argv[1]
    members = {}
    for path in glob.glob(os.path.join(directory, "member-*[0-9]")):
        members[path.rsplit("-", 1)[1]] = logs.read_member(path)
    check = Check(members, history.History.load(os.path.join(directory, "history")))
    for complaint in check.run():
        print(complaint)
    for note in check.notes:
        print("# " + note)
    print("%d transactions, %d answers, %d complaints" % (
        len(check.order), len(check.answered), len(check.complaints)))
    return 1 if check.complaints else 0


if __name__ == "__main__":
    sys.exit(main())
