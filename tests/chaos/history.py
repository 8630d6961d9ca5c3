# SPDX-License-Identifier: MIT
"""What the clients of a run saw: one Operation for each request that was sent."""
import pickle

import paths  # noqa: F401
import raw

WRITE_CODES = (raw.CREATE, raw.CREATE2, raw.DELETE, raw.SET_DATA, raw.MULTI, raw.CLOSE_SESSION)


class Operation:
    """Times are monotonic ns. returned is None when no answer came: then the outcome is open."""
    __slots__ = ("session", "connection", "xid", "opcode", "args", "called", "returned", "error",
                 "zxid", "body", "member")

    def __init__(self, session, connection, xid, opcode, args, called, member=None):
        self.session, self.connection, self.xid = session, connection, xid
        self.opcode, self.args, self.called, self.member = opcode, args, called, member
        self.returned = self.error = self.zxid = None
        self.body = b""

    def answer(self, returned, error, zxid, body):
        self.returned, self.error, self.zxid, self.body = returned, error, zxid, body

    @property
    def writes(self):
        return self.opcode in WRITE_CODES

    def __getstate__(self):
        return [getattr(self, name) for name in self.__slots__]

    def __setstate__(self, state):
        for name, value in zip(self.__slots__, state):
            setattr(self, name, value)

    def __repr__(self):
        answer = "unanswered" if self.returned is None else "error %s zxid 0x%x at %.6f" % (
            self.error, self.zxid, self.returned / 1e9)
        return "session 0x%x connection %d xid %d at member %s: op %d %s, called %.6f, %s" % (
            self.session, self.connection, self.xid, self.member, self.opcode,
            str(self.args)[:120], self.called / 1e9, answer)


class History:
    def __init__(self):
        self.operations = []   # in the order of calls
        self.timeouts = {}     # session: negotiated timeout in ms
        self.expired = {}      # session: when the client was told so (monotonic ns)
        self.complaints = []   # what the recorder itself saw: answers out of order and the like
        self.wall_offset = 0   # wall clock minus monotonic clock, ns

    def save(self, path):
        with open(path, "wb") as file:
            pickle.dump(self.__dict__, file)

    @classmethod
    def load(cls, path):
        history = cls()
        with open(path, "rb") as file:
            history.__dict__.update(pickle.load(file))
        return history
