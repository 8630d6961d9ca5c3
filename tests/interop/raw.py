# SPDX-License-Identifier: MIT
"""A ZooKeeper client without manners: jute by hand, one socket, no threads.

The suites use it to send every request of the protocol, good or malformed, and to see the frames
of the server as they are. decode_reply keeps each byte that matters (null and empty differ,
booleans stay numbers), so comparing decoded replies is comparing bytes.
"""
import select
import socket
import struct
import time

CREATE, DELETE, EXISTS, GET_DATA, SET_DATA, GET_ACL, SET_ACL, GET_CHILDREN = range(1, 9)
SYNC, PING, GET_CHILDREN2, CHECK, MULTI, CREATE2, RECONFIG = 9, 11, 12, 13, 14, 15, 16
CHECK_WATCHES, REMOVE_WATCHES, CREATE_CONTAINER, DELETE_CONTAINER = 17, 18, 19, 20
CREATE_TTL, MULTI_READ = 21, 22
AUTH, SET_WATCHES, SASL, GET_EPHEMERALS, GET_ALL_CHILDREN_NUMBER = 100, 101, 102, 103, 104
SET_WATCHES2, ADD_WATCH, WHO_AM_I = 105, 106, 107
CREATE_SESSION, CLOSE_SESSION = -10, -11

XID_EVENT, XID_PING, XID_AUTH, XID_SET_WATCHES = -1, -2, -4, -8
WRITES = {CREATE, DELETE, SET_DATA, SET_ACL, CHECK, MULTI, CREATE2, RECONFIG, CREATE_CONTAINER,
          DELETE_CONTAINER, CREATE_TTL, CLOSE_SESSION}
OPEN_ACL = [(31, "world", "anyone")]


# ---- encoding -------------------------------------------------------------------------------

def integer(value):
    return struct.pack(">i", value)


def long(value):
    return struct.pack(">q", value)


def boolean(value):
    return bytes([int(value)])


def buffer(value):
    """Bytes, text (as UTF-8) or None."""
    if value is None:
        return integer(-1)
    if isinstance(value, str):
        value = value.encode("utf-8", "surrogatepass")
    return integer(len(value)) + value


def vector(items, encode):
    if items is None:
        return integer(-1)
    return integer(len(items)) + b"".join(encode(item) for item in items)


def acl_vector(acl):
    return vector(acl, lambda entry: integer(entry[0]) + buffer(entry[1]) + buffer(entry[2]))


def create(path, data=b"", acl=OPEN_ACL, flags=0):
    return buffer(path) + buffer(data) + acl_vector(acl) + integer(flags)


def create_ttl(path, data, acl, flags, ttl):
    return create(path, data, acl, flags) + long(ttl)


def path_version(path, version=-1):
    return buffer(path) + integer(version)


def path_watch(path, watch=0):
    return buffer(path) + boolean(watch)


def set_data(path, data, version=-1):
    return buffer(path) + buffer(data) + integer(version)


def set_acl(path, acl, version=-1):
    return buffer(path) + acl_vector(acl) + integer(version)


def auth(scheme, credentials, kind=0):
    return integer(kind) + buffer(scheme) + buffer(credentials)


def set_watches(zxid, *lists):
    return long(zxid) + b"".join(vector(paths, buffer) for paths in lists)


def reconfig(joining, leaving, members, version):
    return buffer(joining) + buffer(leaving) + buffer(members) + long(version)


def multi_header(kind, done, err):
    return integer(kind) + boolean(done) + integer(err)


MULTI_END = multi_header(-1, 1, -1)


def multi(parts, end=MULTI_END):
    """parts: (opcode, encoded body) pairs."""
    return b"".join(multi_header(kind, 0, -1) + body for kind, body in parts) + end


def connect_request(session=0, password=b"\0" * 16, timeout_ms=30000, last_zxid=0, read_only=0,
                    version=0):
    """read_only None leaves the byte out, as clients before 3.4 do."""
    body = integer(version) + long(last_zxid) + integer(timeout_ms) + long(session)
    body += buffer(password)
    return body if read_only is None else body + boolean(read_only)


# ---- decoding -------------------------------------------------------------------------------

class Malformed(Exception):
    pass


class Reader:
    def __init__(self, data, at=0):
        self.data = data
        self.at = at

    def take(self, count):
        if count < 0 or self.at + count > len(self.data):
            raise Malformed("wants %d bytes at %d of %d" % (count, self.at, len(self.data)))
        self.at += count
        return self.data[self.at - count:self.at]

    def integer(self):
        return struct.unpack(">i", self.take(4))[0]

    def long(self):
        return struct.unpack(">q", self.take(8))[0]

    def byte(self):
        return self.take(1)[0]

    def buffer(self):
        size = self.integer()
        return None if size == -1 else self.take(size)

    def vector(self, read):
        count = self.integer()
        if count > len(self.data):
            raise Malformed("vector of %d" % count)
        return None if count == -1 else [read() for _ in range(count)]

    def stat(self):
        return Stat(*struct.unpack(">qqqqiiiqiiq", self.take(68)))

    def acl(self):
        return self.vector(lambda: (self.integer(), self.buffer(), self.buffer()))

    def left(self):
        return len(self.data) - self.at


