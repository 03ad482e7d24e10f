#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""usage: build_lexicon.py OUTPUT

Writes the lexicon, lines of word, tab, occurrences per 10^9 words: the English words of wordfreq (PyPI, 3.1.1,
list "large"), apostrophes dropped, of 1 to 18 letters a to z. The more frequent ones come first. The data is
CC BY-SA 4.0 (Robyn Speer): so is what is written.
"""
import sys

import wordfreq

LONGEST = 18


def main(arguments):
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print(__doc__.strip(), file=sys.stderr)
        return 2
    shares = {}
    for word, share in wordfreq.get_frequency_dict("en", wordlist="large").items():
        plain = word.replace("'", "").replace("\u2019", "")
        if plain.isascii() and plain.isalpha() and plain.islower() and len(plain) <= LONGEST:
            shares[plain] = shares.get(plain, 0.0) + share
    with open(arguments[0], "w", encoding="utf-8") as file:
        for word, share in sorted(shares.items(), key=lambda item: (-round(item[1] * 1e9), item[0])):
            file.write(f"{word}\t{round(share * 1e9)}\n")
    print(f"{arguments[0]}: {len(shares)} words")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
