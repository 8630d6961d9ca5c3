#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Proves that the yardstick itself is right: the load generator refuses wrong, failed, reordered
and missing answers, and the do-nothing server commits in groups. Prints TAP.

usage: smoke_test.py BUILD_DIRECTORY
"""
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading

from servers import Nothing, read_exactly, stop_all

BUILD = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build")
results = []


def check(passed, name):
    results.append(passed)
    print(f"{'ok' if passed else 'not ok'} {len(results)} - {name}", flush=True)


def generate(mode, port, *arguments):
    command = [os.path.join(BUILD, "bench_load"), mode, "--server", f"127.0.0.1:{port}",
               *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    result = json.loads(done.stdout) if done.returncode == 0 else None
    return done.returncode, result, done.stderr


def faulty_server(mutate, patience=None):
    """Serves one connection; `mutate` gets the list of (xid, err) of a batch and changes it.
    Hangs up after `patience` seconds without a whole batch."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(patience)
            try:
                read_exactly(connection, 49)
                connection.sendall(struct.pack(">iiiqi16sB", 37, 0, 30000, 1, 16, b"p" * 16, 0))
                while True:
                    batch = []
                    for _ in range(4):
                        length = struct.unpack(">i", read_exactly(connection, 4))[0]
                        request = read_exactly(connection, length)
                        batch.append((struct.unpack(">i", request[:4])[0], 0))
                    replies = b""
                    for xid, err in mutate(batch):
                        body = b"" if err else bytes(68)
                        replies += struct.pack(">iiqi", 16 + len(body), xid, 1, err) + body
                    connection.sendall(replies)
            except OSError:
                pass
        listener.close()

    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1]


def check_faults():
    arguments = ("--operation", "write", "--connections", "1", "--outstanding", "4",
                 "--seconds", "0.2", "--warmup", "0")
    code, _, errors = generate("load", faulty_server(lambda batch: batch[::-1]), *arguments)
    check(code == 1 and "out of order" in errors, "reordered replies end the run")
    code, _, errors = generate("load", faulty_server(lambda batch: []), *arguments)
    check(code == 1 and "not answered" in errors, "missing replies end the run")
    # The goodbye comes alone and is no whole batch, hence the patience.
    failing = faulty_server(lambda batch: [(xid, -101) for xid, _ in batch], patience=1)
    code, result, _ = generate("load", failing, *arguments)
    check(code == 0 and result["errors"] >= result["requests"] > 0
          and result["first_error"] == -101, "failed requests are counted")


def check_nothing(directory):
    server = Nothing(directory, os.path.join(BUILD, "bench_nothing"))
    server.start()
    short = ("--seconds", "0.3", "--warmup", "0.1")
    code, result, _ = generate("load", server.port, *short)
    check(code == 0 and result["errors"] == 0 and result["requests"] > 1000,
          "getData is answered and counted")
    code, _, errors = generate("load", server.port, "--data", "50", *short)
    check(code == 1 and "getData answered" in errors, "data of a wrong size end the run")
    code, result, _ = generate("load", server.port, "--rate", "1000", "--seconds", "1")
    check(code == 0 and 950 <= result["requests"] <= 1050, "a steady rate is kept")
    code, result, _ = generate("tree", server.port, "--count", "5000", "--spread", "100")
    check(code == 0 and result["count"] == 5000, "a tree is created")
    code, result, _ = generate("watch", server.port, "--connections", "50", "--rounds", "3")
    check(code == 0 and 0 < result["last_told_us"]["p50"] <= result["last_read_us"]["max"],
          "all watchers are told")
    code, _, _ = generate("load", server.port, "--operation", "write", *short)
    server.stop()
    words = [line.split() for line in server.lines if "commits" in line]
    check(code == 0 and words and int(words[0][1]) > 2 * int(words[0][4]) > 0,
          "writes are committed in groups")


def main():
    with tempfile.TemporaryDirectory(dir=BUILD) as directory:
        try:
            check_nothing(directory)
            check_faults()
        finally:
            stop_all()
    print(f"1..{len(results)}")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
