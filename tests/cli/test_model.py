#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ortpool run, on the small graphs of tests/graphs and on ones that are made here, byte by byte.

usage: test_model.py --cli PROGRAM --source FOLDER CLASS...
Exit codes as those of test_cli.py.
"""

import json
import os
import re
import signal
import struct
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True  # the source folder stays as it is

import test_cli as cli  # noqa: E402

ALLOCATORS = ["ort", "none", "ortpool"]
# NumPy's names of the element types, and struct's.
TYPES = {"float": ("<f4", "f"), "double": ("<f8", "d"), "float16": ("<f2", "e"), "int8": ("|i1", "b"),
         "int16": ("<i2", "h"), "int32": ("<i4", "i"), "int64": ("<i8", "q"), "uint8": ("|u1", "B"),
         "uint16": ("<u2", "H"), "uint32": ("<u4", "I"), "uint64": ("<u8", "Q"), "bool": ("|b1", "?")}


def shapes(name):
    return cli.path("tests", "graphs", "shapes", name + ".onnx")


def npy(descr, shape, data, version=1, order="False"):
    header = f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {tuple(shape)!r}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    length = struct.pack("<H" if version == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + length + header + data


def read_npy(path):
    """descr, shape, data."""
    with open(path, "rb") as file:
        whole = file.read()
    length = struct.unpack("<H", whole[8:10])[0]
    header = eval(whole[10:10 + length])  # noqa: S307  (what the command wrote)
    assert (10 + length) % 64 == 0 and not header["fortran_order"]
    return header["descr"], header["shape"], whole[10 + length:]


# ---- ONNX in protobuf: fields of bytes and of whole numbers ----


def number(field, value):
    out = bytes([field << 3])
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(index, data):
    data = data.encode() if isinstance(data, str) else data
    length = number(0, len(data))[1:]
    return bytes([index << 3 | 2]) + length + data


def port(name, element, dimensions):
    shape = b"".join(field(1, number(1, d) if isinstance(d, int) else field(2, d)) for d in dimensions)
    return field(1, name) + field(2, field(1, number(1, element) + field(2, shape)))


def model(nodes, inputs, outputs, initializers=(), opset=17):
    graph = b"".join(field(1, b"".join(field(1, i) for i in ins) + field(2, out) + field(4, operator) +
                              b"".join(field(5, attribute) for attribute in attributes))
                     for operator, ins, out, *attributes in nodes)
    graph += field(2, "g") + b"".join(field(5, i) for i in initializers)
    graph += b"".join(field(11, i) for i in inputs) + b"".join(field(12, o) for o in outputs)
    return number(1, 8) + field(7, graph) + field(8, field(1, "") + number(2, opset))


class ModelCase(cli.OrtCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def write(self, name, data):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as file:
            file.write(data)
        return path

    def rows(self, *arguments, code=0):
        done = cli.run("run", "--json", *arguments)
        self.ends(done, code)
        return json.loads(done.out)["rows"]

    def refused(self, *arguments):
        done = cli.run("run", *arguments)
        self.ends(done, 2)
        self.assertEqual(done.out, "")
        self.assertTrue(done.err.startswith("ortpool run: "), done.err)
        return done.err


class Usage(cli.Case):
    def test_help_and_bad_options(self):
        done = cli.run("run", "--help")
        self.ends(done, 0)
        self.assertLess(max(map(len, done.out.splitlines())), 90)
        for arguments, said in (([], "which model"), (["a", "b"], "'b' is a second one"), (["--nonsense"], "no option"),
                                (["-x"], "no option '-x'"), (["--repeat"], "needs a value"),
                                (["--json=1", "a"], "--json takes no value"),
                                (["--repeat", "0", "a"], "--repeat: '0' is not a number from 1"),
                                (["--threads", "65", "a"], "1 to 64"), (["--intra", "x", "a"], "1 to 64"),
                                (["--allocator", "jemalloc", "a"], "'ort', 'none', 'ortpool' or 'all'"),
                                (["--budget", "1X", "a"], "a size above 0"), (["--seed", "-1", "a"], "a number from 0"),
                                (["--save-outputs", "", "a"], "a folder"),
                                (["--budget", "1M", "--allocator", "ort", "a"], "--budget is ortpool's"),
                                (["--intra", "65", "a"], "1 to 64"), ([""], "the model's name is empty"),
                                *((["--" + option, "x=1"] * 33 + ["a"], "at most 32")
                                  for option in ("shape", "input", "vary"))):
            done = cli.run("run", *arguments)
            self.ends(done, 2)
            self.assertIn(said, done.err)
            self.assertIn("ortpool run --help", done.err)
        self.assertIn("ortpool 0.", cli.run("run", "--version").out)


class Refusals(ModelCase):
    def test_no_models(self):
        for name, data, said in (("text.onnx", b"not a model", "rotobuf"), ("empty.onnx", b"", "is empty")):
            self.assertIn(said, self.refused(self.write(name, data)))
        self.assertIn("is not a file", self.refused(self.folder))
        self.assertIn("cannot be read", self.refused(os.path.join(self.folder, "none.onnx")))
        self.assertIn("cannot be read", self.refused("--", "--odd.onnx"))

    def test_operator_and_opset_that_are_unknown(self):
        inputs, outputs = [port("x", 1, ["N"])], [port("y", 1, ["N"])]
        unknown = self.write("unknown.onnx", model([("Nonsense", ["x"], "y")], inputs, outputs))
        said = self.refused(unknown, "--shape", "x=3")
        self.assertIn("Nonsense", said)
        self.assertIn("This is ONNX Runtime", said)
        late = self.write("late.onnx", model([("Relu", ["x"], "y")], inputs, outputs, opset=99))
        said = self.refused(late, "--shape", "x=3")
        self.assertIn("99", said)
        self.assertIn("ORTPOOL_ONNXRUNTIME=FOLDER names another", said)

    def test_external_data_that_is_missing(self):
        weight = number(1, 4) + number(2, 1) + field(8, "w") + number(14, 1)
        weight += field(13, field(1, "location") + field(2, "weights.bin"))
        graph = self.write("external.onnx", model([("Add", ["x", "w"], "y")], [port("x", 1, [4])], [port("y", 1, [4])],
                                                  [weight]))
        for allocator in ALLOCATORS:
            self.assertIn("weights.bin", self.refused(graph, "--allocator", allocator))
        self.write("weights.bin", struct.pack("<4f", 1, 2, 3, 4))
        self.assertEqual(len({row["outputs"] for row in self.rows(graph, "--repeat", "2")}), 1)

    def test_all_that_lacks_is_listed(self):
        said = self.refused(shapes("add")).splitlines()
        self.assertEqual(len(said), 2)
        self.assertIn("input 'x' is float[?N]: give what is free, as in --shape x=1, or --input x=FILE.npy", said[0])
        self.assertIn("--shape y=1", said[1])
        encoder = cli.path("tests", "graphs", "tiny", "encoder.onnx")
        self.assertRegex(self.refused(encoder), r"trajectory_features is|'trajectory_features' is float\[1,\?\w*,6\]")

    def test_shapes_that_do_not_fit(self):
        encoder = cli.path("tests", "graphs", "tiny", "encoder.onnx")
        keys = ["--shape", "nearest_keys=1,8"]
        for shape, said in (("trajectory_features=1,8", "has 2 dimensions, the input has 3"),
                            ("trajectory_features=1,8,7", "dimension 2 is fixed"),
                            ("trajectory_features=1,x,6", "expected whole numbers"), ("trajectory_features=1,8,6,", "expected"),
                            ("trajectory_features=1,-8,6", "expected whole numbers"), ("nobody=1", "names no input"),
                            ("trajectory_features", "names no input"),
                            ("trajectory_features=1,99999999999999999999,6", "expected whole numbers"),
                            ("trajectory_features=1,2147483648,6", "expected whole numbers"),
                            ("trajectory_features=1;8", "expected whole numbers"), ("trajectory_features=1,", "expected"),
                            ("trajectory_features=" + ",".join("1" * 9), "at most 8 of them")):
            self.assertIn(said, self.refused(encoder, *keys, "--shape", shape), shape)
        self.assertIn("larger than memory", self.refused(shapes("identity_double"), "--shape",
                                                         "x=2147483647,2147483647,2147483647"))
        for vary, said in (("trajectory_features:0=1..2", "axis 0"), ("trajectory_features:3=1..2", "axis 3"),
                           *(("trajectory_features:" + range_, "expected NAME:AXIS") for range_ in
                             ("1=5..2", "1=5", "x=1..2", "1:1..2", "1=x..2", "1=1..x", "1=1..2/0", "1=1..2/x", "1=1..2/",
                              "1=1..2x", "1=1.2", "")),
                           ("nobody:1=1..2", "names no input")):
            self.assertIn(said, self.refused(encoder, "--vary", vary), vary)
        self.assertIn("at most 8 times", self.refused(encoder, *["--vary", "trajectory_features:1=1..2"] * 17))
        self.assertIn("give what is free", self.refused(encoder, *keys, "--vary", "nearest_keys:1=1..2"))
        # ONNX Runtime's own word on shapes that do not go together.
        self.assertIn("dimension", self.refused(shapes("add"), "--shape", "x=3", "--shape", "y=4").lower())

    def test_files_that_do_not_fit(self):
        add = [shapes("add"), "--shape", "y=3"]
        three = struct.pack("<3f", 1, 2, 3)
        for data, said in ((b"text", "not a .npy file"), (npy("<f4", [3], three)[:20], "cut off"),
                           (npy("<f4", [3], three[:8]), "ends before"), (npy("<f4", [3], three + b"x"), "goes on"),
                           (npy(">f4", [3], three), "big-endian"), (npy("<c8", [3], three * 2), "element type"),
                           (npy("<f4", [3], three, order="True"), "Fortran"),
                           (npy("<f4", [1] * 9, three[:4]), "more than 8"), (npy("<f4", [3], three, version=9), "version"),
                           (npy("<f8", [3], three * 2), "holds double[3], the input 'x' is float[?N]"),
                           (npy("<f4", [3], three, version=2)[:10], "cut off"), (npy("<f4", [3], three, version=0), "version"),
                           (b"\x93NUMPY\x02\x00\x00\x00\x02\x00", "too long"), (b"\x93NUMPX\x01\x00\x10\x00", "not a .npy"),
                           *((npy("<f4", [3], three).replace(*spoilt), said) for spoilt, said in (
                               ((b"'descr'", b"'descs'"), "element type"), ((b"'<f4'", b"[f4] "), "element type"),
                               ((b"'shape'", b"'shaqe'"), "its shape cannot"), ((b"(3,)", b"[3,]"), "its shape cannot"),
                               ((b"(3,)", b"(-3)"), "its shape cannot"), ((b"(3,)", b"(x,)"), "its shape cannot"),
                               ((b"(3,)", b"(3, "), "its shape cannot"))),
                           (npy("<f4", [1 << 62, 16], three), "larger than memory"),
                           (npy("<f4", [10 ** 30], three), "its shape cannot"),
                           (npy("<f4", [1, 3], three), "holds float[1,3]")):
            file = self.write("x.npy", data)
            self.assertIn(said, self.refused(*add, "--input", f"x={file}"), said)
        self.assertIn("cannot be read", self.refused(*add, "--input", f"x={self.folder}/none.npy"))
        self.assertIn("names no input", self.refused(*add, "--input", "q=f.npy"))
        self.assertIn("names no file", self.refused(*add, "--input", "x="))
        self.assertIn("is not a file", self.refused(*add, "--input", f"x={self.folder}"))
        pipe = os.path.join(self.folder, "z.npy")
        os.mkfifo(pipe)
        self.assertIn("is not a file", self.refused(*add, "--input", f"x={pipe}"))
        self.assertIn("not a file", self.refused(*add, "--shape", "x=3", "--save-outputs", self.folder))
        file = self.write("x.npy", npy("<f4", [3], three))
        self.assertIn("cannot vary", self.refused(*add, "--input", f"x={file}", "--vary", "x:0=1..3"))
        self.assertIn("--save-outputs", self.refused(*add, "--shape", "x=3", "--save-outputs", file + "/no"))

    def test_spellings_of_files(self):
        three = struct.pack("<3f", 1, 2, 3)
        for data in (npy("<f4", [3], three).replace(b"(3,)", b"(3L)"), npy("=f4", [3], three), npy("<f4", [3], three, version=3)):
            file = self.write("x.npy", data)
            self.rows(shapes("identity_float"), "--input", f"x={file}", "--repeat", "1")

    def test_inputs_that_are_no_tensors_of_numbers(self):
        text = self.write("text.onnx", model([("Identity", ["x"], "y")], [port("x", 8, [2])], [port("y", 8, [2])]))
        self.assertIn("input 'x' is a string tensor", self.refused(text))
        deep = self.write("deep.onnx", model([("Relu", ["x"], "y")], [port("x", 1, ["N"] * 9)], [port("y", 1, ["N"] * 9)]))
        self.assertIn("tensor of more than 8 dimensions", self.refused(deep))
        long = "x" * 3000
        named = self.write("named.onnx", model([("Relu", [long], "y")], [port(long, 1, [2])], [port("y", 1, [2])]))
        self.assertIn("more than 255 bytes", self.refused(named))

    def test_many_things_that_lack(self):
        names = [letter * 200 for letter in "abcdefghijklmnopqrstuvwxyz"]
        many = self.write("many.onnx", model([("Sum", names, "y")], [port(name, 1, ["N"] * 8) for name in names],
                                             [port("y", 1, ["N"] * 8)]))
        self.assertIn(f"input '{names[0]}' is float[", self.refused(many))
        self.assertIn(", NAME one of: " + names[0], self.refused(many, "--shape", "q=1"))


class Tensors(ModelCase):
    def test_every_element_type_through_files(self):
        for name, (descr, code) in TYPES.items():
            values = [0, 1, 1, 0, 1, 0] if name == "bool" else [0, 1, 2, 3, 100, 7]
            data = struct.pack(f"<6{code}", *values)
            for version in (1, 2):
                file = self.write("x.npy", npy(descr, [2, 3], data, version=version))
                out = os.path.join(self.folder, f"out-{name}-{version}")
                rows = self.rows(shapes("identity_" + name), "--input", f"x={file}", "--save-outputs", out, "--repeat", "2",
                                 "--allocator", "ortpool")
                self.assertEqual(rows[0]["runs"], 2)
                self.assertEqual(read_npy(os.path.join(out, "y.npy")), (descr, (2, 3), data), name)

    def test_every_element_type_at_random(self):
        for name in [*TYPES, "bfloat16"]:
            out = os.path.join(self.folder, name)
            arguments = [shapes("identity_" + name), "--shape", "x=40,3", "--allocator", "ortpool", "--save-outputs", out,
                         "--repeat", "1"]
            digests = [self.rows(*arguments, "--seed", seed)[0]["outputs"] for seed in ("7", "7", "8")]
            self.assertEqual(digests[0], digests[1])
            self.assertNotEqual(digests[0], digests[2], name)
            descr, shape, data = read_npy(os.path.join(out, "y.npy"))
            self.assertEqual(shape, (40, 3))
            if name in TYPES:
                values = struct.unpack(f"<120{TYPES[name][1]}", data)
                self.assertGreater(len(set(values)), 1)
                top = {"bool": 1, "uint8": 255}.get(name, 9 if "int" in name else 0.99999999)
                self.assertTrue(all(0 <= value <= top for value in values), (name, max(values)))
                if "int" in name and name != "uint8":
                    self.assertEqual(set(values), set(range(10)))
            else:
                self.assertEqual(descr, "<u2")

    def test_sums_are_right(self):
        x = self.write("x.npy", npy("<f4", [3], struct.pack("<3f", 1, 2, 3)))
        y = self.write("y.npy", npy("<f4", [3], struct.pack("<3f", 10, 20, 30)))
        for allocator in ALLOCATORS:
            out = os.path.join(self.folder, allocator)
            self.rows(shapes("add"), "--input", f"x={x}", "--input", f"y={y}", "--save-outputs", out, "--allocator", allocator)
            self.assertEqual(struct.unpack("<3f", read_npy(os.path.join(out, "z.npy"))[2]), (11, 22, 33))

    def test_scalars_and_nothing(self):
        file = self.write("x.npy", npy("<i8", [], struct.pack("<q", 5)))
        out = os.path.join(self.folder, "out")
        self.rows(shapes("identity_int64"), "--input", f"x={file}", "--save-outputs", out)
        self.assertEqual(read_npy(os.path.join(out, "y.npy")), ("<i8", (), struct.pack("<q", 5)))
        self.rows(shapes("identity_int64"))  # a scalar, as the graph looks
        self.rows(shapes("identity_float"), "--shape", "x=3,0,2")

    def test_outputs_that_are_no_tensors_of_numbers(self):
        text = field(1, "to") + number(3, 8) + bytes([0xa0, 1, 2])
        for name, node, output in (("text", ("Cast", ["x"], "y", text), port("y", 8, ["N"])),
                                   ("list", ("SequenceConstruct", ["x"], "y"),
                                    field(1, "y") + field(2, field(4, field(1, field(1, number(1, 1))))))):
            path = self.write(name + ".onnx", model([node], [port("x", 1, ["N"])], [output]))
            out = os.path.join(self.folder, name)
            done = cli.run("run", path, "--shape", "x=4", "--repeat", "2", "--save-outputs", out)
            self.ends(done, 0)
            self.assertIn("Outputs: not compared", done.out)
            self.assertEqual(os.listdir(out), [])
            self.assertEqual({row["outputs"] for row in self.rows(path, "--shape", "x=4", "--repeat", "2")}, {None})

    def test_outputs_that_differ(self):
        path = self.write("random.onnx", model([("RandomUniformLike", ["x"], "y")], [port("x", 1, ["N"])],
                                               [port("y", 1, ["N"])]))
        done = cli.run("run", path, "--shape", "x=4", "--repeat", "2")
        self.ends(done, 1)
        self.assertIn("Outputs: NOT the same from all", done.out)
        self.assertEqual(len({row["outputs"] for row in self.rows(path, "--shape", "x=4", code=1)}), 3)

    def test_names_of_outputs_as_files(self):
        odd = self.write("odd.onnx", model([("Relu", ["a:0=1"], "../b/ü")], [port("a:0=1", 1, ["N"])],
                                           [port("../b/ü", 1, ["N"])]))
        out = os.path.join(self.folder, "out")
        self.rows(odd, "--shape", "a:0=1=4", "--vary", "a:0=1:0=2..3", "--save-outputs", out, "--repeat", "2")
        self.assertEqual(os.listdir(out), [".._b___.npy"])
        alike = self.write("alike.onnx", model([("Relu", ["x"], "a/b"), ("Neg", ["x"], "a b"), ("Abs", ["x"], "a:b")],
                                               [port("x", 1, [1])], [port(name, 1, [1]) for name in ("a/b", "a b", "a:b")]))
        out = os.path.join(self.folder, "alike")
        self.rows(alike, "--save-outputs", out, "--repeat", "1")
        self.assertEqual(sorted(os.listdir(out)), ["a_b-1.npy", "a_b-2.npy", "a_b.npy"])


class Figures(ModelCase):
    ENCODER = ["--shape", "trajectory_features=1,64,6", "--shape", "nearest_keys=1,64"]

    def encoder(self):
        return cli.path("models", "swipe-en-usual", "encoder.onnx")

    def test_side_by_side(self):
        rows = self.rows(self.encoder(), *self.ENCODER, "--repeat", "20")
        self.assertEqual([row["allocator"] for row in rows], ALLOCATORS)
        self.assertEqual(len({row["outputs"] for row in rows}), 1)
        for row in rows:
            self.assertEqual(row["runs"], 20)
            self.assertTrue(0 < row["min_ms"] <= row["p50_ms"] <= row["p90_ms"] <= row["p99_ms"] <= row["max_ms"])
            self.assertTrue(row["load_ms"] > 0 and row["first_ms"] > 0 and row["runs_per_second"] > 0)
            if cli.SANITIZED:
                self.assertIsNone(row["heap_allocations_per_run"])
            else:  # a graph of a hundred nodes allocates something for each
                self.assertGreater(row["heap_allocations_per_run"], 50)
            self.assertGreater(row["loaded_bytes"], row["before_bytes"])
        self.assertIsNone(rows[0]["ledger"])
        ledger = rows[2]["ledger"]
        self.assertGreater(ledger["in_use_weights"], 9 << 20)
        self.assertGreater(ledger["idle"], 500 << 10)
        self.assertEqual(rows[2]["ledger_after_trim"]["in_use_run"], 0)
        self.assertLess(rows[2]["ledger_after_trim"]["idle"], ledger["idle"] // 4)
        self.assertEqual(rows[2]["declared_bytes"], ledger["declared"])

    @staticmethod
    def varied(*arguments):
        return ["--vary", "trajectory_features:1=20..60", "--vary", "nearest_keys:1=20..60",
                "--shape", "trajectory_features=1,9,6", "--shape", "nearest_keys=1,9", *arguments]

    def test_shapes_vary(self):
        graph = cli.path("tests", "graphs", "tiny", "encoder.onnx")
        rows = self.rows(graph, *self.varied("--repeat", "100", "--threads", "3"))
        for row in rows:
            self.assertEqual((row["shapes"], row["runs"]), (41, 100))
        self.assertEqual(len({row["outputs"] for row in rows}), 1)
        self.assertEqual(rows[0]["outputs"], self.rows(graph, *self.varied("--allocator", "ort"))[0]["outputs"])
        self.assertEqual(self.rows(shapes("identity_float"), "--shape", "x=2", "--repeat", "1")[0]["shapes"], 1)
        wide = [shapes("add"), "--vary", "x:0=1..100000", "--vary", "y:0=1..100000", "--repeat", "1", "--allocator", "none"]
        self.assertEqual(self.rows(*wide)[0]["shapes"], 256)

    def test_table(self):
        done = cli.run("run", self.encoder(), *self.ENCODER, "--repeat", "10")
        self.ends(done, 0)
        for text in ("encoder.onnx on ONNX Runtime", "10 runs of 1 shape", "a run: p50", "page faults per run",
                     "charged to the budget, peak", "Outputs: the same from all, bit for bit", "Against ORT's arena"):
            self.assertIn(text, done.out)
        self.assertLess(max(map(len, done.out.split("\nAgainst")[0].splitlines()[1:])), 80)
        done = cli.run("run", self.encoder(), *self.ENCODER, "--repeat", "1", "--allocator", "none")
        self.assertNotIn("charged", done.out)
        self.assertNotIn("Outputs", done.out)

    @cli.unittest.skipIf(cli.SANITIZED, "a sanitizer's own memory looks like ONNX Runtime's")
    def test_budget_that_would_do(self):
        for threads in ("1", "3"):
            arguments = [self.encoder(), *self.ENCODER, "--threads", threads, "--repeat", "30"]
            for budget in ("1M", "13M"):
                done = cli.run("run", *arguments, "--budget", budget)
                self.ends(done, 2)
                said = done.err.splitlines()
                self.assertEqual(len(said), 3, done.err)
                self.assertIn("is too small for this model", said[0])
                enough = int(re.search(r"about (\d+) MiB would do: --budget \1M$", said[2]).group(1))
            rows = self.rows(*arguments, "--budget", f"{enough}M")
            self.assertLessEqual(rows[2]["charged_peak_bytes"], enough << 20)
            self.assertEqual(rows[2]["ledger"]["limit"], enough << 20)

    def test_interrupt_ends_with_the_report(self):
        with subprocess.Popen([cli.CLI, "run", self.encoder(), *self.ENCODER, "--repeat", "10000000", "--json"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=cli.SOURCE,
                              start_new_session=True) as process:
            time.sleep(3 if not cli.SANITIZED else 15)
            os.killpg(process.pid, signal.SIGINT)
            out, err = process.communicate(timeout=cli.TIMEOUT)
        self.assertEqual(process.returncode, 128 + signal.SIGINT, err)
        rows = json.loads(out)["rows"]
        self.assertEqual(len(rows), 1)
        self.assertTrue(rows[0]["interrupted"])
        self.assertTrue(0 < rows[0]["runs"] < 10000000)

    def test_signal_to_the_command_alone(self):
        """A supervisor signals the process that it started, not its children."""
        for number, code in ((signal.SIGTERM, 128 + signal.SIGTERM), (signal.SIGKILL, -signal.SIGKILL)):
            with subprocess.Popen([cli.CLI, "run", self.encoder(), *self.ENCODER, "--repeat", "10000000"],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=cli.SOURCE) as process:
                time.sleep(3 if not cli.SANITIZED else 15)
                process.send_signal(number)
                out, _ = process.communicate(timeout=cli.TIMEOUT)  # at an end once no child holds them any more
            self.assertEqual(process.returncode, code)
            self.assertEqual("Interrupted" in out.decode(), number == signal.SIGTERM)

    def test_process_that_dies_is_told_of(self):
        with subprocess.Popen([cli.CLI, "run", self.encoder(), *self.ENCODER, "--repeat", "10000000"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=cli.SOURCE) as process:
            time.sleep(2)
            children = subprocess.run(["pgrep", "-P", str(process.pid)], stdout=subprocess.PIPE, text=True, check=False)
            if children.returncode != 0:
                process.kill()
                self.skipTest("no pgrep")
            os.kill(int(children.stdout.split()[0]), signal.SIGKILL)
            _, err = process.communicate(timeout=cli.TIMEOUT)
        self.assertEqual(process.returncode, 2)
        self.assertIn(b"memory from 'ort' ended with signal 9", err)


if __name__ == "__main__":
    sys.exit(cli.main(sys.modules[__name__]))
