#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The rows that `ortpool bench` compares with, held against plain Python that does the same: neither may be slower.

    scripts/bench_python.py [--model DIR] [--program ortpool] [--rounds N] [--most N] [--json FILE]

Python's naive and well used predict the same swipes with the same search, through onnxruntime (PyPI) and NumPy; what is
not compared (features, lexicon) is made beforehand or looked up in dictionaries. The two C rows are processes of
`ortpool bench`. All four predict in turns. Words must be equal. Exit status 1 where words differ or a C row is slower
than Python beyond NOISE.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time

import numpy as np
import onnxruntime

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TOP, "training"))
from check_graphs import features_of  # noqa: E402

NOISE = 1.05
STOP_RANK = 3


class Words:
    """The lexicon as a trie: node -> {token: node}, and log counts where a word ends."""

    def __init__(self, path, first_letter):
        self.next, self.log_count = [{}], {}
        with open(path, encoding="utf-8") as file:
            for line in file:
                word, count = line.rstrip("\n").split("\t")
                node = 0
                for letter in word:
                    token = ord(letter) - ord("a") + first_letter
                    if token not in self.next[node]:
                        self.next[node][token] = len(self.next)
                        self.next.append({})
                    node = self.next[node][token]
                self.log_count[node] = math.log1p(float(count))


class Model:
    def __init__(self, folder):
        with open(os.path.join(folder, "model.json"), encoding="utf-8") as file:
            self.manifest = json.load(file)
        m = self.manifest
        self.tokens, self.beam = m["tokens"], m["beam"]
        self.words = Words(os.path.join(folder, m["lexicon"]), self.tokens["first_letter"])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.encoder, self.decoder = (
            onnxruntime.InferenceSession(os.path.join(folder, m["graphs"][name]), options, providers=["CPUExecutionProvider"])
            for name in ("encoder", "decoder")
        )

    def inputs(self, swipe):
        features, keys = features_of(swipe)
        length = features.shape[1]
        bucket = next(size for size in self.manifest["buckets"] if size >= length)
        padded = np.zeros((1, bucket, features.shape[2]), np.float32)
        padded[:, :length] = features
        padded_keys = np.zeros((1, bucket), np.int32)
        padded_keys[:, :length] = keys
        return padded, padded_keys, np.array([length], np.int32)


def log_softmax(logits):
    logits = logits.astype(np.float64)
    top = logits.max(axis=-1, keepdims=True)
    return logits - top - np.log(np.exp(logits - top).sum(axis=-1, keepdims=True))


def search(model, next_logits):
    """The three best words. next_logits(prefixes) -> [n, V], after each prefix."""
    m, words = model.manifest, model.words
    width, reward = model.beam["width"], model.beam["length_reward"]
    weight, margin = model.beam["frequency_weight"], model.beam.get("stop_margin", 0)
    eos, first = model.tokens["eos"], model.tokens["first_letter"]
    live, finished = [(0.0, (), 0)], []
    for step in range(1, m["max_tokens"]):
        if not live:
            break
        log_probs = log_softmax(next_logits([beam[1] for beam in live]))
        candidates = []
        for (total, tokens, node), row in zip(live, log_probs):
            if node in words.log_count:
                score = total + row[eos] + reward * len(tokens) + weight * words.log_count[node]
                finished.append((score, tokens))
            if step + 1 < m["max_tokens"]:
                for token, child in words.next[node].items():
                    candidates.append((total + row[token], tokens + (token,), child))
        candidates.sort(key=lambda c: -c[0])
        live = candidates[:width]
        finished.sort(key=lambda f: -f[0])
        if margin > 0 and len(finished) >= STOP_RANK:
            least = finished[STOP_RANK - 1][0] - margin - reward * step
            live = [beam for beam in live if beam[0] > least]
    return ["".join(chr(ord("a") + t - first) for t in tokens) for _, tokens in finished[:3]]


class Naive:
    """A decoder run for each beam and step; tensors are made for each run."""

    def __init__(self, model):
        self.model = model

    def predict(self, inputs):
        model, m = self.model, self.model.manifest
        names = m["encoder"]
        memory = model.encoder.run([names["memory"]], dict(zip((names["features"], names["keys"], names["length"]), inputs)))[0]

        def next_logits(prefixes):
            rows = []
            for prefix in prefixes:
                tokens = np.full((1, m["max_tokens"]), model.tokens["pad"], np.int32)
                tokens[0, : len(prefix) + 1] = (model.tokens["sos"], *prefix)
                feed = {m["decoder"]["memory"]: memory, m["decoder"]["tokens"]: tokens, m["decoder"]["length"]: inputs[2]}
                rows.append(model.decoder.run([m["decoder"]["logits"]], feed)[0][0, len(prefix)])
            return np.stack(rows)

        return search(model, next_logits)


