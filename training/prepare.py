#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""usage: prepare.py OUTPUT INPUT...

Turns recordings (lines of JSON, plain or gzip: w, kw, kh, x, y, t, and u and fit where known) into one file
of arrays (.npz) for train.py and transplant.py. Rows stay in their order; only words of more than 18 letters,
which no decoder of 20 tokens spells, and swipes of one point are left out.
"""
import sys

import numpy as np

from swipes.rows import Swipes


def main(arguments):
    if len(arguments) < 2 or arguments[0].startswith("-"):
        print(__doc__.strip(), file=sys.stdout if arguments in (["-h"], ["--help"]) else sys.stderr)
        return 0 if arguments in (["-h"], ["--help"]) else 2
    output, *inputs = arguments
    parts = [Swipes.from_rows(path) for path in inputs]
    all_of = Swipes(**{f: np.concatenate([getattr(p, f) for p in parts]) for f in Swipes.FIELDS})
    all_of.save(output)
    left_out = sum(p.left_out for p in parts)
    print(f"{output}: {len(all_of)} swipes of {len(set(all_of.users))} users, "
          f"{all_of.lengths.mean():.1f} points each (median {np.median(all_of.lengths):.0f}); "
          f"{left_out} left out")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
