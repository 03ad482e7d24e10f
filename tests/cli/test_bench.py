# SPDX-License-Identifier: MIT
"""ortpool bench as a whole, on a small model of random weights: every row runs and counts what there must be, other
words are seen, what is written can be read, worse figures are told.

test_bench.py --cli PROGRAM --source DIR [CLASS...]
"""

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import test_cli as cli

ROWS = ["naive-usual", "naive", "well-used-usual", "well-used", "no-arena", "mimalloc", "sequential"]
ROWS += ["batched", "incremental", "int8", "hits"]


def source(*parts):
    return os.path.join(cli.SOURCE, *parts)


def bench(*arguments, check=None):
    environment = dict(os.environ, ORT_DISABLE_TELEMETRY="1")
    result = subprocess.run([cli.CLI, "bench", *arguments], capture_output=True, text=True, env=environment, check=False)
    if check is not None and result.returncode != check:
        raise AssertionError(f"exit status {result.returncode}, expected {check}: {result.stderr}")
    return result


def small(*arguments, check=0):
    """Three swipes, one round, on the small model in every role."""
    folder = source("tests", "graphs", "step")
    models = ["--model", folder, "--usual", folder, "--int8", folder]
    few = ["--most", "3", "--rounds", "2", "--starts", "1", "--typing", "0"]
    return bench(*models, *few, *arguments, source("models", "swipe-en", "samples.jsonl"), check=check)


def document(folder, *arguments):
    path = os.path.join(folder, "bench.json")
    result = small("--save", path, *arguments)
    with open(path, encoding="utf-8") as file:
        return result, json.load(file)


