# SPDX-License-Identifier: MIT
"""The workloads of the benchmark. Each takes a Context, measures, and adds rows to its report.

Used by bench.py. A row has the figure, the target of the project and whether it was met. Whatever
is compared is measured in turn within one round, and the median of the rounds' ratios counts, so
that a machine whose speed drifts does not decide.
"""
import os
import shutil
import signal
import statistics
import threading
import time

from ensembles import ensemble, failover
from servers import Apache, BenchError, Moonkeeper, Nothing

MILLION = 1_000_000
DISTURBED_PERCENT = 25  # of a core, used by other processes
REPEATS_MAX = 2
IN_GROUPS = {"connections": 2, "outstanding": 512, "spread": 1000, "timeout": 600}


class Context:
    """What a workload needs: where things are, how long to measure, and the report."""

    def __init__(self, options, generator, directory, report):
        self.options = options
        self.quick = options.quick
        self.rounds = options.rounds or (3 if options.quick else 5)
        self.seconds = options.seconds or (0.8 if options.quick else 2.0)
        self.warmup = 0.2 if options.quick else 0.5
        self.generator = generator
        self.directory = directory
        self.report = report
        self.compared = None  # servers of the comparison, started once
        self.made = 0

    def fresh_directory(self, name):
        self.made += 1
        return os.path.join(self.directory, f"{self.made}-{name}")

    def moonkeeper(self):
        if not os.access(self.options.moonkeeper, os.X_OK):
            return None
        return Moonkeeper(self.fresh_directory("moonkeeper"), self.options.moonkeeper)

    def require_moonkeeper(self):
        server = self.moonkeeper()
        if server is None:
            raise BenchError(f"there is no {self.options.moonkeeper}")
        return server

    def nothing(self):
        return Nothing(self.fresh_directory("nothing"), self.options.nothing)

    def apache(self):
        if self.options.no_apache or Apache.missing():
            return None
        return Apache(self.fresh_directory("apache"))

    def candidates(self):
        found = (self.moonkeeper(), self.nothing(), self.apache())
        return [server for server in found if server is not None]

    def say(self, text):
        self.report.progress(text)

    def load(self, server, **options):
        options.setdefault("seconds", self.seconds)
        options.setdefault("warmup", self.warmup)
        return self.generator.run("load", server, **options)

    def quiet_run(self, mode, server, **options):
        """One run; a disturbed one is repeated a few times and the least disturbed one counts."""
        best = None
        for _ in range(1 + (0 if self.quick else REPEATS_MAX)):
            if mode == "load":
                result = self.load(server, **options)
            else:
                result = self.generator.run(mode, server, **options)
            if best is None or result["foreign_cpu_percent"] < best["foreign_cpu_percent"]:
                best = result
            if best["foreign_cpu_percent"] <= DISTURBED_PERCENT:
                break
        return best

    def finish(self, server):
        """Ends a server of one workload and frees its disk space."""
        server.stop()
        shutil.rmtree(server.directory, ignore_errors=True)


def in_turn(servers, number):
    """The order of a round: each server is first, in the middle and last equally often."""
    shift = number % len(servers)
    return servers[shift:] + servers[:shift]


def start_compared(context):
    """The servers that are compared, each with 1000 znodes, Apache's compiler warmed up."""
    if context.compared is None:
        started = []
        for server in context.candidates():
            context.say(f"start {server.name}")
            server.start()
            context.generator.run("tree", server, connections=1, count=1000)
            if isinstance(server, Apache):
                for operation in ("read", "write", "mixed"):
                    context.load(server, operation=operation, seconds=3)
            started.append(server)
        context.compared = started
    return context.compared


THROUGHPUT = {
    # name: (what, options of the load, least share of do-nothing, least multiple of Apache)
    "reads": ("reads, 16 by 16", {"operation": "read"}, 0.85, 20),
    "writes": ("durable writes, 16 by 16", {"operation": "write"}, 0.8, None),
    "writes64": ("durable writes, 64 by 64",
                 {"operation": "write", "connections": 64, "outstanding": 64}, 0.5, 15),
    "mixed": ("mixed, 20% writes, 16 by 16", {"operation": "mixed"}, None, None),
}


