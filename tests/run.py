#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs every test suite and adds them up: the last line is "N passed, M failed".

Each suite is a command that prints TAP ("ok 1 - name", "not ok 2 - name"). A suite that ends
with an error but names no failed test, prints no test at all, or runs out of time counts as
one failure. Output goes to build/test-logs/<suite>.log; what failed is shown.

    tests/run.py [--build DIR] [--sanitize-build DIR] [SUITE ...]
"""
import argparse
import glob
import os
import re
import signal
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RESULT = re.compile(r"^(not )?ok\b\s*\d*\s*-?\s*(.*)$")


# Suites that run foreign clients and servers.
INTEROP = ["conversations", "c_client", "zkcli", "curator", "crash", "garbage", "fair",
           "kazoo", "differential", "doctor"]
# Proves the benchmark's yardstick; what it sees depends on what else the machine does, so it runs
# when it is named: tests/run.py bench-smoke
BY_NAME_ONLY = {"bench-smoke"}


def suites(build, sanitize):
    """(name, command, timeout in seconds), in the order of running: quick ones first."""
    python = "/usr/bin/python3"
    found = [
        ("lint", [python, "tests/tidy/lint.py"], 300),
        ("tidy", ["lua5.4", "/usr/bin/busted", "-o", "TAP", "tests/tidy"], 120),
        ("specs", ["lua5.4", "/usr/bin/busted", "-o", "TAP", "tests/spec"], 600),
    ]
    for path in sorted(glob.glob(os.path.join(sanitize, "unit", "*"))):
        if os.access(path, os.X_OK) and os.path.isfile(path):
            found.append(("unit/" + os.path.basename(path), [path], 300))
    fuzz = os.path.join(TOP, "tests/fuzz/replay.py")
    if os.path.exists(fuzz):
        found.append(("fuzz-corpus", [python, fuzz, "--build", sanitize], 600))
    sim = os.path.join(build, "sim", "moonkeeper-sim")
    found.append(("simulator", [sim, "--seeds", "2000", "--tap"], 900))
    sanitized_sim = os.path.join(sanitize, "sim", "moonkeeper-sim")
    found.append(("simulator-sanitized", [sanitized_sim, "--seeds", "100", "--tap"], 900))
    zab_sim = os.path.join(build, "sim", "zab_sim")
    found.append(("ensemble-simulator", [zab_sim, "--seeds", "1-2000"], 900))
    sanitized_zab_sim = os.path.join(sanitize, "sim", "zab_sim")
    found.append(("ensemble-simulator-sanitized", [sanitized_zab_sim, "--seeds", "1-100"], 900))
    mutants = os.path.join(build, "sim", "zab_sim_mutants")
    found.append(("ensemble-simulator-mutants", [mutants, "--mutants", "--seeds", "1-2000"], 900))
    found.append(("bench-smoke", [python, "tests/bench/smoke_test.py", build], 300))
    found.append(("examples", [python, "tests/examples.py", "--build", build], 300))
    found.append(("chaos-checker", [python, "tests/chaos/forge.py"], 120))
    found.append(("chaos", [python, "tests/chaos/run.py", "--build", build, "--short"], 300))
    interop = [python, "tests/interop/run.py", "--build", build]
    for name in INTEROP:
        found.append(("interop/" + name, interop + ["--only", name], 900))
    return found


def run_suite(name, command, timeout, log_path):
    """Returns (passed, failed names, skipped)."""
    environment = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="TAP", LC_ALL="C.UTF-8",
                       ASAN_OPTIONS="detect_leaks=1:abort_on_error=1",
                       UBSAN_OPTIONS="print_stacktrace=1")
    os.makedirs(os.path.dirname(log_path), exist_ok=True)
    with open(log_path, "wb") as log:
        try:
            process = subprocess.Popen(command, cwd=TOP, stdout=log, stderr=subprocess.STDOUT,
                                       stdin=subprocess.DEVNULL, env=environment,
                                       start_new_session=True)
        except OSError as error:
            return 0, ["%s: could not be started: %s" % (name, error)], 0
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            code = None
    passed, failed, skipped = 0, [], 0
    with open(log_path, errors="replace") as log:
        for line in log:
            match = RESULT.match(line)
            if not match:
                continue
            if "# SKIP" in line or "# skip" in line:
                skipped += 1
            elif match.group(1):
                failed.append("%s: %s" % (name, match.group(2).strip()))
            else:
                passed += 1
    if code is None:
        failed.append("%s: no end within %d s" % (name, timeout))
    elif code != 0 and not failed:
        failed.append("%s: exit code %d" % (name, code))
    elif passed + skipped + len(failed) == 0:
        failed.append("%s: ran no test" % name)
    return passed, failed, skipped


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default=os.path.join(TOP, "build"))
    parser.add_argument("--sanitize-build", default=os.path.join(TOP, "build-sanitize"))
    parser.add_argument("suites", nargs="*", help="names or prefixes; all when none is given")
    options = parser.parse_args()
    build = os.path.abspath(options.build)
    logs = os.path.join(build, "test-logs")
    passed, failed, skipped = 0, [], 0
    for name, command, timeout in suites(build, os.path.abspath(options.sanitize_build)):
        if options.suites and not any(name.startswith(wanted) for wanted in options.suites):
            continue
        if name in BY_NAME_ONLY and name not in options.suites:
            continue
        began = time.monotonic()
        log_path = os.path.join(logs, name.replace("/", "-") + ".log")
        suite_passed, suite_failed, suite_skipped = run_suite(name, command, timeout, log_path)
        passed += suite_passed
        failed += suite_failed
        skipped += suite_skipped
        print("%-40s %5d passed %3d failed %3d skipped  %6.1f s" % (
            name, suite_passed, len(suite_failed), suite_skipped, time.monotonic() - began),
            flush=True)
        if suite_failed:
            with open(log_path, errors="replace") as log:
                tail = log.readlines()[-40:]
            print("".join("    " + line for line in tail), flush=True)
    for name in failed:
        print("failed: " + name)
    print("%d passed, %d failed, %d skipped" % (passed, len(failed), skipped))
    return 1 if failed or passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
