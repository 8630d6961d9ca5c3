# SPDX-License-Identifier: MIT
"""Drives Apache's command line client (zkCli) through its commands and checks what it prints.

    zkcli.py [--server moonkeeper|apache]

One zkCli process reads all commands from a pipe. After each command a look at a node that does
not exist marks the end of its output; lines about watch events, which come when they come, are
collected apart.
"""
import argparse
import re
import subprocess
import sys

import harness

STAT = (r"cZxid = 0x[0-9a-f]+\nctime = .*\nmZxid = 0x[0-9a-f]+\nmtime = .*\npZxid = 0x[0-9a-f]+\n"
        r"cversion = {cversion}\ndataVersion = {version}\naclVersion = {aversion}\n"
        r"ephemeralOwner = 0x{owner}\ndataLength = {length}\nnumChildren = {children}")


def stat(version=0, cversion=0, aversion=0, owner="0", length=0, children=0):
    return STAT.format(**locals())


LS = re.escape("[c, e, s-0000000000, t, w]")

# (command, pattern of all that it prints)
COMMANDS = [
    ("create /a one", "Created /a"),
    ("create /a one", "Node already exists: /a"),
    ("create -s /a/s- x", "Created /a/s-0000000000"),
    ("create -e /a/e mine", "Created /a/e"),
    ("create -c /a/c", "Created /a/c"),
    ("create -t 60000 /a/t x", "Created /a/t"),
    ("create -s -e /a/s- x", "Created /a/s-0000000004"),
    ("delete /a/s-0000000004", ""),
    ("create /a/w ''", "Created /a/w"),
    ("create /missing/child", "Node does not exist: /missing/child"),
    ("create /a/e/child", "Ephemerals cannot have children: /a/e/child"),
    ("ls /", re.escape("[a, zookeeper]")),
    ("ls -R /", re.escape("/\n/a\n/zookeeper\n/a/c\n/a/e\n/a/s-0000000000\n/a/t\n/a/w\n"
                          "/zookeeper/config\n/zookeeper/quota")),
    ("ls -s /a", LS + r"\n?" + stat(0, 7, 0, "0", 3, 5)),
    ("ls -w /a", LS),
    ("get /a", "one"),
    ("get -s /a/e", r"mine\n" + stat(0, 0, 0, "[1-9a-f][0-9a-f]+", 4, 0)),
    ("get -w /a/w", r"(null)?"),
    ("set /a/w changed", ""),
    ("set -v 7 /a two", r"version No is not valid : /a"),
    ("set -v 0 -s /a two", stat(1, 7, 0, "0", 3, 5)),
    ("stat /a", stat(1, 7, 0, "0", 3, 5)),
    ("stat -w /a/w", stat(1, 0, 0, "0", 7, 0)),
    ("delete /a/w", ""),
    ("delete -v 3 /a/t", r"version No is not valid : /a/t"),
    ("delete /a", "Node not empty: /a"),
    ("delete /nothing", "Node does not exist: /nothing"),
    ("getAcl /a", r"'world,'anyone\n: cdrwa"),
    ("addauth digest u:p", ""),
    ("whoami", r"Auth scheme: User\n(ip: 127\.0\.0\.1\ndigest: u|digest: u\nip: 127\.0\.0\.1)"),
    ("create /secret x auth::rw", "Created /secret"),
    ("setAcl -s /a auth:u:p:crwda", stat(1, 8, 1, "0", 3, 4)),
    ("getAcl -s /a", r"'digest,'u:Jq7wMyA/w2Vd5WIDAKdu4OIIFEQ=\n: cdrwa\n" +
     stat(1, 8, 1, "0", 3, 4)),
    ("setAcl /a world:anyone:cdrwa", ""),
    ("setAcl /a none:x:r", "Acl is not valid : /a"),
    ("setquota -n 5 /a", ""),
    ("setquota -N 10 /a", ""),
    ("listquota /a", r"absolute path is /zookeeper/quota/a/zookeeper_limits\n"
     r"Output quota for /a count=5,bytes=-1=;byteHardLimit=-1;countHardLimit=10\n"
     r"Output stat for /a count=5,bytes=\d+"),
    ("delquota -n /a", ""),
    ("sync /a", "Sync is OK"),
    ("getEphemerals", re.escape("[/a/e]")),
    ("getEphemerals /b", re.escape("[]")),
    ("getAllChildrenNumber /a", "4"),
    ("addWatch -m PERSISTENT_RECURSIVE /p", ""),
    ("create /p", "Created /p"),
    ("create /p/q", "Created /p/q"),
    ("removewatches /p", ""),
    ("deleteall /p", ""),
    ("deleteall /a", ""),
    ("config", ""),
    ("version", r"ZooKeeper CLI version: .*"),
    ("nonsense", r"(?s).*Command not found: Command not found nonsense"),
    ("history", r"(?s)\d+ - .*history"),
]

EVENTS = [("NodeChildrenChanged", "/a"), ("NodeDataChanged", "/a/w"), ("NodeDeleted", "/a/w"),
          ("NodeCreated", "/p"), ("NodeCreated", "/p/q")]


def run_zkcli(port, commands):
    """All that zkCli printed for these commands."""
    lines = []
    for number, command in enumerate(commands):
        lines += [command, "ls /end-of-%d" % number]
    process = subprocess.run(
        [harness.JAVA, "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
         "-Dorg.slf4j.simpleLogger.defaultLogLevel=off", "-cp", harness.JARS,
         "org.apache.zookeeper.ZooKeeperMain", "-waitforconnection",
         "-server", "127.0.0.1:%d" % port],
        input="\n".join(lines + ["close", "quit", ""]), stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=90)
    return process.stdout, process.returncode


def split(output, count):
    """[(text of each command)], and the events in between as (type, path)."""
    events = re.findall(r"WatchedEvent state:\w+ type:(\w+) path:(\S+)", output)
    # zkCli prints an event in two pieces, between which its other thread may print.
    output = re.sub(r"\nWATCHER::\n|\nWatchedEvent .*\n", "", output)
    output = output.split("JLine support is disabled\n")[-1]
    texts = []
    for number in range(count):
        text, _, output = output.partition("Node does not exist: /end-of-%d\n" % number)
        texts.append(text.strip("\n"))
    return texts, events


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--server", choices=harness.KINDS, default="moonkeeper")
    options = parser.parse_args()
    tap = harness.Tap()
    reason = harness.missing(options.server) or harness.missing("apache")
    if reason:
        tap.skip("zkCli", reason)
        return tap.done()
    with harness.KINDS[options.server]({"forceSync": "no"}) as server:
        output, status = run_zkcli(server.port, [command for command, _ in COMMANDS])
        texts, events = split(output, len(COMMANDS))
        for (command, pattern), text in zip(COMMANDS, texts):
            tap.ok(re.fullmatch(pattern, text), "zkCli %s" % command,
                   "printed:\n%s\nwanted:\n%s" % (text, pattern))
        for event in EVENTS:
            tap.ok(event in events, "zkCli is told %s of %s" % event, events)
        tap.ok(status == 0, "zkCli ends well", "status %s\n%s" % (status, output[-500:]))
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
