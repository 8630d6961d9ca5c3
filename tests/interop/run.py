# SPDX-License-Identifier: MIT
"""Runs the interop suites and adds up their TAP.

    run.py [--server moonkeeper|apache] [--only NAME]... [--quick] [--list] [--build DIR]

Each suite is a program of its own; this one numbers their results through and prints one plan.
The exit status is 0 only if nothing failed. A suite that cannot run here (Apache's packages or
the C client are missing) says so in a skip line.
"""
import argparse
import os
import re
import subprocess
import sys
import threading
import time

import harness

PYTHON = "/usr/bin/python3"



def served(name, normal=(), quick=None):
    """A suite that takes --server."""
    return lambda options: [PYTHON, os.path.join(harness.HERE, name), "--server", options.server,
                            *(quick if options.quick and quick is not None else normal)]


def differential(options):
    seeds, ops = (2, 1500) if options.quick else (5, 5000)
    return [PYTHON, os.path.join(harness.HERE, "differential.py"), "--left", "apache", "--right",
            options.server, "--seeds", str(seeds), "--ops", str(ops)]


SUITES = {
    "conversations": (served("conversations.py"), 120),
    "c_client": (served("c_client.py"), 120),
    "go_client": (served("go_client.py"), 300),
    "zkcli": (served("zkcli.py"), 120),
    "curator": (served("curator.py"), 180),
    "differential": (differential, 600),
    "crash": (served("crash.py", ("--rounds", "10"), ("--rounds", "2")), 600),
    "garbage": (served("garbage.py", ("--megabytes", "32"), ("--megabytes", "4")), 600),
    "fair": (served("fair.py", ("--seconds", "2"), ("--seconds", "0.5", "--children", "20000")),
             300),
    "huge": (served("huge.py", ("--seconds", "1"), ("--seconds", "0.5", "--size", "0.1")), 300),
    "zab_join": (lambda options: [PYTHON, os.path.join(harness.HERE, "zab_join.py")], 300),
    "zab_trouble": (lambda options: [PYTHON, os.path.join(harness.HERE, "zab_trouble.py")], 400),
    "zab_partition": (lambda options: [PYTHON, os.path.join(harness.HERE, "zab_partition.py")],
                      300),
    "ensemble": (served("ensemble.py"), 400),
    "ensemble_sessions": (served("ensemble_sessions.py"), 240),
    "ensemble_requests": (served("ensemble_requests.py"), 240),
    "ensemble_pipeline": (served("ensemble_pipeline.py"), 240),
    "ensemble_words": (lambda options: [PYTHON, os.path.join(harness.HERE, "ensemble_words.py")],
                       120),
    "memory": (served("memory.py"), 120),
    "doctor": (lambda options: [PYTHON, os.path.join(harness.HERE, "doctor.py")], 180),
    "kazoo": (served("kazoo_suite.py", (), ("--only", "TestClient::test_create")), 900),
    "kazoo_ensemble": (served("kazoo_suite.py", ("--servers", "3"),
                              ("--servers", "3", "--only", "TestClient::test_create")), 900),
}


def run_suite(name, command, limit, tap):
    """Passes the results of one suite on; counts an early end as a failure."""
    tap.note("suite %s: %s" % (name, " ".join(command[1:])))
    process = harness.start_process(command, stdout=subprocess.PIPE, text=True, errors="replace")
    timer = threading.Timer(limit, process.terminate)
    timer.start()
    began, planned, seen = time.monotonic(), None, 0
    for line in process.stdout:
        line = line.rstrip("\n")
        result = re.match(r"(not ok|ok) \d+ - (.*)", line)
        if result:
            seen += 1
            skipped = re.match(r"(.*) # SKIP (.*)", result.group(2))
            if skipped:
                tap.skip("%s: %s" % (name, skipped.group(1)), skipped.group(2))
            else:
                tap.ok(result.group(1) == "ok", "%s: %s" % (name, result.group(2)))
        elif re.match(r"1\.\.\d+$", line):
            planned = int(line[3:])
        else:
            print(line if line.startswith("#") else "# " + line)
    timer.cancel()
    status = harness.end_process(process)
    if planned != seen or status not in (0, 1):
        tap.ok(False, "%s ran to its end" % name, "status %s, %d of %s results" % (
            status, seen, planned))
    tap.note("suite %s took %.0f s" % (name, time.monotonic() - began))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--server", choices=harness.KINDS, default="moonkeeper")
    parser.add_argument("--only", action="append", choices=SUITES)
    parser.add_argument("--quick", action="store_true", help="a few seconds for each suite")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--build", help="build directory; default: that of the executable")
    options = parser.parse_args()
    if options.list:
        print("\n".join(SUITES))
        return 0
    if options.build:
        os.environ["INTEROP_BUILD"] = os.path.abspath(options.build)
        if options.server == "moonkeeper":
            os.environ["MOONKEEPER"] = os.path.join(os.environ["INTEROP_BUILD"], "moonkeeper")
    tap = harness.Tap()
    for name, (command, limit) in SUITES.items():
        if not options.only or name in options.only:
            run_suite(name, command(options), limit, tap)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
