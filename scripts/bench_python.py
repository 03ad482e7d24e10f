#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The rows that `ortpool bench` compares with, held against plain Python that does the same: neither may be slower.

    scripts/bench_python.py [--model DIR] [--program ortpool] [--rounds N] [--most N] [--json FILE] [--words]

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
import typing

import numpy as np

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # ORT would start a telemetry client
import onnxruntime  # noqa: E402

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TOP, "training"))
from check_graphs import features_of  # noqa: E402

NOISE = 1.05
STOP_RANK = 3
HOPE_UNIT = 0.175  # as the lexicon rounds
LEAST = 1e-300
CANDIDATES = 16  # whose shapes are compared


def terminal():
    """Whether standard error takes a carriage return."""
    return sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"


class Words:
    """The lexicon as a trie: node -> {token: node}, log counts where a word ends, and the largest of the words below a node."""

    def __init__(self, path, first_letter):
        self.next, self.log_count = [{}], {}
        self.letters = range(first_letter, first_letter + 26)
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
        best = [self.log_count.get(node, 0.0) for node in range(len(self.next))]
        for node in reversed(range(len(best))):  # children come after their parent
            best[node] = max([best[node], *(best[child] for child in self.next[node].values())])
        self.best = [math.floor(value / HOPE_UNIT + 0.5) * HOPE_UNIT for value in best]

    def following(self, node, free):
        """token -> node; free: other letters may follow as well, to no node."""
        words = self.next[node] if node is not None else {}
        return {**words, **{token: None for token in self.letters if token not in words}} if free else words


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


class Beam(typing.NamedTuple):
    total: float
    tokens: tuple
    node: typing.Optional[int]  # None: no word begins so
    rank: float
    heard: object  # see Ctc; of one not yet extended its parent's


class Ctc:
    """The second score: how well the encoder's own reading, [points, V], agrees with a beam's tokens.

    heard, [2, points + 1]: that the first 0, 1, ... points say the tokens and no others, the last point a token or a blank.
    """

    def __init__(self, read, blank):
        self.read, self.blank = read.astype(np.float64), blank

    def root(self):
        blanks = np.concatenate([[1.0], np.cumprod(self.read[:, self.blank])])
        return np.stack([np.zeros_like(blanks), blanks])

    def prefixes(self, beam, tokens):
        """ln of the probability of all that begins with the beam and each token."""
        sums = beam.heard.sum(axis=0)[:-1] @ self.read[:, tokens]
        for last in beam.tokens[-1:]:  # the same again only after a blank
            if last in tokens:
                sums[tokens.index(last)] = beam.heard[1, :-1] @ self.read[:, last]
        return np.log(np.maximum(sums, LEAST))

    def whole(self, beam):
        return math.log(max(beam.heard[:, -1].sum(), LEAST))

    def extend(self, beams):
        """All at once."""
        before = np.stack([beam.heard for beam in beams])
        again = np.array([beam.tokens[-2:-1] == beam.tokens[-1:] for beam in beams])
        begun = np.where(again[:, None], before[:, 1], before.sum(axis=1))
        now, blank = self.read[:, [beam.tokens[-1] for beam in beams]], self.read[:, self.blank]
        heard = np.zeros_like(before)
        for t in range(len(self.read)):
            letter, silent = heard[:, 0, t], heard[:, 1, t]
            heard[:, 0, t + 1] = (letter + begun[:, t]) * now[t]
            heard[:, 1, t + 1] = (letter + silent) * blank[t]
        return [beam._replace(heard=own) for beam, own in zip(beams, heard)]


def search(model, next_logits, read=None):
    """Scores and words, best first. next_logits(prefixes) -> [n, V], after each prefix; read: the encoder's ctc, [points, V]."""
    m, words, settings = model.manifest, model.words, model.beam
    width, reward = settings["width"], settings["length_reward"]
    weight, margin = settings["frequency_weight"], settings.get("stop_margin", 0)
    look_ahead, ctc_weight, free_score = (settings.get(name, 0) for name in ("look_ahead", "ctc_weight", "free_score"))
    limit = settings.get("count_limit", 0)

    def worth(log_count):
        return log_count - math.log1p(math.exp(log_count) / limit) if limit else log_count

    eos, first = model.tokens["eos"], model.tokens["first_letter"]
    ctc = Ctc(read, model.tokens["pad"]) if ctc_weight > 0 else None
    live, finished = [Beam(0.0, (), 0, 0.0, ctc and ctc.root())], []
    for step in range(1, m["max_tokens"]):
        if not live:
            break
        log_probs = log_softmax(next_logits([beam.tokens for beam in live]))
        candidates = []
        for beam, row in zip(live, log_probs):
            if beam.node in words.log_count or (free_score and beam.tokens):
                score = beam.total + row[eos] + reward * len(beam.tokens)
                score += weight * worth(words.log_count[beam.node]) if beam.node in words.log_count else free_score
                finished.append((score + ctc_weight * ctc.whole(beam) if ctc else score, beam.tokens))
            following = words.following(beam.node, free_score) if step + 1 < m["max_tokens"] else {}
            seconds = ctc_weight * ctc.prefixes(beam, list(following)) if ctc and following else [0.0] * len(following)
            for (token, node), second in zip(following.items(), seconds):
                total = beam.total + row[token]
                hope = look_ahead * worth(words.best[node]) if node is not None else free_score
                candidates.append(Beam(total, beam.tokens + (token,), node, total + hope + second, beam.heard))
        candidates.sort(key=lambda c: -c.rank)
        finished.sort(key=lambda f: -f[0])
        live = candidates[:width]
        if margin > 0 and len(finished) >= STOP_RANK:
            least = finished[STOP_RANK - 1][0] - margin - reward * step
            live = [beam for beam in live if beam.rank > least]
        if ctc and live:
            live = ctc.extend(live)
    return [(score, "".join(chr(ord("a") + t - first) for t in tokens)) for score, tokens in finished]


