# SPDX-License-Identifier: MIT
"""kazoo's tests import the old package mock; the standard library has had it since Python 3.3."""
import sys
import unittest.mock

sys.modules[__name__] = unittest.mock
