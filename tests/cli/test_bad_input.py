#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Bad input to the built ortpool command, kind by kind: what it says and with which code it ends.

usage: test_bad_input.py --cli PROGRAM --source FOLDER CLASS...
Exit codes as those of test_cli.py. Under LeakSanitizer a command that leaks ends with 23, which is
none of the codes that any test here expects.
"""

import sys

sys.dont_write_bytecode = True  # the source folder stays as it is

import test_cli  # noqa: E402
from bad_models import CtcManifests, Graphs, Lexicons, Manifests, MaskManifests  # noqa: E402,F401
from bad_options import Options  # noqa: E402,F401
from bad_swipes import Inputs, LongLines, Points, Swipes  # noqa: E402,F401

if __name__ == "__main__":
    sys.exit(test_cli.main(sys.modules[__name__]))
