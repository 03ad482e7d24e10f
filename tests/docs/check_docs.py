#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The pages hold what they promise:

- the README has at most 160 lines; no line of it, and no line of prose in docs/, is longer than 120 characters;
- links to files and to headings of pages lead somewhere;
- each block of C or C++ is an example of examples/, or consecutive lines of one, to the letter;
- the README shows one whole example in C, and has the marks between which `make bench` writes;
- with --build DIR (a build of the tests) each test that README.md and docs/promises.md promise is there.

usage: check_docs.py [--top DIR] [--build DIR]
"""
import argparse
import fnmatch
import pathlib
import re
import subprocess
import sys
import textwrap

README_LINES, COLUMNS = 160, 120
MARKS = ("model", "swipe")


def anchors(page):
    """What the headings of a page are linked by: lower case, blanks as hyphens, of the other signs only _ and -."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    found, seen = set(), {}
    for heading in re.findall(r"^#+ +(.*?) *#*$", text, re.M):
        heading = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        count = seen.get(name, 0)
        seen[name] = count + 1
        found.add(f"{name}-{count}" if count else name)
    return found


def outside_code(text):
    """Line numbers and lines that are in no block between fences."""
    inside = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            inside = not inside
        elif not inside:
            yield number, line


def links(page):
    text = "\n".join(line for _, line in outside_code(page.read_text(encoding="utf-8")))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        to = page.parent / path if path else page
        if not to.exists():
            yield f"links to {path}, which is not there"
        elif anchor and to.suffix == ".md" and anchor not in anchors(to):
            yield f"links to {target}, a heading that is not there"


def long_lines(page):
    """A table's row cannot be broken."""
    for number, line in outside_code(page.read_text(encoding="utf-8")):
        if len(line) > COLUMNS and not line.startswith("|"):
            yield f"line {number} has {len(line)} characters"


def parts_of(text, block_lines):
    """Consecutive lines of an example less their common indent."""
    lines = text.splitlines()
    for start in range(len(lines) - block_lines + 1):
        yield textwrap.dedent("\n".join(lines[start : start + block_lines]) + "\n")


def shown(block, texts):
    count = len(block.splitlines())
    return any(block == text or block in parts_of(text, count) for text in texts)


def check(top, tests):
    readme = top / "README.md"
    pages = [readme, *sorted((top / "docs").glob("*.md"))]
    sources = {
        "c": [path.read_text(encoding="utf-8") for path in sorted((top / "examples").glob("*.c"))],
        "cpp": [path.read_text(encoding="utf-8") for path in sorted((top / "examples").glob("*.cpp"))],
    }
    problems = []
    whole = 0
    for page in pages:
        name = page.relative_to(top)
        text = page.read_text(encoding="utf-8")
        problems += [f"{name} {problem}" for problem in links(page)]
        for language, block in re.findall(r"^```(c|cpp)\n(.*?)^```$", text, re.M | re.S):
            if not shown(block, sources[language]):
                problems.append(f"{name} shows {language} that is in no example: {block.strip().splitlines()[0]}")
            whole += page == readme and block in sources[language]
        if page == readme:
            lines = text.splitlines()
            if len(lines) > README_LINES:
                problems.append(f"{name} has {len(lines)} lines, more than {README_LINES}")
            problems += [f"{name}: line {number} has {len(line)} characters"
                         for number, line in enumerate(lines, 1) if len(line) > COLUMNS]
        else:
            problems += [f"{name}: {problem}" for problem in long_lines(page)]
    if whole == 0:
        problems.append("README.md shows no example as a whole")
    text = readme.read_text(encoding="utf-8")
    for mark in MARKS:
        marks = [f"<!-- bench {mark}: written by make bench -->", f"<!-- bench {mark}: end -->"]
        if [text.count(part) for part in marks] != [1, 1]:
            problems.append(f"README.md has not the marks of 'bench {mark}'")
    if tests is not None:
        for name in promised(readme) | promised(top / "docs" / "promises.md"):
            if not fnmatch.filter(tests, name):
                problems.append(f"{name} is promised, and is no test")
    return problems


def tests_of(build):
    done = subprocess.run(["ctest", "--test-dir", str(build), "-N"], stdout=subprocess.PIPE, text=True, check=True)
    return re.findall(r"Test +#\d+: (\S+)", done.stdout)


def promised(page):
    """What stands in backticks in the last column of tables whose last column is that of tests."""
    names, inside = set(), False
    for line in page.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        inside = bool(cells) and (inside or cells[-1].startswith("test"))
        if inside:
            names |= set(re.findall(r"`([a-z0-9_*]+)`", cells[-1]))
    return names


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--top", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2])
    parser.add_argument("--build", type=pathlib.Path)
    options = parser.parse_args()
    problems = check(options.top, tests_of(options.build) if options.build else None)
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
