# SPDX-License-Identifier: MIT
"""Models that are none: damaged graphs, manifests that disagree with them, lexicons with bad lines.
Each is a small model copied to a folder of its own; nothing here is written to the project."""

import collections
import copy
import errno
import json
import os
import random
import re
import shutil
import struct
import tempfile

import test_cli as cli

SEED = 20240
FLIPS = 120
GRAPHS = ("encoder.onnx", "decoder.onnx")
WITH_STEP = ("decoder_step.onnx", "weights.bin")


class ModelCase(cli.OrtCase):
    """Each test has `self.folder`, a copy of the small model that may be broken."""

    MODEL = "tiny"

    def setUp(self):
        self.source = cli.path("tests", "graphs", self.MODEL)
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = os.path.join(temporary.name, "model")
        os.mkdir(self.folder)
        for name in GRAPHS + WITH_STEP + ("model.json", "lexicon.tsv"):
            if name not in WITH_STEP or os.path.exists(os.path.join(self.source, name)):
                self.mend(name)
        self.lines = "\n".join(cli.samples(2)) + "\n"

    def at(self, name):
        return os.path.join(self.folder, name)

    def read(self, name):
        with open(os.path.join(self.source, name), "rb") as file:
            return file.read()

    def write(self, name, data):
        with open(self.at(name), "wb") as file:
            file.write(data if isinstance(data, bytes) else data.encode())

    def remove(self, name):
        path = self.at(name)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        elif os.path.lexists(path):
            os.remove(path)

    def mend(self, name):
        self.remove(name)
        shutil.copyfile(os.path.join(self.source, name), self.at(name))

    def ask(self, *arguments):
        return cli.run("predict", "--json", "--model", self.folder, *arguments, stdin=self.lines)

    def refused(self, message, *arguments):
        """The whole of what is said, a regular expression; {F} is the model's folder."""
        for command in ("predict", "eval"):
            done = cli.run(command, "--json", "--model", self.folder, *arguments, "-",
                           stdin=self.lines)
            self.ends(done, 2)
            self.assertEqual(done.out, "")
            pattern = message.replace("{F}", re.escape(self.folder))
            self.assertRegex(done.err, rf"\Aortpool: (?s:{pattern})\n\Z")

    def answered(self, done):
        rows = [json.loads(line) for line in done.out.splitlines()]
        self.assertEqual([row["id"] for row in rows], ["1", "2"])
        return rows


