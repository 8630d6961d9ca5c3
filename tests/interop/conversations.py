# SPDX-License-Identifier: MIT
"""Short conversations with an expected answer to each request.

    conversations.py [--server moonkeeper|apache] [--only NAME]

They cover what differential.py cannot: what takes time (expiry, reaping), what Apache 3.8 does
differently from 3.9 or wrongly, and bytes around the handshake. Those marked `new` hold for a
server that behaves like Apache 3.9 and are skipped on Apache 3.8.
"""
import argparse
import contextlib
import socket
import sys
import time

import harness
import raw

CASES = []


def case(new=False, settings=None, properties=None):
    """Registers a conversation. new: not on Apache 3.8. settings: it needs its own server."""
    def register(function):
        CASES.append((function, new, settings, properties))
        return function
    return register


class Wrong(Exception):
    pass


def same(got, wanted, what):
    if got != wanted:
        raise Wrong("%s: got %r, wanted %r" % (what, got, wanted))


def ok(connection, opcode, body=b"", xid=None):
    """The record of a request that must succeed."""
    err, record = connection.call(opcode, body, xid)
    same(err, 0, "op %d" % opcode)
    return record


def fails(connection, wanted, opcode, body=b"", xid=None):
    same(connection.call(opcode, body, xid)[0], wanted, "error of op %d" % opcode)


def events(connection, count, timeout=5.0):
    """Waits for that many events; each as (type, path)."""
    got = [(event[1], event[3]) for event in connection.events]
    connection.events = []
    while len(got) < count:
        message = connection.read(timeout)
        if not isinstance(message, raw.Event):
            raise Wrong("wanted event %d of %d, got %r after %r" % (len(got), count, message, got))
        got.append((message[1], message[3]))
    return got


def fresh(connection, path, data=b"", acl=raw.OPEN_ACL, flags=0):
    ok(connection, raw.CREATE, raw.create(path, data, acl, flags))
    return path


# ---- around the handshake -------------------------------------------------------------------

@case()
def timeouts_are_clamped(server):
    for asked, given in ((0, 4000), (-1, 4000), (5000, 5000), (10**9, 40000)):
        connection = raw.connect(server.port, timeout_ms=asked)
        same(connection.timeout_ms, given, "timeout for %d" % asked)
        connection.close_session()


@case()
def the_response_mirrors_the_read_only_byte(server):
    for read_only, size in ((0, 37), (1, 37), (None, 36)):
        connection = raw.Connection(server.port)
        connection.send_frame(raw.connect_request(read_only=read_only))
        same(len(connection.read_frame()), size, "response to read_only=%r" % (read_only,))
        connection.close()


@case()
def requests_may_follow_the_handshake_at_once(server):
    connection = raw.Connection(server.port)
    request = raw.connect_request() + b"more"
    data = raw.integer(len(request)) + request
    for xid in range(1, 6):
        frame = raw.integer(xid) + raw.integer(raw.EXISTS) + raw.path_watch("/")
        data += raw.integer(len(frame)) + frame
    connection.send_bytes(data)
    same(connection.finish_handshake()[0], 0, "protocol version")
    same([connection.read().xid for _ in range(5)], [1, 2, 3, 4, 5], "xids")
    connection.close_session()


@case()
def bytes_may_come_one_by_one(server):
    connection = raw.Connection(server.port)
    request = raw.connect_request()
    for byte in raw.integer(len(request)) + request:
        connection.send_bytes(bytes([byte]))
        time.sleep(0.001)
    same(connection.finish_handshake()[1], 30000, "timeout")
    frame = raw.integer(7) + raw.integer(raw.EXISTS) + raw.path_watch("/")
    for byte in raw.integer(len(frame)) + frame:
        connection.send_bytes(bytes([byte]))
    same(connection.read().xid, 7, "xid")
    connection.close_session()


@case()
def words_may_come_in_pieces_and_with_a_newline(server):
    with socket.create_connection(("127.0.0.1", server.port), 5) as connection:
        connection.sendall(b"ru")
        time.sleep(0.05)
        connection.sendall(b"ok\r\n")
        same(connection.recv(100), b"imok", "ruok")
        same(connection.recv(100), b"", "after ruok")
    for word in (b"nope", b"\xff\xf4\xff\xfd", b"RUOK", b"GET / HTTP/1.1\r\n\r\n"):
        same(harness.four_letter_word(server.port, word), "", "answer to %r" % word)


