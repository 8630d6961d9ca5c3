# SPDX-License-Identifier: MIT
"""Many requests at once through a member of an ensemble.

    ensemble_pipeline.py [--server moonkeeper|apache|mixed|guest] [--only SCENE]

same   500 requests of all kinds, sent at once to each role and to a follower of Apache's: the same
       replies in the same order
cut    a connection that ends at any byte: what was executed is a prefix of what was sent
"""
import random
import sys
import time

import ensemble_scene
import harness
import raw
from cluster import Cluster
from ensemble_scene import place

SEED = 3


# ---- what is sent ---------------------------------------------------------------------------

def one_request(random_, root):
    """(opcode, body, whether it can be decoded)"""
    node = "%s/%s" % (root, random_.choice("abcdef"))
    below = "%s/%s" % (node, random_.choice("xyz"))
    version = random_.choice((-1, -1, 0, 1, 2, 7))
    data = bytes(random_.randrange(256) for _ in range(random_.choice((0, 1, 20, 300))))
    flags = random_.choice((0, 0, 0, 1, 2, 3))
    writes = [(raw.CREATE, raw.create(node, data, flags=flags & 2)),
              (raw.CREATE2, raw.create(below, data, flags=flags)),
              (raw.SET_DATA, raw.set_data(node, data, version)),
              (raw.DELETE, raw.path_version(random_.choice((node, below)), version))]
    # Apache checks what follows a setACL at once against the old list: so no list here refuses.
    lists = (raw.OPEN_ACL, raw.OPEN_ACL + [(1, "digest", "nobody:x")])
    others = [(raw.SET_ACL, raw.set_acl(node, random_.choice(lists), version)),
              (raw.CREATE_CONTAINER, raw.create(below, data, flags=4)),
              (raw.CREATE_TTL, raw.create_ttl(below, data, raw.OPEN_ACL, 5, 3600000)),
              (raw.CREATE, raw.create(node + "/", data)),
              (raw.CREATE, raw.create(below, data, acl=[]))]
    reads = [(raw.GET_DATA, raw.path_watch(node)), (raw.EXISTS, raw.path_watch(below)),
             (raw.GET_CHILDREN2, raw.path_watch(random_.choice((root, node)))),
             (raw.GET_ACL, raw.buffer(node)), (raw.PING, b""),
             (raw.GET_EPHEMERALS, raw.buffer(root)),
             (raw.MULTI_READ, raw.multi([(raw.GET_DATA, raw.path_watch(node)),
                                         (raw.GET_CHILDREN, raw.path_watch(root))]))]
    dice = random_.random()
    if dice < 0.38:
        op, body = random_.choice(writes)
    elif dice < 0.46:
        op, body = random_.choice(others)
    elif dice < 0.60:
        parts = [random_.choice(writes) for _ in range(random_.randrange(1, 4))]
        if random_.random() < 0.3:
            parts.append((raw.CHECK, raw.path_version(node, version)))
        op, body = raw.MULTI, raw.multi(parts)
    elif dice < 0.64:
        op, body = random_.choice(writes)
        return op, body[:random_.randrange(0, 4)], False
    elif dice < 0.72:
        op, body = raw.SYNC, raw.buffer(node)
    else:
        op, body = random_.choice(reads)
    return op, body, True


def requests(seed, count, root):
    random_ = random.Random(seed)
    made = [(raw.CREATE, raw.create(root), True)]
    made += [one_request(random_, root) for _ in range(count - 2)]
    return made + [(raw.CLOSE_SESSION, b"", True)]


def frames(made):
    out = b""
    for number, (op, body, _) in enumerate(made):
        frame = raw.integer(number + 1) + raw.integer(op) + body
        out += raw.integer(len(frame)) + frame
    return out


# ---- what comes back ------------------------------------------------------------------------

class Plain:
    """Replies without what no two servers have in common: zxids by rank, no times, no session."""

    def __init__(self, made, replies, session):
        self.session = session
        spent = {reply.zxid for (_, _, decodable), reply in zip(made, replies) if not decodable}
        zxids = {reply.zxid for (op, _, decodable), reply in zip(made, replies)
                 if op in raw.WRITES and decodable}
        # Apache 3.8 and our learners spend a zxid on what cannot be decoded, our leader does not.
        self.zxids = sorted(zxids - {zxid for zxid in spent if zxid not in zxids})

    def zxid(self, zxid):
        return sum(1 for other in self.zxids if other <= zxid)

    def value(self, value):
        if isinstance(value, raw.Stat):
            owner = "session" if value.owner == self.session else value.owner
            return (self.zxid(value.czxid), self.zxid(value.mzxid), self.zxid(value.pzxid),
                    value.mtime >= value.ctime, owner) + tuple(value[4:7]) + tuple(value[8:10])
        if isinstance(value, list) and all(isinstance(item, (bytes, int)) for item in value):
            return sorted(value, key=str)
        if isinstance(value, (list, tuple)):
            return [self.value(item) for item in value]
        return value

    def reply(self, op, reply):
        record = raw.decode_reply(op, reply.body) if reply.err == 0 else None
        if op == raw.MULTI and record:  # Apache 3.8.0 answers create2 as create
            record = [(raw.CREATE, *part[1:3], part[3][0]) if part[0] == raw.CREATE2 else part
                      for part in record]
        return (reply.xid, self.zxid(reply.zxid), reply.err, self.value(record))


