#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""First steps from Python, with kazoo: create, read, watch, change, an ephemeral znode.

    python3 examples/first_steps.py [HOST:PORT]
"""
import sys
import threading

from kazoo.client import KazooClient


def main():
    client = KazooClient(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:2181")
    client.start(timeout=10)
    client.ensure_path("/examples/python")
    path = client.create("/examples/python/note-", b"hello", sequence=True)

    told = threading.Event()

    def watcher(event):
        print("told: %s %s" % (event.type, event.path))
        told.set()

    data, stat = client.get(path, watch=watcher)
    print("read: %s, version %d" % (data.decode(), stat.version))
    client.set(path, b"hello again")
    if not told.wait(10):
        sys.exit("no event came within 10 s")

    client.create("/examples/python/here", b"", ephemeral=True)
    print("children: %d" % len(client.get_children("/examples/python")))
    client.delete("/examples/python", recursive=True)
    client.stop()
    client.close()
    print("done")


if __name__ == "__main__":
    main()
