# SPDX-License-Identifier: MIT
"""Runs kazoo's own test suite, as Debian ships it, against one server or an ensemble.

    kazoo_suite.py                      our server; fails for each baseline test that does not pass
    kazoo_suite.py --server apache      the same with Apache
    kazoo_suite.py --server apache --write-baseline --rounds 3
    kazoo_suite.py --servers 3          an ensemble, all its members in the client's list
    kazoo_suite.py --only NAME          tests whose name contains NAME

kazoo's harness starts a "java" that it finds on PATH: kazoo/java here is that program. Each test
file runs in its own pytest with its own ports; a test that fails is tried once more, because some
tests of kazoo race with themselves. kazoo_baseline.txt lists what passes on Apache 3.8.
"""
import argparse
import os
import queue
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

import harness

SUPPORT = os.path.join(harness.HERE, "kazoo")
BASELINE = os.path.join(harness.HERE, "kazoo_baseline.txt")
PYTHON = "/usr/bin/python3"
# What our server does not have yet, by a part of the test's name.
NOT_YET = {"SASLDigestAuthentication": "SASL comes later"}
NOT_YET_OF_ENSEMBLES = {"test_reconfig": "members cannot be changed at run time yet"}
# The slow files first, so that two workers end at about the same time.
ORDER = ["test_client", "test_lock", "test_cache", "test_watchers", "test_connection",
         "test_partitioner", "test_lease", "test_party", "test_election", "test_barrier"]


def tests_directory():
    found = subprocess.run([PYTHON, "-c", "import kazoo.tests as t; print(t.__path__[0])"],
                           capture_output=True, text=True)
    return found.stdout.strip() or None


def free_ports(servers):
    """The first port of a free range: kazoo takes four of each ten for a server."""
    for base in range(21000 + os.getpid() % 200 * 40, 32000, 10 * servers):
        try:
            for server in range(servers):
                for port in range(base + 10 * server, base + 10 * server + 4):
                    with socket.socket() as probe:
                        probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        if base not in free_ports.taken:
            free_ports.taken.add(base)
            return base
    raise RuntimeError("no free ports")


free_ports.taken = set()


