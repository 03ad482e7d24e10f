#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ort_versions_table.py row CTEST-XML [NOTE]   the cells passed | failed | skipped | notes of one run
ort_versions_table.py page PAGE              puts the table from stdin between the page's markers"""

import sys
import xml.etree.ElementTree as xml

BEGIN = "<!-- versions: written by scripts/test_ort_versions.sh -->"
END = "<!-- versions: end -->"


def row(path, note=""):
    names = {"run": [], "fail": [], "notrun": []}
    for case in xml.parse(path).getroot().iter("testcase"):
        names[case.get("status")].append(case.get("name"))
    notes = [note] if note else []
    for word, status in (("failed", "fail"), ("skipped", "notrun")):
        if names[status]:
            notes.append(f"{word}: " + ", ".join(f"`{name}`" for name in sorted(names[status])))
    counts = " | ".join(str(len(names[status])) for status in ("run", "fail", "notrun"))
    print(f"{counts} | {'; '.join(notes) or '-'}")


def page(path):
    with open(path, encoding="utf-8") as file:
        head, found, rest = file.read().partition(BEGIN)
    _, ended, tail = rest.partition(END)
    if not found or not ended:
        sys.exit(f"{path}: the markers of the table are not there: {BEGIN} ... {END}")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{head}{BEGIN}\n{sys.stdin.read().strip()}\n{END}{tail}")


if __name__ == "__main__":
    {"row": row, "page": page}[sys.argv[1]](*sys.argv[2:])