@case()
def the_largest_frame_is_accepted(server):
    connection = raw.connect(server.port)
    path = fresh(connection, "/large")
    overhead = 8 + len(raw.set_data(path, b"", -1))
    limit = 0xfffff
    same(ok(connection, raw.SET_DATA, raw.set_data(path, b"x" * (limit - overhead))).length,
         limit - overhead, "length")
    same(len(ok(connection, raw.GET_DATA, raw.path_watch(path))[0]), limit - overhead, "data")
    connection.request(raw.SET_DATA, raw.set_data(path, b"x" * (limit - overhead + 1)))
    same(connection.read(), raw.EOF, "one byte more")
    again = raw.connect(server.port, session=connection.session, password=connection.password)
    ok(again, raw.DELETE, raw.path_version(path))
    again.close_session()


@case()
def what_follows_close_session_is_dropped(server):
    connection = raw.connect(server.port)
    connection.request(raw.CLOSE_SESSION)
    for _ in range(5):
        connection.request(raw.EXISTS, raw.path_watch("/"))
    same(connection.read().xid, 1, "xid of the close reply")
    same(connection.read(), raw.EOF, "after the close reply")


@case()
def replies_come_in_order_under_load(server):
    connection = raw.connect(server.port)
    path = fresh(connection, "/load-order")
    connection.xid = 0
    for number in range(600):
        if number % 3:
            connection.request(raw.GET_DATA, raw.path_watch(path))
        else:
            connection.request(raw.SET_DATA, raw.set_data(path, b"%d" % number))
    for number in range(600):
        reply = connection.read()
        same((reply.xid, reply.err), (number + 1, 0), "reply %d" % number)
        if number % 3:
            data = raw.decode_reply(raw.GET_DATA, reply.body)[0]
            same(data, b"%d" % (number - number % 3), "a read sees the write before it")
    ok(connection, raw.DELETE, raw.path_version(path))
    connection.close_session()


# ---- what takes time ------------------------------------------------------------------------

@case(settings={"tickTime": 200})
def a_silent_session_expires(server):
    watcher = raw.connect(server.port, timeout_ms=4000)
    connection = raw.connect(server.port, timeout_ms=400)
    same(connection.timeout_ms, 400, "negotiated timeout")
    fresh(connection, "/expiring", flags=1)
    ok(watcher, raw.EXISTS, raw.path_watch("/expiring", 1))
    began = time.monotonic()
    while time.monotonic() - began < 1.0:           # pings keep it alive
        ok(connection, raw.PING, xid=raw.XID_PING)
        time.sleep(0.1)
    began = time.monotonic()
    same(events(watcher, 1), [(2, b"/expiring")], "event of the ephemeral node")
    waited = time.monotonic() - began
    if not 0.25 < waited < 1.5:
        raise Wrong("expired after %.2f s instead of 0.4 to 0.6 s" % waited)
    same(connection.read(), raw.EOF, "connection of the expired session")
    again = raw.Connection(server.port)
    answer = again.handshake(session=connection.session, password=connection.password)
    same(answer, (0, 0, 0, b"\0" * 16, 0), "answer to the expired session")
    same(again.read(5), raw.EOF, "after that answer")
    watcher.close_session()


@case(properties={"znode.container.checkIntervalMs": 300})
def containers_and_ttl_nodes_are_reaped(server):
    connection = raw.connect(server.port)
    for path, opcode, body in (
            ("/used", raw.CREATE_CONTAINER, raw.create("/used", b"", flags=4)),
            ("/unused", raw.CREATE_CONTAINER, raw.create("/unused", b"", flags=4)),
            ("/ttl", raw.CREATE_TTL, raw.create_ttl("/ttl", b"", raw.OPEN_ACL, 5, 200)),
            ("/parent", raw.CREATE_TTL, raw.create_ttl("/parent", b"", raw.OPEN_ACL, 5, 200)),
            ("/long", raw.CREATE_TTL, raw.create_ttl("/long", b"", raw.OPEN_ACL, 5, 10**6))):
        ok(connection, opcode, body)
        if opcode == raw.CREATE_CONTAINER:
            ok(connection, raw.ADD_WATCH, raw.buffer(path) + raw.integer(1))
    fresh(connection, "/used/child")
    fresh(connection, "/parent/child")
    ok(connection, raw.DELETE, raw.path_version("/used/child"))
    same(events(connection, 3), [(1, b"/used/child"), (2, b"/used/child"), (2, b"/used")],
         "events of the container")
    time.sleep(1.2)
    for path, wanted in (("/used", -101), ("/unused", 0), ("/ttl", -101), ("/parent", 0),
                         ("/long", 0)):
        same(connection.call(raw.EXISTS, raw.path_watch(path))[0], wanted, "exists " + path)
    ok(connection, raw.DELETE, raw.path_version("/parent/child"))
    time.sleep(1.2)
    fails(connection, -101, raw.EXISTS, raw.path_watch("/parent"))
    connection.close_session()


