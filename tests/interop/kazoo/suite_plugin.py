# SPDX-License-Identifier: MIT
"""A pytest plugin: a time limit for each test, and one line for each result.

kazoo_suite.py loads it. INTEROP_KAZOO_LIMIT is the limit in seconds, INTEROP_KAZOO_RESULTS the
file that gets "name outcome seconds" lines.
"""
import os
import signal

import pytest


class TimeLimit(BaseException):
    """Not an Exception, so that no test catches it."""


def _expired(_signal, _frame):
    raise TimeLimit("the test took too long")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    signal.signal(signal.SIGALRM, _expired)
    signal.alarm(int(os.environ["INTEROP_KAZOO_LIMIT"]))
    yield
    signal.alarm(0)


def pytest_runtest_logreport(report):
    if report.when == "call" or report.outcome != "passed":
        name = report.nodeid.split("kazoo/tests/")[-1]
        with open(os.environ["INTEROP_KAZOO_RESULTS"], "a") as out:
            reason = str(report.longrepr[2]) if report.outcome == "skipped" else ""
            out.write("%s\t%s\t%.1f\t%s\n" % (name, report.outcome, report.duration, reason))
