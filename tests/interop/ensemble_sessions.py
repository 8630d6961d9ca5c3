# SPDX-License-Identifier: MIT
"""Sessions of clients that speak to any member of an ensemble, frame by frame.

    ensemble_sessions.py [--server moonkeeper|apache|mixed|guest] [--only SCENE]

Three voters and an observer. With --server apache the same scenes run against Apache's servers, as
the oracle; what is ours alone (a sync that a quorum confirms, an old owner that may not close the
session, xids that begin anew) is left out there.

moved     a session resumed on another member, with right and wrong passwords; its old connection
flight    a session that moves while writes of its old connection are under way
storm     clients that go from member to member while leaders and followers are killed
expiry    ephemerals live as long as their session and no longer, across kills
stall     a leader that stands still does not charge the sessions for it
sync      a sync and a read see what was written before, also behind a leader that was stopped
"""
import random
import signal
import sys
import threading
import time

import ensemble_scene
import raw
from cluster import wait_until
from ensemble_scene import NO_NODE, TICK_MS, accepted, ephemeral, place, refused


# ---- moved ----------------------------------------------------------------------------------

def moved(scene):
    leader, followers, observer = scene.settle()
    scene.ensure("/moved")
    for first, second in ((followers[0], followers[1]), (followers[1], leader),
                          (leader, followers[0]), (followers[0], observer),
                          (observer, leader), (followers[0], followers[0])):
        move(scene, first, second, "%s to %s" % (place(scene, first), place(scene, second)))
    for number in (leader, followers[0], observer):
        refusals(scene, number, place(scene, number), followers[1])
    late_close(scene, followers, leader)
    xids_begin_anew(scene, followers[0], followers[0], "the same follower")
    xids_begin_anew(scene, followers[0], followers[1], "another follower")
    xids_begin_anew(scene, followers[0], observer, "an observer")
    follow_newest(scene, leader, followers, observer)


def move(scene, first, second, name):
    old = scene.connect(first, timeout_ms=8000)
    path = "/moved/%x" % old.session
    old.call(*ephemeral(path))
    new, answer = scene.resume(old, second, timeout_ms=6000)
    scene.ok(accepted(answer, old) and answer[1] == 6000, "%s: resumed" % name, answer)
    same_server = first == second
    stays = not same_server and scene.cluster.mode(first) != "leader"
    if stays:
        read = old.call(raw.EXISTS, raw.path_watch(path))
        scene.ok(read[0] == 0, "%s: the old connection may still read" % name, read)
    error = old.call(raw.SET_DATA, raw.set_data(path, b"old"))[0]
    scene.ok(error == raw.EOF, "%s: its write ends the old connection" % name, error)
    got = new.call(raw.SYNC, raw.buffer("/")), new.call(raw.GET_DATA, raw.path_watch(path))
    scene.ok(got[1][0] == 0 and got[1][1][0] == b"e" and got[1][1][1].owner == old.session,
             "%s: the ephemeral is there, without that write" % name, got)
    got = new.call(raw.SET_DATA, raw.set_data(path, b"new")), new.call(raw.PING, xid=-2)
    scene.ok(got[0][0] == 0 and got[1][0] == 0, "%s: the new connection writes" % name, got)
    if stays:
        again, answer = scene.resume(old, first)
        error = new.call(raw.MULTI, raw.multi([(raw.SET_DATA, raw.set_data(path, b"x"))]))[0]
        scene.ok(accepted(answer, old) and error == raw.EOF, "%s: and back; a multi of the "
                 "connection that was left ends it" % name, (answer, error))
        new = again
    new.close_session()
    gone = wait_until(lambda: scene.owner(first, path) is None, 5)
    scene.ok(gone is not None, "%s: closed, the ephemeral is gone" % name)
    old.close()


