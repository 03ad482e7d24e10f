#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tests of `ortpool inspect`.

usage: test_inspect.py --cli PROGRAM --source FOLDER
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

CLI = ""
SOURCE = ""
SKIPPED = 77


def path(*parts):
    return os.path.join(SOURCE, *parts)


def inspect(*arguments, env=None):
    environment = {name: value for name, value in os.environ.items() if name != "ORTPOOL_MODEL"}
    environment.update(env or {})
    return subprocess.run([CLI, "inspect", *arguments], cwd=SOURCE, env=environment, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False)


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7f) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def fields(data):
    """(number, value) of a protobuf message; bytes for strings and messages."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        wire = key & 7
        if wire == 0:
            value, at = varint(data, at)
        elif wire == 2:
            size, at = varint(data, at)
            value, at = data[at:at + size], at + size
        else:
            size = 8 if wire == 1 else 4
            value, at = data[at:at + size], at + size
        yield key >> 3, value


def operators_of_graph(graph):
    for number, node in fields(graph):
        if number != 1:  # GraphProto.node
            continue
        kind = domain = ""
        for name, value in fields(node):
            if name == 4:  # NodeProto.op_type
                kind = value.decode()
            elif name == 7:  # NodeProto.domain
                domain = value.decode()
            elif name == 5:  # NodeProto.attribute, with graphs of its own
                for inner, text in fields(value):
                    if inner in (6, 11):
                        yield from operators_of_graph(text)
        yield f"{domain}.{kind}" if domain not in ("", "ai.onnx") else kind


def read_graph(file_name):
    """The operators of an ONNX file, and its opset of ai.onnx."""
    with open(file_name, "rb") as file:
        model = file.read()
    operators, opset = set(), 0
    for number, value in fields(model):
        if number == 7:  # ModelProto.graph
            operators |= set(operators_of_graph(value))
        elif number == 8:  # ModelProto.opset_import
            entry = dict(fields(value))
            if entry.get(1, b"") in (b"", b"ai.onnx"):
                opset = entry[2]
    return operators, opset


class Inspect(unittest.TestCase):
    def copy(self, model="tests/graphs/tiny"):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        shutil.copytree(path(model), folder.name, dirs_exist_ok=True)
        return folder.name

    def change(self, folder, **changes):
        name = os.path.join(folder, "model.json")
        with open(name, encoding="utf-8") as file:
            manifest = json.load(file)
        manifest.update(changes)
        with open(name, "w", encoding="utf-8") as file:
            json.dump({key: value for key, value in manifest.items() if value is not None}, file)

    def json_of(self, *arguments, **options):
        done = inspect(*arguments, "--json", **options)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return json.loads(done.stdout)

    def refused(self, expected, *arguments, **options):
        done = inspect(*arguments, **options)
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
        self.assertRegex(done.stderr, expected)
        return done

    def test_table_of_the_bundled_model(self):
        done = inspect()
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for text in ("swipe-en in models/swipe-en", "encoder.onnx", "decoder.onnx", "lexicon.tsv",
                     "trajectory_features", "[1,S,F]", "[n,T,V]", "32, 64, 96, 150", "of opset 17",
                     "decoder_step.onnx", "[n,H,T,K]", "ONNX Runtime 1.18 or later",
                     "incremental path from ONNX Runtime 1.21 on, batched path before", "LayerNormalization", "declared: weights", "in all"):
            self.assertIn(text, done.stdout)
        self.assertTrue(all(len(line) <= 100 and line == line.rstrip() for line in done.stdout.splitlines()))

    def test_table_of_a_second_score(self):
        done = inspect("tests/graphs/ctc")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout, r"\n +out memory +memory +float +\[1,S,D\]\n +out ctc +ctc +float +\[1,S,V\]\n")
        self.assertIn("\n  ctc         weight 0.5\n", done.stdout)
        self.assertIn("\n  words       count weight 0.125, look-ahead 0.5, temperature 1\n", done.stdout)
        for label in ("counts", "other words", "shapes"):
            self.assertNotIn(f"\n  {label} ", done.stdout)
        self.assertNotIn("ctc", inspect("tests/graphs/step").stdout)

    def test_table_of_every_setting(self):
        self.assertIn("\n  beams       8 wide, length reward 0.5, length penalty 0.125, stop margin 3\n"
                      "  ctc         weight 0.125\n"
                      "  words       count weight 0.5, look-ahead 0.5, temperature 2\n"
                      "  counts      limit 1e+06\n"
                      "  other words score -8\n"
                      "  shapes      weight 0.5\n", inspect("tests/graphs/weighed").stdout)

    def test_json_of_the_search(self):
        for model, expected in (("tests/graphs/ctc", {"ctc_weight": 0.5, "look_ahead": 0.5}),
                                ("tests/graphs/tiny", {"ctc_weight": 0, "look_ahead": 0}),
                                ("tests/graphs/weighed", {
                                    "ctc_weight": 0.125, "look_ahead": 0.5, "length_reward": 0.5, "length_alpha": 0.125, "frequency_weight": 0.5,
                                    "count_limit": 1000000, "free_score": -8, "shape_weight": 0.5, "temperature": 2})):
            self.assertEqual(self.json_of(model)["beam"], {
                "width": 8, "length_reward": 4.5, "length_alpha": 0, "stop_margin": 3, "frequency_weight": 0.125,
                "count_limit": 0, "free_score": 0, "shape_weight": 0, "temperature": 1, **expected})
        folder = self.copy("tests/graphs/ctc")
        self.change(folder, layout=None)  # no keyboard: what is said of words is not known
        self.assertEqual(self.json_of(folder)["beam"],
                         {"width": 8, "length_reward": 4.5, "length_alpha": 0, "stop_margin": 3, "ctc_weight": 0.5})

    def test_json_says_what_the_manifest_says(self):
        for model in ("models/swipe-en", "models/swipe-en-usual", "tests/graphs/ctc", "tests/graphs/step", "tests/graphs/tiny", "tests/graphs/mask"):
            found = self.json_of(model)
            with open(path(model, "model.json"), encoding="utf-8") as file:
                manifest = json.load(file)
            self.assertEqual(found["name"], manifest["name"])
            self.assertEqual(found["buckets"], manifest["buckets"])
            self.assertEqual(found["operators"], manifest["operators"])
            self.assertEqual((found["opset"], found["min_ort"]), (manifest["opset"], manifest["min_ort"]))
            self.assertEqual(found["shapes"], {"F": manifest["features"], "D": manifest["hidden"],
                                               "T": manifest["max_tokens"], "V": manifest["vocabulary"],
                                               "S": manifest["max_points"]})
            for section, graph in manifest["graphs"].items():
                expected = {role: name if isinstance(name, list) else [name]
                            for role, name in manifest[section].items()
                            if role not in ("memory_layout", "kv_heads", "kv_size", "min_ort")}
                shown = "step" if section == "decoder_step" else section
                named = {}
                for port in found["ports"]:
                    if port["graph"] == shown:
                        named.setdefault(port["role"], []).append(port["name"])
                self.assertEqual(named, expected)
                self.assertEqual(found["graphs"][section]["bytes"], os.path.getsize(path(model, graph)))
            parts = found["plan"]["bytes"]
            if "decoder_step" not in manifest["graphs"]:
                self.assertEqual(parts["weights"], sum(found["graphs"][g]["bytes"] for g in ("encoder", "decoder")))
                self.assertEqual(found["plan"]["path"], "batched")
            else:
                self.assertEqual(found["plan"]["path"], "incremental")
                self.assertEqual(found["min_ort_incremental"], manifest["decoder_step"]["min_ort"])
            self.assertEqual(parts.pop("total"), sum(parts.values()))

    def test_operators_are_those_of_the_graphs(self):
        for model in ("models/swipe-en", "models/swipe-en-usual", "tests/graphs/ctc", "tests/graphs/step", "tests/graphs/tiny", "tests/graphs/mask"):
            found = self.json_of(model)
            operators = set()
            for name in found["graphs"]:
                used, opset = read_graph(path(model, name + ".onnx"))
                self.assertTrue(used)
                self.assertEqual(opset, found["opset"])
                operators |= used
            self.assertEqual(set(found["operators"]), operators)

    def test_plan_follows_its_options(self):
        one = self.json_of("models/swipe-en")["plan"]
        four = self.json_of("models/swipe-en", "--threads", "4", "--beam", "16")["plan"]
        none = self.json_of("models/swipe-en", "--cache", "0", "--path", "sequential")["plan"]
        self.assertEqual((one["path"], four["path"]), ("incremental", "incremental"))
        self.assertGreater(four["bytes"]["decode"], one["bytes"]["decode"])
        self.assertEqual((four["threads"], four["beams"]), (4, 16))
        self.assertLess(none["bytes"]["cache"], one["bytes"]["cache"])
        self.assertEqual(none["path"], "sequential")

    def test_needs_no_onnx_runtime(self):
        self.json_of("models/swipe-en", env={"ORTPOOL_ONNXRUNTIME": "/nonexistent"})
        done = self.refused("nonexistent", "--check", env={"ORTPOOL_ONNXRUNTIME": "/nonexistent"})
        self.assertNotIn("\n\n", done.stderr)

    def test_check_compares_with_the_graphs(self):
        done = inspect("tests/graphs/tiny", "--check")
        if done.returncode == 2 and "ONNX Runtime" in done.stderr:
            self.skipTest("no ONNX Runtime")
        self.assertIn("The graphs of the batched path agree with the manifest (ONNX Runtime ", done.stdout)
        self.assertTrue(self.json_of("tests/graphs/tiny", "--check")["check"]["agrees"])
        folder = self.copy()
        self.change(folder, hidden=17)
        inspect(folder)  # the manifest by itself is well
        self.refused(r"encoder\.onnx: .*memory.*16.*17", folder, "--check")
        self.change(folder, hidden=16, min_ort="99.1")
        self.refused(r"99\.1", folder, "--check")
        with open(os.path.join(folder, "decoder.onnx"), "wb") as file:
            file.write(b"no graph")
        self.change(folder, min_ort="1.18")
        self.refused(r"decoder\.onnx", folder, "--check")

    def test_check_compares_ctc(self):
        done = inspect("tests/graphs/ctc", "--check", "--path", "batched")
        if done.returncode == 2 and "ONNX Runtime" in done.stderr:
            self.skipTest("no ONNX Runtime")
        self.assertIn("The graphs of the batched path agree", done.stdout)
        folder = self.copy("tests/graphs/ctc")
        with open(os.path.join(folder, "model.json"), encoding="utf-8") as file:
            encoder = json.load(file)["encoder"]
        self.change(folder, encoder=dict(encoder, ctc="none"))
        inspect(folder)  # the manifest by itself is well
        self.refused("encoder\\.onnx: no output 'none', which the manifest names as ctc", folder, "--check")
        self.change(folder, encoder=dict(encoder, ctc=encoder["cross"][0]))
        self.refused(r"encoder\.onnx: ctc 'cross_key_0': found float .*, expected float \[1,S,30\]", folder, "--check")

    def test_missing_graph_is_shown_and_fails(self):
        folder = self.copy()
        os.unlink(os.path.join(folder, "decoder.onnx"))
        done = self.refused(r"no such file: .*decoder\.onnx", folder)
        self.assertIn("decoder.onnx: No such file or directory", done.stdout)
        done = inspect(folder, "--json")
        self.assertEqual(done.returncode, 2)
        self.assertIsNone(json.loads(done.stdout)["graphs"]["decoder"]["bytes"])
        self.assertIsNone(json.loads(done.stdout)["plan"])

    def test_bad_manifests_name_file_and_field(self):
        for changes, expected in (
                ({"operators": ["Add", 7]}, r"model\.json: operators\[1\]: expected"),
                ({"operators": ["Add", "Add"]}, r"model\.json: operators\[1\]: expected .*once"),
                ({"operators": []}, r"model\.json: operators: expected an array of 1 to 256"),
                ({"opset": 0}, r"model\.json: opset: expected an integer from 1 to 1000"),
                ({"opset": "17"}, r"model\.json: opset: expected"),
                ({"buckets": [150, 32]}, r"model\.json: buckets\[1\]"),
                ({"min_ort": None}, r"model\.json: min_ort")):
            folder = self.copy()
            self.change(folder, **changes)
            self.refused(expected, folder)
        self.refused("model.json", "/nonexistent")

    def test_silence_of_the_manifest_is_said(self):
        folder = self.copy()
        self.change(folder, operators=None, opset=None, layout=None, name="a\x1b[31mb")
        done = inspect(folder)
        self.assertEqual(done.returncode, 0)
        self.assertIn("the manifest does not say", done.stdout)
        self.assertRegex(done.stdout, r"keyboard +none .*layout")
        self.assertNotIn("\x1b", done.stdout)
        found = self.json_of(folder)
        self.assertEqual((found["opset"], found["operators"], found["swipe"]), (None, [], None))

    def test_options_with_nonsense(self):
        for arguments, expected in (
                (["--threads", "0"], "threads: '0' is not a number from 1 to 64"),
                (["--threads", "1.5"], "threads: '1.5'"), (["--beam", "33"], "beam: '33'"),
                (["--beam", ""], "beam: ''"), (["--cache", "-1"], "cache: '-1'"),
                (["--path", "fast"], "path: 'fast' is not 'auto', 'sequential', 'batched' or 'incremental'"),
                (["--threads"], "--threads needs a value"), (["--nonsense"], "no option '--nonsense'"),
                (["--json=1"], "--json takes no value"), (["-x"], "no option"), (["a", "b"], "'b' is a second one"),
                ([""], "the model's name is empty")):
            done = self.refused("ortpool inspect: .*" + expected.replace("(", r"\("), *arguments)
            self.assertIn("--help", done.stderr)
            self.assertEqual(done.stdout, "")

    def test_plan_in_the_table(self):
        for arguments, title in ((["--path", "batched"], "Plan for 1 thread, 8 beams, batched, 4 cached"),
                                 (["--threads", "3", "--beam", "2", "--path", "sequential", "--cache", "0"],
                                  "Plan for 3 threads, 2 beams, sequential, 0 cached")):
            done = inspect("tests/graphs/tiny", *arguments)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn(f"\n{title}\n", done.stdout)

    def test_long_names_of_ports(self):
        folder = self.copy()
        with open(os.path.join(folder, "model.json"), encoding="utf-8") as file:
            encoder = json.load(file)["encoder"]
        self.change(folder, encoder=dict(encoder, keys="k" * 27, features="f" * 100))
        done = inspect(folder)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn(" " + "k" * 27 + " int32 or int64 ", done.stdout)
        self.assertIn(" " + "f" * 27 + "\u2026 float ", done.stdout)

    def test_help_version_and_full_disk(self):
        for option in ("--help", "-h"):
            done = inspect(option)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn("usage: ortpool inspect", done.stdout)
        done = inspect("--version")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout, r"^ortpool \d+\.\d+\.\d+\nONNX Runtime ")
        if os.path.exists("/dev/full"):
            with open("/dev/full", "w", encoding="utf-8") as full:
                done = subprocess.run([CLI, "inspect", "tests/graphs/tiny"], cwd=SOURCE, stdout=full,
                                      stderr=subprocess.PIPE, text=True, timeout=60, check=False)
            self.assertEqual(done.returncode, 2)
            self.assertRegex(done.stderr, "No space left")


def main():
    global CLI, SOURCE  # pylint: disable=global-statement
    parser = argparse.ArgumentParser()
    parser.add_argument("--cli", required=True)
    parser.add_argument("--source", required=True)
    options = parser.parse_args()
    CLI, SOURCE = os.path.abspath(options.cli), os.path.abspath(options.source)
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules[__name__])
    sys.exit(0 if unittest.TextTestRunner(verbosity=2).run(suite).wasSuccessful() else 1)


main()