@case()
def events_precede_the_reply(server):
    connection = raw.connect(server.port)
    path = fresh(connection, "/ordered")
    ok(connection, raw.ADD_WATCH, raw.buffer(path) + raw.integer(1))
    for number in range(50):
        connection.request(raw.SET_DATA, raw.set_data(path, b"%d" % number))
    for number in range(50):
        message = connection.read()
        same((type(message), message[1:]), (raw.Event, (3, 3, b"/ordered")), "event %d" % number)
        same(connection.read().err, 0, "reply %d" % number)
    ok(connection, raw.DELETE, raw.path_version(path))
    connection.close_session()


@case()
def a_reader_that_does_not_read_disturbs_nobody(server):
    quick = raw.connect(server.port)
    path = fresh(quick, "/big", b"x" * 500000)
    slow = raw.connect(server.port)
    frame = raw.integer(1) + raw.integer(raw.GET_DATA) + raw.path_watch(path)
    block = (raw.integer(len(frame)) + frame) * 100
    slow.socket.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        for _ in range(20):
            slow.socket.send(block)
    worst = 0
    for _ in range(100):
        began = time.monotonic()
        ok(quick, raw.SET_DATA, raw.set_data("/", b""))
        worst = max(worst, time.monotonic() - began)
    if worst > 2:
        raise Wrong("a write took %.1f s" % worst)
    slow.close()
    ok(quick, raw.DELETE, raw.path_version(path))
    quick.close_session()


# ---- where we follow 3.9, or do not follow a bug --------------------------------------------

@case(new=True)
def a_wrong_password_leaves_the_connection_alone(server):
    connection = raw.connect(server.port)
    other = raw.Connection(server.port)
    answer = other.handshake(session=connection.session, password=b"wrong password..")
    same(answer[1:3], (0, 0), "timeout and session")
    same(other.read(5), raw.EOF, "after the refusal")
    ok(connection, raw.EXISTS, raw.path_watch("/zookeeper"))
    connection.close_session()


@case(new=True)
def check_outside_a_multi_is_refused(server):
    for opcode, body in ((raw.CHECK, raw.path_version("/")),
                         (raw.DELETE_CONTAINER, raw.buffer("/zookeeper")),
                         (raw.CREATE_SESSION, raw.integer(5000))):
        connection = raw.connect(server.port)
        fails(connection, -6, opcode, body)
        same(connection.read(5), raw.EOF, "after op %d" % opcode)
        connection = raw.connect(server.port, session=connection.session,
                                 password=connection.password)
        ok(connection, raw.EXISTS, raw.path_watch("/zookeeper"))
        connection.close_session()


@case(new=True)
def ttl_creates_without_ttl_flag_are_refused(server):
    connection = raw.connect(server.port)
    for flags in (0, 1, 2, 3, 4):
        for ttl in (-1, -2**63, 0, 1):
            fails(connection, -8, raw.CREATE_TTL,
                  raw.create_ttl("/t", b"", raw.OPEN_ACL, flags, ttl))
    fails(connection, -101, raw.EXISTS, raw.path_watch("/t"))
    connection.close_session()


@case(new=True)
def nonsense_in_quota_statistics_does_no_harm(server):
    connection = raw.connect(server.port)
    base = "/zookeeper/quota/nonsense"
    for path, data in ((base, b""), (base + "/zookeeper_limits", b"count=9,bytes=99"),
                       (base + "/zookeeper_stats", b""), ("/nonsense", b"")):
        fresh(connection, path, data)
    connection.call(raw.SET_DATA, raw.set_data(base + "/zookeeper_stats", b"\xff\x00nonsense"))
    for opcode, body in ((raw.CREATE, raw.create("/nonsense/a", b"12345")),
                         (raw.DELETE, raw.path_version("/nonsense/a"))):
        err, _ = connection.call(opcode, body)      # 3.9 answers -5 to what it cannot count
        if err not in (0, -5, -101):
            raise Wrong("op %d answered %r" % (opcode, err))
    ok(connection, raw.DELETE, raw.path_version(base + "/zookeeper_stats"))
    fresh(connection, base + "/zookeeper_stats")
    fresh(connection, "/nonsense/b", b"12345")
    same(ok(connection, raw.GET_DATA, raw.path_watch(base + "/zookeeper_stats"))[0],
         b"count=2,bytes=5", "statistics")
    for path in ("/nonsense/b", "/nonsense", base + "/zookeeper_stats",
                 base + "/zookeeper_limits", base):
        ok(connection, raw.DELETE, raw.path_version(path))
    connection.close_session()


