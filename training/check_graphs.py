#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Check a folder of graphs that export_graphs.py wrote, its parts against each other and a usual export.

What is compared, as the largest difference of any value over all rows:
    memory     encoder against the usual encoder, at the points that are there; ctc: the same, where there is one
    logits     decoder against the usual decoder, each behind its own encoder, at all positions
    padded     encoder of points padded to each bucket of the manifest, against the same points alone
    alone      decoder of one beam, against the same beam among seven others
    step       decoder_step, token by token up to the last position, against decoder, for 1, 8 and 32 beams
               that change places at random after each step; places of the buffers not yet written hold NaN
and for logits how often the best token is the same. What decoder and decoder_step get is padded to the least
bucket; without a manifest in FOLDER nothing is padded.

A row of ROWS is a line of JSON with x, y, t, keyboard and word, as convert_hws.py writes them. Without ROWS
the points are random.

usage: check_graphs.py FOLDER [--usual FOLDER] [--rows ROWS] [--limit N] [--tolerance T]
Exit 0; 1 a difference above the tolerance (1e-3; 1 for int8), or a graph that this
ONNX Runtime cannot open though the manifest says that it can. Needs NumPy and onnxruntime.
"""

import argparse
import collections
import gzip
import json
import os
import sys

import numpy as np

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # ORT would start a telemetry client
import onnxruntime  # noqa: E402

POINTS, FEATURES, TOKENS, SOS, EOS, FIRST_LETTER = 150, 6, 20, 2, 3, 4
BEAMS = (1, 8, 32)
INT8_TOLERANCE = 1.0  # logits
STEP_ROWS = 10  # rows whose steps are run; all rows are for the other comparisons
KEY_ROWS = (("qwertyuiop", 0.0), ("asdfghjkl", 0.5), ("zxcvbnm", 1.5))


def key_centres():
    centres = np.zeros((26, 2))
    for row, (letters, offset) in enumerate(KEY_ROWS):
        for column, letter in enumerate(letters):
            centres[ord(letter) - ord("a")] = (column + 0.5 + offset) / 10, (row + 0.5) / 3
    return centres


def features_of(row):
    """Features [1,S,6] and nearest keys [1,S] as the model notes define them."""
    keyboard = row["keyboard"]
    x, y = np.array(row["x"]) / keyboard["width"], np.array(row["y"]) / keyboard["height"]
    t = np.array(row["t"]) / 1000
    if len(x) > POINTS:
        old, new = np.arange(len(x)), np.linspace(0, len(x) - 1, POINTS)
        x, y, t = (np.interp(new, old, values) for values in (x, y, t))
    place = np.stack([x, y], axis=1)
    speed = np.zeros_like(place)
    speed[1:] = np.diff(place, axis=0) / np.maximum(np.diff(t), 0.004)[:, None]
    change = np.zeros_like(place)
    change[1:] = np.diff(speed, axis=0)
    both = np.concatenate([2 * place - 1, np.clip(speed, -10, 10) / 3, np.clip(change, -10, 10) / 3], axis=1)
    distance = ((place[:, None] - key_centres()[None]) * [10, 3]) ** 2
    return both.astype(np.float32)[None], (distance.sum(-1).argmin(1) + FIRST_LETTER).astype(np.int32)[None]


def tokens_of(word):
    tokens = np.zeros((1, TOKENS), np.int32)
    letters = [SOS] + [ord(letter) - ord("a") + FIRST_LETTER for letter in word] + [EOS]
    tokens[0, :min(len(letters), TOKENS)] = letters[:TOKENS]
    return tokens


def read_rows(path, limit):
    """(features, keys, tokens) of each row."""
    opened = gzip.open if path.endswith(".gz") else open
    rows = []
    with opened(path, "rt", encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if limit and len(rows) == limit:
                break
            row = json.loads(line)
            missing = {"x", "y", "t", "keyboard", "word"} - set(row)
            if missing:
                raise SystemExit(f"{path}:{number}: no {', '.join(sorted(missing))}")
            if all("a" <= letter <= "z" for letter in row["word"]):
                rows.append((*features_of(row), tokens_of(row["word"])))
    return rows


def random_rows(random, count):
    rows = []
    for _ in range(count):
        points = int(random.integers(1, POINTS + 1))
        rows.append((random.normal(0, 0.5, (1, points, FEATURES)).astype(np.float32),
                     random.integers(FIRST_LETTER, FIRST_LETTER + 26, (1, points)).astype(np.int32),
                     random.integers(FIRST_LETTER, FIRST_LETTER + 26, (1, TOKENS)).astype(np.int32)))
    return rows


def scalar(number):
    return np.array([number], np.int32)


class Model:
    """The graphs of a folder."""

    def __init__(self, folder):
        self.folder = folder
        self.sessions = {}
        path = os.path.join(folder, "model.json")
        self.manifest = {}
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                self.manifest = json.load(file)

    def open(self, name):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        path = os.path.join(self.folder, name + ".onnx")
        self.sessions[name] = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def encode(self, features, keys, length, outputs):
        feed = {"trajectory_features": features, "nearest_keys": keys, "actual_length": scalar(length)}
        return self.sessions["encoder"].run(outputs, feed)

    def decode(self, memory, tokens, length):
        feed = {"memory": memory, "target_tokens": tokens, "actual_src_length": scalar(length)}
        return self.sessions["decoder"].run(["logits"], feed)[0]


class Steps:
    """The keys and values of beams, and the table that says where each beam's are."""

    def __init__(self, session, cross, length, beams):
        self.session, self.beams = session, beams
        self.binding = session.io_binding()
        value = onnxruntime.OrtValue.ortvalue_from_numpy
        self.values = {"src_length": value(scalar(length)), "beam_width": value(scalar(beams))}
        shapes = {port.name: port.shape for port in session.get_inputs()}
        for name, array in cross.items():
            self.values[name] = value(array)
        for name in shapes:
            if name.startswith("past_") and name != "past_length":
                self.values[name] = value(np.full((beams, *shapes[name][1:]), np.nan, np.float32))
                self.binding.bind_ortvalue_output(name.replace("past", "present"), self.values[name])
        self.binding.bind_output("logits")
        self.table = np.zeros((beams, TOKENS), np.int32)

    def run(self, tokens, past):
        value = onnxruntime.OrtValue.ortvalue_from_numpy
        self.values["token"] = value(tokens)
        self.values["past_length"] = value(scalar(past))
        self.values["indirection"] = value(self.table[None].copy())
        for name, held in self.values.items():
            self.binding.bind_ortvalue_input(name, held)
        self.session.run_with_iobinding(self.binding)
        self.table[:, past] = np.arange(self.beams)
        return self.binding.get_outputs()[-1].numpy()

    def reorder(self, parents):
        self.table = self.table[parents]