class Figures(cli.OrtCase):
    """Every row, counted and timed."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with tempfile.TemporaryDirectory() as folder:
            cls.result, cls.document = document(folder, "--tail", "30")
        cls.rows = {row["name"]: row for row in cls.document["rows"]}

    def test_rows(self):
        missing = [name for name in ROWS if name not in self.rows]
        self.assertLessEqual(set(missing), {"mimalloc"})
        for name in missing:
            self.assertIn(f"no row {name}", self.result.stderr)

    def test_words(self):
        self.assertTrue(self.document["words"]["same"], self.document["words"]["notes"])

    def test_runs(self):
        for name, row in self.rows.items():
            self.assertEqual(row["encoder_runs"], 0 if name == "hits" else 1, name)
            self.assertEqual(row["cache_hits"], 1 if name == "hits" else 0, name)
            self.assertGreaterEqual(row["decoder_runs"], 1, name)
        for name in ("naive", "naive-usual", "sequential"):
            self.assertGreater(self.rows[name]["decoder_runs"], 2 * self.rows["batched"]["decoder_runs"])

    def test_times(self):
        for name, row in self.rows.items():
            self.assertLessEqual(row["p50_us"]["low"], row["p50_us"]["value"], name)
            self.assertLessEqual(row["p50_us"]["value"], row["p50_us"]["high"], name)
            self.assertGreater(row["p99_us"]["value"], row["encoder_us"] / 3, name)
            self.assertEqual(row["distribution_us"], sorted(row["distribution_us"]), name)
            self.assertEqual(len(row["distribution_us"]), 101, name)

    def test_counts(self):
        """Where the heap is counted: known to be there, and known not to be."""
        if self.rows["naive"]["heap_calls"] is None:
            self.skipTest("this build has no libortpool-heapcount.so")
        for name, row in self.rows.items():
            self.assertGreater(row["heap_calls"], 100, name)
            self.assertGreater(row["heap_bytes"], row["heap_calls"], name)
            phases = row["phases"]
            for figure in ("heap_calls", "heap_bytes"):
                total = sum(phases[phase][figure] for phase in ("encoder", "decoder", "rest"))
                self.assertAlmostEqual(total, row[figure], delta=1e-3 * row[figure], msg=name)
            if row["own"]:
                self.assertEqual(row["tensors"], 0, name)
                self.assertLess(phases["rest"]["heap_calls"], 1, name)
        # Three tensors and an output for the encoder; two and an output for each decoder run.
        naive = self.rows["naive"]
        self.assertAlmostEqual(naive["tensors"], 4 + 3 * naive["decoder_runs"], delta=0.01)
        self.assertGreater(naive["phases"]["rest"]["heap_calls"], naive["tensors"])
        self.assertEqual(self.rows["well-used"]["tensors"], 0)
        self.assertGreater(self.rows["no-arena"]["tensors"], 10)

    def test_tail(self):
        for name, row in self.rows.items():
            self.assertEqual(row["tail"] is not None, row["own"] and name != "hits", name)
            if row["tail"]:
                self.assertEqual(row["tail"]["predictions"], 30)
                self.assertGreaterEqual(row["tail"]["max_us"], row["tail"]["p50_us"])
        self.assertEqual(self.document["noise"]["predictions"], 30)

    def test_starts(self):
        for name, row in self.rows.items():
            if name == "hits":
                self.assertIsNone(row["load_us"])
                continue
            self.assertGreater(row["load_us"]["value"], 0, name)
            self.assertGreater(row["first_loading_us"]["value"], row["first_cold_us"]["value"], name)
            self.assertEqual(row["first_warm_us"] is not None, row["own"], name)

    def test_memory(self):
        for name, row in self.rows.items():
            self.assertGreater(row["peak_resident"], 1 << 20, name)
            self.assertEqual(row["peak_mapped"] is not None, row["own"], name)
            if row["own"]:
                self.assertEqual(row["mapped_growth"], 0, name)
        self.assertEqual(self.document["method"]["traced"], self.rows["naive"]["memory_calls"] is not None)
        if self.document["method"]["traced"]:
            self.assertLess(self.rows["incremental"]["memory_calls"], 1)

    def test_targets(self):
        targets = self.document["targets"]
        self.assertTrue({"seed", "design"} <= {target["table"] for target in targets})
        for target in targets:
            self.assertTrue(target["figure"] and target["wanted"] and target["reached"], target)
        held = [t for t in targets if "tensor buffers" in t["figure"] and t["holds"] is False]
        self.assertEqual(held, [])

    def test_ratios(self):
        pairs = {(ratio["row"], ratio["baseline"]) for ratio in self.document["ratios"]}
        self.assertIn(("incremental", "well-used"), pairs)
        for ratio in self.document["ratios"]:
            a, b = (self.rows[ratio[key]]["round_p50_us"] for key in ("baseline", "row"))
            self.assertTrue(min(x / y for x, y in zip(a, b)) <= ratio["value"] + 1e-6)
            self.assertTrue(max(x / y for x, y in zip(a, b)) >= ratio["value"] - 1e-6)


class Forms(cli.OrtCase):
    """Table, CSV, JSON, page; a session of typing; the pool."""

    def test_forms(self):
        with tempfile.TemporaryDirectory() as folder:
            html = os.path.join(folder, "bench.html")
            result, saved = document(folder, "--rows", "well-used,batched,incremental", "--html", html)
            self.assertIn("ORT well used", result.stdout)
            self.assertIn("Words: every row of the same weights found the same ones", result.stdout)
            self.assertLessEqual(max(len(line) for line in result.stdout.splitlines() if "wanted" not in line), 120)
            with open(html, encoding="utf-8") as file:
                self.assertIn("</html>", file.read())
        self.assertEqual([row["name"] for row in saved["rows"]], ["well-used", "batched", "incremental"])

    def test_from(self):
        """What a run kept gives the same table again, and measures nothing."""
        with tempfile.TemporaryDirectory() as folder:
            result, _ = document(folder, "--rows", "well-used,incremental")
            path, html = os.path.join(folder, "bench.json"), os.path.join(folder, "bench.html")
            self.assertEqual(bench("--from", path, "--html", html, check=0).stdout, result.stdout)
            self.assertTrue(os.path.getsize(html) > 100000)
            self.assertIn("is not what", bench("--from", source("models", "swipe-en", "model.json"), check=2).stderr)

    def test_killed(self):
        """A row whose process dies is told; the rounds until then are there."""
        if not os.path.exists(f"/proc/self/task/{os.getpid()}/children"):
            self.skipTest("this kernel does not tell a process's children")
        with tempfile.TemporaryDirectory() as place:
            path = os.path.join(place, "bench.json")
            command = [cli.CLI, "bench", "--model", source("tests", "graphs", "step"), "--rows", "batched,incremental", "--starts", "0"]
            command += ["--rounds", "1000", "--save", path, source("models", "swipe-en", "samples.jsonl")]
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
                victim, waited = None, 0
                while victim is None and waited < 100:  # a row that stays: a timed one
                    before = self.rows_of(process.pid)
                    time.sleep(3)
                    waited += 3
                    both = [pid for pid in self.rows_of(process.pid) if pid in before]
                    victim = both[-1] if len(both) == 2 else None
                time.sleep(2)
                os.kill(victim, signal.SIGKILL)
                text, said = process.communicate(timeout=100)
            self.assertEqual(process.returncode, 2)
            self.assertIn("its process ended with signal 9", said)
            self.assertIn("CUT SHORT", text)

    @staticmethod
    def rows_of(parent):
        with open(f"/proc/{parent}/task/{parent}/children", encoding="ascii") as file:
            return [int(pid) for pid in file.read().split()]

    def test_csv(self):
        result = small("--rows", "naive,incremental", "--csv")
        rows = list(csv.DictReader(io.StringIO(result.stdout)))
        self.assertEqual([row["name"] for row in rows], ["naive", "incremental"])
        self.assertGreater(float(rows[0]["p50_us"]), 0)
        self.assertEqual(rows[0]["peak_mapped"], "")
        self.assertEqual(result.stderr, "")

    def interrupted(self, path, wait, *arguments):
        folder = source("tests", "graphs", "step")
        command = [cli.CLI, "bench", "--model", folder, "--rows", "batched,incremental", *arguments]
        command += ["--save", path, source("models", "swipe-en", "samples.jsonl")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            time.sleep(wait)
            process.send_signal(signal.SIGINT)
            text, _ = process.communicate(timeout=100)
        if process.returncode != -signal.SIGINT:  # so early that nobody listened yet
            self.assertEqual(process.returncode, 130)
        return text

    def test_interrupted(self):
        """After a round: what there is. Before one: nothing but the status."""
        with tempfile.TemporaryDirectory() as place:
            path = os.path.join(place, "bench.json")
            self.assertEqual(self.interrupted(path, 2, "--starts", "1000"), "")
            self.assertFalse(os.path.exists(path))
            wait, text = 4, ""
            while text == "" and wait < 100:  # a slow machine has no round yet
                text = self.interrupted(path, wait, "--starts", "0", "--rounds", "1000")
                wait *= 2
            self.assertIn("Targets", text)
            with open(path, encoding="utf-8") as file:
                found = json.load(file)
        self.assertGreater(found["method"]["rounds"], 0)
        self.assertEqual({len(row["round_p50_us"]) for row in found["rows"]}, {found["method"]["rounds"]})

    def test_json(self):
        result = small("--rows", "incremental", "--json")
        self.assertEqual(json.loads(result.stdout)["rows"][0]["name"], "incremental")

    def test_typing(self):
        result = small("--rows", "incremental", "--typing", "12", "--json")
        typing = json.loads(result.stdout)["typing"]
        self.assertEqual(typing["swipes"], 12)
        self.assertGreater(len(typing["samples"]), 12)
        self.assertEqual({sample[2] for sample in typing["samples"]}, {0, 1})

    def test_other_words(self):
        """Another model in the place of the usual export: its words are told, and the figures worth nothing."""
        tiny = source("tests", "graphs", "tiny")
        result = small("--usual", tiny, "--rows", "well-used-usual,batched", check=1)
        self.assertIn("WORDS DIFFER", result.stdout)


class Models(cli.OrtCase):
    """Models of other kinds: what can be measured is, and why the rest is not is said."""

    def changed(self, graphs, change):
        """A copy of a model of tests/graphs with another manifest."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        model = os.path.join(folder.name, "model")
        shutil.copytree(source("tests", "graphs", graphs), model)
        path = os.path.join(model, "model.json")
        with open(path, encoding="utf-8") as file:
            manifest = json.load(file)
        change(manifest)
        with open(path, "w", encoding="utf-8") as file:
            json.dump(manifest, file)
        return model

    @staticmethod
    def without_keyboard(manifest):
        for field in ("layout", "lexicon", "scaling"):
            del manifest[field]

    def test_no_keyboard(self):
        """Made-up inputs and no lexicon: every way finds the same sequences of tokens."""
        for graphs in ("step", "ctc"):
            model = self.changed(graphs, self.without_keyboard)
            result = bench("--model", model, "--most", "4", "--rounds", "1", "--starts", "1", "--json", check=0)
            found = json.loads(result.stdout)
            rows = {row["name"]: row for row in found["rows"]}
            self.assertTrue({"naive", "well-used", "sequential", "batched", "incremental"} <= set(rows))
            self.assertNotIn("hits", rows)
            self.assertTrue(found["words"]["same"], found["words"]["notes"])
            self.assertEqual(rows["incremental"]["predictions"], 4)
            self.assertGreater(rows["naive"]["decoder_runs"], rows["batched"]["decoder_runs"])

    def test_second_score(self):
        """A model whose encoder has ctc, with each setting of a search: the same words in every way again."""
        rows = "naive,well-used,sequential,batched,incremental"
        models = [source("tests", "graphs", graphs) for graphs in ("ctc", "weighed")]
        for change in ({"ctc_weight": 0}, {"look_ahead": 0}):
            models.append(self.changed("ctc", lambda m, c=change: m["beam"].update(c)))
        for model in models:
            result = bench("--model", model, "--rows", rows, "--most", "12", "--rounds", "1", "--starts", "0", "--typing", "0", "--json",
                           source("models", "swipe-en", "samples.jsonl"), check=0)
            found = json.loads(result.stdout)
            self.assertEqual([row["name"] for row in found["rows"]], rows.split(","))
            self.assertTrue(found["words"]["same"], found["words"]["notes"])

    def test_masks(self):
        result = bench("--model", source("tests", "graphs", "mask"), "--most", "3", "--rounds", "1", "--starts", "0", "--typing", "0",
                       source("models", "swipe-en", "samples.jsonl"), check=0)
        self.assertIn("no row naive: it is written for models with keys and lengths", result.stderr)
        self.assertIn("no row incremental: the model has no decoder_step", result.stderr)
        self.assertIn("ortpool, batched", result.stdout)