@case(new=True)
def quota_statistics_stay_exact(server):
    connection = raw.connect(server.port)
    bases = ("/zookeeper/quota/exact", "/zookeeper/quota/exact/inner")

    def limits(base):
        return base + "/zookeeper_limits"

    def statistics():
        return [ok(connection, raw.GET_DATA, raw.path_watch(base + "/zookeeper_stats"))[0]
                for base in bases]
    fresh(connection, "/exact", b"1")
    for base in bases:                  # one below the other, which Apache's tools refuse
        fresh(connection, base)
        fresh(connection, limits(base), b"count=-1,bytes=-1")
        fresh(connection, base + "/zookeeper_stats")
    fresh(connection, "/exact/inner", b"22")
    fresh(connection, "/exact/inner/node", b"333")
    same(statistics(), [b"count=3,bytes=6", b"count=2,bytes=5"], "nested")
    for base in bases:
        ok(connection, raw.DELETE, raw.path_version(limits(base)))
    ok(connection, raw.SET_DATA, raw.set_data("/exact/inner/node", b""))
    same(statistics(), [b"count=3,bytes=6", b"count=2,bytes=5"], "without limits")
    for base in bases:
        fresh(connection, limits(base), b"count=-1,bytes=-1")
    ok(connection, raw.SET_DATA, raw.set_data("/exact/inner", b"4444"))
    same(statistics(), [b"count=3,bytes=5", b"count=2,bytes=4"], "with limits again")
    for path in ("/exact/inner/node", "/exact/inner", "/exact"):
        ok(connection, raw.DELETE, raw.path_version(path))
    same(statistics(), [b"count=0,bytes=0", b"count=0,bytes=0"], "at the end")
    for base in reversed(bases):
        for path in (base + "/zookeeper_stats", limits(base), base):
            ok(connection, raw.DELETE, raw.path_version(path))
    connection.close_session()


@case(new=True)
def create2_in_a_multi_answers_a_stat(server):
    connection = raw.connect(server.port)
    parts = [(raw.CREATE, raw.create("/c", b"")), (raw.CREATE2, raw.create("/c/2", b"xx")),
             (raw.CREATE_CONTAINER, raw.create("/c/c", b"")),
             (raw.CREATE2, raw.create("/c/e", b"", flags=1)),
             (raw.CREATE_TTL, raw.create_ttl("/c/t", b"", raw.OPEN_ACL, 5, 10**6))]
    answer = ok(connection, raw.MULTI, raw.multi(parts))
    same([(part[0], part[2]) for part in answer[:-1]],
         [(raw.CREATE, 0)] + [(raw.CREATE2, 0)] * 4, "types")
    same([(part[3][0], part[3][1].length, part[3][1].owner) for part in answer[1:-1]],
         [(b"/c/2", 2, 0), (b"/c/c", 0, 0), (b"/c/e", 0, connection.session), (b"/c/t", 0, 0)],
         "path, length and owner")
    for path in ("/c/2", "/c/c", "/c/e", "/c/t", "/c"):
        ok(connection, raw.DELETE, raw.path_version(path))
    connection.close_session()


