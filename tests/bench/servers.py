# SPDX-License-Identifier: MIT
"""Starts and stops the servers that the benchmark compares, and the load generator.

Used by bench.py and workloads.py. Owns every process it starts and ends it by its id, also on
errors and Ctrl-C (stop_all). Knows nothing about figures or targets.
"""
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

CONNECT_REQUEST = struct.pack(">iiqiqi16sB", 45, 0, 0, 10000, 0, 16, b"", 0)
CLOSE_REQUEST = struct.pack(">iii", 8, 1, -11)
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
ZOOKEEPER_JAR = "/usr/share/java/zookeeper.jar"


class BenchError(Exception):
    """Something that ends one workload, in words."""


def read_exactly(sock, count):
    data = b""
    while len(data) < count:
        part = sock.recv(count - len(data))
        if not part:
            raise OSError("end of stream")
        data += part
    return data


def handshake(port, timeout):
    """Opens and ends a session; raises OSError when the server does not give one in time.

    A server that has opened its port but does not serve yet may never answer: hence the time."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(CONNECT_REQUEST)
        length = struct.unpack(">i", read_exactly(sock, 4))[0]
        reply = read_exactly(sock, length)
        ready_at = time.monotonic()
        if struct.unpack(">i", reply[4:8])[0] <= 0:
            raise OSError("the session was refused")
        sock.sendall(CLOSE_REQUEST)
        while sock.recv(4096):
            pass
    return ready_at


def machine_busy_seconds():
    """Work of all processes and time that a hypervisor took away, summed over the cores."""
    with open("/proc/stat", encoding="ascii") as file:
        fields = [int(field) for field in file.readline().split()[1:9]]
    user, nice, system, _idle, _wait, irq, softirq, steal = fields
    return (user + nice + system + irq + softirq + steal) / CLOCK_TICKS


def children_cpu_seconds():
    """Processor time of all child processes that have ended."""
    times = os.times()
    return times.children_user + times.children_system


class Server:
    """One server process in its own directory. Subclasses say how it is started."""

    name = "?"
    running = []  # all that must be ended

    def __init__(self, directory):
        self.directory = directory
        self.process = None
        self.port = None
        self.lines = []
        os.makedirs(directory, exist_ok=True)

    def command(self):
        raise NotImplementedError

    def _collect(self, stream):
        for raw in stream:
            line = raw.decode("utf-8", "replace").rstrip()
            self.lines = self.lines[-200:] + [line]
            found = re.search(r"listening on (\S+):(\d+)", line)
            if found and self.port is None:
                self.port = int(found.group(2))
        stream.close()

    def launch(self):
        """Starts the process; returns when that was."""
        self.lines = []
        command = self.command()
        started = time.monotonic()
        # A session of its own: Ctrl-C reaches the runner only, which then ends it in order.
        self.process = subprocess.Popen(command, cwd=self.directory, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        start_new_session=True)
        Server.running.append(self)
        threading.Thread(target=self._collect, args=(self.process.stdout,), daemon=True).start()
        return started

    def start(self, timeout=120):
        """Starts it and returns the seconds until the first session was given."""
        started = self.launch()
        patience = 0.2
        while time.monotonic() - started < timeout:
            if self.process.poll() is not None:
                time.sleep(0.1)
                raise BenchError(f"{self.name} ended with {self.process.returncode}: "
                                 + " | ".join(self.lines[-5:]))
            if self.port is not None:
                try:
                    return handshake(self.port, patience) - started
                except TimeoutError:
                    patience = min(patience * 2, 5)
                except OSError:
                    pass
            time.sleep(0.0005 if time.monotonic() - started < 2 else 0.01)
        raise BenchError(f"{self.name} gave no session within {timeout} s: "
                         + " | ".join(self.lines[-5:]))

    def stop(self, number=signal.SIGTERM):
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None
        if self in Server.running:
            Server.running.remove(self)

    def _status(self, key):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii", errors="replace") as file:
            for line in file:
                if line.startswith(key + ":"):
                    return int(line.split()[1])
        raise BenchError(f"no {key} for {self.name}")

    def resident_bytes(self):
        return self._status("VmRSS") * 1024

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


class Moonkeeper(Server):
    name = "moonkeeper"

    def __init__(self, directory, binary):
        super().__init__(directory)
        self.binary = binary
        self.settings = {}

    def command(self):
        self.port = None
        script = os.path.join(self.directory, "bench.lua")
        with open(script, "w", encoding="ascii") as file:
            file.write(f'return {{ data_dir = "{self.directory}/data",\n'
                       '  client_address = "127.0.0.1:0",\n'
                       '  connections_per_address_max = 0, log_level = "warn" }\n')
        command = [self.binary, "run", script]
        for key, value in self.settings.items():
            command += ["--set", f"{key}={value}"]
        return command


class Nothing(Server):
    name = "do-nothing"

    def __init__(self, directory, binary):
        super().__init__(directory)
        self.binary = binary

    def command(self):
        self.port = None
        return [self.binary, "--group-commit", os.path.join(self.directory, "log")]


class Apache(Server):
    name = "Apache"

    @staticmethod
    def missing():
        """Why it cannot run here, or None."""
        if shutil.which("java") is None:
            return "no java on PATH"
        return None if os.path.exists(ZOOKEEPER_JAR) else f"no {ZOOKEEPER_JAR}"

    def command(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        config = os.path.join(self.directory, "zoo.cfg")
        with open(config, "w", encoding="ascii") as file:
            file.write(f"tickTime=2000\ndataDir={self.directory}/data\n"
                       f"clientPort={self.port}\nclientPortAddress=127.0.0.1\n"
                       "maxClientCnxns=0\nadmin.enableServer=false\n")
        # The jar's manifest names the rest of the class path, as in Debian's own start script.
        return ["java", "-Xmx1g", "-Dzookeeper.jmx.log4j.disable=true", "-cp",
                f"{self.directory}:{ZOOKEEPER_JAR}",
                "org.apache.zookeeper.server.quorum.QuorumPeerMain", config]


def stop_all():
    for server in list(Server.running):
        try:
            server.stop()
        except OSError:
            pass


class Generator:
    """Runs bench_load against a server and adds what else the machine did meanwhile."""

    def __init__(self, binary):
        self.binary = binary
        self.foreign = []  # cores that other processes used during the runs

    def run(self, mode, server, timeout=None, **options):
        command = [self.binary, mode, "--server", f"127.0.0.1:{server.port}"]
        for key, value in options.items():
            command += ["--" + key.replace("_", "-"), str(value)]
        if mode == "load":
            command += ["--pid", str(server.process.pid)]
        own, cpu, busy = children_cpu_seconds(), server.cpu_seconds(), machine_busy_seconds()
        began = time.monotonic()
        limit = timeout or 60 + options.get("seconds", 3) + options.get("warmup", 1)
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   start_new_session=True)
        try:
            output, errors = process.communicate(timeout=limit)
        except BaseException as error:
            process.kill()
            process.wait()
            if isinstance(error, subprocess.TimeoutExpired):
                raise BenchError(f"{' '.join(command)}: no end after {limit} s") from error
            raise
        if process.returncode != 0:
            raise BenchError(f"{server.name}: " + errors.decode("utf-8", "replace").strip())
        result = json.loads(output)
        wall = time.monotonic() - began
        # What else the machine did: other work, which makes the figures worse than they are.
        foreign = (machine_busy_seconds() - busy - (server.cpu_seconds() - cpu)
                   - (children_cpu_seconds() - own)) / wall
        result["foreign_cpu_percent"] = round(max(foreign, 0) * 100, 1)
        self.foreign.append(result["foreign_cpu_percent"])
        if "requests" in result and result["errors"] > 0:
            raise BenchError(f"{server.name}: {result['errors']} requests failed, "
                             f"the first with {result['first_error']}")
        return result
