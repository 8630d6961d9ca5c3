# SPDX-License-Identifier: MIT
"""The one function of the package objgraph that kazoo's cache test uses: counts live objects."""
import gc


def count(name):
    return sum(1 for item in gc.get_objects() if type(item).__name__ == name)
