# SPDX-License-Identifier: MIT
"""Drives a server with the Go client (go/main.go), through a restart of the server.

    go_client.py [--server moonkeeper|apache]

Needs Go and Debian's golang-github-samuel-go-zookeeper-dev, which has the same API as today's
github.com/go-zookeeper/zk without the node types of ZooKeeper 3.5.
"""
import argparse
import os
import shutil
import subprocess
import sys
import threading

import harness

GOPATH = "/usr/share/gocode"
LIBRARY = os.path.join(GOPATH, "src/github.com/samuel/go-zookeeper/zk")
SOURCE = os.path.join(harness.HERE, "go", "main.go")


def build(server):
    """Compiles the program into the server's directory; returns its path."""
    program = os.path.join(server.work_dir, "go_client")
    environment = dict(os.environ, GO111MODULE="off", GOPATH=GOPATH, GOFLAGS="",
                       GOTOOLCHAIN="local", CGO_ENABLED="0",
                       GOCACHE=os.path.join(server.work_dir, "go-cache"))
    subprocess.run(["go", "build", "-o", program, SOURCE], env=environment, timeout=150,
                   check=True)
    return program


def drive(server, program):
    """Passes the program's lines on; restarts the server when it asks. Returns its status."""
    process = harness.start_process([program, "127.0.0.1:%d" % server.port], text=True,
                                    stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    timer = threading.Timer(100, process.kill)
    timer.start()
    for line in process.stdout:
        print(line, end="", flush=True)
        if line == "# restart\n":
            server.stop()
            server.start()
            process.stdin.write("\n")
            process.stdin.flush()
    process.stdin.close()
    timer.cancel()
    process.wait()
    return harness.end_process(process)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--server", choices=harness.KINDS, default="moonkeeper")
    options = parser.parse_args()
    reason = harness.missing(options.server)
    if not reason and not shutil.which("go"):
        reason = "Go is not installed"
    if not reason and not os.path.isdir(LIBRARY):
        reason = "golang-github-samuel-go-zookeeper-dev is not installed"
    if reason:
        tap = harness.Tap()
        tap.skip("the Go client", reason)
        return tap.done()
    server = harness.KINDS[options.server]()
    program = build(server)
    server.start()
    status = drive(server, program)
    if status == 0:
        server.remove()
    else:
        server.keep("a test of the Go client failed")
    return status


if __name__ == "__main__":
    sys.exit(main())
