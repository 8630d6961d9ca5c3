# SPDX-License-Identifier: MIT
"""Requests through any member of an ensemble: watches, identities, limits.

    ensemble_requests.py [--server moonkeeper|apache|mixed|guest] [--only SCENE]

watches   events before the replies that show the change; setWatches after a move
large     the greatest requests; transactions that the other members would not take
rights    identities, quotas, containers, TTL nodes and sequential names through followers
"""
import base64
import hashlib
import sys
import threading
import time

import ensemble_scene
import raw
from cluster import wait_until
from ensemble_scene import NO_AUTH, NO_NODE, QUOTA_EXCEEDED, SUPER, accepted, place


# ---- watches --------------------------------------------------------------------------------

CREATED, DELETED, CHANGED, CHILDREN = 1, 2, 3, 4


def watches(scene):
    leader, followers, observer = scene.settle()
    scene.ensure("/watches")
    for number in (followers[0], observer, leader):
        other = followers[1]
        event_first(scene, number, other, place(scene, number))
        persistent(scene, number, other, place(scene, number))
        missed(scene, number, other, "%s to %s" % (place(scene, number), place(scene, other)))


def event_first(scene, number, other, name):
    """Reads follow each other without a pause while another member's client writes."""
    watcher, writer = scene.connect(number), scene.connect(other)
    path = "/watches/%x" % watcher.session
    watcher.call(raw.CREATE, raw.create(path, b""))
    watcher.call(raw.CREATE, raw.create(path + "/c", b""))
    done = threading.Event()

    def write():
        for i in range(80):
            writer.call(raw.SET_DATA, raw.set_data(path, b"%d" % i))
            writer.call(raw.CREATE, raw.create("%s/c/%d" % (path, i)))
            time.sleep(0.001)
        done.set()

    early, fired, version, children = [], 0, None, None
    armed = {"data": False, "child": False}
    thread = threading.Thread(target=write)
    thread.start()
    while not done.is_set():
        asked = {watcher.request(raw.GET_DATA, raw.path_watch(path, not armed["data"])): "data",
                 watcher.request(raw.GET_CHILDREN2, raw.path_watch(path + "/c",
                                                                   not armed["child"])): "child"}
        armed_by = {xid: not armed[kind] for xid, kind in asked.items()}
        while asked:
            message = watcher.read()
            if isinstance(message, raw.Event):
                fired += 1
                armed["data" if message[1] == CHANGED else "child"] = False
                continue
            kind = asked.pop(message.xid)
            if kind == "data":
                now = raw.decode_reply(raw.GET_DATA, message.body)[1].version
                if armed["data"] and now != version:
                    early.append((kind, version, now))
                version = now
            else:
                now = len(raw.decode_reply(raw.GET_CHILDREN2, message.body)[0])
                if armed["child"] and now != children:
                    early.append((kind, children, now))
                children = now
            if armed_by[message.xid]:
                armed[kind] = True
    thread.join()
    scene.ok(not early and fired > 0, "%s: an event comes before the reply that shows the change"
             " (%d events)" % (name, fired), early[:3])
    watcher.close_session()
    writer.close_session()


def persistent(scene, number, other, name):
    watcher, writer = scene.connect(number), scene.connect(other)
    path = "/watches/p-%x" % watcher.session
    watcher.call(raw.CREATE, raw.create(path, b""))
    watcher.call(raw.ADD_WATCH, raw.buffer(path) + raw.integer(1))
    single = scene.connect(number)
    single.call(raw.ADD_WATCH, raw.buffer(path + "/n1") + raw.integer(0))
    expected, of_one = [], []
    for i in range(30):
        node = "%s/n%d" % (path, i % 7)
        for op, body, kind in ((raw.CREATE, raw.create(node), CREATED),
                               (raw.SET_DATA, raw.set_data(node, b"x"), CHANGED),
                               (raw.MULTI, raw.multi([(raw.CREATE, raw.create(node + "/s")),
                                                      (raw.DELETE, raw.path_version(node + "/s"))]),
                                None),
                               (raw.DELETE, raw.path_version(node), DELETED)):
            writer.call(op, body)
            if kind is None:
                expected += [(CREATED, node + "/s"), (DELETED, node + "/s")]
                of_one += [(CHILDREN, node)] * 2 if i % 7 == 1 else []
            else:
                expected.append((kind, node))
                of_one += [(kind, node)] if i % 7 == 1 else []
    for connection in (watcher, single):
        connection.call(raw.SYNC, raw.buffer("/"))
    got = [(event[1], event[3].decode()) for event in watcher.events]
    got_one = [(event[1], event[3].decode()) for event in single.events]
    scene.ok(got == expected, "%s: a recursive watch sees every change in order" % name,
             [pair for pair in zip(got, expected) if pair[0] != pair[1]][:3])
    scene.ok(got_one == of_one, "%s: a persistent watch too" % name, (got_one, of_one))
    for connection in (watcher, single, writer):
        connection.close_session()


