# SPDX-License-Identifier: MIT
"""`ortpool bench pool`: what it measures is all there or said to be absent, and what is nonsense is refused.
No times are tested.

usage: test_bench_pool.py --cli PROGRAM --source FOLDER CLASS...
"""

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time

import test_cli as cli

ALLOCATORS = ["floor", "pool-a", "pool-b", "glibc", "mimalloc", "ort-arena", "ort"]
CASES = ["pair", "two-threads", "hand-over", "live-16"]
OF_TWO = {"two-threads", "hand-over"}
ALWAYS = {"floor", "pool-a", "pool-b", "glibc"}
QUICK = ["--rounds", "1", "--sizes", "64,128K"]
SIZES = [64, 131072]
SAMPLES = 2


def bench(*arguments, **keywords):
    return cli.run("bench", "pool", *arguments, **keywords)


class Usage(cli.Case):
    def test_help(self):
        done = bench("--help")
        self.ends(done, 0)
        self.assertTrue(done.out.startswith("usage: ortpool bench pool"))
        self.assertTrue(all(len(line) <= 90 for line in done.out.splitlines()))
        for word in CASES + ["--rounds", "--sizes", "--json", "--csv", "--help"]:
            self.assertIn(word, done.out)

    def refused(self, arguments, expected):
        done = bench(*arguments)
        self.ends(done, 2)
        self.assertEqual(done.out, "")
        self.assertIn("ortpool bench pool: ", done.err)
        self.assertIn(expected, done.err)
        self.assertIn("Try 'ortpool bench pool --help'", done.err)

    def test_nonsense(self):
        for value in ("", "0", "-1", "x", "1.5", "10001", "999999999999999999999", " 1"):
            self.refused([f"--rounds={value}"], f"--rounds: '{value}' is not a number from 1 to 10000")
        seventeen = ",".join(str(n) for n in range(1, 18))
        for value in ("", "0", "64,", ",64", "64,,128", "64 128", "64,64", "1K,1024", "65M", "64MB", "x", "-64",
                      "64, 128", "18446744073709551616", "1" * 40, seventeen):
            self.refused([f"--sizes={value}"], f"--sizes: '{value}' is not 1 to 16 different sizes")
        self.refused(["--json", "--csv"], "not both")
        self.refused(["--nonsense"], "no option '--nonsense'")
        self.refused(["--json=1"], "--json takes no value")
        self.refused(["--rounds"], "--rounds needs a value")
        self.refused(["64"], "'64' is no option")