def describe(model, name):
    """Print the operators; True where some quantise."""
    import onnx  # pylint: disable=import-outside-toplevel
    graph = onnx.load(os.path.join(model.folder, name + ".onnx"), load_external_data=False).graph
    count = collections.Counter(node.op_type for node in graph.node)
    print(f"{name}: {len(graph.node)} nodes: " + ", ".join(f"{count[key]} {key}" for key in sorted(count)))
    return any("Quantize" in key for key in count)


def version(text):
    return tuple(int(part) for part in text.split(".")[:2])


class Result:
    """The largest difference of each comparison, and how often the best token was the same."""

    def __init__(self):
        self.worst, self.same = {}, collections.defaultdict(list)

    def note(self, name, got, wanted, logits=True):
        difference = np.abs(got - wanted).max()
        if not np.isfinite(difference):
            difference = np.inf
        self.worst[name] = max(self.worst.get(name, 0.0), difference)
        if logits:
            self.same[name].append(np.mean(got.argmax(-1) == wanted.argmax(-1)))

    def print(self):
        for name, difference in self.worst.items():
            share = f", best token the same {100 * np.mean(self.same[name]):.2f} %" if self.same[name] else ""
            print(f"{name}: {difference:.3g}{share}")


def padded(features, keys, size):
    extra = size - keys.shape[1]
    return np.pad(features, ((0, 0), (0, extra), (0, 0))), np.pad(keys, ((0, 0), (0, extra)))


