# SPDX-License-Identifier: MIT
"""Every program that a script or a test calls comes with Debian's essential packages or with a package in one of the
lists of scripts/setup.sh, the list that is installed before that script runs."""

import os
import re
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import programs  # noqa: E402

TOP = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))

# Programs of packages that are on every Debian system (Essential: yes, or what those depend on).
ESSENTIAL = set(
    "awk base64 basenc bash cat chmod comm cp cut date df diff dirname dpkg dpkg-deb dpkg-query du find flock fold getent "
    "grep gzip head id ldconfig ln ls mkdir mktemp mv nproc paste rm sed seq setarch setsid sh sha256sum sha512sum "
    "sleep sort stat tail tar tee touch tr true uname uniq wc".split())

# Programs of other packages; of several names the first that a list has counts.
PACKAGES = {
    "addr2line": ["binutils"], "apt-get": ["apt"], "ar": ["binutils"], "cc": ["build-essential"],
    "chromium": ["chromium"], "clang": ["clang"], "cmake": ["cmake"], "cpack": ["cmake"], "ctest": ["cmake"],
    "dpkg-shlibdeps": ["build-essential"], "file": ["file"], "g++": ["g++"], "gcc": ["build-essential"],
    "gcovr": ["gcovr"], "git": ["git"], "make": ["build-essential"], "mvn": ["maven"], "nm": ["binutils"],
    "node": ["nodejs"], "npm": ["npm"], "objdump": ["binutils"], "pgrep": ["procps"], "pkg-config": ["pkgconf"],
    "ps": ["procps"], "python3": ["python3"], "readelf": ["binutils"], "strace": ["strace"], "strip": ["binutils"],
    "unzip": ["unzip"],
}

# Programs that other programs call.
CALLED_BY = {"cpack": ["file", "dpkg-shlibdeps", "strip"]}

# Programs that are used only where they are installed.
OPTIONAL = {
    "apt-get": "set-up on another system says by hand what is missing",
    "man": "a test shows the man page where there is man",
    "sudo": "only where the set-up is not run by root",
}

# The list that is installed before a file runs; others: test.
PURPOSES = [
    (r"^(Makefile|scripts/(common|demo)\.sh)$", "demo"),
    (r"^scripts/setup\.sh$", "test-all"),  # it asks for the programs of every list
    (r"^(scripts/(coverage|fuzz|mutation)\.sh|tests/(mutation|oom)/.*\.py|tests/training/.*)$", "test-all"),
    (r"^(scripts/test_ort_versions\.sh|scripts/ort_versions.*|tests/models/.*)$", "test-world"),
    (r"^(scripts/bench.*|bench/.*)$", "bench"),
    (r"^training/", "training"),
]
INCLUDES = {
    "demo": ["demo", "fetch"],
    "test": ["demo", "fetch", "test"],
    "test-all": ["demo", "fetch", "test", "test_all"],
    "test-world": ["demo", "fetch", "test", "test_world"],
    "bench": ["demo", "fetch", "bench"],
    "training": ["demo", "fetch", "test", "test_all"],
}


def lists():
    with open(os.path.join(TOP, "scripts", "setup.sh"), encoding="utf-8") as file:
        text = file.read()
    found = re.findall(r"^([a-z_]+)_packages='\n(.*?)'$", text, re.M | re.S)
    return {name: {line.split()[0] for line in body.splitlines() if line.strip()} for name, body in found}


def purpose_of(name):
    for pattern, purpose in PURPOSES:
        if re.search(pattern, name):
            return purpose
    return "test"


def complaints(calls, have):
    """One line for each program of {program: file} that no list provides."""
    for program, name in sorted(calls.items()):
        if program in ESSENTIAL or program in OPTIONAL:
            continue
        if program not in PACKAGES:
            yield f"{name} calls {program}, and tests/setup/test_programs.py knows no package of it"
            continue
        purpose = purpose_of(name)
        installed = set().union(*(have[part] for part in INCLUDES[purpose]))
        for needed in [program, *CALLED_BY.get(program, [])]:
            if not installed & set(PACKAGES[needed]):
                yield (f"{name} calls {needed} of {' or '.join(PACKAGES[needed])}, and scripts/setup.sh {purpose} "
                       "does not install that")