def paired_ratio(samples, above, below):
    """Median of the rounds' ratios of two servers, or None."""
    if above not in samples or below not in samples:
        return None
    return statistics.median(a / b for a, b in zip(samples[above], samples[below]))


def measure_rounds(context, name, options, pick, mode="load"):
    """Runs one load on all compared servers, round by round; figures by server name."""
    servers = start_compared(context)
    samples = {server.name: [] for server in servers}
    for number in range(context.rounds):
        for server in in_turn(servers, number):
            result = context.quiet_run(mode, server, **options)
            samples[server.name].append(pick(result))
            context.report.sample(name, server.name, result)
            context.say(f"{name} round {number + 1}: {server.name} {pick(result):,.0f}")
    return samples


def report_processor_time(context, name, what):
    """What a request costs each server, and a warning where the generator was the limit."""
    costs = {}
    for server, results in context.report.samples[name].items():
        costs[server] = [result["server_cpu_percent"] * 1e4 / result["requests_per_second"]
                         for result in results]
        generator = statistics.median(result["generator_cpu_percent"] for result in results)
        busy = statistics.median(result["server_cpu_percent"] for result in results)
        if generator > 95 and busy < 90:
            context.report.note(f"{what}: the generator is the limit for {server}",
                                f"generator {generator:.0f}%, server {busy:.0f}% of a core")
    context.report.medians(what + ": processor us each", costs)


def throughput(context, name):
    what, options, least_share, least_multiple = THROUGHPUT[name]
    samples = measure_rounds(context, name, options, lambda result: result["requests_per_second"])
    context.report.medians(what + " (1/s)", samples)
    report_processor_time(context, name, what)
    mine = Moonkeeper.name
    for other, least in ((Nothing.name, least_share), (Apache.name, least_multiple)):
        ratio = paired_ratio(samples, mine, other)
        if ratio is not None:
            context.report.row(f"{what}: of {other}", f"{ratio:.2f}", ratio, ">=", least)


def latency(context):
    options = {"operation": "write", "connections": 1, "outstanding": 1}
    samples = measure_rounds(context, "latency", options, lambda result: result["write_us"]["p50"])
    what = "one client's durable write, median"
    context.report.medians(what + " (us)", samples)
    for server, limit in ((Moonkeeper.name, 1.2), (Apache.name, None)):
        ratio = paired_ratio(samples, server, Nothing.name)
        if ratio is not None:
            context.report.row(f"{what}: {server} of do-nothing", f"{ratio:.2f}", ratio, "<=",
                               limit)


def watch(context):
    options = {"connections": 3000, "rounds": 10 if context.quick else 30, "parent": "/watched"}
    samples = measure_rounds(context, "watch", options,
                             lambda result: result["last_told_us"]["p50"], mode="watch")
    what = "one change, last of 3000 watchers told"
    context.report.medians(what + " (us)", samples)
    if Moonkeeper.name in samples:
        told = statistics.median(samples[Moonkeeper.name]) / 1000
        context.report.row(what, f"{told:.1f} ms", told, "<=", 5)
        ratio = paired_ratio(samples, Moonkeeper.name, Nothing.name)
        context.report.row(f"{what}: of do-nothing", f"{ratio:.2f}", ratio, "<=", None)


def idle(context):
    """A fresh, empty server: when it is ready and what it takes."""
    ready, resident = {}, {}
    for number in range(3 if context.quick else 5):
        for server in in_turn(context.candidates(), number):
            if isinstance(server, Apache) and number > 0:
                continue
            ready.setdefault(server.name, []).append(server.start() * 1000)
            time.sleep(0.5)
            resident.setdefault(server.name, []).append(server.resident_bytes() / 2**20)
            context.finish(server)
    context.report.medians("start of an empty server (ms)", ready)
    context.report.medians("resident memory when idle (MiB)", resident)
    if Moonkeeper.name in ready:
        value = statistics.median(ready[Moonkeeper.name])
        context.report.row("an empty server is ready after", f"{value:.0f} ms", value, "<=", 50)
        value = statistics.median(resident[Moonkeeper.name])
        context.report.row("resident when idle", f"{value:.1f} MiB", value, "<=", 8)