SHAPE_POINTS = 48


def shape_of(points):
    """Points at equal distances along a path [n, 2]."""
    gone = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    return np.stack([np.interp(np.linspace(0, gone[-1], SHAPE_POINTS), gone, points[:, axis]) for axis in (0, 1)], 1)


class Shapes:
    """How far a swipe is from the straight paths through words' keys, in keys."""

    def __init__(self, manifest, features):
        layout = manifest["layout"]
        self.keys = {
            letter: (column + 0.5 + offset, row + 0.5)
            for row, (letters, offset) in enumerate(zip(layout["rows"], layout["offsets"]))
            for column, letter in enumerate(letters)
        }
        size = np.array([layout["columns"], len(layout["rows"])])
        self.shape = shape_of((features[:, :2].astype(np.float64) + 1) / 2 * size)

    def distance(self, word):
        ideal = shape_of(np.array([self.keys[letter] for letter in word], np.float64))
        return np.hypot(*(self.shape - ideal).T).mean()


def by_shape(model, finished, features):
    """The best of them, their scores less what their shapes tell against them."""
    weight = model.beam.get("shape_weight", 0)
    if not weight:
        return finished
    shapes = Shapes(model.manifest, features)
    return sorted(((score - weight * shapes.distance(word), word) for score, word in finished[:CANDIDATES]), key=lambda f: -f[0])


def best_words(finished):
    return [word for _, word in finished[:3]]


def outputs_of(encoder):
    return [encoder[role] for role in ("memory", "ctc") if role in encoder]


class Naive:
    """A decoder run for each beam and step; tensors are made for each run."""

    def __init__(self, model):
        self.model = model

    def predict(self, inputs):
        return best_words(self.scored(inputs))

    def scored(self, inputs):
        model, m = self.model, self.model.manifest
        names = m["encoder"]
        memory, *read = model.encoder.run(outputs_of(names), dict(zip((names["features"], names["keys"], names["length"]), inputs)))

        def next_logits(prefixes):
            rows = []
            for prefix in prefixes:
                tokens = np.full((1, m["max_tokens"]), model.tokens["pad"], np.int32)
                tokens[0, : len(prefix) + 1] = (model.tokens["sos"], *prefix)
                feed = {m["decoder"]["memory"]: memory, m["decoder"]["tokens"]: tokens, m["decoder"]["length"]: inputs[2]}
                rows.append(model.decoder.run([m["decoder"]["logits"]], feed)[0][0, len(prefix)])
            return np.stack(rows)

        length = inputs[2][0]
        return by_shape(model, search(model, next_logits, *(one[0, :length] for one in read)), inputs[0][0, :length])


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
            read = np.zeros((1, bucket, m["vocabulary"]), np.float32)
            binding, names = model.encoder.io_binding(), m["encoder"]
            inputs = {names["features"]: features, names["keys"]: keys, names["length"]: self.length}
            self.bind(binding, inputs, dict(zip(outputs_of(names), (memory, read))))
            self.encoders[bucket] = binding, features, keys, read
            for beams in range(1, width + 1):
                tokens = np.zeros((beams, m["max_tokens"]), np.int32)
                logits = np.zeros((beams, m["max_tokens"], m["vocabulary"]), np.float32)
                binding, names = model.decoder.io_binding(), m["decoder"]
                self.bind(binding, {names["memory"]: memory, names["tokens"]: tokens, names["length"]: self.length}, {names["logits"]: logits})
                self.decoders[bucket, beams] = binding, tokens, logits

    def bind(self, binding, inputs, outputs):
        self.bound += [*inputs.values(), *outputs.values()]
        for name, array in inputs.items():
            binding.bind_input(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
        for name, array in outputs.items():
            binding.bind_output(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)

    def predict(self, inputs):
        model = self.model
        bucket = inputs[0].shape[1]
        binding, features, keys, read = self.encoders[bucket]
        features[:], keys[:], self.length[:] = inputs
        model.encoder.run_with_iobinding(binding)

        def next_logits(prefixes):
            binding, tokens, logits = self.decoders[bucket, len(prefixes)]
            tokens[:] = model.tokens["pad"]
            for row, prefix in zip(tokens, prefixes):
                row[: len(prefix) + 1] = (model.tokens["sos"], *prefix)
            model.decoder.run_with_iobinding(binding)
            return logits[:, len(prefixes[0])]

        length = self.length[0]
        return best_words(by_shape(model, search(model, next_logits, read[0, :length]), inputs[0][0, :length]))


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
    parser.add_argument("--words", action="store_true", help="judge the words alone: of a few rounds times say nothing")
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
            if terminal():
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
        good = good and (options.words or figure["ratio"] * NOISE >= 1)
        print("{way}: C {c_ms:.1f} ms, Python {python_ms:.1f} ms: Python takes {ratio:.2f} times as long ({low:.2f} to {high:.2f})".format(**figure))
    print("the words are equal" if same else "THE WORDS DIFFER")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            versions = {"c": rows["naive", "C"].ort, "python": onnxruntime.__version__}
            json.dump({"figures": figures, "same": same, "ort": versions}, file, indent=1)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
