#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The README's programs are those of examples/ to the letter, under 40 lines; its links to files hold."""
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]


def main() -> int:
    readme = (TOP / "README.md").read_text(encoding="utf-8")
    problems = []
    programs = re.findall(r"^```c\n(.*?)^```$", readme, re.M | re.S)
    for name in ["examples/pool_session.c", "examples/own_session.c"]:
        example = (TOP / name).read_text(encoding="utf-8")
        if example not in programs:
            problems.append(f"README.md does not show {name} as it is")
        if len(example.splitlines()) >= 40:
            problems.append(f"{name} has 40 lines or more")
    for page in [TOP / "README.md", *sorted((TOP / "docs").glob("*.md"))]:
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if not (page.parent / link).exists():
                problems.append(f"{page.relative_to(TOP)} links to {link}, which is not there")
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
