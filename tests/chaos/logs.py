# SPDX-License-Identifier: MIT
"""Reads transaction logs, of Apache's servers and ours, without any code of the server.

checker.py takes a run's true order from here. Whatever is not as the format wants it (a checksum,
an order, a second entry of one zxid) is an error, never skipped: only the padding and a last
entry that was being written when the process was killed may end a file.
"""
import collections
import os
import struct
import zlib

import paths  # noqa: F401  (makes tests/interop importable)
import raw

MAGIC = 0x5a4b4c47
TRAILER_BYTES = 40
TRAILER_MAGIC = b"MKT1"
ERROR, CREATE_CONTAINER, DELETE_CONTAINER = -1, 19, 20

# content: what all members must hold alike (header, record, tree digest)
Entry = collections.namedtuple("Entry", "zxid session cxid time type record content")


class Damaged(Exception):
    pass


def decode_record(kind, data):
    """The record as a tuple, without the digest that may follow."""
    reader = raw.Reader(data)
    if kind in (raw.CREATE, raw.CREATE2):
        return (reader.buffer(), reader.buffer(), reader.acl(), reader.byte(), reader.integer())
    if kind in (raw.DELETE, DELETE_CONTAINER):
        return (reader.buffer(),)
    if kind == raw.SET_DATA:
        return (reader.buffer(), reader.buffer(), reader.integer())
    if kind == raw.CHECK:
        return (reader.buffer(), reader.integer())
    if kind == raw.MULTI:
        parts = []
        for _ in range(reader.integer()):
            part = reader.integer()
            parts.append((part, decode_record(part, reader.buffer())))
        return tuple(parts)
    if kind in (raw.CREATE_SESSION, ERROR):
        return (reader.integer(),)
    if kind == raw.CLOSE_SESSION:
        return tuple(reader.vector(reader.buffer) or ()) if reader.left() >= 4 else ()
    raise Damaged("a transaction of type %d, which no scenario makes" % kind)


def decode_entry(content):
    session, cxid, zxid, time, kind = struct.unpack(">qiqqi", content[:32])
    return Entry(zxid, session, cxid, time, kind, decode_record(kind, content[32:]), content)


def strip_trailer(payload):
    tail = payload[-TRAILER_BYTES:]
    return payload[:-TRAILER_BYTES] if tail[4:8] == TRAILER_MAGIC else payload


def read_file(path):
    """(entries, whether the file ended inside an entry)"""
    with open(path, "rb") as log:
        data = log.read()
    if len(data) < 16 or struct.unpack(">i", data[:4])[0] != MAGIC:
        raise Damaged("%s: no header" % path)
    entries, at = [], 16
    while at + 12 <= len(data):
        checksum, size = struct.unpack(">qi", data[at:at + 12])
        if size == 0:
            return entries, any(data[at:])
        payload = data[at + 12:at + 12 + size]
        if size < 0 or len(payload) < size or data[at + 12 + size:at + 13 + size] != b"B":
            return entries, True
        if zlib.adler32(payload) != checksum:
            return entries, True
        entries.append(decode_entry(strip_trailer(payload)))
        at += 13 + size
    return entries, at < len(data) and any(data[at:])


def named(directory, prefix):
    """[(zxid of the name, path)] in order."""
    found = []
    for name in os.listdir(directory):
        if name.startswith(prefix + "."):
            try:
                found.append((int(name.split(".")[1], 16), os.path.join(directory, name)))
            except ValueError:
                pass
    return sorted(found)


def read_member(data_dir):
    """(entries in order, zxids of its snapshots)"""
    directory = os.path.join(data_dir, "version-2")
    entries = []
    files = named(directory, "log")
    for number, (_, path) in enumerate(files):
        found, torn = read_file(path)
        if torn and number + 1 < len(files) and not found:
            raise Damaged("%s: damaged at its begin" % path)
        for entry in found:
            if entries and entry.zxid <= entries[-1].zxid:
                raise Damaged("%s: zxid 0x%x after 0x%x" % (path, entry.zxid, entries[-1].zxid))
            entries.append(entry)
    return entries, [zxid for zxid, _ in named(directory, "snapshot")]