class Compare(cli.OrtCase):
    """Two documents: the same, and one made worse by hand."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = tempfile.TemporaryDirectory()
        _, cls.document = document(cls.folder.name, "--rows", "naive,incremental")
        for row in cls.document["rows"]:  # rounds that differ little: what is changed below is beyond them
            row["round_p50_us"] = [part * row["p50_us"]["value"] for part in (1, 1.01, 1.02, 1.01, 1)]
        cls.path = os.path.join(cls.folder.name, "bench.json")
        with open(cls.path, "w", encoding="utf-8") as file:
            json.dump(cls.document, file)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def changed(self, change):
        other = json.loads(json.dumps(self.document))
        change(other)
        path = os.path.join(self.folder.name, "other.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(other, file)
        return path

    def test_same(self):
        result = bench("--compare", self.path, self.path, check=0)
        self.assertNotIn("WORSE", result.stdout)

    def test_slower(self):
        def slower(other):
            other["rows"][1]["round_p50_us"] = [2 * us for us in other["rows"][1]["round_p50_us"]]

        path = self.changed(slower)
        result = bench("--compare", self.path, path, check=1)
        self.assertEqual(result.stdout.count("WORSE"), 1)
        self.assertIn("2.000", result.stdout)
        self.assertIn("better", bench("--compare", path, self.path, check=0).stdout)
        bench("--compare", self.path, path, "--noise", "1", check=0)

    def test_others_do_not_decide(self):
        """A baseline that became slower is shown, and is no regression; a row that is gone is named."""
        def slower(other):
            other["rows"][0]["round_p50_us"] = [2 * us for us in other["rows"][0]["round_p50_us"]]

        self.assertIn("WORSE", bench("--compare", self.path, self.changed(slower), check=0).stdout)
        fewer = self.changed(lambda other: other["rows"].pop(0))
        self.assertIn("no row naive", bench("--compare", self.path, fewer, check=0).stdout)

    def test_faults_from_none(self):
        def faults(other):
            other["rows"][1]["faults"] = 3.5

        def one(other):
            other["rows"][1]["faults"] = 0.3

        bench("--compare", self.path, self.changed(one), check=0)

        def none(other):
            other["rows"][1]["faults"] = 0

        before = self.changed(none)
        os.rename(before, before + ".before")
        result = bench("--compare", before + ".before", self.changed(faults), check=1)
        self.assertIn("minor faults", result.stdout)

    def test_refusals(self):
        empty = self.changed(lambda other: other.clear())
        self.assertIn("is not what", bench("--compare", self.path, empty, check=2).stderr)
        self.assertIn("two files", bench("--compare", self.path, check=2).stderr)
        nowhere = os.path.join(self.folder.name, "nowhere.json")
        self.assertIn("nowhere.json", bench("--compare", nowhere, self.path, check=2).stderr)
        other = self.changed(lambda other: other["rows"].clear())
        self.assertIn("no row in common", bench("--compare", self.path, other, check=2).stderr)


class Usage(cli.Case):
    def test_help(self):
        result = bench("--help", check=0)
        for option in ("--model", "--rows", "--tail", "--compare", "--html"):
            self.assertIn(option, result.stdout)
        for name in ROWS:
            self.assertIn(name, result.stdout)
        self.assertLessEqual(max(map(len, result.stdout.splitlines())), 100)

    def test_refusals(self):
        for arguments, said in (
            (["--rounds", "0"], "--rounds: '0' is not a number from 1 to 1000"),
            (["--beam", "33"], "--beam"),
            (["--noise", "x"], "--noise"),
            (["--rows", "naive,nonsense"], "no row 'nonsense'"),
            (["--json", "--csv"], "not both"),
            (["--model", "/nowhere"], "/nowhere"),
            (["--usual", "/nowhere"], "/nowhere"),
            (["nowhere.jsonl"], "nowhere.jsonl"),
            (["--save", "/nowhere/x.json"], "/nowhere/x.json"),
            (["--html", "/"], "could not be written"),
            (["/dev/null"], "is no regular file"),
            (["a", "b"], "one file of swipes at a time"),
        ):
            result = bench(*arguments, check=2)
            self.assertIn(said, result.stderr)
            self.assertEqual(result.stdout, "")

    def test_every_option(self):
        """A value that is none, nonsense, and a value where none is taken."""
        numbers = {"--beam": "33", "--most": "5000", "--rounds": "1001", "--starts": "-1", "--tail": "x", "--typing": "1.5", "--noise": "2"}
        texts = ["--model", "--usual", "--int8", "--html", "--save", "--from", "--compare"]
        for option, bad in numbers.items():
            for value in (bad, "", "9" * 30):
                self.assertIn(f"{option}: '{value}' is not", bench(f"{option}={value}", check=2).stderr)
        for option in texts:
            self.assertIn(f"{option}: '' is not", bench(f"{option}=", check=2).stderr)
        for option in (*numbers, *texts, "--rows"):
            self.assertIn(f"{option} needs a value", bench(option, check=2).stderr)
        for option in ("--pool", "--json", "--csv"):
            self.assertIn(f"{option} takes no value", bench(f"{option}=1", check=2).stderr)
        for option in ("--save", "--html"):
            self.assertIn("/nowhere/x", bench("--from", source("models", "swipe-en", "model.json"), option, "/nowhere/x", check=2).stderr)

    def test_bad_swipes(self):
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
            result = bench("--rows", "incremental", file.name, check=2)
            self.assertIn("no swipes", result.stderr)
            file.write("{}\n")
            file.flush()
            self.assertIn("x", bench("--rows", "incremental", file.name, check=2).stderr)

    def test_no_row(self):
        tiny = source("tests", "graphs", "tiny")
        swipes = source("models", "swipe-en", "samples.jsonl")
        result = bench("--model", tiny, "--rows", "incremental", swipes, check=2)
        self.assertIn("no row incremental: the model has no decoder_step", result.stderr)


if __name__ == "__main__":
    sys.exit(cli.main(sys.modules[__name__]))
