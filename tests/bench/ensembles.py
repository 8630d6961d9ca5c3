# SPDX-License-Identifier: MIT
"""Workloads of the benchmark on three servers: throughput beside Apache's, and failover.

Used by workloads.py. The members of an ensemble are the same servers as elsewhere, with a list of
members in their configuration; the load goes to the leader (writes) and to a follower (reads).
"""
import os
import shutil
import socket
import statistics
import struct
import time

from servers import CONNECT_REQUEST, Apache, BenchError, Moonkeeper, handshake, read_exactly

MEMBERS = (1, 2, 3)
SET_DATA = 5


def free_ports(count):
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def config_text(directory, number, client_port, ports, tick_ms):
    lines = [f"tickTime={tick_ms}", "initLimit=10", "syncLimit=5", f"dataDir={directory}/data",
             f"clientPort={client_port}", "clientPortAddress=127.0.0.1", "maxClientCnxns=0",
             "admin.enableServer=false", "4lw.commands.whitelist=*"]
    lines += [f"server.{other}=127.0.0.1:{quorum}:{election}"
              for other, (quorum, election) in ports.items()]
    os.makedirs(f"{directory}/data", exist_ok=True)
    with open(f"{directory}/data/myid", "w", encoding="ascii") as file:
        file.write(f"{number}\n")
    path = os.path.join(directory, "zoo.cfg")
    with open(path, "w", encoding="ascii") as file:
        file.write("\n".join(lines) + "\n")
    return path


class Ensemble:
    """Three servers of one kind, by their numbers."""

    def __init__(self, context, kind, tick_ms=2000):
        self.name = kind.name
        self.members = {}
        ports = dict(zip(MEMBERS, zip(*[iter(free_ports(6))] * 2)))
        for number, client_port in zip(MEMBERS, free_ports(3)):
            directory = context.fresh_directory(f"{kind.name}-{number}")
            server = (kind(directory, context.options.moonkeeper) if kind is Moonkeeper
                      else kind(directory))
            command = server.command()  # Apache's writes a configuration of its own
            path = config_text(directory, number, client_port, ports, tick_ms)
            command = ([context.options.moonkeeper, "run", path] if kind is Moonkeeper
                       else [*command[:-1], path])
            server.command = lambda command=command: command
            server.port = client_port
            self.members[number] = server

    def start(self, *numbers):
        for number in numbers or MEMBERS:
            self.members[number].launch()
        for number in numbers or MEMBERS:
            self.wait(number)

    def wait(self, number, seconds=60):
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            try:
                handshake(self.members[number].port, 1)
                return
            except OSError:
                time.sleep(0.02)
        raise BenchError(f"{self.name} {number} gave no session within {seconds} s: "
                         + " | ".join(self.members[number].lines[-5:]))

    def leader(self):
        for number, server in self.members.items():
            if server.process is not None and "Mode: leader" in four_letter_word(server.port):
                return number
        raise BenchError(f"{self.name}: nobody leads")

    def remove(self):
        for server in self.members.values():
            server.stop()
            shutil.rmtree(server.directory, ignore_errors=True)


def four_letter_word(port, word=b"srvr"):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(word)
            text = b""
            while chunk := connection.recv(4096):
                text += chunk
            return text.decode("utf-8", "replace")
    except OSError:
        return ""


def kinds(context):
    found = [Moonkeeper] if os.access(context.options.moonkeeper, os.X_OK) else []
    if not context.options.no_apache and not Apache.missing():
        found.append(Apache)
    return found


