# SPDX-License-Identifier: MIT
"""Makes the modules of tests/interop importable from here; importing this is all it takes."""
import os
import sys

sys.path.insert(1, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                                "interop"))
