# SPDX-License-Identifier: MIT
"""Members of an ensemble for zab_join.py and zab_trouble.py: zab_node and Apache servers."""
import argparse
import logging
import os
import re
import tempfile
import threading
import time

from kazoo.client import KazooClient

import harness

TICK_MS = 500
logging.getLogger("kazoo").setLevel(logging.CRITICAL)  # its connections are meant to break


class Node:
    """One zab_node, and the lines that it said."""

    def __init__(self, program, server_id, servers, prefix=()):
        self.id = server_id
        handle, self.log_path = tempfile.mkstemp(prefix="zab_node-%d-" % server_id)
        self.command = [*prefix, program, str(server_id), "tick=%d" % TICK_MS] + servers
        os.close(handle)
        self.process = None

    def start(self):
        self.lines = []
        self.changed = threading.Condition()
        with open(self.log_path, "ab") as log:
            self.process = harness.start_process(
                self.command, stdin=harness.subprocess.PIPE, stdout=harness.subprocess.PIPE,
                stderr=log, text=True, bufsize=1)
        threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True).start()
        return self

    def _read(self, stream):
        for line in stream:
            with self.changed:
                self.lines.append((time.monotonic(), line.rstrip("\n")))
                self.changed.notify_all()

    def say(self, line):
        self.process.stdin.write(line + "\n")

    def mark(self):
        with self.changed:
            return len(self.lines)

    def wait(self, pattern, seconds=15, since=0):
        """The first line from `since` on that matches: (moment, match)."""
        limit = time.monotonic() + seconds
        with self.changed:
            while True:
                for moment, line in self.lines[since:]:
                    match = re.search(pattern, line)
                    if match:
                        return moment, match
                if not self.changed.wait(max(0, limit - time.monotonic())) \
                        and time.monotonic() >= limit:
                    raise AssertionError("server %d did not say '%s'; its last lines:\n%s\n%s" % (
                        self.id, pattern, "\n".join(text for _, text in self.lines[-12:]),
                        self.log_tail()))

    def status(self):
        since = self.mark()
        self.say("status")
        _, match = self.wait(r"^status (.*)", since=since)
        words = match.group(1).split()
        return dict(zip(words[::2], words[1::2]))

    def children(self):
        """Of the root."""
        since = self.mark()
        with tempfile.NamedTemporaryFile("r") as file:
            self.say("list " + file.name)
            self.wait("^listed$", since=since)
            return set(file.read().split("\n"))

    def log_tail(self, lines=25):
        with open(self.log_path, errors="replace") as log:
            return "".join(log.readlines()[-lines:])

    def kill(self):
        self.process.kill()
        self.process.wait()

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.stdin.close()
            try:
                return self.process.wait(10)
            except harness.subprocess.TimeoutExpired:
                self.kill()
        return self.process.returncode if self.process else 0

    def remove(self):
        status = self.stop()
        os.unlink(self.log_path)
        return status


class Member(harness.Apache):
    """An Apache server of the ensemble."""

    def __init__(self, server_id, servers, properties=None):
        super().__init__(properties=properties, settings=dict({"tickTime": TICK_MS, "initLimit": 20, "syncLimit": 10},
                              **dict(line.split("=", 1) for line in servers)))
        self.TUNING = [word.replace("=warn", "=info") for word in self.TUNING]
        with open(os.path.join(self.data_dir, "myid"), "w") as myid:
            myid.write("%d\n" % server_id)
        self.id = server_id

    def launch(self):
        with open(self.log_path, "ab") as log:
            self.process = harness.start_process(
                self.command(self.write_config()), stdout=log, stderr=harness.subprocess.STDOUT,
                stdin=harness.subprocess.DEVNULL, cwd=self.work_dir)

    def wait_mode(self, mode, seconds=30):
        limit = time.monotonic() + seconds
        seen = ""
        while time.monotonic() < limit:
            assert self.alive(), "Apache %d ended\n%s" % (self.id, self.log_tail())
            try:
                seen = harness.four_letter_word(self.port, "srvr", 2)
            except OSError as error:
                seen = str(error)
            if "Mode: " + mode in seen:
                return seen
            time.sleep(0.05)
        raise AssertionError("Apache %d is no %s: %s\n%s" % (self.id, mode, seen, self.log_tail()))

    def wait_serving(self, seconds=30):
        limit = time.monotonic() + seconds
        while not self.is_serving():
            assert self.alive(), "Apache %d ended\n%s" % (self.id, self.log_tail())
            assert time.monotonic() < limit, "Apache %d does not serve\n%s" % (
                self.id, self.log_tail())
            time.sleep(0.05)

    def signal(self, number):
        self.process.send_signal(number)

    def zxid(self):
        return int(re.search(r"Zxid: 0x([0-9a-f]+)",
                             harness.four_letter_word(self.port, "srvr")).group(1), 16)


def server_lines(count, observers=()):
    return ["server.%d=127.0.0.1:%d:%d%s" % (
        number, harness.free_port(), harness.free_port(),
        ":observer" if number in observers else ":participant") for number in range(1, count + 1)]


def connect(member, timeout=20):
    client = KazooClient("127.0.0.1:%d" % member.port, timeout=10)
    client.start(timeout)
    return client


def until(condition, seconds=15):
    limit = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= limit:
            return False
        time.sleep(0.02)
    return True


def main(about, scenarios):
    """scenarios: (name, what is missing for it or None, function of tap and zab_node's path)."""
    parser = argparse.ArgumentParser(description=about.split("\n")[0])
    parser.add_argument("--build", default=os.environ.get("INTEROP_BUILD",
                                                          os.path.join(harness.ROOT, "build")))
    parser.add_argument("--only", choices=[name for name, _, _ in scenarios])
    options = parser.parse_args()
    program = os.path.join(options.build, "interop", "zab_node")
    tap = harness.Tap()
    for name, missing, run in scenarios:
        if not os.access(program, os.X_OK):
            missing = "%s is not built" % program
        if options.only and options.only != name:
            continue
        if missing:
            tap.skip(name, missing)
            continue
        try:
            run(tap, program)
        except AssertionError as error:
            tap.ok(False, "%s ran to its end" % name, error)
    return tap.done()
