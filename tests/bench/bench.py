#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`make bench`: moonkeeper, a do-nothing server and Apache ZooKeeper side by side on loopback.

Runs the workloads, prints a table of figures against the project's targets, and writes JSON.
docs/benchmarks.md tells what each figure means. Needs Python's standard library only.
"""
import argparse
import json
import os
import platform
import shutil
import signal
import statistics
import sys
import tempfile
import time

from servers import Apache, BenchError, Generator, stop_all
from workloads import QUICK, WORKLOADS, Context

FOREIGN_PERCENT_NOTED = 15


class Report:
    """Collects rows, notes and raw samples; prints the table; makes the JSON."""

    def __init__(self, verbose):
        self.verbose = verbose
        self.rows, self.notes, self.tables, self.samples = [], [], [], {}
        self.failures = []

    def progress(self, text):
        if self.verbose:
            print(f"  {text}", file=sys.stderr, flush=True)

    def sample(self, name, server, result):
        self.samples.setdefault(name, {}).setdefault(server, []).append(result)

    def medians(self, what, samples):
        self.tables.append({"what": what, "median": {name: statistics.median(values)
                                                     for name, values in samples.items()}})

    def row(self, what, text, value, relation, target):
        met = None
        if target is not None:
            met = value >= target if relation == ">=" else value <= target
        self.rows.append({"what": what, "text": text, "value": value, "relation": relation,
                          "target": target, "met": met})

    def note(self, what, text):
        self.notes.append({"what": what, "text": text})

    def print(self):
        print("\nMedians")
        for table in self.tables:
            figures = "   ".join(f"{name} {value:,.{2 if value < 10 else 1 if value < 100 else 0}f}"
                                 for name, value in table["median"].items())
            print(f"  {table['what']:<48} {figures}")
        for note in self.notes:
            print(f"  {note['what']:<48} {note['text']}")
        print("\nFigures and targets")
        for row in self.rows:
            target = f"{row['relation']} {row['target']}" if row["target"] is not None else ""
            verdict = {None: "", True: "ok", False: "MISS"}[row["met"]]
            print(f"  {row['what']:<66} {row['text']:>10}  {target:<8} {verdict}")
        for failure in self.failures:
            print(f"  {failure}")


def machine():
    """What the figures depend on besides the servers."""
    model = ""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    with open("/proc/sys/net/ipv4/tcp_congestion_control", encoding="ascii") as file:
        congestion = file.read().strip()
    return {"cores": os.cpu_count(), "processor": model, "kernel": platform.release(),
            "congestion_control": congestion, "date": time.strftime("%Y-%m-%dT%H:%M:%S%z")}


def commit_microseconds(directory):
    """Median time of a small write with fdatasync in the directory that the servers use."""
    times = []
    name = os.path.join(directory, "probe")
    descriptor = os.open(name, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, bytes(1 << 20))
        os.fsync(descriptor)
        os.lseek(descriptor, 0, os.SEEK_SET)
        for _ in range(200):
            began = time.monotonic()
            os.write(descriptor, bytes(256))
            os.fdatasync(descriptor)
            times.append(time.monotonic() - began)
    finally:
        os.close(descriptor)
        os.unlink(name)
    return statistics.median(times) * 1e6


def parse_arguments():
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.path.join(root, "build"),
                        help="directory with the executables (%(default)s)")
    parser.add_argument("--moonkeeper", help="our server (BUILD/moonkeeper)")
    parser.add_argument("--directory", help="where data directories are made (BUILD); "
                        "must be on the disk that is meant to be measured")
    parser.add_argument("--output", help="write JSON to this file")
    parser.add_argument("--quick", action="store_true", help="about a minute, a subset")
    parser.add_argument("--large", action="store_true", help="also ten million znodes")
    parser.add_argument("--only", action="append", choices=list(WORKLOADS), metavar="NAME",
                        help="one of: " + ", ".join(WORKLOADS) + " (may be repeated)")
    parser.add_argument("--no-apache", action="store_true", help="leave Apache out")
    parser.add_argument("--rounds", type=int, help="rounds of each comparison")
    parser.add_argument("--seconds", type=float, help="measured time of each run")
    parser.add_argument("--rate", type=int, default=10000,
                        help="requests a second of the steady load (%(default)s)")
    parser.add_argument("--quiet", action="store_true", help="no progress lines")
    options = parser.parse_args()
    options.moonkeeper = os.path.abspath(options.moonkeeper
                                         or os.path.join(options.build, "moonkeeper"))
    options.nothing = os.path.abspath(os.path.join(options.build, "bench_nothing"))
    options.load = os.path.abspath(os.path.join(options.build, "bench_load"))
    for program in (options.nothing, options.load):
        if not os.access(program, os.X_OK):
            parser.error(f"there is no {program}: build the project first")
    return options


def chosen(options):
    if options.only:
        return options.only
    names = QUICK if options.quick else [name for name in WORKLOADS if name != "large"]
    return list(names) + (["large"] if options.large else [])


def run(options, directory):
    report = Report(not options.quiet)
    generator = Generator(options.load)
    context = Context(options, generator, directory, report)
    facts = machine()
    facts["fdatasync_us"] = round(commit_microseconds(directory), 1)
    print("moonkeeper bench: " + ", ".join(f"{key} {value}" for key, value in facts.items()))
    for why in (None if os.path.exists(options.moonkeeper) else
                f"no {options.moonkeeper}: its figures are left out",
                None if options.no_apache else Apache.missing()):
        if why:
            print(f"  {why}")
    names = chosen(options)
    # Those that compare share their servers, so they come first and in one go.
    for name in sorted(names, key=list(WORKLOADS).index):
        if name in ("million", "snapshot", "children", "connections", "ensemble", "failover",
                    "large"):
            stop_all()
        try:
            WORKLOADS[name](context)
        except BenchError as error:
            report.failures.append(f"{name}: not measured: {error}")
            report.progress(report.failures[-1])
    report.print()
    foreign = statistics.median(generator.foreign) if generator.foreign else 0
    facts["foreign_cpu_percent"] = foreign
    if foreign > FOREIGN_PERCENT_NOTED:
        print(f"  Note: other processes used {foreign:.0f}% of a core; repeat on a quiet machine.")
    if options.output:
        with open(options.output, "w", encoding="utf-8") as file:
            json.dump({"machine": facts, "rows": report.rows, "medians": report.tables,
                       "notes": report.notes, "failures": report.failures,
                       "samples": report.samples}, file, indent=1)
            file.write("\n")
    return 1 if report.failures else 0


def on_terminate(number, _frame):
    raise KeyboardInterrupt(f"signal {number}")


def main():
    options = parse_arguments()
    signal.signal(signal.SIGTERM, on_terminate)
    directory = tempfile.mkdtemp(prefix="bench-", dir=options.directory or options.build)
    try:
        return run(options, directory)
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        return 130
    finally:
        stop_all()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