def missed(scene, number, other, name):
    """What happened between two connections is told by setWatches on the other member."""
    watcher, writer = scene.connect(number, timeout_ms=10000), scene.connect(other)
    path = "/watches/m-%x" % watcher.session
    for node in ("", "/data", "/gone", "/child", "/same"):
        watcher.call(raw.CREATE, raw.create(path + node))
    watcher.call(raw.EXISTS, raw.path_watch(path + "/new", 1))
    seen = watcher.last_zxid
    watcher.close()
    writer.call(raw.SET_DATA, raw.set_data(path + "/data", b"x"))
    writer.call(raw.DELETE, raw.path_version(path + "/gone"))
    writer.call(raw.CREATE, raw.create(path + "/child/c"))
    writer.call(raw.CREATE, raw.create(path + "/new"))
    again, answer = scene.resume(watcher, other, last_zxid=seen)
    if not accepted(answer, watcher):
        scene.ok(False, "%s: resumed" % name, answer)
        return
    error = again.call(raw.SET_WATCHES, raw.set_watches(
        seen, [path + "/data", path + "/gone", path + "/same"], [path + "/new"],
        [path + "/child", path + "/same"]))[0]
    got = {(event[1], event[3].decode()[len(path):]) for event in again.events}
    expected = {(CHANGED, "/data"), (DELETED, "/gone"), (CREATED, "/new"), (CHILDREN, "/child")}
    scene.ok(error == 0 and got == expected, "%s: setWatches tells what was missed" % name, got)
    again.events.clear()
    writer.call(raw.SET_DATA, raw.set_data(path + "/same", b"y"))
    again.call(raw.SYNC, raw.buffer("/"))
    got = [(event[1], event[3].decode()[len(path):]) for event in again.events]
    scene.ok(got == [(CHANGED, "/same")], "%s: and sets the others" % name, got)
    again.close_session()
    writer.close_session()


# ---- rights ---------------------------------------------------------------------------------

def rights(scene):
    leader, followers, observer = scene.settle()
    scene.ensure("/rights")
    for number in (followers[0], observer, leader):
        identities(scene, number, followers[1], place(scene, number))
        quota(scene, number, place(scene, number))
    reaping(scene, followers[0], observer)
    sequence(scene)


def identities(scene, number, other, name):
    """Who a client is travels with its writes to the leader, and with nobody else's."""
    owner, stranger, root = (scene.connect(number) for _ in range(3))
    owner.call(raw.AUTH, raw.auth("digest", "user:secret"), xid=-4)
    root.call(*SUPER, xid=-4)
    path = "/rights/%x" % owner.session
    digest = "user:" + digest_of("user:secret")
    got = [owner.call(raw.CREATE, raw.create(path, b"", [(31, "auth", "")]))[0],
           owner.call(raw.GET_ACL, raw.buffer(path))[1][0],
           owner.call(raw.SET_DATA, raw.set_data(path, b"o"))[0],
           stranger.call(raw.SET_DATA, raw.set_data(path, b"s"))[0],
           stranger.call(raw.MULTI, raw.multi([(raw.CREATE, raw.create(path + "/s"))]))[1],
           stranger.call(raw.SET_ACL, raw.set_acl(path, raw.OPEN_ACL))[0],
           root.call(raw.SET_DATA, raw.set_data(path, b"r"))[0],
           owner.call(raw.CREATE, raw.create(path + "/x", b"", [(31, "digest", "nobody:x")]))[0],
           owner.call(raw.SET_DATA, raw.set_data(path + "/x", b""))[0],
           root.call(raw.DELETE, raw.path_version(path + "/x"))[0]]
    expected = [0, [(31, b"digest", digest.encode())], 0, NO_AUTH,
                [(-1, 0, NO_AUTH, NO_AUTH), (-1, 1, -1)], NO_AUTH, 0, 0, NO_AUTH, 0]
    scene.ok(got == expected, "%s: digest and super" % name, (got, expected))
    address = path + "/ip"
    got = [owner.call(raw.CREATE, raw.create(address, b"", [(31, "ip", "127.0.0.1")]))[0],
           stranger.call(raw.SET_DATA, raw.set_data(address, b"s"))[0],
           owner.call(raw.SET_ACL, raw.set_acl(address, [(31, "ip", "10.1.2.3")]))[0],
           stranger.call(raw.SET_DATA, raw.set_data(address, b"s"))[0],
           root.call(raw.DELETE, raw.path_version(address))[0]]
    scene.ok(got == [0, 0, 0, NO_AUTH, 0], "%s: addresses" % name, got)
    # A new connection is nobody until it says who it is.
    moved_one, answer = scene.resume(owner, other)
    got = [moved_one.call(raw.SET_DATA, raw.set_data(path, b"m"))[0],
           moved_one.call(raw.AUTH, raw.auth("digest", "user:secret"), xid=-4)[0],
           moved_one.call(raw.SET_DATA, raw.set_data(path, b"m"))[0],
           moved_one.call(raw.DELETE, raw.path_version(path))[0]]
    scene.ok(accepted(answer, owner) and got == [NO_AUTH, 0, 0, 0],
             "%s: identities belong to the connection" % name, got)
    for connection in (moved_one, stranger, root):
        connection.close_session()


