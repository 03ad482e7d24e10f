# SPDX-License-Identifier: MIT
"""Numbers on a command line."""
import argparse
import math


def number(kind, least, most=math.inf):
    """A type for argparse: int or float, from least to most; nan is none of them."""
    def read(text):
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            bound = f" to {most:g}" if most < math.inf else ""
            raise argparse.ArgumentTypeError(f"{text!r}: expected {kind.__name__} from {least:g}{bound}")
        return value
    return read
