#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs every program of examples/ against a fresh server, as a newcomer would (TAP)."""
import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def start_server(build, directory):
    """Returns (process, "host:port")."""
    process = subprocess.Popen(
        [os.path.join(build, "moonkeeper"), "run", "server-scripts/quickstart.lua",
         "--set", "data_dir=" + directory, "--set", "client_address=127.0.0.1:0"],
        cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    for line in process.stdout:
        match = re.search(r"listening on (\S+:\d+)", line)
        if match:
            return process, match.group(1)
    process.wait()
    raise RuntimeError("the server did not start (exit code %s)" % process.returncode)


def run(name, command, failed):
    try:
        done = subprocess.run(command, cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=60, check=False)
        good = done.returncode == 0 and done.stdout.rstrip().endswith("done")
        output = done.stdout
    except subprocess.TimeoutExpired:
        good, output = False, "no end within 60 s"
    for line in [] if good else output.split("\n"):
        print("# " + line)
    print("%s - %s" % ("ok" if good else "not ok", name), flush=True)
    if not good:
        failed.append(name)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default=os.path.join(TOP, "build"))
    build = os.path.abspath(parser.parse_args().build)
    failed = []
    with tempfile.TemporaryDirectory() as directory:
        process, address = start_server(build, os.path.join(directory, "data"))
        try:
            program = os.path.join(directory, "first_steps")
            subprocess.run(["cc", "examples/first_steps.c", "-o", program, "-lzookeeper_mt"],
                           cwd=TOP, check=True)
            run("examples/first_steps.c", [program, address], failed)
            run("examples/first_steps.py",
                ["/usr/bin/python3", "examples/first_steps.py", address], failed)
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=20)
    print("1..2")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
