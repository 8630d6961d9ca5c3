#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs every fuzz target of a build over its kept corpus (TAP, one test a target). The targets
must be built without libFuzzer, that is with replay_main.c.

    tests/fuzz/replay.py --build DIR
"""
import argparse
import glob
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SECONDS_MAX = 120


def replay(program, corpus):
    """None when all went well, else what did not."""
    if not os.access(program, os.X_OK):
        return "%s is not built" % program
    if not os.path.isdir(corpus) or not os.listdir(corpus):
        return "no corpus in %s" % corpus
    try:
        done = subprocess.run([program, corpus], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=SECONDS_MAX)
    except subprocess.TimeoutExpired:
        return "no end within %d s" % SECONDS_MAX
    if done.returncode != 0:
        sys.stdout.write("# " + "\n# ".join(
            done.stdout.decode(errors="replace").splitlines()[-30:]) + "\n")
        return "exit code %d" % done.returncode
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    options = parser.parse_args()
    sources = sorted(glob.glob(os.path.join(HERE, "fuzz_*.c")))
    failures = 0
    for number, source in enumerate(sources, 1):
        name = os.path.splitext(os.path.basename(source))[0]
        trouble = replay(os.path.join(options.build, "fuzz", name),
                         os.path.join(HERE, "corpus", name))
        failures += trouble is not None
        print("%sok %d - %s%s" % ("not " if trouble else "", number, name,
                                  ": " + trouble if trouble else ""))
    print("1..%d" % len(sources))
    return 1 if failures or not sources else 0


if __name__ == "__main__":
    sys.exit(main())
