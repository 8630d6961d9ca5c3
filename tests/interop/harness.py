# SPDX-License-Identifier: MIT
"""Starts and stops the servers that the interop suites talk to.

Apache and Moonkeeper take the same settings (the keys of zoo.cfg) and differ only in the command
that runs them, so a suite names its servers "apache" or "moonkeeper" and treats them alike.
Every process ends with this one: by stop(), at exit, or by the kernel when this process dies.
"""
import atexit
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SUPER_AUTH = b"super:test"
SUPER_DIGEST = "super:D/InIHSb7yEEbrWz8b9l71RjZJU="
JAVA = os.environ.get("INTEROP_JAVA", "/usr/bin/java")
JARS = os.environ.get("INTEROP_CLASSPATH", ":".join(
    "/usr/share/java/%s.jar" % name for name in ("zookeeper", "slf4j-simple")))
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)
_running = set()


def _die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def start_process(command, **options):
    """Popen that cannot outlive this process."""
    process = subprocess.Popen(command, preexec_fn=_die_with_parent, **options)
    _running.add(process)
    return process


def end_process(process, grace_seconds=10):
    """Ends one process that start_process started; returns its exit status."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(grace_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
    status = process.wait()
    _running.discard(process)
    return status


@atexit.register
def _end_all():
    for process in list(_running):
        end_process(process, 2)


_ports = set()


def free_port():
    """One that it has not given before: a server may not listen on it yet."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        if port not in _ports:
            _ports.add(port)
            return port


def four_letter_word(port, word, timeout_seconds=5):
    """Sends a word and returns all that comes back as text."""
    with socket.create_connection(("127.0.0.1", port), timeout_seconds) as connection:
        connection.sendall(word if isinstance(word, bytes) else word.encode())
        chunks = []
        while True:
            chunk = connection.recv(65536)
            if not chunk:
                return b"".join(chunks).decode(errors="replace")
            chunks.append(chunk)


class Server:
    """One standalone server on 127.0.0.1 with its own directory.

    settings: keys of zoo.cfg that replace or extend DEFAULTS (None removes one).
    properties: Java system properties that zoo.cfg of Apache cannot express; our own server
    takes them as keys of the same file.
    """
    flavour = None
    DEFAULTS = {
        "tickTime": 2000,
        "clientPortAddress": "127.0.0.1",
        "maxClientCnxns": 0,
        "admin.enableServer": "false",
        "4lw.commands.whitelist": "*",
        "extendedTypesEnabled": "true",
        "enforceQuota": "true",
        "preAllocSize": 64,
        "DigestAuthenticationProvider.superDigest": SUPER_DIGEST,
    }
    PROPERTIES = {"znode.container.checkIntervalMs": 3600000}

    def __init__(self, settings=None, properties=None, data_dir=None, port=None):
        self.settings = dict(self.DEFAULTS, **(settings or {}))
        self.properties = dict(self.PROPERTIES, **(properties or {}))
        self.work_dir = tempfile.mkdtemp(prefix="interop-%s-" % self.flavour)
        self.data_dir = data_dir or os.path.join(self.work_dir, "data")
        os.makedirs(self.data_dir, exist_ok=True)
        self.port = port or free_port()
        self.log_path = os.path.join(self.work_dir, "server.log")
        self.process = None

    # what the two kinds of server differ in
    def command(self, config_path):
        raise NotImplementedError

    def extra_config(self):
        return {}

    def write_config(self):
        path = os.path.join(self.work_dir, "zoo.cfg")
        values = dict(self.settings, dataDir=self.data_dir, clientPort=self.port)
        values.update(self.extra_config())
        with open(path, "w") as config:
            for key, value in values.items():
                if value is not None:
                    config.write("%s=%s\n" % (key, value))
        return path

    def start(self, wait_seconds=30):
        """Starts the server and waits until it serves; returns the seconds that it took."""
        began = time.monotonic()
        with open(self.log_path, "ab") as log:
            self.process = start_process(self.command(self.write_config()), stdout=log,
                                         stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                         cwd=self.work_dir)
        while time.monotonic() - began < wait_seconds:
            if self.process.poll() is not None:
                raise RuntimeError("%s ended with status %s at start\n%s" % (
                    self.flavour, self.process.returncode, self.log_tail()))
            if self.is_serving():
                return time.monotonic() - began
            time.sleep(0.01)
        self.stop()
        raise RuntimeError("%s did not serve in time\n%s" % (self.flavour, self.log_tail()))

    def is_serving(self):
        try:
            return "Mode:" in four_letter_word(self.port, "srvr", 2)
        except OSError:
            return False

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """kill -9, and waits until the process is gone."""
        self.process.kill()
        self.process.wait()
        _running.discard(self.process)

    def stop(self):
        return end_process(self.process) if self.process else None

    def resident_kib(self):
        with open("/proc/%d/status" % self.process.pid) as status:
            for line in status:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1])
        return 0

    def log_tail(self, lines=30):
        try:
            with open(self.log_path, errors="replace") as log:
                return "".join(log.readlines()[-lines:])
        except OSError:
            return ""

    def remove(self):
        """Stops the server and removes its directory."""
        self.stop()
        shutil.rmtree(self.work_dir, ignore_errors=True)

    def keep(self, reason):
        """Stops the server and says where its log and data stay."""
        self.stop()
        print("# %s: %s; log and data kept in %s" % (self.flavour, reason, self.work_dir))
        sys.stdout.flush()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, value, trace):
        if kind is None or kind is SystemExit:
            self.remove()
        else:
            self.keep(kind.__name__)


