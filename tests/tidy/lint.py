#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The linters as TAP: clang-format over all C, luacheck over all Lua, one result a file kind."""
import os
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def tracked(*patterns):
    """Tracked files; all files below the folders where this is no git checkout."""
    listed = subprocess.run(["git", "ls-files", *patterns], cwd=TOP, capture_output=True,
                            text=True, check=True)
    return [name for name in listed.stdout.split("\n") if name and
            os.path.exists(os.path.join(TOP, name))]


def check(number, name, command):
    done = subprocess.run(command, cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False)
    good = done.returncode == 0
    if not good:
        for line in done.stdout.split("\n")[:60]:
            print("# " + line)
    print("%s %d - %s" % ("ok" if good else "not ok", number, name), flush=True)
    return good


def main():
    print("1..2")
    good = check(1, "every C file is formatted (make format)",
                 ["clang-format", "--dry-run", "-Werror", *tracked("*.c", "*.h")])
    good = check(2, "luacheck finds nothing",
                 ["luacheck", "--no-color", "--quiet", *tracked("*.lua")]) and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