def refusals(scene, number, name, elsewhere):
    """What no member may take for a session; the one that is asked about lives on elsewhere."""
    live = scene.connect(elsewhere, timeout_ms=10000)
    path = "/moved/%x" % live.session
    live.call(*ephemeral(path))
    for what, fields in (("a wrong password", {"password": b"\1" * 16}),
                         ("an empty password", {"password": b""}),
                         ("a null password", {"password": None}),
                         ("an unknown session", {"session": live.session + 4711})):
        connection, answer = scene.resume(live, number, **fields)
        scene.ok(refused(answer) and connection.read_frame(5) == raw.EOF,
                 "%s: %s is refused" % (name, what), answer)
    error = live.call(raw.SET_DATA, raw.set_data(path, b"x"))[0]
    scene.ok(error == 0, "%s: the session that they named lives on" % name, error)
    connection, answer = scene.resume(live, number, last_zxid=1 << 60)
    scene.ok(answer == raw.EOF, "%s: a client that has seen more is sent away" % name, answer)
    live.request(raw.CLOSE_SESSION)
    connection, answer = scene.resume(live, number)
    error = connection.call(raw.EXISTS, raw.path_watch("/moved"))[0] if accepted(
        answer, live) else None
    scene.ok(refused(answer) or answer == raw.EOF or error in (0, raw.EOF),
             "%s: a session that is being closed" % name, (answer, error))
    connection.close()
    wait_until(lambda: scene.owner(elsewhere, path) is None, 5)
    connection, answer = scene.resume(live, number)
    scene.ok(refused(answer) or accepted(answer, live) and scene.owner(number, path) is not None,
             "%s: a closed session is refused" % name, answer)


def late_close(scene, followers, leader):
    """Ours: the connection that was left cannot close the session either (promise G14)."""
    if not scene.ours(leader, *followers):
        return
    old = scene.connect(followers[0], timeout_ms=8000)
    path = "/moved/close-%x" % old.session
    old.call(*ephemeral(path))
    new, _ = scene.resume(old, followers[1])
    error = old.call(raw.CLOSE_SESSION)[0]
    got = new.call(raw.SYNC, raw.buffer("/")), new.call(raw.SET_DATA, raw.set_data(path, b"x"))
    scene.ok(error == raw.EOF and got[1][0] == 0, "the connection that was left cannot close it",
             (error, got))
    back, answer = scene.resume(old, followers[0])
    got = back.call(raw.SET_DATA, raw.set_data(path, b"y")) if accepted(answer, old) else None
    scene.ok(got and got[0] == 0, "and the session can come back there", (answer, got))
    back.close_session()


def xids_begin_anew(scene, first, second, name):
    """kazoo numbers the requests of each connection from 1: what an earlier connection of the
    session wrote must not be taken for the answer of the new one's request."""
    if not scene.ours(*scene.cluster.members):
        return
    wrong = []
    for attempt in range(12):
        old = scene.connect(first, timeout_ms=8000)
        path = "/moved/anew-%x" % old.session
        old.call(raw.CREATE, raw.create(path))
        frames = b""
        for number in range(60):
            frame = raw.integer(7) + raw.integer(raw.CREATE) + raw.create(
                "%s/%d" % (path, number), b"x" * 2000)
            frames += raw.integer(len(frame)) + frame
        old.send_bytes(frames)
        time.sleep(0.001 * attempt)
        new, answer = scene.resume(old, second)
        if not accepted(answer, old):
            wrong.append(answer)
            continue
        new.request(raw.SET_DATA, raw.set_data(path, b"new"), xid=7)
        new.request(raw.DELETE, raw.path_version("/moved/none"), xid=7)
        new.request(raw.CREATE2, raw.create(path + "/last", b"y"), xid=7)
        got = [new.read(), new.read(), new.read()]
        if raw.EOF in got:
            continue  # the old one's writes were refused: it may as well begin again
        records = [raw.decode_reply(op, reply.body) if reply.err == 0 else reply.err
                   for op, reply in zip((raw.SET_DATA, raw.DELETE, raw.CREATE2), got)]
        if not (isinstance(records[0], raw.Stat) and records[0].version == 1
                and records[0].length == 3 and records[1] == NO_NODE
                and isinstance(records[2], tuple)
                and records[2][0] == (path + "/last").encode()):
            wrong.append(records)
        new.close_session()
        old.close()
    alive = all(server.alive() for server in scene.cluster.members.values())
    scene.ok(not wrong and alive, "xids begin anew on %s: each answer is that of its request"
             % name, wrong[:2])