class Apache(Server):
    flavour = "apache"
    TUNING = ["-Xshare:auto", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx512m",
              "-Djava.net.preferIPv4Stack=true", "-Djava.awt.headless=true",
              "-Dzookeeper.jmx.log4j.disable=true", "-Dfile.encoding=UTF-8",
              "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]

    def command(self, config_path):
        properties = ["-D%s=%s" % item for item in self.properties.items()]
        return [JAVA, *self.TUNING, *properties, "-cp", JARS,
                "org.apache.zookeeper.server.quorum.QuorumPeerMain", config_path]


class Moonkeeper(Server):
    flavour = "moonkeeper"
    PROGRAM = os.environ.get("MOONKEEPER", os.path.join(ROOT, "build", "moonkeeper"))

    def extra_config(self):
        return self.properties

    def command(self, config_path):
        return [self.PROGRAM, "run", config_path]


KINDS = {"apache": Apache, "moonkeeper": Moonkeeper}


def missing(kind):
    """Says why servers of this kind cannot run here, or None."""
    if kind == "moonkeeper" and not os.access(Moonkeeper.PROGRAM, os.X_OK):
        return "%s is not built" % Moonkeeper.PROGRAM
    if kind == "apache" and not (os.access(JAVA, os.X_OK)
                                 and os.path.exists("/usr/share/java/zookeeper.jar")):
        return "Apache ZooKeeper's Debian packages are not installed"
    return None


class Tap:
    """Prints TAP and knows at the end whether all went well."""

    def __init__(self):
        self.count = 0
        self.failed = 0

    def ok(self, good, name, detail=""):
        self.count += 1
        self.failed += 0 if good else 1
        print("%s %d - %s" % ("ok" if good else "not ok", self.count, name.replace("#", "")))
        if not good and detail:
            for line in str(detail).rstrip().split("\n"):
                print("#   " + line)
        sys.stdout.flush()
        return good

    def skip(self, name, reason):
        self.count += 1
        print("ok %d - %s # SKIP %s" % (self.count, name, reason))
        sys.stdout.flush()

    def note(self, text):
        for line in str(text).split("\n"):
            print("# " + line)
        sys.stdout.flush()

    def done(self):
        """Prints the plan; returns the exit status."""
        print("1..%d" % self.count)
        sys.stdout.flush()
        return 1 if self.failed else 0


def run_on(tap, name, server, run):
    """Runs run(tap, server) on a server that it starts, and that stays on disk if a check fails.

    Returns the exit status.
    """
    try:
        server.start()
        run(tap, server)
    except (RuntimeError, OSError) as error:
        tap.ok(False, "%s runs to its end" % name, error)
    if tap.failed:
        server.keep("%s failed" % name)
    else:
        server.remove()
    return tap.done()