@case(new=True)
def watch_modes_coexist_on_a_path(server):
    connection = raw.connect(server.port)
    path = fresh(connection, "/modes")
    ok(connection, raw.ADD_WATCH, raw.buffer(path) + raw.integer(0))
    ok(connection, raw.GET_DATA, raw.path_watch(path, 1))
    for _ in range(3):
        ok(connection, raw.SET_DATA, raw.set_data(path, b""))
        same(events(connection, 1), [(3, b"/modes")], "one event for each change")
    ok(connection, raw.PING, xid=raw.XID_PING)
    same(connection.events, [], "no further event")
    ok(connection, raw.CHECK_WATCHES, raw.buffer(path) + raw.integer(4))
    fails(connection, -121, raw.CHECK_WATCHES, raw.buffer(path) + raw.integer(5))
    fails(connection, -121, raw.CHECK_WATCHES, raw.buffer(path) + raw.integer(2))
    ok(connection, raw.ADD_WATCH, raw.buffer(path) + raw.integer(1))
    ok(connection, raw.REMOVE_WATCHES, raw.buffer(path) + raw.integer(4))
    ok(connection, raw.CHECK_WATCHES, raw.buffer(path) + raw.integer(5))
    ok(connection, raw.REMOVE_WATCHES, raw.buffer(path) + raw.integer(3))
    fails(connection, -121, raw.REMOVE_WATCHES, raw.buffer(path) + raw.integer(3))
    ok(connection, raw.DELETE, raw.path_version(path))
    connection.close_session()


@case(new=True)
def watches_are_checked_on_the_asking_connection(server):
    one, other = raw.connect(server.port), raw.connect(server.port)
    path = fresh(one, "/mine")
    ok(one, raw.GET_DATA, raw.path_watch(path, 1))
    ok(one, raw.CHECK_WATCHES, raw.buffer(path) + raw.integer(2))
    fails(other, -121, raw.CHECK_WATCHES, raw.buffer(path) + raw.integer(2))
    ok(one, raw.DELETE, raw.path_version(path))
    one.close_session()
    other.close_session()


@case()
def events_about_unreadable_nodes_are_kept_back(server):
    connection, watcher = raw.connect(server.port), raw.connect(server.port)
    paths = [fresh(connection, path) for path in ("/hidden", "/hidden/a", "/shown")]
    for path in paths:
        ok(watcher, raw.ADD_WATCH, raw.buffer(path) + raw.integer(0))
        ok(watcher, raw.GET_CHILDREN, raw.path_watch(path, 1))
    for path in ("/hidden", "/hidden/a"):
        ok(connection, raw.SET_ACL, raw.set_acl(path, [(30, "world", "anyone")]))
    for path in ("/hidden", "/shown"):
        ok(connection, raw.SET_DATA, raw.set_data(path, b"x"))
    for path in ("/hidden/a", "/hidden", "/shown"):
        ok(connection, raw.DELETE, raw.path_version(path))
    ok(watcher, raw.PING, xid=raw.XID_PING)
    same([event[1:] for event in watcher.events], [(3, 3, b"/shown"), (2, 3, b"/shown")], "events")
    connection.close_session()
    watcher.close_session()


@case(new=True)
def exists_asks_for_read(server):
    connection = raw.connect(server.port)
    path = fresh(connection, "/unreadable", acl=[(30, "world", "anyone")])
    fails(connection, -102, raw.EXISTS, raw.path_watch(path, 1))
    ok(connection, raw.SET_ACL, raw.set_acl(path, raw.OPEN_ACL))
    ok(connection, raw.DELETE, raw.path_version(path))
    same(connection.events, [], "events without a watch")
    connection.close_session()


@case(new=True)
def notifications_carry_the_zxid_of_the_change(server):
    connection, watcher = raw.connect(server.port), raw.connect(server.port)
    path = fresh(connection, "/zxid")
    ok(watcher, raw.ADD_WATCH, raw.buffer(path) + raw.integer(0))
    stat = ok(connection, raw.SET_DATA, raw.set_data(path, b"x"))
    message = watcher.read()
    same((message[0], message[1]), (stat.mzxid, 3), "zxid and type of the event")
    ok(watcher, raw.SET_WATCHES, raw.set_watches(0, [path], [], []))
    same([(event[0], event[1]) for event in watcher.events], [(-1, 3)],
         "an event that setWatches makes up")
    ok(connection, raw.DELETE, raw.path_version(path))
    connection.close_session()
    watcher.close_session()


@case(new=True)
def an_undecodable_write_spends_no_zxid(server):
    connection = raw.connect(server.port)
    before = ok(connection, raw.SET_DATA, raw.set_data("/", b"")).mzxid
    fails(connection, -5, raw.SET_DATA, raw.buffer("/"))
    fails(connection, -5, raw.CREATE, raw.buffer("/x") + raw.integer(-2))
    same(ok(connection, raw.SET_DATA, raw.set_data("/", b"")).mzxid, before + 1, "zxid")
    fails(connection, -103, raw.SET_DATA, raw.set_data("/", b"", 2**30))
    same(ok(connection, raw.SET_DATA, raw.set_data("/", b"")).mzxid, before + 3, "zxid")
    connection.close_session()