def follow_newest(scene, leader, followers, observer):
    """A member never serves a client an older state than it saw elsewhere."""
    writer = scene.connect(leader)
    writer.call(raw.CREATE, raw.create("/moved/newest", b"0"))
    stale, away = [], 0
    for number in range(1, 151):
        writer.call(raw.SET_DATA, raw.set_data("/moved/newest", b"%d" % number))
        target = (followers[0], followers[1], observer)[number % 3]
        reader, answer = scene.handshake(target, last_zxid=writer.last_zxid)
        if answer == raw.EOF:
            away += 1
            continue
        got = reader.call(raw.GET_DATA, raw.path_watch("/moved/newest"))
        if got[0] != 0 or int(got[1][0]) < number or reader.last_zxid < writer.last_zxid:
            stale.append((number, got))
        reader.close_session()
    scene.ok(not stale and away < 150, "a member behind the client sends it away (%d of 150)" %
             away, stale[:3])
    writer.close_session()


# ---- flight ---------------------------------------------------------------------------------

def send_slowly(connection, path):
    """300 creates in thirty pieces."""
    for piece in range(30):
        frames = b""
        for number in range(piece * 10, piece * 10 + 10):
            frame = raw.integer(number + 10) + raw.integer(raw.CREATE) + raw.create(
                "%s/%03d" % (path, number))
            frames += raw.integer(len(frame)) + frame
        connection.send_bytes(frames)
        time.sleep(0.001)