def digest_of(text):
    return base64.b64encode(hashlib.sha1(text.encode()).digest()).decode()


def quota(scene, number, name):
    root, client = scene.connect(number), scene.connect(number)
    root.call(*SUPER, xid=-4)
    path = "/q%x" % root.session
    got = [root.call(raw.CREATE, raw.create(path))[0]]
    for node, data in (("", b""), ("/zookeeper_limits", b"count=-1,bytes=-1;byteHardLimit=-1;"
                                   b"countHardLimit=3"),
                       ("/zookeeper_stats", b"count=1,bytes=0")):
        got.append(root.call(raw.CREATE, raw.create("/zookeeper/quota" + path + node, data))[0])
    got += [client.call(raw.CREATE, raw.create("%s/%d" % (path, i)))[0] for i in range(4)]
    got.append(client.call(raw.CREATE, raw.create(path + "/e", b"", flags=1))[0])
    got += [root.call(raw.DELETE, raw.path_version("/zookeeper/quota" + path + node))[0]
            for node in ("/zookeeper_limits", "/zookeeper_stats", "")]
    expected = [0, 0, 0, 0, 0, 0, QUOTA_EXCEEDED, QUOTA_EXCEEDED, QUOTA_EXCEEDED, 0, 0, 0]
    scene.ok(got == expected, "%s: a quota is enforced" % name, got)
    root.close_session()
    client.close_session()


def reaping(scene, number, observer):
    """A container and a TTL node are deleted once, by the leader, and are gone everywhere."""
    client, watcher = scene.connect(number), scene.connect(observer)
    client.call(raw.CREATE, raw.create("/rights/reaped"))
    watcher.call(raw.SYNC, raw.buffer("/"))
    watcher.call(raw.ADD_WATCH, raw.buffer("/rights/reaped") + raw.integer(1))
    made = [client.call(raw.CREATE_CONTAINER, raw.create("/rights/reaped/c", flags=4))[0],
            client.call(raw.CREATE, raw.create("/rights/reaped/c/x"))[0],
            client.call(raw.DELETE, raw.path_version("/rights/reaped/c/x"))[0],
            client.call(raw.CREATE_TTL, raw.create_ttl("/rights/reaped/t", b"", raw.OPEN_ACL, 5,
                                                       300))[0]]
    gone = wait_until(lambda: [client.call(raw.EXISTS, raw.path_watch("/rights/reaped/" + node))[0]
                               for node in "ct"] == [NO_NODE] * 2, 15, 0.1)
    time.sleep(1.2)
    watcher.call(raw.SYNC, raw.buffer("/"))
    deleted = sorted(event[3] for event in watcher.events if event[1] == DELETED)
    scene.ok(made == [0] * 4 and gone is not None and deleted == [
        b"/rights/reaped/c", b"/rights/reaped/c/x", b"/rights/reaped/t"],
             "a container and a TTL node are reaped once", (made, gone, deleted))
    client.close_session()
    watcher.close_session()