class Suite:
    def __init__(self, server, servers, limit_seconds, jaas):
        self.server = server
        self.servers = servers
        self.limit_seconds = limit_seconds
        self.jaas = jaas
        self.lock = threading.Lock()
        self.directory = tempfile.mkdtemp(prefix="interop-kazoo-")
        self.tests = tests_directory()
        self.runs = 0

    def environment(self, results):
        environment = dict(os.environ)
        with self.lock:
            port = free_ports(self.servers)
        environment.update({
            "PATH": SUPPORT + ":" + environment.get("PATH", ""),
            "PYTHONPATH": SUPPORT,
            "PYTHONDONTWRITEBYTECODE": "1",
            "ZOOKEEPER_CLASSPATH": harness.JARS,
            "ZOOKEEPER_VERSION": "3.8.0",
            "ZOOKEEPER_CLUSTER_SIZE": str(self.servers),
            "ZOOKEEPER_PORT_OFFSET": str(port),
            "INTEROP_KAZOO_SERVER": self.server,
            "INTEROP_KAZOO_RESULTS": results,
            "INTEROP_KAZOO_LIMIT": str(self.limit_seconds),
            "MOONKEEPER": harness.Moonkeeper.PROGRAM,
            "TMPDIR": self.directory,
        })
        if self.jaas:
            environment["ZOOKEEPER_JAAS_AUTH"] = self.jaas
        return environment

    def pytest(self, targets):
        """Runs pytest; returns {test name: (outcome, reason)} and the end of its output."""
        with self.lock:
            self.runs += 1
            run = os.path.join(self.directory, "run%d" % self.runs)
        command = [PYTHON, "-m", "pytest", "-q", "--tb=short",
                   "-p", "suite_plugin", "-p", "no:cacheprovider", "--rootdir", self.tests]
        command += [os.path.join(self.tests, target) for target in targets]
        with open(run + ".out", "wb") as out:
            process = harness.start_process(command, env=self.environment(run + ".results"),
                                            stdout=out, stderr=subprocess.STDOUT,
                                            stdin=subprocess.DEVNULL, cwd=self.directory)
            try:
                process.wait(400)
            except subprocess.TimeoutExpired:
                process.send_signal(2)
            harness.end_process(process)
        outcomes = {}
        if os.path.exists(run + ".results"):
            with open(run + ".results") as results:
                for line in results:
                    name, outcome, _, reason = line.rstrip("\n").split("\t")
                    outcomes[name] = (outcome, reason)
        with open(run + ".out", errors="replace") as out:
            return outcomes, out.read()[-6000:]

    def all(self, wanted, workers):
        """wanted: {file: test names or None}. Returns outcomes of all, and outputs of failures."""
        work, outcomes, outputs = queue.Queue(), {}, {}
        rank = {name + ".py": index for index, name in enumerate(ORDER)}
        for name in sorted(wanted, key=lambda name: rank.get(name, len(rank))):
            work.put(name)

        def worker():
            while True:
                try:
                    name = work.get_nowait()
                except queue.Empty:
                    return
                tests = wanted[name]
                targets = [name] if tests is None else sorted(tests)
                began = time.monotonic()
                found, output = self.pytest(targets)
                failed = [test for test, (outcome, _) in found.items() if outcome == "failed"]
                missing = [test for test in tests or () if test not in found]
                if failed or missing:
                    again, output = self.pytest(failed + missing)
                    found.update({test: result for test, result in again.items()})
                with self.lock:
                    outcomes.update(found)
                    outputs[name] = output
                    print("# %s: %d tests, %.0f s" % (name, len(found), time.monotonic() - began))
                    sys.stdout.flush()
        threads = [threading.Thread(target=worker) for _ in range(workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return outcomes, outputs

    def remove(self):
        shutil.rmtree(self.directory, ignore_errors=True)


def read_baseline():
    with open(BASELINE) as baseline:
        return [line.split()[0] for line in baseline if line.strip() and not line.startswith("#")]


def write_baseline(rounds, skipped):
    passed = set.intersection(*({name for name, (outcome, _) in outcomes.items()
                                 if outcome == "passed"} for outcomes in rounds))
    failed = {name for outcomes in rounds for name, (outcome, _) in outcomes.items()
              if outcome == "failed"} | {name for outcomes in rounds for name in outcomes
                                         if name not in passed} - set(skipped)
    with open(BASELINE, "w") as baseline:
        baseline.write("# Tests of kazoo's own suite that pass on Apache ZooKeeper 3.8, one "
                       "server.\n# Written by kazoo_suite.py --server apache --write-baseline; "
                       "%d rounds, all passed.\n" % len(rounds))
        for name in sorted(passed):
            baseline.write(name + "\n")
        baseline.write("# Not in the baseline, because they fail on Apache in this harness too:\n")
        for name in sorted(failed):
            baseline.write("#   %s\n" % name)
        baseline.write("# Skipped by kazoo itself:\n")
        for name, reason in sorted(skipped.items()):
            baseline.write("#   %s: %s\n" % (name, reason.replace("Skipped: ", "")))
    return passed, failed


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--server", choices=harness.KINDS, default="moonkeeper")
    parser.add_argument("--only", help="tests whose name contains this")
    parser.add_argument("--write-baseline", action="store_true")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--servers", type=int, default=1, help="members of an ensemble")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--limit", type=int, default=60, help="seconds for one test")
    parser.add_argument("--all", action="store_true", help="also what our server has not yet")
    parser.add_argument("--jaas", help="kazoo's ZOOKEEPER_JAAS_AUTH, for the sasl tests")
    options = parser.parse_args()
    tap = harness.Tap()
    reason = harness.missing(options.server) or (
        None if tests_directory() else "python3-kazoo is not installed")
    if reason:
        tap.skip("kazoo's test suite", reason)
        return tap.done()
    suite = Suite(options.server, options.servers, options.limit, options.jaas)
    if options.write_baseline:
        wanted = {name: None for name in os.listdir(suite.tests) if name.startswith("test_")}
        rounds = [suite.all(wanted, options.workers) for _ in range(options.rounds)]
        skipped = {name: reason for outcomes, _ in rounds
                   for name, (outcome, reason) in outcomes.items() if outcome == "skipped"}
        passed, failed = write_baseline([outcomes for outcomes, _ in rounds], skipped)
        tap.ok(passed, "baseline of %d tests; %d fail, %d skipped" % (
            len(passed), len(failed), len(skipped)))
        for name in sorted(failed):
            tap.note("fails: " + name)
        suite.remove()
        return tap.done()
    baseline = [name for name in read_baseline() if not options.only or options.only in name]
    not_yet = {}
    if options.server == "moonkeeper" and not options.all:
        parts = dict(NOT_YET, **(NOT_YET_OF_ENSEMBLES if options.servers > 1 else {}))
        not_yet = {name: reason for name in baseline for part, reason in parts.items()
                   if part in name}
        baseline = [name for name in baseline if name not in not_yet]
    wanted = {}
    for name in baseline:
        wanted.setdefault(name.split("::")[0], []).append(name)
    outcomes, outputs = suite.all(wanted, options.workers)
    for name in baseline:
        outcome, reason = outcomes.get(name, ("never ran", ""))
        tap.ok(outcome == "passed", "kazoo " + name, outcome + " " + reason)
    for name, reason in not_yet.items():
        tap.skip("kazoo " + name, reason)
    for name in sorted({name.split("::")[0] for name in baseline
                        if outcomes.get(name, ("",))[0] != "passed"}):
        tap.note("output of " + name)
        tap.note(outputs.get(name, ""))
    suite.remove()
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