def files():
    for folder, below, names in os.walk(TOP):
        below[:] = [name for name in below if name not in (".git", "build", "third_party", "__pycache__") and
                    not name.startswith("build-")]
        for name in names:
            yield os.path.relpath(os.path.join(folder, name), TOP)


class Programs(unittest.TestCase):
    def test_every_program_is_in_a_list(self):
        calls = programs.of_files(TOP, files())
        have = lists()
        self.assertGreater(len({program for program, _ in calls}), 40)
        found = []
        for program, name in sorted(calls):
            found += complaints({program: name}, have)
        self.assertEqual(found, [])

    def test_a_program_in_no_list_is_noticed(self):
        have = lists()
        self.assertEqual(len(list(complaints({"nosuch": "scripts/demo.sh"}, have))), 1)
        self.assertEqual(len(list(complaints({"gcovr": "scripts/demo.sh"}, have))), 1)
        self.assertEqual(list(complaints({"gcovr": "scripts/coverage.sh"}, have)), [])
        without = {**have, "test": have["test"] - {"file"}}
        self.assertEqual(len(list(complaints({"file": "tests/consume/installed.py"}, without))), 1)
        self.assertEqual(len(list(complaints({"cpack": "tests/consume/installed.py"}, without))), 1)

    def test_programs_are_found_in_command_position(self):
        found, own = programs.of_bash('''
            # not-this
            say() { printf 'nor-this %s\\n' "$1"; }
            alpha --option value | beta >out 2>&1 && x=1 gamma "$(delta "a b")" || exit 1
            list=(nor this one)
            if ! epsilon; then for x in nor these; do zeta; done; fi
            case $x in
            nor | this) eta ;;
            esac
            step "Text" "" theta nor
            iota <<EOF
            nor this
EOF
            env A=1 kappa < <(lambda)
            say done
        ''')
        self.assertEqual(own, {"say"})
        self.assertEqual(found, set("alpha beta gamma delta epsilon zeta step eta theta iota env kappa lambda".split()))
        self.assertEqual(programs.of_python('import subprocess\nsubprocess.run(["mu", "a"])\nshutil.which("nu")\n'
                                            'subprocess.run(["bash", "-o", "nor", "-c", "xi | pi"])'), set("mu nu bash xi pi".split()))
        self.assertEqual(programs.of_cmake("find_program(X NAMES rho sigma PATHS /x)"), {"rho", "sigma"})
        self.assertEqual(programs.of_c('system("tau -f >/dev/null")'), {"tau"})

    @unittest.skipUnless(shutil.which("dpkg-query"), "no Debian")
    def test_essential_programs_are_essential(self):
        """What stands in ESSENTIAL belongs to packages that Debian does not do without."""
        paths = {program: shutil.which(program, path="/usr/bin:/bin:/usr/sbin:/sbin") for program in ESSENTIAL}
        self.assertEqual([program for program, path in paths.items() if path is None], [])
        candidates = {}  # with and without /usr: dpkg knows one of them
        for program, path in paths.items():
            for one in {path, os.path.realpath(path)}:
                candidates |= {one: program, one.replace("/usr", "", 1): program, "/usr" + one: program}
        told = subprocess.run(["dpkg", "-S", *candidates], capture_output=True, text=True, check=False).stdout
        owners = {}
        for line in told.splitlines():
            package, _, path = line.partition(": ")
            if path in candidates and not package.startswith("diversion"):
                owners[candidates[path]] = package.split(":")[0]
        self.assertGreater(len(owners), len(ESSENTIAL) * 3 // 4)
        told = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Essential} ${Priority}\n", *set(owners.values())],
                              capture_output=True, text=True, check=True).stdout
        needed = {line.split()[0] for line in told.splitlines() if re.search(" yes | required$", line)}
        wrong = {program: owner for program, owner in owners.items() if owner not in needed}
        self.assertEqual(wrong, {})


if __name__ == "__main__":
    unittest.main()