def fill(context, server, count, **options):
    context.say(f"create {count:,} znodes on {server.name}")
    result = context.generator.run("tree", server, count=count, **{**IN_GROUPS, **options})
    context.report.sample("fill", server.name, result)
    return result


def settled_resident(server):
    """Resident memory once it stops changing (a snapshot may be under way), in bytes."""
    before = server.resident_bytes()
    for _ in range(20):
        time.sleep(0.5)
        after = server.resident_bytes()
        if abs(after - before) < 2**20:
            break
        before = after
    return after


def million(context, count=MILLION, judge_restart=True):
    """Memory for each znode, and restarts: an orderly one and one after kill -9."""
    server = context.require_moonkeeper()
    server.start()
    empty = server.resident_bytes()
    result = fill(context, server, count)
    context.report.note(f"{count:,} creates on moonkeeper",
                        f"{result['requests_per_second']:,.0f} 1/s")
    label = f"{count // MILLION} million znodes of 100 bytes"
    each = (settled_resident(server) - empty) / count
    context.report.row(f"{label}: resident each", f"{each:.0f} B", each, "<=", 220)
    for what, number in (("SIGTERM", signal.SIGTERM), ("kill -9", signal.SIGKILL)):
        times = []
        for _ in range(1 if context.quick else 3):
            server.stop(number)
            times.append(server.start())
        value = statistics.median(times)
        context.report.row(f"{label}: restart after {what}", f"{value:.2f} s", value, "<=",
                           0.5 if judge_restart else None)
    each = (settled_resident(server) - empty) / count
    context.report.row(f"{label}: resident each after restart", f"{each:.0f} B", each, "<=", 220)
    context.finish(server)
    other = None if context.quick or count > MILLION else context.apache()
    if other is not None:
        other.start()
        empty = other.resident_bytes()
        fill(context, other, count)
        each = (other.resident_bytes() - empty) / count
        other.stop()
        context.report.note(f"{label} on Apache",
                            f"{each:.0f} B resident each, restart {other.start():.1f} s")
        context.finish(other)


class SnapshotCounter:
    """Watches a data directory for finished snapshots (their names carry the zxid)."""

    def __init__(self, directory):
        self.directory = directory
        self.seen = self._names()
        self.new = set()
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def _names(self):
        found = set()
        for _where, _directories, files in os.walk(self.directory):
            found.update(name for name in files if name.startswith("snapshot."))
        return found

    def _watch(self):
        while not self.over.wait(0.05):
            self.new |= self._names() - self.seen

    def stop(self):
        self.over.set()
        self.thread.join()
        return len(self.new | (self._names() - self.seen))


def snapshot(context):
    """The tail of a steady load with a million znodes, without and with snapshots running."""
    server = context.require_moonkeeper()
    server.start()
    fill(context, server, MILLION)
    tails = {"without": [], "with": []}
    counts = []
    for number in range(2 if context.quick else context.rounds):
        kinds = [("without", 100_000_000), ("with", 1000)]
        for kind, snapshot_count in in_turn(kinds, number):
            server.stop()
            server.settings = {"snapshot_transactions": snapshot_count}
            server.start()
            time.sleep(1)
            counter = SnapshotCounter(server.directory)
            result = context.load(server, operation="mixed", rate=context.options.rate,
                                  connections=16, outstanding=64, count=MILLION, spread=1000,
                                  warmup=1, seconds=4 if context.quick else 8)
            taken = counter.stop()
            if (kind == "with") != (taken > 0):
                raise BenchError(f"{taken} snapshots in the run {kind} snapshots")
            counts += [taken] if kind == "with" else []
            tails[kind].append(max(result["read_us"]["p99"], result["write_us"]["p99"]))
            context.report.sample("snapshot " + kind, server.name, result)
            context.say(f"{kind} snapshots ({taken}): p99 {tails[kind][-1]:,.0f} us")
    context.report.note(f"snapshots of a million znodes in a run, {context.options.rate} requests/s",
                        "/".join(map(str, counts)))
    context.report.medians("p99, a million znodes (us)",
                           {f"{kind} snapshots": values for kind, values in tails.items()})
    ratio = paired_ratio(tails, "with", "without")
    context.report.row("p99 with snapshots running: of without", f"{ratio:.2f}", ratio, "<=", 1.5)
    context.finish(server)