class Stat(tuple):
    FIELDS = ("czxid", "mzxid", "ctime", "mtime", "version", "cversion", "aversion",
              "owner", "length", "children", "pzxid")

    def __new__(cls, *values):
        return tuple.__new__(cls, values)

    def __getattr__(self, name):
        try:
            return self[self.FIELDS.index(name)]
        except ValueError:
            raise AttributeError(name) from None

    def __repr__(self):
        return "{%s}" % " ".join("%s=%s" % pair for pair in zip(self.FIELDS, self))


def _multi_reply(reader):
    parts = []
    while True:
        kind, done, err = reader.integer(), reader.byte(), reader.integer()
        if done:
            return parts + [(kind, done, err)]
        if kind in (CREATE2, CREATE_TTL, CREATE_CONTAINER):
            record = (reader.buffer(), reader.stat())
        elif kind == CREATE:
            record = reader.buffer()
        elif kind == SET_DATA:
            record = reader.stat()
        elif kind in (DELETE, CHECK):
            record = None
        elif kind == GET_DATA:
            record = (reader.buffer(), reader.stat())
        elif kind == GET_CHILDREN:
            record = reader.vector(reader.buffer)
        elif kind == -1:
            record = reader.integer()
        else:
            raise Malformed("multi reply of type %d" % kind)
        parts.append((kind, done, err, record))


_REPLIES = {
    CREATE: lambda r: r.buffer(),
    CREATE2: lambda r: (r.buffer(), r.stat()),
    CREATE_CONTAINER: lambda r: (r.buffer(), r.stat()),
    CREATE_TTL: lambda r: (r.buffer(), r.stat()),
    EXISTS: lambda r: r.stat(),
    GET_DATA: lambda r: (r.buffer(), r.stat()),
    SET_DATA: lambda r: r.stat(),
    GET_ACL: lambda r: (r.acl(), r.stat()),
    SET_ACL: lambda r: r.stat(),
    GET_CHILDREN: lambda r: r.vector(r.buffer),
    GET_CHILDREN2: lambda r: (r.vector(r.buffer), r.stat()),
    SYNC: lambda r: r.buffer(),
    MULTI: _multi_reply,
    MULTI_READ: _multi_reply,
    RECONFIG: lambda r: (r.buffer(), r.stat()),
    SASL: lambda r: r.buffer(),
    GET_EPHEMERALS: lambda r: r.vector(r.buffer),
    GET_ALL_CHILDREN_NUMBER: lambda r: r.integer(),
    ADD_WATCH: lambda r: r.integer(),
    WHO_AM_I: lambda r: r.vector(lambda: (r.buffer(), r.buffer())),
}


def decode_reply(opcode, body):
    """The record of a successful reply; bytes left over or missing make it ("raw", body)."""
    read = _REPLIES.get(opcode)
    if read is None or not body:
        return ("raw", body) if body else None
    reader = Reader(body)
    try:
        record = read(reader)
    except Malformed:
        return ("raw", body)
    return record if reader.left() == 0 else ("raw", body)


class Event(tuple):
    """(zxid, type, state, path)"""

    def __new__(cls, *values):
        return tuple.__new__(cls, values)


class Reply(tuple):
    """(xid, zxid, err, body)"""

    def __new__(cls, *values):
        return tuple.__new__(cls, values)

    xid = property(lambda self: self[0])
    zxid = property(lambda self: self[1])
    err = property(lambda self: self[2])
    body = property(lambda self: self[3])


def parse_frame(frame):
    """Event or Reply; a frame shorter than a header becomes ("short", frame)."""
    if len(frame) < 16:
        return ("short", frame)
    xid, zxid, err = struct.unpack(">iqi", frame[:16])
    if xid == XID_EVENT:
        reader = Reader(frame, 16)
        try:
            event = Event(zxid, reader.integer(), reader.integer(), reader.buffer())
            if reader.left() == 0 and err == 0:
                return event
        except Malformed:
            pass
        return ("event", frame)
    return Reply(xid, zxid, err, frame[16:])


# ---- one connection -------------------------------------------------------------------------

EOF = "EOF"
SILENCE = "SILENCE"


