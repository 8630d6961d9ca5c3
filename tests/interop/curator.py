# SPDX-License-Identifier: MIT
"""Starts a server and runs Curator's recipes against it (java/CuratorTest.java).

    curator.py [--server moonkeeper|apache]

Needs a JDK (the source is compiled as it starts) and Debian's libcurator-recipes-java.
"""
import argparse
import os
import subprocess
import sys

import harness

JARS = ["/usr/share/java/curator-%s.jar" % part for part in ("client", "framework", "recipes")]
SOURCE = os.path.join(harness.HERE, "java", "CuratorTest.java")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--server", choices=harness.KINDS, default="moonkeeper")
    options = parser.parse_args()
    tap = harness.Tap()
    reason = harness.missing(options.server) or harness.missing("apache")
    if not reason and not all(os.path.exists(jar) for jar in JARS):
        reason = "libcurator-recipes-java is not installed"
    if not reason and not os.path.exists("/usr/bin/javac"):
        reason = "no JDK"
    if reason:
        tap.skip("Curator", reason)
        return tap.done()
    classpath = ":".join([harness.JARS, *JARS, "/usr/share/java/guava.jar"])
    server = harness.KINDS[options.server]({"forceSync": "no"})
    server.start()
    try:
        status = subprocess.run(
            [harness.JAVA, "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
             "-Dorg.slf4j.simpleLogger.defaultLogLevel=off", "-cp", classpath, SOURCE,
             "127.0.0.1:%d" % server.port], timeout=150).returncode
    except subprocess.TimeoutExpired:
        tap.ok(False, "Curator ends in time")
        status = tap.done()
    if status == 0:
        server.remove()
    else:
        server.keep("a Curator test failed")
    return status


if __name__ == "__main__":
    sys.exit(main())