def sequence(scene):
    """Clients of every member make sequential nodes while the leader is killed: each name once."""
    leader, _, _ = scene.settle()
    scene.ensure("/rights/sequence")
    names, done, lock = [], threading.Event(), threading.Lock()

    def work(number):
        connection = None
        while not done.is_set():
            try:
                connection = connection or raw.connect(scene.port(number))
                error, path = connection.call(raw.CREATE, raw.create("/rights/sequence/n-",
                                                                     flags=2))
                if error == 0:
                    with lock:
                        names.append(path.decode())
                    connection.call(raw.DELETE, raw.path_version(path.decode())
                                    ) if len(names) % 3 == 0 else None
                else:
                    connection = None
            except OSError:
                connection = None
                time.sleep(0.05)
        if connection:
            connection.close_session()

    workers = [threading.Thread(target=work, args=(number,)) for number in (1, 2, 3, 4) * 2]
    for worker in workers:
        worker.start()
    time.sleep(0.7)
    scene.cluster.members[leader].kill()
    before = len(names)
    wait_until(lambda: len(names) > before + 100, 15)
    scene.cluster.launch(leader)
    time.sleep(0.5)
    done.set()
    for worker in workers:
        worker.join()
    scene.ok(len(set(names)) == len(names) > before > 0,
             "sequential names are unique across a killed leader (%d)" % len(names),
             sorted(name for name in names if names.count(name) > 1)[:4])
    scene.settle()


# ---- large ----------------------------------------------------------------------------------

def large(scene):
    """What is as long as a request may be, and what a transaction would make longer than the other
    members take: one client must not end the ensemble."""
    leader, followers, observer = scene.settle()
    scene.ensure("/large")
    for number in (followers[0], observer, leader):
        client = scene.connect(number)
        client.call(raw.AUTH, raw.auth("digest", "u:" + "p" * 100), xid=-4)
        overhead = len(raw.set_data("/large", b"")) + 8
        error = client.call(raw.SET_DATA, raw.set_data("/large", b"x" * (0xfffff - overhead)),
                            timeout=20)[0]
        got = client.call(raw.SYNC, raw.buffer(None)), client.call(raw.SYNC, raw.buffer(""))
        scene.ok(error == 0 and got == ((0, None), (0, b"")),
                 "%s: a request of the greatest length; a sync without a path" %
                 place(scene, number), (error, got))
        client.close_session()
    if not scene.ours(*scene.cluster.members):
        return  # Apache's ensemble does not live through the rest
    for number in (followers[0], leader):
        client = scene.connect(number)
        for identity in range(20):
            client.call(raw.AUTH, raw.auth("digest", "user%d:p" % identity), xid=-4)
        parts = [(raw.CREATE, raw.create("/large/%d" % i, b"", [(31, "auth", "")]))
                 for i in range(16000)]
        error = client.call(raw.MULTI, raw.multi(parts), timeout=30)[0]
        scene.ok(error == -5 and scene.cluster.leader() == leader,
                 "%s: a multi that becomes too long a transaction is refused" %
                 place(scene, number), error)
        client.close_session()
        ephemerals(scene, number, leader)


def ephemerals(scene, number, leader):
    """A session whose ephemerals' paths are together longer than a transaction may be."""
    client, root = scene.connect(number), "/large/" + "e" * 480
    client.call(raw.CREATE, raw.create(root))
    made = 0
    for piece in range(5):
        parts = [(raw.CREATE, raw.create("%s/%d" % (root, piece * 1000 + i), b"", flags=1))
                 for i in range(1000)]
        made += client.call(raw.MULTI, raw.multi(parts), timeout=30)[0] == 0
    error = client.call(raw.CLOSE_SESSION, timeout=20)[0]
    left = []
    for member in scene.cluster.members:
        probe = scene.connect(member)
        probe.call(raw.SYNC, raw.buffer("/"))
        left.append(probe.call(raw.GET_CHILDREN, raw.path_watch(root))[1])
        probe.close_session()
    scene.ok(made == 5 and error == 0 and left == [[]] * 4 and scene.cluster.leader() == leader,
             "%s: 5,000 ephemerals with long paths end with their session" % place(scene, number),
             (made, error, [len(names or []) for names in left]))


SCENES = {"watches": watches, "rights": rights, "large": large}

if __name__ == "__main__":
    sys.exit(ensemble_scene.main(__doc__, SCENES))