class Connection:
    """One socket. frames keeps all that came (after the handshake), oldest first, if asked."""

    def __init__(self, port, keep_frames=False):
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.poll = select.poll()  # select cannot take more than 1024 descriptors
        self.poll.register(self.socket, select.POLLIN)
        self.input = bytearray()
        self.closed = False
        self.frames = [] if keep_frames else None
        self.xid = 0
        self.session = 0
        self.password = b"\0" * 16
        self.timeout_ms = 0
        self.last_zxid = 0
        self.events = []

    def send_bytes(self, data):
        """Returns False when the other side is gone."""
        try:
            self.socket.sendall(data)
            return True
        except OSError:
            return False

    def send_frame(self, payload):
        return self.send_bytes(integer(len(payload)) + payload)

    def read_frame(self, timeout=10.0):
        """The next frame's payload, or EOF, or SILENCE after timeout seconds."""
        deadline = time.monotonic() + timeout
        while True:
            if len(self.input) >= 4:
                size = struct.unpack(">i", self.input[:4])[0]
                if len(self.input) >= 4 + size:
                    frame = bytes(self.input[4:4 + size])
                    del self.input[:4 + size]
                    if self.frames is not None:
                        self.frames.append(frame)
                    return frame
            if self.closed:
                return EOF
            if not self.poll.poll(max(0, deadline - time.monotonic()) * 1000):
                return SILENCE
            try:
                chunk = self.socket.recv(1 << 18)
            except OSError:
                chunk = b""
            if chunk:
                self.input += chunk
            else:
                self.closed = True

    def handshake(self, **fields):
        """Sends a ConnectRequest; returns (version, timeout, session, password, read_only) or
        EOF or SILENCE. read_only is None when the byte is absent."""
        self.send_frame(connect_request(**fields))
        return self.finish_handshake()

    def finish_handshake(self):
        frame = self.read_frame()
        if not isinstance(frame, bytes):
            return frame
        reader = Reader(frame)
        answer = (reader.integer(), reader.integer(), reader.long(), reader.buffer(),
                  reader.byte() if reader.left() else None)
        if reader.left():
            raise Malformed("connect response of %d bytes" % len(frame))
        self.timeout_ms, self.session, self.password = answer[1], answer[2], answer[3]
        return answer

    def request(self, opcode, body=b"", xid=None):
        """Sends a request without waiting; returns its xid."""
        if xid is None:
            self.xid += 1
            xid = self.xid
        self.send_frame(integer(xid) + integer(opcode) + body)
        return xid

    def read(self, timeout=10.0):
        """The next Event or Reply, or EOF or SILENCE."""
        frame = self.read_frame(timeout)
        if not isinstance(frame, bytes):
            return frame
        message = parse_frame(frame)
        if isinstance(message, Reply) and message.zxid > self.last_zxid:
            self.last_zxid = message.zxid
        return message

    def call(self, opcode, body=b"", xid=None, timeout=10.0):
        """Sends a request and waits for its reply; events on the way go to self.events.
        Returns (err, record), or (EOF or SILENCE, None)."""
        self.request(opcode, body, xid)
        while True:
            message = self.read(timeout)
            if isinstance(message, Event):
                self.events.append(message)
            elif isinstance(message, Reply):
                return message.err, decode_reply(opcode, message.body) if not message.err else None
            else:
                return message, None

    def close(self):
        self.socket.close()
        self.closed = True

    def close_session(self):
        result = self.call(CLOSE_SESSION)
        self.close()
        return result


def connect(port, **fields):
    """A connection with an established session."""
    connection = Connection(port)
    answer = connection.handshake(**fields)
    if not isinstance(answer, tuple) or answer[1] == 0:
        raise ConnectionError("handshake answered %r" % (answer,))
    return connection


def walk(connection, path="/"):
    """{path: (data, acl, stat)} of the whole tree below path; many requests at a time."""
    tree, todo = {}, [path]
    opcodes = (GET_DATA, GET_ACL, GET_CHILDREN)
    while todo:
        batch, todo = todo[:100], todo[100:]
        requests = b""
        for here in batch:
            for opcode, body in zip(opcodes, (path_watch(here), buffer(here), path_watch(here))):
                connection.xid += 1
                frame = integer(connection.xid) + integer(opcode) + body
                requests += integer(len(frame)) + frame
        connection.send_bytes(requests)
        for here in batch:
            got = []
            for opcode in opcodes:
                message = connection.read()
                while isinstance(message, Event):
                    message = connection.read()
                if not isinstance(message, Reply):
                    raise ConnectionError("walk got %r at %s" % (message, here))
                got.append(decode_reply(opcode, message.body) if message.err == 0
                           else ("err", message.err))
            data, acl, children = got
            tree[here] = (data[0], acl[0], data[1]) if data[0] != "err" else (data, acl, None)
            if isinstance(children, list):
                prefix = here.rstrip("/") + "/"
                todo += [prefix + name.decode("utf-8", "surrogateescape") for name in children]
    return tree
