# SPDX-License-Identifier: MIT
"""Ensembles of real processes under faults and load; what clients saw is checked afterwards.

    run.py [--build DIR] [--seconds N] [--seed N] [--only NAME]... [--short] [--list]

Each scenario starts a fresh ensemble, lets recorder.py's sessions work on it, does its harm
(scenarios.py), heals everything, and demands: service comes back, no member ended by itself, all
hold one tree, and checker.py has no complaint. The seed draws the clients' requests and the
harm; times are the machine's own, so a seed does not repeat a run exactly. What fails is kept:
data and logs of all members, and the history; `checker.py DIR` checks it again.
"""
import argparse
import os
import shutil
import sys
import tempfile
import time

import checker
import ground
import logs
import scenarios
import paths  # noqa: F401
import harness


def keep(stage, name, complaints):
    """Copies what is needed to look into it."""
    directory = tempfile.mkdtemp(prefix="chaos-%s-" % name)
    if stage.recorder:
        stage.recorder.history.save(os.path.join(directory, "history"))
    for number, server in stage.cluster.members.items():
        shutil.copytree(server.data_dir, os.path.join(directory, "member-%d" % number))
        shutil.copy(server.log_path, os.path.join(directory, "member-%d.log" % number))
    with open(os.path.join(directory, "story"), "w") as story:
        story.write("\n".join(stage.story + [""] + complaints) + "\n")
    return directory


def judge(tap, stage, scenario):
    """After the members were stopped: the logs and the history."""
    try:
        members = {str(number): logs.read_member(server.data_dir)
                   for number, server in stage.cluster.members.items()}
        check = checker.Check(members, stage.recorder.history, stage.trees,
                              stale_ms=stage.stale_ms(), tick_ms=stage.tick_ms,
                              bank=stage.bank())
        complaints, notes = check.run(), check.notes
    except logs.Damaged as damaged:
        complaints, notes, check = [str(damaged)], [], None
    writes = len([op for op in check.answered if op.writes]) if check else 0
    tap.ok(not complaints, "%s: the history is correct (%d answers, %d of writes; %d open; "
           "%d transactions)" % (scenario.name, len(check.answered) if check else 0, writes,
                                 len(stage.recorder.history.operations) - len(check.answered)
                                 if check else 0, len(check.order) if check else 0),
           "\n".join(complaint[:900] for complaint in complaints[:6]))
    for note in notes:
        tap.note(note)
    return complaints


def run(tap, scenario, seconds, seed):
    stage = ground.Stage(scenario, seed)
    failed_before, complaints = tap.failed, []
    try:
        stage.begin()
        scenario.harm(stage, time.monotonic() + seconds)
        stage.heal()
        took = stage.wait_healthy()
        tap.ok(took is not None, "%s: writes succeed again after %s s, longest pause %.1f s" % (
            scenario.name, "%.1f" % took if took is not None else "no", stage.longest_pause()),
            stage.tails())
        stage.finish()
        tap.ok(not stage.surprises, "%s: no member ended by itself" % scenario.name,
               "\n".join(stage.surprises))
        complaints = judge(tap, stage, scenario)
    except (RuntimeError, OSError) as error:
        tap.ok(False, "%s: %s" % (scenario.name, type(error).__name__), error)
    finally:
        stage.stop_members()
        for line in stage.story:
            tap.note(line)
        if tap.failed > failed_before:
            tap.note("seed %s; kept in %s" % (seed, keep(stage, scenario.name, complaints)))
        stage.remove()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", help="where moonkeeper is (default: build/)")
    parser.add_argument("--seconds", type=float, default=15, help="of harm in each scenario")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", action="append", choices=sorted(scenarios.BY_NAME))
    parser.add_argument("--short", action="store_true", help="the selection of `make test`")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    if options.list:
        for scenario in scenarios.ALL:
            print("%-16s %s" % (scenario.name, scenario.harm.__doc__.split("\n")[0]))
        return 0
    if options.build:
        harness.Moonkeeper.PROGRAM = os.path.join(os.path.abspath(options.build), "moonkeeper")
    reason = harness.missing("moonkeeper")
    tap = harness.Tap()
    chosen = [scenario for scenario in scenarios.ALL
              if (scenario.name in options.only if options.only
                  else scenario.short or not options.short)]
    for scenario in chosen:
        if reason:
            tap.ok(False, scenario.name, reason)
        else:
            run(tap, scenario, 6 if options.short else options.seconds, options.seed)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