def flight(scene):
    """Once the session is resumed elsewhere, what the old connection sent is in or never comes
    (promises G13 and G14), and what is in is a prefix."""
    leader, followers, observer = scene.settle()
    scene.ensure("/flight")
    late, gaps, counts = [], [], []
    pairs = [(followers[0], followers[1]), (followers[1], leader), (observer, followers[0]),
             (leader, observer), (followers[0], followers[0]), (leader, followers[1])]
    for attempt in range(36):
        first, second = pairs[attempt % len(pairs)]
        old = scene.connect(first, timeout_ms=8000)
        path = "/flight/%x" % old.session
        old.call(raw.CREATE, raw.create(path))
        sender = threading.Thread(target=send_slowly, args=(old, path))
        sender.start()
        time.sleep(0.006 * (attempt // len(pairs)))
        new, answer = scene.resume(old, second)
        if not accepted(answer, old):
            late.append(("refused", answer))
            continue
        seen = []
        for _ in range(2):
            new.call(raw.SYNC, raw.buffer("/"))
            error, names = new.call(raw.GET_CHILDREN, raw.path_watch(path))
            seen.append(sorted(int(name) for name in names) if error == 0 else error)
            time.sleep(0.1)
        sender.join()
        if seen[0] != seen[1]:
            late.append((place(scene, first), place(scene, second), [len(s) for s in seen]))
        if seen[1] != list(range(len(seen[1]))):
            gaps.append((place(scene, first), place(scene, second), seen[1][-5:]))
        counts.append(len(seen[1]))
        new.close_session()
        old.close()
    scene.ok(not late, "what the old connection sent is in before the session is resumed, or never"
             " (of 300: %s)" % sorted(counts), late[:3])
    scene.ok(not gaps, "and what is in is a prefix", gaps[:3])


# ---- storm ----------------------------------------------------------------------------------

class Wanderer(threading.Thread):
    """One session that goes from member to member. Its zxids never fall, its ephemeral stays, each
    acknowledged write is there."""

    def __init__(self, scene, number, done):
        super().__init__(daemon=True)
        self.scene, self.done = scene, done
        self.random = random.Random(number)
        self.home = scene.connect(number % 4 + 1, timeout_ms=8000)
        self.path = "/storm/%x" % self.home.session
        self.home.call(*ephemeral(self.path))
        self.seen = self.home.last_zxid
        self.wrong, self.counter, self.moves, self.reads = [], 0, 0, 0
        self.start()

    def move(self):
        """Resumes wherever it is let in; None when it was told that its session is over."""
        while True:
            number = self.random.choice((1, 2, 3, 4))
            try:
                connection, answer = self.scene.resume(self.home, number, last_zxid=self.seen)
            except OSError:
                time.sleep(0.02)
                continue
            if accepted(answer, self.home):
                self.moves += 1
                return connection
            connection.close()
            if isinstance(answer, tuple):
                self.wrong.append(("refused", number, answer[1:3]))
                return None
            time.sleep(0.02)

    def take(self, connection, reply, op):
        """The record of a reply that came; EOF ends the connection."""
        if not isinstance(reply, raw.Reply):
            return None
        if reply.zxid < self.seen and reply.zxid > 0:
            self.wrong.append(("zxid fell", self.seen, reply.zxid))
        self.seen = max(self.seen, reply.zxid)
        return raw.decode_reply(op, reply.body) if reply.err == 0 else reply.err

    def visit(self, connection):
        for _ in range(self.random.randrange(1, 12)):
            self.counter += 1
            connection.request(raw.SET_DATA, raw.set_data(self.path, b"%d" % self.counter))
            connection.request(raw.GET_DATA, raw.path_watch(self.path))
            written = self.take(connection, connection.read(15), raw.SET_DATA)
            if written is None:
                return
            read = self.take(connection, connection.read(15), raw.GET_DATA)
            if read is None:
                return
            self.reads += 1
            if not isinstance(written, raw.Stat) or not isinstance(read, tuple) or \
                    read[0] != b"%d" % self.counter or read[1].owner != self.home.session or \
                    read[1].mzxid != written.mzxid:
                self.wrong.append((self.counter, written, read))

    def run(self):
        while not self.done.is_set() and len(self.wrong) < 3:
            connection = self.move()
            if connection is None:
                return
            self.visit(connection)
            if self.random.random() < 0.5:
                connection.close()


def storm(scene):
    scene.settle()
    scene.ensure("/storm")
    done = threading.Event()
    wanderers = [Wanderer(scene, number, done) for number in range(8)]
    for what in ("leader", "follower", "leader", "leader"):
        time.sleep(0.8)
        leader, followers, _ = scene.settle()
        victim = leader if what == "leader" else followers[0]
        scene.cluster.members[victim].kill()
        wait_until(lambda: scene.cluster.leader() not in (None, victim), 20)
        time.sleep(0.3)
        scene.cluster.launch(victim)
    scene.settle()
    time.sleep(0.5)
    done.set()
    for wanderer in wanderers:
        wanderer.join(20)
    wrong = [wanderer.wrong for wanderer in wanderers if wanderer.wrong or wanderer.is_alive()]
    scene.ok(not wrong, "sessions that wander while leaders die see no step back (%d moves, %d "
             "writes)" % (sum(w.moves for w in wanderers), sum(w.reads for w in wanderers)),
             wrong[:3])


# ---- expiry ---------------------------------------------------------------------------------

class Vigil(threading.Thread):
    """Watches by reads when a node goes, on each member."""

    def __init__(self, scene, path, members):
        super().__init__(daemon=True)
        self.scene, self.path = scene, path
        self.gone = {}
        self.seen = {}
        self.members = members
        self.start()

    def run(self):
        watchers = {number: self.scene.connect(number) for number in self.members}
        limit = time.monotonic() + 20
        while len(self.gone) < len(self.members) and time.monotonic() < limit:
            for number in self.members:
                if number in self.gone:
                    continue
                error = watchers[number].call(raw.EXISTS, raw.path_watch(self.path))[0]
                if error == NO_NODE:
                    self.gone[number] = time.monotonic()
                elif error == 0:
                    self.seen[number] = time.monotonic()
            time.sleep(0.02)
        for watcher in watchers.values():
            watcher.close_session()


def silent_client(scene, number, members, name, timeout=2.0):
    """A client that falls silent: ephemerals are gone on all members, in time, not before."""
    client = scene.connect(number, timeout_ms=int(timeout * 1000))
    path = "/expiry/%x" % client.session
    client.call(*ephemeral(path))
    vigil = Vigil(scene, path, members)
    time.sleep(0.3)
    client.call(raw.PING, xid=-2)
    heard = time.monotonic()

    def judge():
        vigil.join(25)
        took = {member: moment - heard for member, moment in vigil.gone.items()}
        slack = 0.3 + 3 * TICK_MS / 1000
        scene.ok(len(took) == len(members) and min(took.values()) >= timeout
                 and max(took.values()) <= timeout + slack + 1,
                 "%s: ephemerals of a silent client go after %s, everywhere" % (name, timeout),
                 took)
        client.close()
    return judge


def pinging_client(scene, number, name, timeout=1.5, seconds=6):
    """Lives by pings alone, and its session is there at the end."""
    client = scene.connect(number, timeout_ms=int(timeout * 1000))
    path = "/expiry/%x" % client.session
    client.call(*ephemeral(path))
    answers = []

    def run():
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            time.sleep(timeout / 3)
            answers.append(client.call(raw.PING, xid=-2)[0])

    thread = threading.Thread(target=run)
    thread.start()

    def judge():
        thread.join()
        got = client.call(raw.SET_DATA, raw.set_data(path, b"x"))
        scene.ok(set(answers) == {0} and got[0] == 0, "%s: a client that only pings lives" % name,
                 (answers, got))
        client.close_session()
    return judge


def expiry(scene):
    leader, followers, observer = scene.settle()
    scene.ensure("/expiry")
    members = (leader, followers[0], observer)
    judges = [silent_client(scene, number, members, place(scene, number)) for number in members]
    judges += [pinging_client(scene, number, place(scene, number)) for number in members]
    # One that is told another timeout when it moves: the last one counts.
    shorter = scene.connect(followers[0], timeout_ms=12000)
    path = "/expiry/%x" % shorter.session
    shorter.call(*ephemeral(path))
    moved_one, answer = scene.resume(shorter, observer, timeout_ms=2000)
    began = time.monotonic()
    vigil = Vigil(scene, path, members)
    for judge in judges:
        judge()
    vigil.join(20)
    took = {member: moment - began for member, moment in vigil.gone.items()}
    if scene.ours(leader):  # with Apache the server that was left may touch it with its own
        scene.ok(accepted(answer, shorter) and len(took) == 3 and min(took.values()) >= 2
                 and max(took.values()) < 5, "the timeout of the last connection counts", took)
    follower_dies(scene, followers, observer)
    leader_dies(scene)


def follower_dies(scene, followers, observer):
    """A client whose follower is killed comes back elsewhere in time, and later to the same."""
    client = scene.connect(followers[0], timeout_ms=4000)
    path = "/expiry/%x" % client.session
    client.call(*ephemeral(path))
    scene.cluster.members[followers[0]].kill()
    time.sleep(2.5)
    back, answer = scene.resume(client, followers[1])
    got = back.call(raw.GET_DATA, raw.path_watch(path)) if accepted(answer, client) else None
    scene.ok(got and got[0] == 0 and got[1][1].owner == client.session,
             "its follower was killed: it comes back to another in time", (answer, got))
    scene.cluster.launch(followers[0])
    limit = time.monotonic() + 15
    while time.monotonic() < limit and scene.cluster.mode(followers[0]) is None:
        back.call(raw.PING, xid=-2)
        time.sleep(0.2)
    again, answer = scene.resume(client, followers[0])
    got = again.call(raw.SET_DATA, raw.set_data(path, b"x")) if accepted(answer, client) else None
    scene.ok(got and got[0] == 0, "and to the one that was killed, when it is there again",
             (answer, got))
    again.close_session()
    del observer


def leader_dies(scene):
    """The leader dies at 0.9 of the timeouts: they begin anew with the next one."""
    leader, followers, observer = scene.settle()
    timeout = 4.0
    clients = [scene.connect(number, timeout_ms=int(timeout * 1000))
               for number in (followers[0], followers[1], observer)]
    paths = ["/expiry/%x" % client.session for client in clients]
    for client, path in zip(clients, paths):
        client.call(*ephemeral(path))
    heard = time.monotonic()
    time.sleep(0.9 * timeout - 0.2)
    scene.cluster.members[leader].kill()
    killed = time.monotonic()
    took = wait_until(lambda: scene.cluster.leader() not in (None, leader), 20)
    led = time.monotonic()
    scene.cluster.launch(leader)
    probe = scene.connect(scene.cluster.leader())
    # The second comes back late, but in time by the new clock; nobody else does.
    early = []
    while time.monotonic() < killed + timeout - 0.7:
        early += [path for path in paths
                  if probe.call(raw.EXISTS, raw.path_watch(path))[0] != 0]
        time.sleep(0.05)
    scene.ok(took is not None and not early,
             "the leader was killed at 0.9 of the timeout: no session ends early", early)
    wait_until(lambda: scene.cluster.mode(followers[1]) is not None, 5)
    back, answer = scene.resume(clients[1], followers[1])
    got = back.call(raw.SET_DATA, raw.set_data(paths[1], b"x")) if accepted(
        answer, clients[1]) else None
    scene.ok(got and got[0] == 0, "one that comes back %.1f s after its last word has its session"
             % (time.monotonic() - heard), (answer, got))
    gone = wait_until(lambda: all(probe.call(raw.EXISTS, raw.path_watch(paths[i]))[0] == NO_NODE
                                  for i in (0, 2)), timeout + 4)
    after = time.monotonic() - led
    scene.ok(gone is not None and after >= timeout - 1 and after < timeout + 3,
             "the others end %.1f s after the new leader began" % after)
    back.close_session()
    probe.close_session()


# ---- stall ----------------------------------------------------------------------------------

def stall(scene):
    """A leader that stands still for longer than the sessions' timeout, but not so long that the
    others elect, does not charge them for it (Apache does, and ends them all)."""
    leader, _, _ = scene.settle()
    if not scene.ours(leader):
        return
    done, wrong = threading.Event(), []

    def live(number):
        client = scene.connect(number, timeout_ms=1500)
        while not done.is_set():
            error = client.call(raw.PING, xid=-2, timeout=8)[0]
            if error != 0:
                wrong.append((place(scene, number), error))
                return
            time.sleep(0.4)
        client.close_session()

    clients = [threading.Thread(target=live, args=(number,)) for number in (1, 2, 3, 4) * 2]
    for client in clients:
        client.start()
    for _ in range(2):
        time.sleep(1)
        scene.signal(leader, signal.SIGSTOP)
        time.sleep(1.8)
        scene.signal(leader, signal.SIGCONT)
    time.sleep(1.2)
    still = scene.cluster.leader()
    done.set()
    for client in clients:
        client.join()
    scene.ok(not wrong and still == leader,
             "no session ends because the leader stood still for 1.8 s", (wrong, leader, still))


# ---- sync -----------------------------------------------------------------------------------

def sync_rounds(scene, writer, reader, rounds, name):
    """A write is answered, then another client syncs and reads through another member."""
    path = "/sync/%x" % writer.session
    writer.call(raw.CREATE, raw.create(path, b"0"))
    stale = []
    for number in range(1, rounds + 1):
        error = writer.call(raw.SET_DATA, raw.set_data(path, b"%d" % number))[0]
        reader.request(raw.SYNC, raw.buffer(path))
        reader.request(raw.GET_DATA, raw.path_watch(path))
        reader.read()
        got = reader.read()
        if error == raw.EOF or got == raw.EOF:
            return scene.ok(False, "%s: the connections stay" % name, (number, error, got))
        seen = raw.decode_reply(raw.GET_DATA, got.body) if got.err == 0 else None
        if seen is None or int(seen[0]) < number:
            stale.append((number, got))
    return scene.ok(not stale, "%s: a sync and a read see what was written before, %d times" % (
        name, rounds), stale[:3])


def sync(scene):
    leader, followers, observer = scene.settle()
    scene.ensure("/sync")
    for first, second, rounds in ((leader, followers[0], 300), (followers[0], followers[1], 250),
                                  (followers[1], leader, 200), (followers[0], observer, 250)):
        writer, reader = scene.connect(first), scene.connect(second)
        sync_rounds(scene, writer, reader, rounds, "%s to %s" % (
            place(scene, first), place(scene, second)))
        writer.close_session()
        reader.close_session()
    old_leader(scene, leader, followers)
    leader, followers, observer = scene.settle()
    writer, reader = scene.connect(followers[0]), scene.connect(followers[1])
    scene.cluster.members[leader].kill()
    wait_until(lambda: scene.cluster.leader() not in (None, leader), 20)
    writer, _ = scene.resume(writer, followers[0])
    reader, _ = scene.resume(reader, followers[1])
    if writer.closed or reader.closed:
        writer, reader = scene.connect(followers[0]), scene.connect(followers[1])
    sync_rounds(scene, writer, reader, 100, "right after a leader change")
    writer.close_session()
    reader.close_session()
    scene.settle()


def old_leader(scene, leader, followers):
    """Stopped, replaced, and woken with requests in its sockets: it may drop its clients, but never
    show what is older than what was acknowledged elsewhere, nor acknowledge what is lost."""
    watcher = scene.connect(leader, timeout_ms=30000)
    others = [scene.connect(leader, timeout_ms=30000) for _ in range(5)]
    through = scene.connect(followers[0], timeout_ms=30000)
    watcher.call(raw.CREATE, raw.create("/sync/old", b"0"))
    scene.signal(leader, signal.SIGSTOP)
    try:
        took = wait_until(lambda: any(scene.cluster.mode(number) == "leader"
                                      for number in followers), 20)
        fresh = scene.connect(followers[0])
        error = fresh.call(raw.SET_DATA, raw.set_data("/sync/old", b"1"))[0]
        for number, other in enumerate(others):
            if number % 2 == 0:
                other.request(raw.SYNC, raw.buffer("/sync/old"))
            other.request(raw.CREATE, raw.create("/sync/lost-%d" % number, b""))
            other.request(raw.SYNC, raw.buffer("/sync/old"))
            other.request(raw.GET_DATA, raw.path_watch("/sync/old"))
        watcher.request(raw.SYNC, raw.buffer("/sync/old"))
        watcher.request(raw.GET_DATA, raw.path_watch("/sync/old"))
    finally:
        scene.signal(leader, signal.SIGCONT)
    replies = [watcher.read(10), watcher.read(10)]
    stale = isinstance(replies[1], raw.Reply) and replies[1].err == 0 and \
        raw.decode_reply(raw.GET_DATA, replies[1].body)[0] != b"1"
    if scene.ours(leader, *followers):
        scene.ok(took is not None and error == 0 and not stale,
                 "a leader that slept through its end answers no sync with what is old", replies)
    lost = []
    scene.cluster.wait_serving()
    probe = scene.connect(followers[0])
    probe.call(raw.SYNC, raw.buffer("/"))
    for number, other in enumerate(others):
        while True:
            reply = other.read(10)
            if not isinstance(reply, raw.Reply):
                break
            if reply.xid == (2 if number % 2 == 0 else 1) and reply.err == 0 and probe.call(
                    raw.EXISTS, raw.path_watch("/sync/lost-%d" % number))[0] != 0:
                lost.append(number)
    scene.ok(not lost, "nor acknowledges a write that is lost", lost)
    for connection in (probe, fresh):
        connection.close_session()
    through.close()


SCENES = {"moved": moved, "flight": flight, "storm": storm, "expiry": expiry, "stall": stall,
          "sync": sync}

if __name__ == "__main__":
    sys.exit(ensemble_scene.main(__doc__, SCENES))