def conversation(connection, made):
    """Sends all at once; what comes back until the end of the connection."""
    connection.send_bytes(frames(made))
    replies = []
    while True:
        message = connection.read(20)
        if not isinstance(message, raw.Reply):
            return replies, message
        replies.append(message)


def clean(connection, root):
    for path in sorted(raw.walk(connection, root), reverse=True):
        connection.call(raw.DELETE, raw.path_version(path))
    connection.close_session()


def transcript(scene, number, made, root):
    """Plain replies of a member, and what is wrong with the replies in themselves."""
    connection = scene.connect(number)
    replies, end = conversation(connection, made)
    wrong = []
    zxids = [reply.zxid for reply in replies]
    if zxids != sorted(zxids):
        wrong.append("zxids fall")
    expected = [-2 if op == raw.PING else number + 1 for number, (op, _, _) in enumerate(made)]
    if [reply.xid for reply in replies] != expected:
        wrong.append("%d of %d replies, or in another order" % (len(replies), len(made)))
    if end != raw.EOF:
        wrong.append("no end behind closeSession: %r" % (end,))
    plain = Plain(made, replies, connection.session)
    said = [plain.reply(op, reply) for (op, _, _), reply in zip(made, replies)]
    root_user = scene.connect(number)
    root_user.call(*ensemble_scene.SUPER, xid=-4)
    root_user.call(raw.SYNC, raw.buffer("/"))
    clean(root_user, root)
    return said, wrong


def difference(made, left, right):
    for number, (one, other) in enumerate(zip(left, right)):
        if one != other:
            return "request %d %r\n%r\n%r" % (number + 1, made[number], one, other)
    return None if len(left) == len(right) else "%d and %d replies" % (len(left), len(right))


def same(scene):
    leader, followers, observer = scene.settle()
    made = requests(SEED, 500, "/pipeline")
    said = {}
    for number in (leader, followers[0], observer):
        name = place(scene, number)
        said[name], wrong = transcript(scene, number, made, "/pipeline")
        scene.ok(not wrong, "%s: 500 requests at once are answered in order" % name, wrong)
        scene.ok(difference(made, said["leader"], said[name]) is None,
                 "%s: the replies are the leader's" % name,
                 difference(made, said["leader"], said[name]))
    if scene.kind != "moonkeeper" or harness.missing("apache"):
        return
    with Cluster({1: "apache", 2: "apache", 3: "apache"}, settings=scene.cluster.settings) as theirs:
        theirs.launch()
        theirs.wait_serving(seconds=60)
        oracle = ensemble_scene.Scene(scene.tap, theirs, "apache")
        answers, wrong = transcript(oracle, theirs.followers()[0], made, "/pipeline")
    scene.ok(not wrong and difference(made, answers, said["follower"]) is None,
             "Apache's follower gives the same replies",
             wrong or difference(made, answers, said["follower"]))


# ---- cut ------------------------------------------------------------------------------------

def cut(scene):
    leader, followers, observer = scene.settle()
    scene.ensure("/cut")
    random_ = random.Random(SEED)
    for number in (leader, followers[0], observer):
        wrong, executed = [], []
        for attempt in range(8):
            root = "/cut/%d-%d" % (number, attempt)
            made = [(raw.CREATE, raw.create(root), True)]
            for step in range(200):
                made += [(raw.CREATE, raw.create("%s/%03d" % (root, step)), True),
                         (raw.SYNC, raw.buffer(root), True),
                         (raw.MULTI, raw.multi([(raw.SET_DATA, raw.set_data(root, b"%d" % step)),
                                                (raw.CHECK, raw.path_version(root))]), True)]
            sent = frames(made)
            connection = scene.connect(number)
            sent = sent[:random_.randrange(len(frames(made[:4])), len(sent))]
            connection.send_bytes(sent)
            if attempt % 2:  # a reset, not an end
                connection.socket.setsockopt(raw.socket.SOL_SOCKET, raw.socket.SO_LINGER,
                                             raw.struct.pack("ii", 1, 0))
            time.sleep(random_.choice((0, 0.002, 0.02)))
            connection.close()
            executed.append(prefix_of(scene, followers[1], root, wrong))
        scene.ok(not wrong, "%s: a prefix of what was sent, cut anywhere (%s)" % (
            place(scene, number), executed), wrong)


def prefix_of(scene, number, root, wrong):
    """How many steps were executed under a node once all is quiet; complains of gaps."""
    probe = scene.connect(number)
    before = None
    while True:
        probe.call(raw.SYNC, raw.buffer("/"))
        error, record = probe.call(raw.GET_CHILDREN2, raw.path_watch(root))
        now = (error, record and (sorted(record[0]), record[1].mzxid))
        if now == before:
            break
        before = now
        time.sleep(0.15)
    names = [int(name) for name in record[0]] if error == 0 else []
    data = probe.call(raw.GET_DATA, raw.path_watch(root))[1]
    last = int(data[0]) if data and data[0] else -1
    if sorted(names) != list(range(len(names))) or len(names) - 1 - last not in (0, 1):
        wrong.append((root, len(names), last))
    probe.close_session()
    return len(names)


SCENES = {"same": same, "cut": cut}

if __name__ == "__main__":
    sys.exit(ensemble_scene.main(__doc__, SCENES))