def ensemble(context):
    """Writes at the leader and reads at a follower, 64 by 64, of three servers of each kind."""
    started = []
    for kind in kinds(context):
        context.say(f"start three of {kind.name}")
        group = Ensemble(context, kind)
        group.start()
        leader = group.leader()
        context.generator.run("tree", group.members[leader], connections=1, count=1000)
        follower = next(number for number in MEMBERS if number != leader)
        if kind is Apache:
            for operation in ("read", "write"):
                context.load(group.members[leader], operation=operation, seconds=3)
        started.append((group, {"write": group.members[leader],
                                "read": group.members[follower]}))
    for operation, least in (("write", 10), ("read", 20)):
        samples = {group.name: [] for group, _ in started}
        for number in range(context.rounds):
            shift = number % len(started)
            for group, target in started[shift:] + started[:shift]:
                result = context.load(target[operation], operation=operation, connections=64,
                                      outstanding=64)
                samples[group.name].append(result["requests_per_second"])
                context.report.sample(f"ensemble {operation}s", group.name, result)
                context.say(f"{operation} {number + 1}: {group.name} "
                            f"{result['requests_per_second']:,.0f}")
        what = f"three servers, {operation}s 64 by 64"
        context.report.medians(what + " (1/s)", samples)
        if Moonkeeper.name in samples and Apache.name in samples:
            ratio = statistics.median(mine / other for mine, other in
                                      zip(samples[Moonkeeper.name], samples[Apache.name]))
            context.report.row(f"{what}: of {Apache.name}", f"{ratio:.1f}", ratio, ">=", least)
    for group, _ in started:
        group.remove()


class Writer:
    """One connection that sets the data of /bench, again and again; finds a server by itself."""

    def __init__(self, ports):
        self.ports = ports
        self.socket = None
        self.xid = 0

    def connect(self):
        for port in self.ports:
            try:
                self.socket = socket.create_connection(("127.0.0.1", port), timeout=0.5)
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.socket.sendall(CONNECT_REQUEST)
                reply = read_exactly(self.socket, struct.unpack(
                    ">i", read_exactly(self.socket, 4))[0])
                if struct.unpack(">i", reply[4:8])[0] > 0:
                    return True
            except OSError:
                pass
            self.close()
        return False

    def close(self):
        if self.socket:
            self.socket.close()
        self.socket = None

    def write(self):
        """One write, acknowledged; False when it was not."""
        try:
            if self.socket is None and not self.connect():
                return False
            self.xid += 1
            body = (struct.pack(">iii", self.xid, SET_DATA, 6) + b"/bench"
                    + struct.pack(">i", 1) + b"x" + struct.pack(">i", -1))
            self.socket.sendall(struct.pack(">i", len(body)) + body)
            while True:
                reply = read_exactly(self.socket, struct.unpack(
                    ">i", read_exactly(self.socket, 4))[0])
                xid, _zxid, error = struct.unpack(">iqi", reply[:16])
                if xid == self.xid:
                    return error == 0
        except OSError:
            self.close()
            return False


def failover(context):
    """The leader is killed with -9: how long until the next acknowledged write, through the other
    members, of a client that tries without pause."""
    for kind in kinds(context):
        group = Ensemble(context, kind)
        group.start()
        context.generator.run("tree", group.members[group.leader()], connections=1, count=10)
        gaps = []
        for number in range(3 if context.quick else 10):
            leader = group.leader()
            writer = Writer([server.port for member, server in group.members.items()
                             if member != leader])
            while not writer.write():
                time.sleep(0.01)
            group.members[leader].stop(9)
            killed = time.monotonic()
            while not writer.write():
                if time.monotonic() - killed > 60:
                    raise BenchError(f"{kind.name}: no write within a minute")
                time.sleep(0.0005)
            gaps.append((time.monotonic() - killed) * 1000)
            writer.close()
            context.say(f"failover {number + 1}: {kind.name} {gaps[-1]:.0f} ms")
            group.start(leader)
            time.sleep(0.5)
        what = "leader killed: next acknowledged write"
        context.report.medians(what + " (ms)", {kind.name: gaps})
        if kind is Moonkeeper:
            value = statistics.median(gaps)
            context.report.row(what, f"{value:.0f} ms", value, "<=", 100)
        group.remove()
