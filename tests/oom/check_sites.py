#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check_sites.py EXECUTABLE SOURCE NAME,NAME... [ARGUMENT...]: runs the sweep and compares what failed with what there is.

Known sites are the call instructions to the wrapped functions in the executable, which holds all of
ortpool's objects, and the members of the OrtApi that the sources call. A site that no round has made
fail is a hole in the sweep: exit 1, with its place. NAMEs: wrapped functions whose callers count;
ARGUMENTs are for the sweep.
Exit 77 where the executable cannot be read here (no objdump, another architecture)."""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

# Calls that give no status, or only read what another call has given.
# Without a status; of a value that IsTensor calls a tensor.
CANNOT_FAIL = {"GetErrorCode", "GetErrorMessage", "CreateStatus", "CreateKeyValuePairs", "AddKeyValuePair",
               "GetTensorElementTypeAndShapeDataReference"}


def known_calls(executable, names):
    """Return address of each call to a wrapper, and its function, relative to __executable_start."""
    start = 0
    for line in subprocess.run(["nm", executable], capture_output=True, text=True, check=True).stdout.splitlines():
        if line.endswith(" __executable_start"):
            start = int(line.split()[0], 16)
    lines = subprocess.run(["objdump", "-d", "--no-show-raw-insn", executable],
                           capture_output=True, text=True, check=True).stdout.splitlines()
    calls, pending = {}, None
    for line in lines:
        match = re.match(r"\s*([0-9a-f]+):\s+(\S+)\s*(.*)", line)
        if not match:
            continue
        address, operation, operands = int(match[1], 16), match[2], match[3]
        if pending:
            calls[address - start] = pending
            pending = None
        target = re.search(r"<__wrap_(\w+)(@plt)?>", operands)
        if target and target[1] in names:
            if not operation.startswith("call"):
                sys.exit(f"{target[1]} is reached by {operation} at {address:x}: build without tail calls")
            pending = target[1]
    return calls, start


def place(executable, address):
    """file:line of the call before a return address."""
    out = subprocess.run(["addr2line", "-e", executable, hex(address - 1)], capture_output=True, text=True, check=True)
    return re.sub(r" \(discriminator \d+\)", "", out.stdout.strip())


def known_members(source):
    members = {}
    for path in sorted(pathlib.Path(source, "src").rglob("*.c")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            for name in re.findall(r"\bapi\s*(?:\)\s*)?->\s*([A-Z]\w+)", line):
                members.setdefault(name, f"{path.relative_to(source)}:{number}")
    return members


def main():
    executable, source, names = sys.argv[1], sys.argv[2], set(sys.argv[3].split(","))
    if not shutil.which("objdump") or not shutil.which("addr2line"):
        print("skipped: no objdump")
        return 77
    header = subprocess.run(["objdump", "-f", executable], capture_output=True, text=True, check=True).stdout
    if "x86-64" not in header:
        print("skipped: calls are known on x86-64 only")
        return 77
    with tempfile.NamedTemporaryFile("r", suffix=".sites") as file:
        sweep = subprocess.run([executable, "--sites", file.name, *sys.argv[4:]], check=False)
        if sweep.returncode != 0:
            return sweep.returncode
        words = [line.split() for line in file.read().splitlines()]
    failed_sites = {int(word, 16) for kind, word in words if kind == "site"}
    failed_members = {word for kind, word in words if kind == "api"}

    calls, start = known_calls(executable, names)
    members = {name: where for name, where in known_members(source).items()
               if name not in CANNOT_FAIL and not name.startswith("Release")}
    places = {site: place(executable, site + start) for site in calls}
    # The calls of the tests and of the compiler's runtime (gcov's) are not ortpool's.
    own = str(pathlib.Path(source, "src").resolve()) + "/"
    calls = {site: name for site, name in calls.items() if places[site].startswith(own)}
    holes = [f"{places[site]}: {name} never failed"
             for site, name in sorted(calls.items()) if site not in failed_sites]
    holes += [f"{where}: {name} of the OrtApi never failed"
              for name, where in sorted(members.items()) if name not in failed_members]
    print(f"{len(calls)} calls of ortpool's own and {len(members)} members of the OrtApi are known; "
          f"{len(holes)} never failed")
    if not calls or not members:
        print("none are known: the check itself is broken")
        return 1
    for hole in holes:
        print(f"  {hole}")
    return 1 if holes else 0


sys.exit(main())