@case(new=True)
def bad_flags_refuse_the_whole_multi(server):
    connection = raw.connect(server.port)
    for flags in (7, -1, 100):
        fails(connection, -5, raw.MULTI, raw.multi([
            (raw.CREATE, raw.create("/flags", b"")),
            (raw.CREATE, raw.create("/flags/x", b"", flags=flags))]))
    fails(connection, -101, raw.EXISTS, raw.path_watch("/flags"))
    connection.close_session()


@case(new=True)
def ip_acls_know_ipv6(server):
    connection = raw.connect(server.port)
    for address in ("::1", "fe80::/10", "2001:db8::/32"):
        fresh(connection, "/ipv6", acl=[(31, "ip", address), (31, "world", "anyone")])
        ok(connection, raw.DELETE, raw.path_version("/ipv6"))
    for address in ("::1/129", "1::2::3", "fe80::/-1"):
        fails(connection, -114, raw.CREATE, raw.create("/ipv6", b"", [(31, "ip", address)]))
    connection.close_session()


@case(new=True)
def a_pipelined_write_sees_the_acl_before_it(server):
    connection = raw.connect(server.port)
    for _ in range(50):
        path = fresh(connection, "/acl")
        for opcode, body in ((raw.SET_ACL, raw.set_acl(path, [(25, "world", "anyone")])),
                             (raw.SET_DATA, raw.set_data(path, b"x")),
                             (raw.SET_ACL, raw.set_acl(path, raw.OPEN_ACL)),
                             (raw.SET_DATA, raw.set_data(path, b"x"))):
            connection.request(opcode, body)
        same([connection.read().err for _ in range(4)], [0, -102, 0, 0], "errors")
        ok(connection, raw.DELETE, raw.path_version(path))
    connection.close_session()


@case(new=True)
def a_failed_multi_leaves_no_stale_view(server):
    connection = raw.connect(server.port)
    for _ in range(50):
        path = fresh(connection, "/view")
        requests = [(raw.SET_DATA, raw.set_data(path, b"1")),
                    (raw.MULTI, raw.multi([(raw.SET_DATA, raw.set_data(path, b"2")),
                                           (raw.CHECK, raw.path_version(path, 99))])),
                    (raw.SET_DATA, raw.set_data(path, b"3", 1)),
                    (raw.DELETE, raw.path_version(path, 2)),
                    (raw.MULTI, raw.multi([(raw.CREATE, raw.create(path, b"")),
                                           (raw.CHECK, raw.path_version("/none", 99))])),
                    (raw.CREATE, raw.create(path, b""))]
        for opcode, body in requests:
            connection.request(opcode, body)
        same([connection.read().err for _ in requests], [0, 0, 0, 0, 0, 0], "errors")
        ok(connection, raw.SET_DATA, raw.set_data(path, b"4", 0))
        ok(connection, raw.DELETE, raw.path_version(path))
    connection.close_session()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--server", choices=harness.KINDS, default="moonkeeper")
    parser.add_argument("--only", default="")
    parser.add_argument("--all", action="store_true", help="on Apache 3.8 too what differs there")
    options = parser.parse_args()
    tap = harness.Tap()
    reason = harness.missing(options.server)
    if reason:
        tap.skip("conversations", reason)
        return tap.done()
    kind = harness.KINDS[options.server]
    shared = kind({"forceSync": "no"})
    shared.start()
    for function, new, settings, properties in CASES:
        name = function.__name__.replace("_", " ")
        if options.only.replace("_", " ") not in name:
            continue
        if new and options.server == "apache" and not options.all:
            tap.skip(name, "Apache 3.8 differs")
            continue
        server = shared
        try:
            if settings or properties:
                server = kind(dict({"forceSync": "no"}, **(settings or {})), properties)
                server.start()
            function(server)
            tap.ok(True, name)
        except (Wrong, OSError, RuntimeError, raw.Malformed, AttributeError, TypeError) as error:
            tap.ok(False, name, "%s: %s\nalive: %s\n%s" % (
                type(error).__name__, error, server.alive(), server.log_tail(8)))
        if server is not shared:
            server.remove()
        elif not shared.is_serving():
            shared.keep("the server ended at: " + name)
            shared = kind({"forceSync": "no"})
            shared.start()
    if tap.failed:
        shared.keep("a conversation failed")
    else:
        shared.remove()
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