def check_encoder(result, model, usual, features, keys, sizes):
    length = keys.shape[1]
    names = [port.name for port in model.sessions["encoder"].get_outputs() if port.name in ("memory", "ctc")]
    outputs = model.encode(features, keys, length, names)
    if usual:
        for name, output, wanted in zip(names, outputs, usual.encode(features, keys, length, names)):
            result.note(name, output, wanted, logits=False)
    for size in sizes:
        for output, wide in zip(outputs, model.encode(*padded(features, keys, size), length, names)):
            result.note("padded", wide[:, :length], output, logits=False)


def check_decoder(result, model, usual, features, keys, tokens, memory, random):
    length = keys.shape[1]
    written = tokens[0] != 0
    logits = model.decode(memory, tokens, length)
    if usual:
        wanted = usual.decode(usual.encode(features, keys, length, ["memory"])[0], tokens, length)
        result.note("logits", logits[:, written], wanted[:, written])
    others = random.integers(FIRST_LETTER, FIRST_LETTER + 26, (7, TOKENS)).astype(np.int32)
    among = model.decode(memory, np.concatenate([tokens, others]), length)[:1]
    result.note("alone", among[:, written], logits[:, written])


def check_steps(result, model, cross, memory, length, beams, random):
    steps = Steps(model.sessions["decoder_step"], cross, length, beams)
    tokens = np.zeros((beams, TOKENS), np.int32)
    tokens[:, 0] = SOS
    for past in range(TOKENS - 1):
        got = steps.run(np.ascontiguousarray(tokens[:, past]), past)
        result.note(f"step, {beams} beams", got, model.decode(memory, tokens, length)[:, past])
        parents = random.integers(0, beams, beams)
        steps.reorder(parents)
        tokens = tokens[parents]
        tokens[:, past + 1] = random.integers(FIRST_LETTER, FIRST_LETTER + 26, beams)


def main():
    parser = argparse.ArgumentParser(description="Checks exported graphs: see the file's head.")
    parser.add_argument("folder")
    parser.add_argument("--usual", metavar="FOLDER", help="encoder.onnx and decoder.onnx of the same weights")
    parser.add_argument("--rows", metavar="ROWS")
    parser.add_argument("--limit", type=int, default=0, help="that many rows; 20 where they are random")
    parser.add_argument("--tolerance", type=float)
    arguments = parser.parse_args()
    random = np.random.default_rng(1)
    for folder in filter(None, (arguments.folder, arguments.usual)):
        for name in ("encoder.onnx", "decoder.onnx"):
            if not os.path.exists(os.path.join(folder, name)):
                raise SystemExit(f"{folder}: no {name} there")
    print(f"ONNX Runtime {onnxruntime.__version__}")
    model, usual = Model(arguments.folder), None
    quantised = [describe(model, name) for name in ("encoder", "decoder", "decoder_step")]
    tolerance = arguments.tolerance if arguments.tolerance is not None else INT8_TOLERANCE if any(quantised) else 1e-3
    if arguments.rows:
        rows = read_rows(arguments.rows, arguments.limit)
    else:
        rows = random_rows(random, arguments.limit or 20)
    model.open("encoder")
    model.open("decoder")
    least = model.manifest.get("decoder_step", {}).get("min_ort", "0.0")
    stepping = version(onnxruntime.__version__) >= version(least)
    if stepping:
        model.open("decoder_step")
    else:
        print(f"decoder_step: left out, needs {least}")
    if arguments.usual:
        usual = Model(arguments.usual)
        usual.open("encoder")
        usual.open("decoder")

    result = Result()
    outputs = [port.name for port in model.sessions["encoder"].get_outputs()]
    for number, (features, keys, tokens) in enumerate(rows):
        length = keys.shape[1]
        sizes = [size for size in model.manifest.get("buckets", []) if size >= length]
        check_encoder(result, model, usual, features, keys, sizes)
        wide = padded(features, keys, sizes[0] if sizes else length)
        cross = dict(zip(outputs, model.encode(*wide, length, outputs)))
        memory = cross.pop("memory")
        cross.pop("ctc", None)
        check_decoder(result, model, usual, features, keys, tokens, memory, random)
        for beams in BEAMS if stepping and number < STEP_ROWS else ():
            check_steps(result, model, cross, memory, length, beams, random)
    print(f"{len(rows)} rows")
    result.print()
    bad = [name for name, difference in result.worst.items() if difference > tolerance]
    if bad:
        print("above the tolerance: " + "; ".join(bad))
    return 1 if bad or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