def place_of_creates(context, options):
    """Options of a create run: a new parent, or the next numbers in the parent that is full."""
    context.made += 1
    if options.get("create_into"):
        options["next"] = options.get("next", options["count"]) + 5 * MILLION
        return {"parent": options["create_into"], "first": options["next"], "spread": 0}
    return {"parent": f"/made-{context.made}", "spread": 0}


def compare_sizes(context, what, small, large, cases):
    """Ratio of throughput, large to small case; each is (server, options)."""
    for name, operation in cases:
        ratios = []
        for number in range(context.rounds):
            rates = {}
            for key, (server, options) in in_turn([("small", small), ("large", large)], number):
                extra = {key: options[key] for key in ("count", "spread", "idle")
                         if key in options}
                if operation == "create":  # never repeated: the znodes are there then
                    extra.update(place_of_creates(context, options))
                    result = context.load(server, operation=operation, **extra)
                else:
                    result = context.quiet_run("load", server, operation=operation, **extra)
                context.report.sample(f"{what}: {key}", server.name, result)
                rates[key] = result["requests_per_second"]
            ratios.append(rates["large"] / rates["small"])
            context.say(f"{what}, {name}, round {number + 1}: {ratios[-1]:.2f}")
        ratio = statistics.median(ratios)
        context.report.row(f"{what}: {name} of the small case", f"{ratio:.2f}", ratio, ">=", 0.8)


ALL_CASES = (("reads", "read"), ("writes", "write"), ("creates", "create"))


def small_server(context):
    server = context.require_moonkeeper()
    server.start()
    context.generator.run("tree", server, connections=1, count=1000)
    return server


def children(context):
    small, large = small_server(context), context.require_moonkeeper()
    large.start()
    fill(context, large, MILLION, spread=0)
    compare_sizes(context, "a million children of one node",
                  (small, {"count": 1000}),
                  (large, {"count": MILLION, "create_into": "/bench"}),
                  ALL_CASES)
    context.finish(small)
    context.finish(large)


def connections(context):
    """The same load with 10,000 further connections whose sessions ping."""
    server = small_server(context)
    count = 2000 if context.quick else 10000
    compare_sizes(context, f"{count:,} connections", (server, {}), (server, {"idle": count}),
                  ALL_CASES[:2])
    context.finish(server)


def large(context):
    """Ten million znodes: memory, restart, then throughput beside a small server."""
    count = 10 * MILLION
    million(context, count=count, judge_restart=False)
    small, big = small_server(context), context.require_moonkeeper()
    big.start()
    fill(context, big, count)
    compare_sizes(context, "ten million znodes",
                  (small, {"count": 1000}),
                  (big, {"count": count, "spread": 1000}), ALL_CASES)
    context.finish(small)
    context.finish(big)


WORKLOADS = {
    "idle": idle,
    **{name: (lambda context, name=name: throughput(context, name)) for name in THROUGHPUT},
    "latency": latency,
    "watch": watch,
    "million": million,
    "snapshot": snapshot,
    "children": children,
    "connections": connections,
    "ensemble": ensemble,
    "failover": failover,
    "large": large,
}
QUICK = ("idle", "reads", "writes", "writes64", "latency", "watch", "million")