class Figures(cli.Case):
    def document(self, *arguments, env=None):
        done = bench(*QUICK, "--json", *arguments, env=env)
        self.ends(done, 0)
        self.assertEqual(done.err, "")
        return json.loads(done.out)

    def complete(self, document):
        """All allocators in all cases, or said to be absent; the ones that are there, measured."""
        self.assertRegex(document["ortpool"], r"^\d+\.\d+\.\d+$")
        self.assertEqual(document["bench"], 1)
        self.assertRegex(document["date"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertEqual(set(document["machine"]), {"cpu", "cores", "memory_bytes", "system", "compiler"})
        pool = document["pool"]
        self.assertGreaterEqual(pool["disturbed"], 0)
        self.assertIn(pool["linkage"], ("shared", "static"))
        self.assertFalse(pool["interrupted"])
        self.assertEqual((pool["rounds"], pool["samples"]), (1, SAMPLES))
        absent = [row["name"] for row in pool["absent"]]
        self.assertTrue(all(row["reason"] for row in pool["absent"]))
        self.assertFalse(ALWAYS & set(absent))
        self.assertEqual([case["case"] for case in pool["cases"]], CASES)
        for case in pool["cases"]:
            self.assertTrue(case["title"])
            self.assertEqual((case["unit"], case["sizes"]), ("ns", SIZES))
            names = [row["name"] for row in case["allocators"]]
            self.assertEqual(sorted(names + absent), sorted(ALLOCATORS))
            for row in case["allocators"]:
                with self.subTest(case["case"], allocator=row["name"]):
                    self.measured(case, row)
        self.targets(pool, absent)
        return pool

    def measured(self, case, row):
        self.assertEqual([len(row[key]) for key in ("min", "median", "pairs")], [len(SIZES)] * 3)
        self.assertEqual("slowdown" in row, case["case"] == "two-threads")
        for least, median, pairs in zip(row["min"], row["median"], row["pairs"]):
            if least is None:  # the machine may not have had two processors to give
                self.assertIn(case["case"], OF_TWO)
                self.assertEqual((median, pairs), (None, 0))
                continue
            self.assertTrue(0 < least <= median)
            self.assertGreater(pairs, 0)
            self.assertEqual(pairs % 16, 0)

    def targets(self, pool, absent):
        self.assertEqual(len(pool["targets"]), 4)
        for row in pool["targets"]:
            self.assertEqual(set(row), {"table", "figure", "wanted", "reached", "holds"})
            self.assertEqual(row["table"], "design")
            self.assertIn(row["holds"], (True, False, None))
            self.assertEqual(row["reached"] == "not measured",
                             row["holds"] is None and "empty calls" not in row["reached"])
            if "mimalloc" in row["wanted"]:
                self.assertEqual(row["holds"] is None, "mimalloc" in absent)

    def test_json(self):
        pool = self.complete(self.document())
        absent = {row["name"] for row in pool["absent"]}
        if not cli.has_ort():
            self.assertTrue({"ort", "ort-arena"} <= absent)
        else:
            self.assertFalse({"ort", "ort-arena"} & absent)

    def test_shared_library_is_what_applications_call(self):
        """An optimised build has libortpool.so; one with a sanitizer has none."""
        there = os.path.exists(os.path.join(os.path.dirname(cli.CLI), "lib", "libortpool.so"))
        self.assertEqual(self.document()["pool"]["linkage"], "shared" if there else "static")

    def test_without_onnx_runtime(self):
        pool = self.complete(self.document(env={"ORTPOOL_ONNXRUNTIME": "/nonexistent"}))
        self.assertTrue({"ort", "ort-arena"} <= {row["name"] for row in pool["absent"]})

    def test_table(self):
        done = bench(*QUICK)
        self.ends(done, 0)
        self.assertEqual(done.err, "")
        self.assertLessEqual(max(map(len, done.out.splitlines())), 100)
        for name in ALLOCATORS:
            self.assertRegex(done.out, rf"(?m)^{name} +\S")
        for case in CASES:
            self.assertRegex(done.out, rf"(?m)^{case}: ")
        self.assertIn("two-threads against pair", done.out)
        self.assertEqual(len(re.findall(r"(?m)^  (?:holds|missed|open) ", done.out)), 4)
        self.assertNotRegex(done.out, r"\bnan\b|nanx")

    def test_csv(self):
        done = bench(*QUICK, "--csv")
        self.ends(done, 0)
        rows = list(csv.DictReader(io.StringIO(done.out)))
        self.assertEqual({row["case"] for row in rows}, set(CASES))
        self.assertTrue(ALWAYS <= {row["allocator"] for row in rows})
        self.assertEqual({row["bytes"] for row in rows}, {str(size) for size in SIZES})
        for row in rows:
            if row["min_ns"]:
                self.assertGreater(int(row["pairs"]), 0)
            else:
                self.assertIn(row["case"], OF_TWO)

    def test_interrupt_ends_with_what_there_is(self):
        with subprocess.Popen([cli.CLI, "bench", "pool", "--rounds", "10000", "--sizes", "64", "--json"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=cli.SOURCE) as process:
            time.sleep(3 if not cli.SANITIZED else 15)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=cli.TIMEOUT)
        self.assertEqual((process.returncode, err), (128 + signal.SIGINT, b""))
        self.assertTrue(json.loads(out)["pool"]["interrupted"])

    @cli.unittest.skipIf(cli.SANITIZED, "a sanitizer needs the address space")
    def test_address_space_that_is_short(self):
        done = subprocess.run(["bash", "-c", 'ulimit -v 2000000; exec "$0" bench pool --sizes 64M', cli.CLI],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=cli.SOURCE, check=False)
        self.assertEqual((done.returncode, done.stdout), (2, b""))
        self.assertIn(b"no room for blocks of these sizes", done.stderr)

    def test_output_that_is_not_taken(self):
        with open("/dev/full", "w", encoding="ascii") as full:
            done = subprocess.run([cli.CLI, "bench", "pool", *QUICK], stdout=full, stderr=subprocess.PIPE,
                                  cwd=cli.SOURCE, timeout=cli.TIMEOUT, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"could not be written", done.stderr)


if __name__ == "__main__":
    sys.exit(cli.main(sys.modules[__name__]))