class WellUsed:
    """One run a step; every array, value and binding is made once, for each bucket and count of beams."""

    def __init__(self, model):
        self.model, m = model, model.manifest
        width = model.beam["width"]
        self.bound = []  # a binding knows addresses alone
        self.length = np.zeros(1, np.int32)
        self.encoders, self.decoders = {}, {}
        for bucket in m["buckets"]:
            features = np.zeros((1, bucket, m["features"]), np.float32)
            keys, memory = np.zeros((1, bucket), np.int32), np.zeros((1, bucket, m["hidden"]), np.float32)
            binding, names = model.encoder.io_binding(), m["encoder"]
            self.bind(binding, {names["features"]: features, names["keys"]: keys, names["length"]: self.length}, names["memory"], memory)
            self.encoders[bucket] = binding, features, keys
            for beams in range(1, width + 1):
                tokens = np.zeros((beams, m["max_tokens"]), np.int32)
                logits = np.zeros((beams, m["max_tokens"], m["vocabulary"]), np.float32)
                binding, names = model.decoder.io_binding(), m["decoder"]
                self.bind(binding, {names["memory"]: memory, names["tokens"]: tokens, names["length"]: self.length}, names["logits"], logits)
                self.decoders[bucket, beams] = binding, tokens, logits

    def bind(self, binding, inputs, output, result):
        self.bound += [*inputs.values(), result]
        for name, array in inputs.items():
            binding.bind_input(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
        binding.bind_output(output, "cpu", 0, result.dtype, result.shape, result.ctypes.data)

    def predict(self, inputs):
        model = self.model
        bucket = inputs[0].shape[1]
        binding, features, keys = self.encoders[bucket]
        features[:], keys[:], self.length[:] = inputs
        model.encoder.run_with_iobinding(binding)

        def next_logits(prefixes):
            binding, tokens, logits = self.decoders[bucket, len(prefixes)]
            tokens[:] = model.tokens["pad"]
            for row, prefix in zip(tokens, prefixes):
                row[: len(prefix) + 1] = (model.tokens["sos"], *prefix)
            model.decoder.run_with_iobinding(binding)
            return logits[:, len(prefixes[0])]

        return search(model, next_logits)


class Row:
    """A process of `ortpool bench`; cli/bench/row.h has what is said to it."""

    def __init__(self, name, options):
        arguments = [options.program, "bench", "row", name, options.model, options.swipes, str(options.most), "0", "0", "-", "0"]
        self.process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        first = self.answer()
        self.ort, self.words = first["ort"], [[word for word, _ in one] for one in first["words"]]

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"a process of ortpool bench ended with {self.process.wait()}")
        return json.loads(line)

    def round(self):
        self.process.stdin.write("round\n")
        self.process.stdin.flush()
        return self.answer()["us"]


class Python:
    def __init__(self, subject, inputs):
        self.subject, self.inputs = subject, inputs
        self.words = [subject.predict(one) for one in inputs]

    def round(self):
        times = []
        for one in self.inputs:
            start = time.perf_counter()
            self.subject.predict(one)
            times.append(1e6 * (time.perf_counter() - start))
        return times


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", default=os.path.join(TOP, "build", "release", "ortpool"))
    parser.add_argument("--model", default=os.path.join(TOP, "models", "swipe-en-fp32"))
    parser.add_argument("--swipes", default=os.path.join(TOP, "models", "swipe-en", "samples.jsonl"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--most", type=int, default=20)
    parser.add_argument("--json", help="a file for the figures")
    options = parser.parse_args()

    model = Model(options.model)
    with open(options.swipes, encoding="utf-8") as file:
        inputs = [model.inputs(json.loads(line)) for line in list(file)[: options.most]]
    rows = {
        ("naive", "C"): Row("naive", options),
        ("naive", "Python"): Python(Naive(model), inputs),
        ("well-used", "C"): Row("well-used", options),
        ("well-used", "Python"): Python(WellUsed(model), inputs),
    }
    names = list(rows)
    same = all(row.words == rows["naive", "C"].words for row in rows.values())
    medians = {name: [] for name in names}
    for number in range(options.rounds):
        for i in range(len(names)):
            name = names[(number + i) % len(names)]
            print(f"\rround {number + 1} of {options.rounds}: {name[0]} in {name[1]:<8}", end="", file=sys.stderr)
            medians[name].append(statistics.median(rows[name].round()))
    print(file=sys.stderr)
    figures, good = [], same
    for way in ("naive", "well-used"):
        ratios = [p / c for c, p in zip(medians[way, "C"], medians[way, "Python"])]
        figure = {
            "way": way,
            "c_ms": statistics.median(medians[way, "C"]) / 1e3,
            "python_ms": statistics.median(medians[way, "Python"]) / 1e3,
            "ratio": statistics.median(ratios),
            "low": min(ratios),
            "high": max(ratios),
        }
        figures.append(figure)
        good = good and figure["ratio"] * NOISE >= 1
        print("{way}: C {c_ms:.1f} ms, Python {python_ms:.1f} ms: Python takes {ratio:.2f} times as long ({low:.2f} to {high:.2f})".format(**figure))
    print("the words are equal" if same else "THE WORDS DIFFER")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            versions = {"c": rows["naive", "C"].ort, "python": onnxruntime.__version__}
            json.dump({"figures": figures, "same": same, "ort": versions}, file, indent=1)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