class Graphs(ModelCase):
    def test_pipes_are_no_files(self):
        """A pipe that nobody writes to would be waited for."""
        for name in (*GRAPHS, "lexicon.tsv", "model.json"):
            self.remove(name)
            os.mkfifo(self.at(name))
            self.refused("{F}/" + re.escape(name) + ": cannot be opened: it is a pipe or a device, not a file")
            self.mend(name)

    def test_files_that_are_no_graphs(self):
        graph = "expected an ONNX graph that can be loaded: .+"
        for name in GRAPHS:
            with self.subTest(name):
                self.remove(name)
                self.refused(rf"{{F}}/{name}: cannot be opened: {os.strerror(errno.ENOENT)}")
                os.symlink(name, self.at(name))
                self.refused(rf"{{F}}/{name}: cannot be opened: {os.strerror(errno.ELOOP)}")
                self.remove(name)
                os.mkdir(self.at(name))
                self.refused(rf"{{F}}/{name}: cannot be read: {os.strerror(errno.EISDIR)}")
                self.remove(name)
                self.write(name, b"")
                self.refused(rf"session: {{F}}/{name} is empty: no graph")
                for data in (b"not a graph", b"\0" * 4096, b"\xff" * 4096, self.read("model.json"),
                             self.read("lexicon.tsv")):
                    self.write(name, data)
                    self.refused(rf"{{F}}/{name}: {graph}")
                os.chmod(self.at(name), 0)
                if not os.access(self.at(name), os.R_OK):
                    self.refused(rf"{{F}}/{name}: cannot be opened: {os.strerror(errno.EACCES)}")
                self.mend(name)

    def test_truncated(self):
        """A protobuf message has no end of its own: what is cut between two fields may still load,
        and then something that the manifest names is missing."""
        for name in GRAPHS:
            data = self.read(name)
            lengths = list(range(1, 64, 7)) + list(range(64, len(data), len(data) // 20))
            lengths += [len(data) - cut for cut in (1, 2, 3, 5, 8, 13, 21)]
            for length in lengths:
                with self.subTest(name, length=length):
                    self.write(name, data[:length])
                    done = self.ask()
                    self.ends(done, 2)
                    self.assertEqual(done.out, "")
                    self.assertIn(f"{self.folder}/{name}: ", done.err)
                    self.assertRegex(done.err, r"\Aortpool: (?s:.+: .+)\n\Z")
            self.mend(name)

    def survives(self, name, what):
        """Whatever a damaged graph does: words, an error for each line or one for all, no more."""
        done = self.ask("--no-warmup")
        self.assertIn(done.returncode, (0, 1, 2), f"{what}\n{done.err[-3000:]}")
        if done.returncode == 2:
            self.assertEqual(done.out, "", what)
            self.assertIn(f"{self.folder}/{name}: ", done.err, what)
            return 2
        for row in self.answered(done):
            if "error" in row:
                self.assertRegex(row["error"], r"\Aline [12]: (?s:.*)coder\.onnx: .+", what)
                continue
            for c in row["candidates"]:
                self.assertRegex(c["word"], r"\A[a-z]+\Z", what)
        return done.returncode

    def test_flipped_bits(self):
        """One bit each: in the header, in the middle, among weights, at the end."""
        draw = random.Random(SEED)
        ends = collections.Counter()
        for number in range(FLIPS):
            name = GRAPHS[number % 2]
            data = bytearray(self.read(name))
            where = (draw.randrange(400), draw.randrange(len(data)), -1 - draw.randrange(400))
            position, bit = where[number // 2 % 3], draw.randrange(8)
            data[position] ^= 1 << bit
            self.write(name, bytes(data))
            ends[self.survives(name, f"seed {SEED}, flip {number}: {name} {position} {bit}")] += 1
            self.mend(name)
        # Flips that change nothing of the form and flips that break it were both among them.
        self.assertGreater(min(ends[0], ends[2]), FLIPS // 10, ends)

    def test_overwritten_bytes(self):
        """Some bytes in a row become others: lengths, types and shapes among them."""
        draw = random.Random(SEED + 1)
        for number in range(FLIPS // 2):
            name = GRAPHS[number % 2]
            data = bytearray(self.read(name))
            position, count = draw.randrange(len(data)), draw.randrange(1, 12)
            data[position:position + count] = draw.randbytes(count)
            self.write(name, bytes(data))
            self.survives(name, f"seed {SEED + 1}, number {number}: {name} {position} {count}")
            self.mend(name)

    def weights(self, name, tensor):
        """Where the raw bytes of a named weight lie in a graph (TensorProto 8: name, 9: raw_data)."""
        data = self.read(name)
        field = b"\x42" + bytes([len(tensor)]) + tensor.encode() + b"\x4a"
        self.assertEqual(data.count(field), 1)
        at = data.index(field) + len(field)
        size = shift = 0
        while True:
            byte = data[at]
            at += 1
            size |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return at, size

    def test_weights_that_are_no_numbers(self):
        for value in (float("nan"), float("inf")):
            data = bytearray(self.read("decoder.onnx"))
            at, size = self.weights("decoder.onnx", "token_embedding")
            data[at:at + size] = struct.pack("<f", value) * (size // 4)
            self.write("decoder.onnx", bytes(data))
            done = self.ask("--no-warmup")
            self.ends(done, 1)
            for number, row in enumerate(self.answered(done), 1):
                self.assertEqual(row["error"],
                                 f"line {number}: {self.folder}/decoder.onnx: logits: position 0: no "
                                 "finite probabilities, expected logits that are numbers: a damaged "
                                 "weight, or source_mask_true?")
            # A rehearsal finds it before the first swipe.
            self.refused("warm-up: .+{F}/decoder.onnx: logits: position 0: no finite .+")


def leaves(section, names=()):
    """The fields of a manifest with their values: (("tokens", "pad"), 0), ..."""
    for name, value in section.items():
        yield names + (name,), value
        if isinstance(value, dict):
            yield from leaves(value, names + (name,))


class Manifests(ModelCase):
    """Every field is wrong once in every way, then each that a graph can contradict."""

    # Fields that may be left out: what then holds is in the header.
    OPTIONAL = {"encoder.keys", "encoder.length", "decoder.length", "decoder.memory_layout",
                "beam.length_reward", "beam.stop_margin", "opset", "operators"}
    SECTIONS = None  # those whose fields are tried; None: all

    def change(self, names, value):
        """Writes the manifest with one field another; ...: without it."""
        manifest = json.loads(self.read("model.json"))
        section = manifest
        for name in names[:-1]:
            section = section[name]
        if value is ...:
            section.pop(names[-1], None)
        else:
            section[names[-1]] = value
        self.write("model.json", json.dumps(manifest))

    def test_files_that_are_no_manifests(self):
        text = self.read("model.json").decode()
        cases = [
            ("", r"line 1: .+ near end of file"),
            (" \n\n", r"line 3: .+ near end of file"),
            (b"\0", "line 1: .+"),
            (b"\xff\xfe{}", "line 1: unable to decode byte 0xff"),
            ("nonsense", "line 1: .+ near 'nonsense'"),
            ("[]", "the file: expected a JSON object"),
            ("{}", "max_points: expected an integer from 1 to 65536"),
            (text[:len(text) // 2], r"line \d+: .+"),
            (text + "}", r"line \d+: end of file expected near '}'"),
            (text.replace(",", ",,", 1), r"line 2: string or '}' expected near ','"),
            (text.replace('"hidden"', '"features"'), r"line 8: duplicate object key near '\"features\"'"),
            (text.replace("150", "1e999"), r"line \d+: real number overflow near '1e999'"),
            (text.replace("150", "NaN"), r"line \d+: invalid token near 'NaN'"),
            (text.replace('"tiny"', '"\\u0000"'), r"line \d+: .*NUL.*|name: expected .+"),
            ("[" * 3000, "line 1: maximum parsing depth reached near '['".replace("[", r"\[")),
        ]
        for data, message in cases:
            with self.subTest(message):
                self.write("model.json", data)
                self.refused(rf"{{F}}/model\.json: ({message})")

    def test_what_cannot_be_opened(self):
        self.remove("model.json")
        os.mkdir(self.at("model.json"))
        self.refused(rf"{{F}}/model\.json: cannot be read: {os.strerror(errno.EISDIR)}")
        self.remove("model.json")
        none = r"--model: no model in '{F}': model\.json cannot be read there: "
        self.refused(none + os.strerror(errno.ENOENT))
        os.symlink("model.json", self.at("model.json"))
        self.refused(none + os.strerror(errno.ELOOP))
        for name, number in (("m" * 300, errno.ENAMETOOLONG), ("m" * 5000, errno.ENAMETOOLONG),
                             (cli.path("README.md"), errno.ENOTDIR)):
            done = cli.run("predict", "--model", name)
            self.ends(done, 2)
            self.assertIn("ortpool: --model: no model in '", done.err)
            self.assertIn(f"cannot be read there: {os.strerror(number)}\n", done.err)

    def test_every_field(self):
        """Without it, and as each other type: the message names file and field."""
        for names, value in list(leaves(json.loads(self.read("model.json")))):
            field = ".".join(names)
            if self.SECTIONS is not None and names[0] not in self.SECTIONS:
                continue
            for wrong in (..., None, True, [], [[]], "", -1, {"a": 1}):
                optional = field in self.OPTIONAL and wrong is ...
                if optional or (field == "beam.length_reward" and wrong == -1):
                    continue
                with self.subTest(field, wrong=wrong):
                    self.change(names, wrong)
                    below = r"(\.\w+)?" if isinstance(value, dict) and wrong == {"a": 1} else ""
                    below += r"(\[0\])?" if isinstance(value, list) else ""
                    named = field if (field, wrong) != ("layout.rows", [[]]) else "layout.offsets"
                    done = self.ask()
                    self.ends(done, 2)
                    self.assertEqual(done.out, "")
                    self.assertRegex(done.err, rf"\Aortpool: {re.escape(self.folder)}/model\.json: "
                                               rf"{re.escape(named)}{below}: expected .+\n\Z")

    def test_values_out_of_range(self):
        M = r"{F}/model\.json: "
        cases = [
            ("max_points", 0, "max_points: expected an integer from 1 to 65536"),
            ("max_points", 65537, "max_points: expected an integer from 1 to 65536"),
            ("max_points", 150.5, "max_points: expected an integer from 1 to 65536"),
            ("max_points", 1 << 62, "max_points: expected an integer from 1 to 65536"),
            ("max_points", 64, "buckets: expected the last one to be max_points"),
            ("buckets", [32, 64], "buckets: expected the last one to be max_points"),
            ("buckets", [150, 32], r"buckets\[1\]: expected an integer from 151 to 65536"),
            ("buckets", [32, 32, 150], r"buckets\[1\]: expected an integer from 33 to 65536"),
            ("buckets", list(range(1, 18)), "buckets: expected an array of 1 to 16 integers"),
            ("features", 7, "features: expected an integer from 6 to 6"),
            ("max_tokens", 1, "max_tokens: expected an integer from 2 to 4096"),
            ("vocabulary", 1 << 40, "vocabulary: expected an integer from 26 to 1048576"),
            ("vocabulary", 29, "tokens.first_letter: expected an integer from 0 to 3"),
            ("tokens.eos", 30, "tokens.eos: expected an integer from 0 to 29"),
            ("tokens.unk", 2, "tokens.sos: expected a token of its own"),
            ("tokens.pad", 5, "tokens.first_letter: 4, expected 26 tokens .+ without tokens.pad, 5"),
            ("tokens.first_letter", 0,
             "tokens.first_letter: 0, expected 26 tokens .+ without tokens.pad, 0"),
            ("decoder.memory_layout", "x", 'decoder.memory_layout: expected "broadcast" or "replicated"'),
            ("source_mask_true", "x", 'source_mask_true: expected "padding" or "valid"'),
            ("beam.width", 33, "beam.width: expected an integer from 1 to 32"),
            ("beam.frequency_weight", -0.1, "beam.frequency_weight: expected a number of at least 0"),
            ("beam.stop_margin", -3, "beam.stop_margin: expected a number of at least 0"),
            ("beam.look_ahead", -0.1, "beam.look_ahead: expected a number of at least 0"),
            ("beam.ctc_weight", -0.1, "beam.ctc_weight: expected a number of at least 0"),
            ("beam.ctc_weight", 0.1, "beam.ctc_weight: expected 0, since the encoder has no ctc"),
            ("encoder.ctc", 7, "encoder.ctc: expected .+"),
            ("scaling.position", "x", 'scaling.position: expected "2x-1"'),
            ("scaling.divide_by", 1e-320, "scaling.divide_by: expected a number that leaves .+"),
            ("layout.rows", ["abc", "abc", "d"], r"layout.rows\[1\]: expected each letter at most once .+"),
            ("layout.rows", ["\u00e9", "a", "b"], r"layout.rows\[0\]: expected letters a to z only"),
            ("layout.columns", 3, r"layout.offsets\[0\]: expected a number .+ within the columns"),
            ("layout.offsets", [0, 0], "layout.offsets: expected an array of one number per row"),
            ("lexicon", "n" * 5000, "lexicon: expected a path that .+ below 1,024 bytes"),
            ("min_ort", "x", 'min_ort: expected a version such as "1.18" or "1.18.0"'),
            ("min_ort", "99.0", r"needs ONNX Runtime 99.0 or later, this is \d+\.\d+.*"),
        ]
        for field, value, message in cases:
            with self.subTest(field, value=value):
                self.change(field.split("."), value)
                self.refused(M + message)

    def disagrees(self, cases):
        for field, value, message in cases:
            with self.subTest(field, value=value):
                self.change(field.split("."), value)
                self.refused("{F}/" + message)

    def test_graphs_that_disagree(self):
        """Graph, port, what was found and what was expected."""
        E, D = r"encoder\.onnx: ", r"decoder\.onnx: "
        self.disagrees([
            ("hidden", 15, E + r"memory 'memory': found float \[1,\?,16\], expected float \[1,S,15\]"),
            ("max_tokens", 19, D + r"tokens 'target_tokens': found int32 \[\?,20\], "
                                   r"expected int32 or int64 \[rows,19\]"),
            ("max_tokens", 4096, D + r"tokens 'target_tokens': found int32 \[\?,20\], "
                                     r"expected int32 or int64 \[rows,4096\]"),
            ("vocabulary", 31, D + r"logits 'logits': found float \[\?,20,30\], "
                                   r"expected float \[rows,20,31\]"),
            ("encoder.features", "no", E + "no input 'no', which the manifest names as features"),
            ("encoder.features", "nearest_keys", E + r"features 'nearest_keys': found int32 \[1,\?\], "
                                                     r"expected float \[1,S,6\]"),
            ("encoder.keys", "no", E + "no input 'no', which the manifest names as keys"),
            ("encoder.keys", "trajectory_features",
             E + r"keys 'trajectory_features': found float \[1,\?,6\], expected int32 or int64 \[1,S\]"),
            ("encoder.keys", ..., E + "found 3 inputs, expected the 2 that the manifest names: "
                                      "'nearest_keys' has no role"),
            ("encoder.length", "no", E + "no input 'no', which the manifest names as length"),
            ("encoder.length", "nearest_keys", E + r"length 'nearest_keys': found int32 \[1,\?\], "
                                                   r"expected int32 or int64 \[1\]"),
            ("encoder.source_mask", "no", E + "no input 'no', which the manifest names as source_mask"),
            ("encoder.memory", "no", E + "no output 'no', which the manifest names as memory"),
            ("encoder.ctc", "no", E + "no output 'no', which the manifest names as ctc"),
            ("decoder.memory", "no", D + "no input 'no', which the manifest names as memory"),
            ("decoder.memory", "target_tokens", D + r"memory 'target_tokens': found int32 \[\?,20\], "
                                                    r"expected float \[1,S,16\]"),
            ("decoder.memory_layout", "replicated",
             D + r"memory 'memory': found float \[1,\?,16\], expected float \[rows,S,16\]"),
            ("decoder.tokens", "no", D + "no input 'no', which the manifest names as tokens"),
            ("decoder.tokens", "actual_src_length",
             D + r"tokens 'actual_src_length': found int32 \[1\], expected int32 or int64 \[rows,20\]"),
            ("decoder.length", "no", D + "no input 'no', which the manifest names as length"),
            ("decoder.source_mask", "no", D + "no input 'no', which the manifest names as source_mask"),
            ("decoder.logits", "no", D + "no output 'no', which the manifest names as logits"),
            ("graphs.encoder", "decoder.onnx",
             D + "no input 'trajectory_features', which the manifest names as features"),
            ("graphs.decoder", "encoder.onnx", E + "no input 'memory', which the manifest names as memory"),
            ("graphs.decoder", "model.json",
             r"model\.json: expected an ONNX graph that can be loaded: .+"),
            ("graphs.encoder", "none.onnx", r"none\.onnx: cannot be opened: No such file or directory"),
            ("lexicon", "none.tsv", r"none\.tsv: cannot be opened: No such file or directory"),
            ("lexicon", "model.json", r"model\.json:1: byte 0x7B in a word, expected a to z"),
        ])


class MaskManifests(Manifests):
    """The model that takes masks and replicated memory: what only it can disagree about."""

    MODEL = "mask"
    OPTIONAL = Manifests.OPTIONAL | {"encoder.source_mask", "decoder.source_mask", "source_mask_true"}
    test_files_that_are_no_manifests = test_what_cannot_be_opened = None
    test_values_out_of_range = None

    def test_graphs_that_disagree(self):
        E, D = r"encoder\.onnx: ", r"decoder\.onnx: "
        self.disagrees([
            ("hidden", 13, E + r"memory 'memory': found float \[1,\?,12\], expected float \[1,S,13\]"),
            ("encoder.source_mask", "nearest_keys",
             E + r"source_mask 'nearest_keys': found int64 \[1,\?\], expected bool \[1,S\]"),
            ("decoder.source_mask", "target_tokens",
             D + r"source_mask 'target_tokens': found int64 \[\?,20\], expected bool \[rows,S\]"),
            ("encoder.source_mask", ...,
             r"model\.json: encoder.length: expected this or source_mask, .+"),
            ("decoder.length", "src_mask",
             D + r"length 'src_mask': found bool \[\?,\?\], expected int32 or int64 \[1\]"),
        ])

    def test_mask_the_wrong_way(self):
        """No type can tell; that all attention is on padding shows in the first run."""
        self.change(["source_mask_true"], "valid")
        self.refused("warm-up: .+{F}/decoder.onnx: .+ no finite probabilities, .+ source_mask_true.")


class CtcManifests(Manifests):
    """The model with a decoder's step and a CTC head, whose beams look ahead."""

    MODEL = "ctc"
    # Without its head the manifest may not weigh it: see below.
    OPTIONAL = Manifests.OPTIONAL | {"encoder.ctc", "beam.ctc_weight", "beam.look_ahead"}
    SECTIONS = ("encoder", "decoder_step", "beam")
    test_files_that_are_no_manifests = test_what_cannot_be_opened = None

    def test_values_out_of_range(self):
        M = r"{F}/model\.json: "
        for field, value, message in (
                ("beam.ctc_weight", -0.5, "beam.ctc_weight: expected a number of at least 0"),
                ("beam.ctc_weight", "0.5", "beam.ctc_weight: expected a number of at least 0"),
                ("beam.look_ahead", -0.5, "beam.look_ahead: expected a number of at least 0"),
                ("beam.look_ahead", "0.5", "beam.look_ahead: expected a number of at least 0"),
                ("encoder.ctc", ..., "beam.ctc_weight: expected 0, since the encoder has no ctc"),
                ("encoder.ctc", "memory", "encoder.ctc: expected another output than memory")):
            with self.subTest(field, value=value):
                self.change(field.split("."), value)
                self.refused(M + message)

    def test_graphs_that_disagree(self):
        E = r"encoder\.onnx: "
        self.disagrees([
            ("encoder.ctc", "no", E + "no output 'no', which the manifest names as ctc"),
            ("encoder.ctc", "nearest_keys",
             E + "no output 'nearest_keys', which the manifest names as ctc"),
            ("encoder.ctc", "cross_key_0",
             E + r"ctc 'cross_key_0': found float \[1,2,\?,8\], expected float \[1,S,30\]"),
            ("vocabulary", 31, E + r"ctc 'ctc': found float \[1,\?,30\], expected float \[1,S,31\]"),
        ])

    def test_a_head_whose_weights_are_no_numbers(self):
        """The decoder's logits are well: nothing else would tell."""
        with open(os.path.join(self.source, "encoder.onnx"), "rb") as file:
            data = bytearray(file.read())
        field = b"w.ctc.bias\x4a"  # TensorProto 8: name, 9: raw_data
        if data.count(field) != 1:
            self.skipTest("the bias lies elsewhere")
        at = data.index(field) + len(field)
        size = 30 * 4
        self.assertEqual(data[at], size)
        data[at + 1:at + 1 + size] = struct.pack("<f", float("nan")) * 30
        self.write("encoder.onnx", bytes(data))
        done = self.ask("--no-warmup")
        self.ends(done, 1)
        message = (f"{self.folder}/encoder.onnx: ctc: no probabilities, expected numbers from 0 to 1: "
                   "a damaged weight, or no softmax?")
        for number, row in enumerate(self.answered(done), 1):
            self.assertEqual(row["error"], f"line {number}: {message}")
        self.refused("warm-up: .+{F}/encoder.onnx: ctc: no probabilities, .+")
        # Who does not weigh it never reads it.
        self.change(["beam", "ctc_weight"], 0)
        self.ends(self.ask(), 0)


class Lexicons(ModelCase):
    LONG = "x" * 1000000

    def test_bad_lines(self):
        good = b"one\t1\ntwo\t2\n"
        count = "expected a count after the tab, digits only"
        end = "expected the end of the line after the count, digits only"
        cases = [
            ("empty file", b"", ': no words at all, expected lines "word<tab>count"'),
            ("blank lines alone", b"\n\n\n", ":1: an empty word"),
            ("NUL in a word", good + b"th\0ree\t3\n", ":3: byte 0x00 in a word, expected a to z"),
            ("NUL alone", b"\0", ":1: byte 0x00 in a word, expected a to z"),
            ("invalid UTF-8", good + b"thr\xffee\t3\n", ":3: byte 0xFF in a word, expected a to z"),
            ("a letter beyond z", "one\t1\ncaf\u00e9\t2\n".encode(), ":2: byte 0xC3 in a word, .+"),
            ("capitals", good + b"Three\t3\n", ":3: byte 0x54 in a word, expected a to z"),
            ("apostrophe", b"it's\t1\n", ":1: byte 0x27 in a word, expected a to z"),
            ("byte order mark", b"\xef\xbb\xbf" + good, ":1: byte 0xEF in a word, expected a to z"),
            ("UTF-16", "one\t1\n".encode("utf-16"), ":1: byte 0xFF in a word, expected a to z"),
            ("blanks for the tab", good + b"three 3\n", ":3: byte 0x20 in a word, expected a to z"),
            ("no tab", good + b"three\n", ":3: expected a tab and a count after the word"),
            ("no tab at the end", good + b"three", ":3: expected a tab and a count after the word"),
            ("no word", good + b"\t3\n", ":3: an empty word"),
            ("blank line", b"one\t1\n\ntwo\t2\n", ":2: an empty word"),
            ("no count", good + b"three\t\n", f":3: {count}"),
            ("negative count", good + b"three\t-3\n", f":3: {count}"),
            ("count NaN", good + b"three\tnan\n", f":3: {count}"),
            ("count inf", good + b"three\tinf\n", f":3: {count}"),
            ("count with a plus", good + b"three\t+3\n", f":3: {count}"),
            ("fraction", good + b"three\t3.5\n", f":3: {end}"),
            ("exponent", good + b"three\t3e9\n", f":3: {end}"),
            ("hexadecimal", good + b"three\t0x3\n", f":3: {end}"),
            ("huge count", good + b"three\t9223372036854775808\n", r":3: a count above 2\^63-1"),
            ("count of 1 MB", good + b"three\t" + b"9" * 1000000 + b"\n", r":3: a count above 2\^63-1"),
            ("third column", good + b"three\t3\t3\n", f":3: {end}"),
            ("blank at the end", good + b"three\t3 \n", f":3: {end}"),
            ("return alone", b"one\t1\rtwo\t2\r", f":1: {end}"),
            ("word of 63 letters", good + b"x" * 63 + b"\t3\n",
             ":3: a word of 63 letters, expected at most 62"),
            ("word of 1 MB", good + self.LONG.encode() + b"\t3\n",
             ":3: a word of 1000000 letters, expected at most 62"),
            ("line of 1 MB without a tab", good + self.LONG.encode(),
             ":3: expected a tab and a count after the word"),
            ("binary", self.read("encoder.onnx"), r":1: byte 0x[0-9A-F]{2} in a word, expected a to z"),
            ("a late line", b"one\t1\n" * 5000 + b"two\n", ":5001: expected a tab and a count .+"),
        ]
        for name, data, message in cases:
            with self.subTest(name):
                self.write("lexicon.tsv", data)
                self.refused(rf"{{F}}/lexicon\.tsv{message}")

    def test_what_cannot_be_read(self):
        name = r"{F}/lexicon\.tsv: "
        self.remove("lexicon.tsv")
        self.refused(name + f"cannot be opened: {os.strerror(errno.ENOENT)}")
        os.symlink("lexicon.tsv", self.at("lexicon.tsv"))
        self.refused(name + f"cannot be opened: {os.strerror(errno.ELOOP)}")
        self.remove("lexicon.tsv")
        os.mkdir(self.at("lexicon.tsv"))
        self.refused(name + f"cannot be read: {os.strerror(errno.EISDIR)}")
        self.remove("lexicon.tsv")
        self.write("lexicon.tsv", b"")
        os.truncate(self.at("lexicon.tsv"), (1 << 30) + 1)  # all of it a hole
        self.refused(name + "too large for a word list, expected at most 1024 MiB")

    def test_what_looks_odd_is_read(self):
        """The same words in another order, with other line ends or twice: the same answers."""
        reference = [row["candidates"] for row in self.answered(self.ask("--no-warmup"))]
        lines = self.read("lexicon.tsv").splitlines()
        random.Random(SEED).shuffle(lines)
        twice = [line.split(b"\t")[0] + b"\t0" for line in lines]
        for data in (b"\n".join(lines), b"\r\n".join(lines) + b"\r\n", b"\n".join(lines + twice),
                     b"\n".join(twice + lines + lines)):
            self.write("lexicon.tsv", data)
            done = self.ask("--no-warmup")
            self.ends(done, 0)
            self.assertEqual([row["candidates"] for row in self.answered(done)], reference)

    def test_one_word(self):
        self.write("lexicon.tsv", "to\t9223372036854775807")
        done = self.ask()
        self.ends(done, 0)
        for row in self.answered(done):
            self.assertEqual([c["word"] for c in row["candidates"]], ["to"])
