# SPDX-License-Identifier: MIT
"""Starts a server and lets test_c_client (the official C client) run against it.

    c_client.py [--server moonkeeper|apache]

The program is built by CMake into BUILD/interop; INTEROP_BUILD names the build directory.
"""
import argparse
import os
import subprocess
import sys

import harness


def program():
    build = os.environ.get("INTEROP_BUILD") or os.path.dirname(harness.Moonkeeper.PROGRAM)
    return os.path.join(build, "interop", "test_c_client")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--server", choices=harness.KINDS, default="moonkeeper")
    options = parser.parse_args()
    tap = harness.Tap()
    reason = harness.missing(options.server)
    if not reason and not os.access(program(), os.X_OK):
        reason = "%s is not built (libzookeeper-mt-dev)" % program()
    if reason:
        tap.skip("C client", reason)
        return tap.done()
    server = harness.KINDS[options.server]({"forceSync": "no"})
    server.start()
    try:
        status = subprocess.run([program(), "127.0.0.1:%d" % server.port], timeout=100).returncode
        if status not in (0, 1):
            tap.ok(False, "the C client ends well", "status %d" % status)
            status = tap.done()
    except subprocess.TimeoutExpired:
        tap.ok(False, "the C client ends in time")
        status = tap.done()
    if status:
        server.keep("the C client test failed")
    else:
        server.remove()
    return status


if __name__ == "__main__":
    sys.exit(main())
