# SPDX-License-Identifier: MIT
"""Sends the same random requests to two servers and compares everything that comes back.

    differential.py [--left apache] [--right moonkeeper] [--seed N] [--seeds N] [--ops N]
    differential.py --replay FILE [--shrink]

This file is the command line: it starts the servers, reports, and shortens what failed. generate.py
makes the steps, player.py plays and compares them, rules.py names the accepted differences.
"""
import argparse
import json
import os
import sys
import tempfile
import time

import generate
import harness
import raw
from player import Difference, Player
from rules import REASONS

SETTINGS = {"forceSync": "no"}
RIGHT_SETTINGS = {}


def start_pair(kinds):
    servers = []
    for number, kind in enumerate(kinds):
        server = harness.KINDS[kind](dict(SETTINGS, **(RIGHT_SETTINGS if number else {})))
        servers.append(server)
        server.start()
    return servers


def run(kinds, steps, verbose=False):
    """Plays steps on two new servers: (player, index of the failed step or None, text, nodes)."""
    servers = start_pair(kinds)
    player = Player(*servers, verbose)
    at, failure, nodes = None, None, 0
    try:
        for at, step in enumerate(steps):
            if verbose:
                print("#", at, describe(step))
            player.play(step)
        at = None
        nodes = player.compare_trees()
    except Difference as difference:
        failure = str(difference)
    except (OSError, raw.Malformed) as error:
        failure = "%s: %s; alive: %s" % (type(error).__name__, error,
                                         [server.alive() for server in servers])
    finally:
        for side in player.sides:
            side.close()
        for server in servers:
            server.remove() if not failure or verbose is None else server.keep("difference")
    return player, at, failure, nodes


def describe(step):
    if step["do"] == "batch":
        return "connection %d: %s" % (step["slot"], " | ".join(op["text"] for op in step["ops"]))
    return " ".join("%s=%s" % item for item in step.items())


def shrink(kinds, steps, failure, runs=30):
    """Removes steps as long as the same kind of difference stays; each try is a whole replay."""
    head = failure.split("\n")[0].split(",")[0]

    def fails(candidate):
        return (run(kinds, candidate, None)[2] or "").startswith(head)
    first = generate.SLOTS + 1
    size = max(1, (len(steps) - first) // 2)
    while runs > 0 and size >= 1:
        at = len(steps) - 1 - size
        removed = False
        while at >= first - size and runs > 0:
            begin = max(at, first)
            candidate = steps[:begin] + steps[at + size:]
            runs -= 1
            if len(candidate) < len(steps) and fails(candidate):
                steps, removed = candidate, True
            at -= size
        if size == 1 and not removed:
            break
        size = max(1, size // 2)
    return steps


def report(kinds, steps, at, failure, name, shrink_runs):
    failed = steps if at is None else steps[:at + 1]
    if shrink_runs:
        failed = shrink(kinds, failed, failure, shrink_runs)
    handle, path = tempfile.mkstemp(prefix="differential-%s-" % name, suffix=".json")
    with os.fdopen(handle, "w") as out:
        json.dump(failed, out)
    context = "\n".join("  " + describe(step)[:400] for step in failed[-6:])
    return "%s\nlast steps of %d (replay with --replay %s):\n%s" % (
        failure, len(failed), path, context)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--left", choices=harness.KINDS, default="apache")
    parser.add_argument("--right", choices=harness.KINDS, default="moonkeeper")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=1, help="run this many, counting up")
    parser.add_argument("--ops", type=int, default=5000)
    parser.add_argument("--replay", help="a file of steps that an earlier run wrote")
    parser.add_argument("--shrink", type=int, default=0, metavar="RUNS",
                        help="try to shorten a failing run with that many replays")
    parser.add_argument("--right-set", action="append", default=[], metavar="KEY=VALUE",
                        help="a setting of the right server only: the test must notice it")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    kinds = (options.left, options.right)
    RIGHT_SETTINGS.update(setting.split("=", 1) for setting in options.right_set)
    tap = harness.Tap()
    for kind in set(kinds):
        if harness.missing(kind):
            tap.skip("differential", harness.missing(kind))
            return tap.done()
    with open(os.path.join(harness.ROOT, "docs", "compatibility.md")) as page:
        text = page.read()
    missing = [name for name in REASONS if "`%s`" % name not in text]
    tap.ok(not missing, "docs/compatibility.md tells of every rule", missing)
    used = {}
    for seed in range(options.seed, options.seed + (1 if options.replay else options.seeds)):
        if options.replay:
            with open(options.replay) as replay:
                steps = json.load(replay)
        else:
            steps = list(generate.Generator(seed).steps(options.ops))
        began = time.monotonic()
        player, at, failure, nodes = run(kinds, steps, options.verbose)
        if failure:
            failure = report(kinds, steps, at, failure, str(seed), options.shrink)
        tap.ok(not failure, "seed %d: %d requests, %d events, %d nodes, %.1f s: %s like %s" % (
            seed, player.requests, player.events, nodes, time.monotonic() - began, *kinds),
            failure)
        for name, count in player.rules.used.items():
            used[name] = used.get(name, 0) + count
        if options.verbose:
            tap.note("errors %r" % player.errors)
    for name, count in sorted(used.items()):
        tap.note("rule %s: %d times" % (name, count))
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
