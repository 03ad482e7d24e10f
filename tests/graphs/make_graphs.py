#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write the small ONNX graphs that the tests use, and beside them what they must answer.

    mask/    an encoder-decoder model of the mask style: i64 keys and tokens, bool source masks,
             memory replicated to one copy per row
    tiny/    an encoder-decoder model with the ports of models/swipe-en: i32 keys and tokens,
             lengths, memory broadcast inside the graph
    step/    a transformer as training/export_graphs.py exports it, with random weights: encoder,
             decoder, decoder_step
    ctc/     the same, smaller, whose encoder has a CTC head; its beams look ahead
    weighed/ the files of ctc/ with every setting of a search
    shapes/  Identity for each element type, input of any shape; Add; one with two outputs; and one
             whose memory depends on what its input says, not on its shape

The weights are random and the answers meaningless; what counts is that each output depends visibly
on each input. expected.json comes from a second implementation in NumPy below, not from a runtime
that executes the graphs; step/ has none, since its two decoders are each other's.
ctc/expected.json has a search for each of some settings, and shows that each changes the words.

usage: make_graphs.py [--check]
--check writes nothing and exits 1 unless the files here have exactly the bytes this script makes;
exit 77 where onnx or NumPy is missing. Needs Debian's python3-onnx (made with onnx 1.12). The bytes
are the same each time: weights are multiples of powers of two from NumPy's frozen legacy generator.
"""

import argparse
import json
import math
import os
import sys

try:
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper
except ImportError as missing:
    print(f"make_graphs: {missing}; install python3-onnx", file=sys.stderr)
    sys.exit(77)

OPSET, IR = 17, 8
FEATURES, TOKENS, VOCABULARY = 6, 20, 30
PAD, SOS, EOS, FIRST_LETTER = 0, 2, 3, 4
NEVER = -1e9
HOPE_UNIT = 0.175

WORDS = """
the to and of a in i is for that you it on with was this be are as have at he not by but from my
or we your an all so his they me if one can will just like about up out what has more when do time
no there who their her would she new good some people get how now know them want see than make go
back other into day way only first over think two look year work inn inner winter interest water
letter better butter little bottle tell tall ball bell hello help held yellow follow hollow happy
apple pepper paper purple keyboard key keys board boards word words world sword swords swipe
swipes finger fingers memory memories pool pools poll block blocks budget ticket lease cache
encoder decoder model token tokens beam beams trie tree trees three green screen seen queen quick
quiet quite quit quiz jazz fizz fuzz buzz zoo zoom moon noon soon book look cook coffee toffee
office offer tomorrow sorry borrow mirror error terror street sweet meet meeting feet feel fell
fall full pull push rush morning evening something nothing anything everything understanding
information international responsibilities characteristically straightforward extraordinary was
saw wasps minimum maximum bookkeeper mississippi
""".split()


def weights(rng, rows, columns, scale):
    """Random weights in [-scale, scale], scale a power of two: float32 holds them exactly."""
    return (rng.randint(-512, 513, size=(rows, columns)) * (scale / 512.0)).astype(np.float32)


class Model:
    """The weights of one encoder-decoder pair."""

    def __init__(self, seed, hidden):
        rng = np.random.RandomState(seed)
        self.hidden = hidden
        self.w_features = weights(rng, FEATURES, hidden, 1.0)
        self.key_embedding = weights(rng, VOCABULARY, hidden, 1.0)
        self.w_context = weights(rng, hidden, hidden, 0.5)
        self.token_embedding = weights(rng, VOCABULARY, hidden, 2.0)
        self.position = weights(rng, TOKENS, hidden, 1.0) + np.float32(1.0)
        self.w_query = weights(rng, hidden, hidden, 1.0)
        self.w_out = weights(rng, hidden, VOCABULARY, 1.0)
        # The end grows likelier with each position, so that every search comes to one.
        self.ramp = np.zeros((TOKENS, VOCABULARY), np.float32)
        self.ramp[:, EOS] = np.arange(TOKENS) * 0.5 - 2.0
        # What a mask or a length must hide is loud: the key of padding has large values.
        self.key_embedding[PAD] *= 4.0


# ---- the graphs -------------------------------------------------------------------------------


class Graph:
    """Collects nodes and constants."""

    def __init__(self):
        self.nodes, self.constants = [], []

    def constant(self, name, value):
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, operator, inputs, output, **attributes):
        self.nodes.append(
            helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def serialize(self, name, inputs, outputs, any_rank=False):
        graph = helper.make_graph(self.nodes, name, inputs, outputs, self.constants)
        model = helper.make_model(graph, producer_name="ortpool-tests", ir_version=IR,
                                  opset_imports=[helper.make_opsetid("", OPSET)])
        if not any_rank:  # the checker wants a rank of every port; runtimes do not
            onnx.checker.check_model(model)
        return model.SerializeToString(deterministic=True)


def port(name, kind, shape):
    return helper.make_tensor_value_info(name, kind, shape)


def hidden_by_length(g, like, length, scalar_zero):
    """bool [1,S], true beyond the length; S is the second dimension of `like`."""
    g.node("Shape", [like], "shape")
    g.node("Gather", ["shape", g.constant("one", np.int64(1))], "source64", axis=0)
    g.node("Cast", ["source64"], "source", to=TensorProto.INT32)
    g.node("Range", [scalar_zero, "source", g.constant("step", np.int32(1))], "positions")
    g.node("GreaterOrEqual", ["positions", length], "hidden_row")
    return g.node("Unsqueeze", ["hidden_row", g.constant("front", np.array([0], np.int64))],
                  "hidden")


def encoder_graph(model, masked):
    """features, keys, mask or length -> memory; each row sees the mean of all rows that count."""
    g = Graph()
    g.node("MatMul", ["trajectory_features", g.constant("w_features", model.w_features)], "linear")
    g.node("Gather", [g.constant("key_embedding", model.key_embedding), "nearest_keys"], "key",
           axis=0)
    g.node("Add", ["linear", "key"], "sum")
    g.node("Tanh", ["sum"], "rows")
    hidden = "src_mask"
    if not masked:
        hidden = hidden_by_length(g, "trajectory_features", "actual_length",
                                  g.constant("zero", np.int32(0)))
    g.node("Not", [hidden], "counts")
    g.node("Cast", ["counts"], "weights", to=TensorProto.FLOAT)
    g.node("Unsqueeze", ["weights", g.constant("last", np.array([2], np.int64))], "weights3")
    g.node("Mul", ["rows", "weights3"], "weighted")
    over = g.constant("over_source", np.array([1], np.int64))
    g.node("ReduceSum", ["weighted", over], "total", keepdims=1)
    g.node("ReduceSum", ["weights3", over], "count", keepdims=1)
    g.node("Div", ["total", "count"], "mean")
    g.node("MatMul", ["mean", g.constant("w_context", model.w_context)], "context")
    g.node("Add", ["rows", "context"], "memory")
    keys = TensorProto.INT64 if masked else TensorProto.INT32
    inputs = [port("trajectory_features", TensorProto.FLOAT, [1, "S", FEATURES]),
              port("nearest_keys", keys, [1, "S"]),
              port("src_mask", TensorProto.BOOL, [1, "S"]) if masked
              else port("actual_length", TensorProto.INT32, [1])]
    return g.serialize("encoder", inputs,
                       [port("memory", TensorProto.FLOAT, [1, "S", model.hidden])])


def decoder_graph(model, masked):
    """memory, tokens, mask or length -> logits; a position sees the tokens up to itself."""
    g = Graph()
    g.node("Gather", [g.constant("token_embedding", model.token_embedding), "target_tokens"],
           "token", axis=0)
    g.node("Mul", ["token", g.constant("position", model.position)], "placed")
    g.node("CumSum", ["placed", g.constant("over_tokens", np.int64(1))], "prefix")
    g.node("MatMul", ["prefix", g.constant("w_query", model.w_query)], "linear")
    g.node("Tanh", ["linear"], "query")
    g.node("Transpose", ["memory"], "memory_turned", perm=[0, 2, 1])
    g.node("MatMul", ["query", "memory_turned"], "scores")  # memory [1,S,D] broadcasts over rows
    hidden = "src_mask"
    if not masked:
        hidden = hidden_by_length(g, "memory", "actual_src_length",
                                  g.constant("zero", np.int32(0)))
    g.node("Unsqueeze", [hidden, g.constant("middle", np.array([1], np.int64))], "hidden3")
    g.node("Where", ["hidden3", g.constant("never", np.float32(NEVER)), "scores"], "seen")
    g.node("Softmax", ["seen"], "attention", axis=-1)
    g.node("MatMul", ["attention", "memory"], "context")
    g.node("Mul", ["context", g.constant("weight", np.float32(2.0))], "weighted_context")
    g.node("Add", ["query", "weighted_context"], "state")
    g.node("MatMul", ["state", g.constant("w_out", model.w_out)], "flat")
    g.node("Add", ["flat", g.constant("ramp", model.ramp)], "logits")
    if masked:
        inputs = [port("memory", TensorProto.FLOAT, ["n", "S", model.hidden]),
                  port("target_tokens", TensorProto.INT64, ["n", TOKENS]),
                  port("src_mask", TensorProto.BOOL, ["n", "S"])]
    else:
        inputs = [port("memory", TensorProto.FLOAT, [1, "S", model.hidden]),
                  port("target_tokens", TensorProto.INT32, ["n", TOKENS]),
                  port("actual_src_length", TensorProto.INT32, [1])]
    return g.serialize("decoder", inputs,
                       [port("logits", TensorProto.FLOAT, ["n", TOKENS, VOCABULARY])])


# ---- the same in NumPy, float64, for expected.json ------------------------------------------


def encode(model, features, keys, hidden):
    """features [S,F], keys [S], hidden bool [S] -> memory [S,D]."""
    rows = np.tanh(features @ model.w_features.astype(np.float64) + model.key_embedding[keys])
    return rows + rows[~hidden].mean(axis=0) @ model.w_context.astype(np.float64)


def decode(model, memory, prefix, hidden):
    """Logits after the last token of `prefix`."""
    summed = (model.token_embedding[prefix].astype(np.float64)
              * model.position[:len(prefix)]).sum(axis=0)
    query = np.tanh(summed @ model.w_query.astype(np.float64))
    scores = memory @ query
    scores[hidden] = NEVER
    attention = np.exp(scores - scores.max())
    attention /= attention.sum()
    state = query + 2.0 * (attention @ memory)
    return state @ model.w_out.astype(np.float64) + model.ramp[len(prefix) - 1]


def log_softmax(logits):
    shifted = logits - logits.max()
    return shifted - math.log(np.exp(shifted).sum())


def greedy(logits_after):
    """The likeliest token each time, without pad, unk and sos, up to the end or 19 steps."""
    prefix, total = [SOS], 0.0
    for _ in range(TOKENS - 1):
        logs = log_softmax(logits_after(prefix))
        order = np.argsort(-logs[EOS:])[:2] + EOS
        assert logs[order[0]] - logs[order[1]] > 1e-3, "greedy is too close to call"
        total += logs[order[0]]
        if order[0] == EOS:
            return {"tokens": prefix[1:], "ended": True, "log_prob": total}
        prefix.append(int(order[0]))
    return {"tokens": prefix[1:], "ended": False, "log_prob": total}


def search(logits_after, lexicon, beam, reading=None):
    """The lexicon search that models/swipe-en/README.md describes; the three best words. A beam ranks by its
    total, what the encoder's own reading says of all that begins so, and the best count that is left."""
    best = {word[:i]: 0 for word in lexicon for i in range(len(word) + 1)}
    for word, count in lexicon.items():
        for i in range(len(word) + 1):
            best[word[:i]] = max(best[word[:i]], count)
    ctc_weight, look_ahead = beam.get("ctc_weight", 0), beam.get("look_ahead", 0)

    def hope(text):
        # to what src/swipe/lexicon_internal.h rounds it
        steps = math.floor(math.log(best[text] + 1) / HOPE_UNIT + 0.5)
        ctc = ctc_weight * reading.prefix(tokens_of(text)) if ctc_weight > 0 else 0.0
        return look_ahead * HOPE_UNIT * steps + ctc

    beams, found = [(0.0, 0.0, "")], []
    for step in range(1, TOKENS):
        longer = []
        for _, total, text in beams:
            logs = log_softmax(logits_after([SOS] + tokens_of(text)))
            if text in lexicon:
                ctc = ctc_weight * reading.whole(tokens_of(text)) if ctc_weight > 0 else 0.0
                found.append((total + logs[EOS] + ctc + beam["frequency_weight"]
                              * math.log(lexicon[text] + 1) + beam["length_reward"] * len(text),
                              text))
            for i in range(26):
                then = text + chr(ord("a") + i)
                if then in best:
                    after = total + logs[FIRST_LETTER + i]
                    longer.append((after + hope(then), after, then))
        longer.sort(reverse=True)
        beams = longer[:beam["width"]]
        assert len(longer) == len(beams) or beams[-1][0] - longer[len(beams)][0] > 1e-3, "too close to call"
        found.sort(reverse=True)
        if len(found) >= 3:
            least = found[2][0] - beam["length_reward"] * step - beam["stop_margin"]
            assert all(abs(b[0] - least) > 1e-3 for b in beams), "too close to call"
            beams = [b for b in beams if b[0] > least]
        if not beams:
            break
    assert all(a[0] - b[0] > 1e-2 for a, b in zip(found[:3], found[1:4])), "too close to call"
    return [{"word": word, "score": score} for score, word in found[:3]]


def tokens_of(text):
    return [FIRST_LETTER + ord(c) - ord("a") for c in text]


class Reading:
    """What a CTC head says of sequences, by the forward variables over the labels with blanks between them
    (Graves et al. 2006, section 4.1)."""

    def __init__(self, probabilities):
        self.probabilities = probabilities  # [S,V]

    def forward(self, tokens, absorbing):
        """Where all paths are after the last point. absorbing: who has come to the last token stays there,
        whatever follows."""
        labels = [PAD]
        for token in tokens:
            labels += [token, PAD]
        last = len(labels) - 2
        at = np.zeros(len(labels) + 1)
        at[0] = 1.0  # before the first point; position s of the labels is at[s + 1]
        for row in self.probabilities:
            then = np.zeros_like(at)
            for s, label in enumerate(labels):
                here = at[s + 1] + at[s] if s > 0 else at[1] + at[0]
                if s == 1:
                    here += at[0]
                elif s > 1 and label != PAD and label != labels[s - 2]:
                    here += at[s - 1]
                if absorbing and s == last:
                    then[s + 1] = at[s + 1] + (here - at[s + 1]) * row[label]
                elif not absorbing or s < last:
                    then[s + 1] = here * row[label]
            at = then
        return at[1:]

    def prefix(self, tokens):
        return math.log(max(self.forward(tokens, True)[-2], 1e-300))

    def whole(self, tokens):
        return math.log(max(self.forward(tokens, False)[-2:].sum(), 1e-300))


class Transformer:
    """What export_graphs.py makes graphs of, by its weights' names."""

    def __init__(self, trained, heads):
        self.w = {name: array.astype(np.float64) for name, array in trained.items()}
        self.heads = heads

    def linear(self, y, name):
        return y @ self.w[name + ".weight"].T + self.w[name + ".bias"]

    def norm(self, x, name):
        centred = x - x.mean(axis=-1, keepdims=True)
        scale = np.sqrt((centred ** 2).mean(axis=-1, keepdims=True) + 1e-5)
        return centred / scale * self.w[name + ".weight"] + self.w[name + ".bias"]

    def attention(self, y, over, name, hidden):
        """hidden [queries, keys]: what a query does not see."""
        keys, values = np.split(self.linear(over, name + ".kv"), 2, axis=1)
        split = [np.split(part, self.heads, axis=1) for part in (self.linear(y, name + ".q"), keys, values)]
        out = []
        for query, key, value in zip(*split):
            scores = np.where(hidden, NEVER, query @ key.T / math.sqrt(query.shape[1]))
            weight = np.exp(scores - scores.max(axis=1, keepdims=True))
            out.append(weight / weight.sum(axis=1, keepdims=True) @ value)
        return self.linear(np.concatenate(out, axis=1), name + ".o")

    def feed_forward(self, y, layer):
        up = self.linear(y, layer + ".f.a")
        gelu = 0.5 * up * (1.0 + np.vectorize(math.erf)(up / math.sqrt(2.0)))
        return self.linear(gelu, layer + ".f.b")

    def layers(self, side):
        return sorted({".".join(name.split(".")[:2]) for name in self.w if name.startswith(side + ".")})

    def encode(self, features, keys, hidden):
        """features [S,F], keys [S], hidden bool [S] -> memory [S,D]."""
        x = np.concatenate([self.linear(features, "p"), self.w["k.weight"][keys]], axis=1)
        x = x + self.w["pe"][0][:len(keys)]
        for layer in self.layers("e"):
            y = self.norm(x, layer + ".n1")
            x = x + self.attention(y, y, layer + ".m", hidden[None, :])
            x = x + self.feed_forward(self.norm(x, layer + ".n2"), layer)
        return self.norm(x, "en")

    def reading(self, memory):
        """The CTC head's probabilities [S,V]."""
        letters = self.linear(memory, "ctc")
        odds = np.exp(letters - letters.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)

    def decode(self, memory, prefix, hidden):
        """Logits after the last token of `prefix`."""
        x = self.w["emb.weight"][prefix] + self.w["pd"][0][:len(prefix)]
        later = np.triu(np.ones((len(prefix), len(prefix)), bool), 1)
        for layer in self.layers("d"):
            y = self.norm(x, layer + ".n1")
            x = x + self.attention(y, y, layer + ".m", later)
            x = x + self.attention(self.norm(x, layer + ".n2"), memory, layer + ".c", hidden[None, :])
            x = x + self.feed_forward(self.norm(x, layer + ".n3"), layer)
        return self.linear(self.norm(x, "dn"), "out")[-1]


def rounded(value):
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, (list, np.ndarray)):
        return [rounded(item) for item in value]
    if isinstance(value, (float, np.floating)):
        return round(float(value), 7) + 0.0
    return int(value) if isinstance(value, np.integer) else value


def example(length, source):
    """Features, keys, and what is padding."""
    features, keys = np.zeros((source, FEATURES)), np.zeros(source, np.int64)
    for i in range(length):
        features[i] = [((7 * i + 5 * c * c + i * c) % 17 - 8) / 8.0 for c in range(FEATURES)]
        keys[i] = FIRST_LETTER + (11 * i + 3) % 26
    return features, keys, np.arange(source) >= length


def expected(model, length, source, lexicon, beam):
    """One input and what comes of it."""
    features, keys, hidden = example(length, source)
    memory = encode(model, features, keys, hidden)

    def logits_after(prefix):
        return decode(model, memory, prefix, hidden)

    prefix = [SOS] + [FIRST_LETTER + ord(c) - ord("a") for c in "hello"]
    check_dependence(model, features, keys, hidden, memory, prefix)
    return rounded({
        "length": length, "source": source, "features": features, "keys": keys, "memory": memory,
        "logits_after_sos": logits_after([SOS]),
        "prefix": prefix, "logits_after_prefix": logits_after(prefix),
        "greedy": greedy(logits_after),
        "candidates": search(logits_after, lexicon, beam),
    })


def expected_by_ctc(model, length, source, lexicon, beam):
    """The same for a model with a CTC head: the manifest's search first, then with less."""
    features, keys, hidden = example(length, source)
    memory = model.encode(features, keys, hidden)
    probabilities = model.reading(memory)
    reading = Reading(probabilities[:length])

    def logits_after(prefix):
        return model.decode(memory, prefix, hidden)

    searches = []
    for ctc_weight, look_ahead in ((beam["ctc_weight"], beam["look_ahead"]), (beam["ctc_weight"], 0),
                                   (0, beam["look_ahead"]), (0, 0)):
        setting = {"ctc_weight": ctc_weight, "look_ahead": look_ahead}
        searches.append({**setting, "candidates": search(logits_after, lexicon, {**beam, **setting}, reading)})
    # A search that does not feel a setting proves nothing; nor does one that reads the padding too.
    padded = search(logits_after, lexicon, beam, Reading(probabilities))
    words = [[c["word"] for c in candidates]
             for candidates in [s["candidates"] for s in searches] + [padded]]
    assert all(words.count(found) == 1 for found in words), f"the same words twice: {words}"
    return rounded({
        "length": length, "source": source, "features": features, "keys": keys,
        "memory": memory[:length], "ctc": probabilities[:length],
        "greedy": greedy(logits_after), "searches": searches,
    })


def check_dependence(model, features, keys, hidden, memory, prefix):
    """A graph that does not feel a mistake proves nothing: each must move the logits."""
    right = decode(model, memory, prefix, hidden)
    nothing = np.zeros_like(hidden)
    one_less = hidden.copy()
    one_less[np.argmax(hidden) - 1] = True
    wrong = {
        "no mask in the encoder": decode(model, encode(model, features, keys, nothing), prefix,
                                         hidden),
        "no mask in the decoder": decode(model, memory, prefix, nothing),
        "a mask turned round": decode(model, memory, prefix, ~hidden),
        "a mask that hides one row too many": decode(model, memory, prefix, one_less),
        "memory of zeros, a row not replicated": decode(model, memory * 0.0, prefix, hidden),
        "memory moved by one row": decode(model, np.roll(memory, 1, axis=0), prefix, hidden),
        "tokens swapped": decode(model, memory, [prefix[0], prefix[2], prefix[1], *prefix[3:]],
                                 hidden),
        "another first token": decode(model, memory, [PAD, *prefix[1:]], hidden),
        "keys one off": decode(model, encode(model, features, np.where(hidden, 0, keys - 1),
                                             hidden), prefix, hidden),
    }
    for name, logits in wrong.items():
        difference = float(np.abs(logits - right).max())
        assert difference > 0.01, f"{name}: moves the logits by {difference:.2g} only"


# ---- files ----------------------------------------------------------------------------------


def manifest(name, model, masked, buckets):
    """model.json with the sections of models/swipe-en."""
    encoder = {"features": "trajectory_features", "keys": "nearest_keys"}
    decoder = {"memory": "memory", "tokens": "target_tokens"}
    if masked:
        encoder["source_mask"] = decoder["source_mask"] = "src_mask"
    else:
        encoder["length"], decoder["length"] = "actual_length", "actual_src_length"
    encoder["memory"] = "memory"
    decoder["logits"] = "logits"
    decoder["memory_layout"] = "replicated" if masked else "broadcast"
    out = {"name": name, "graphs": {"encoder": "encoder.onnx", "decoder": "decoder.onnx"},
           "encoder": encoder, "decoder": decoder}
    if masked:
        out["source_mask_true"] = "padding"
    return {**out, "max_points": buckets[-1], "features": FEATURES, "hidden": model.hidden,
            "max_tokens": TOKENS, "vocabulary": VOCABULARY,
            "tokens": {"pad": PAD, "unk": 1, "sos": SOS, "eos": EOS, "first_letter": FIRST_LETTER},
            "scaling": {"position": "2x-1", "min_dt_s": 0.004, "velocity_clamp": 10,
                        "acceleration_clamp": 10, "divide_by": 3},
            "layout": {"rows": ["qwertyuiop", "asdfghjkl", "zxcvbnm"], "offsets": [0, 0.5, 1.5],
                       "columns": 10},
            "buckets": buckets,
            # Weights without sense find each letter unlikely; this makes long words come out too.
            "beam": {"width": 8, "frequency_weight": 0.125, "length_reward": 4.5, "stop_margin": 3},
            "lexicon": "lexicon.tsv", "opset": OPSET, "min_ort": "1.18"}


def lines(fields):
    """JSON, one line for each field."""
    rows = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in fields.items()]
    return ("{\n" + ",\n".join(rows) + "\n}\n").encode("ascii")


def model_files(name, seed, hidden, masked, buckets, length):
    """Path below this directory -> bytes, for one model."""
    model = Model(seed, hidden)
    words = list(dict.fromkeys(w for w in WORDS if w.isalpha()))
    lexicon = {word: 50000000 // (rank + 1) for rank, word in enumerate(words)}
    encoder, decoder = encoder_graph(model, masked), decoder_graph(model, masked)
    settings = manifest(name, model, masked, buckets)
    settings["operators"] = sorted({node.op_type for data in (encoder, decoder)
                                    for node in onnx.load_from_string(data).graph.node})
    answers = expected(model, length, buckets[0], lexicon, settings["beam"])
    return {
        f"{name}/encoder.onnx": encoder,
        f"{name}/decoder.onnx": decoder,
        f"{name}/model.json": lines(settings),
        f"{name}/lexicon.tsv": "".join(f"{w}\t{c}\n" for w, c in lexicon.items()).encode("ascii"),
        f"{name}/expected.json": lines(answers),
    }


def step_weights(rng, hidden, forward, encoder_layers, decoder_layers, ctc):
    """Random weights by the names that training/export_graphs.py reads."""
    def matrix(name, rows, columns, scale=0.5):
        out[name + ".weight"] = weights(rng, rows, columns, scale)

    def linear(name, rows, columns):
        matrix(name, rows, columns)
        out[name + ".bias"] = weights(rng, 1, rows, 0.25)[0]

    def norm(name):
        out[name + ".weight"] = weights(rng, 1, hidden, 0.5)[0] + np.float32(1)
        out[name + ".bias"] = weights(rng, 1, hidden, 0.25)[0]

    out = {"pe": weights(rng, 150, hidden, 1.0)[None], "pd": weights(rng, TOKENS, hidden, 1.0)[None]}
    linear("p", hidden // 2, FEATURES)
    matrix("k", VOCABULARY, hidden // 2, 1.0)
    matrix("emb", VOCABULARY, hidden, 1.0)
    for side, layers, attentions, norms in (("e", encoder_layers, "m", 2), ("d", decoder_layers, "mc", 3)):
        for layer in (f"{side}.{number}" for number in range(layers)):
            for attention in attentions:
                linear(f"{layer}.{attention}.q", hidden, hidden)
                linear(f"{layer}.{attention}.kv", 2 * hidden, hidden)
                linear(f"{layer}.{attention}.o", hidden, hidden)
            linear(f"{layer}.f.a", forward, hidden)
            linear(f"{layer}.f.b", hidden, forward)
            for number in range(norms):
                norm(f"{layer}.n{number + 1}")
        norm(side + "n")
    linear("out", VOCABULARY, hidden)
    if ctc:
        matrix("ctc", VOCABULARY, hidden, 2.0)
        out["ctc.bias"] = weights(rng, 1, VOCABULARY, 0.25)[0]
    return out


def step_files(name, seed, hidden, heads, words, decoder_layers=2, length=None, beam=None):
    """The files of a model with a decoder_step; with settings of the beams of their own, and a length of the
    input in expected.json, one with a CTC head."""
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "training"))
    import export_graphs  # pylint: disable=import-outside-toplevel,import-error
    trained = step_weights(np.random.RandomState(seed), hidden, 2 * hidden, 1, decoder_layers, beam is not None)
    sizes, store = export_graphs.Sizes(trained, heads), export_graphs.Store()
    out, models = {}, []
    for build in export_graphs.GRAPHS:
        graph = export_graphs.Graph(build.__name__, trained, sizes, store, False)
        build(graph)
        models.append(graph.model())
        out[f"{name}/{build.__name__}.onnx"] = models[-1].SerializeToString(deterministic=True)
    base = manifest(name, Model(seed, hidden), False, [32, 64, 96, 150])
    if beam is not None:
        base["beam"].update(beam)
        lexicon = {word: int(count) for word, count in (line.split(b"\t") for line in words.splitlines())}
        lexicon = {word.decode(): count for word, count in lexicon.items()}
        answers = expected_by_ctc(Transformer(trained, heads), length, base["buckets"][0], lexicon, base["beam"])
        out[f"{name}/expected.json"] = lines(answers)
    return {**out, f"{name}/weights.bin": bytes(store.data),
            f"{name}/model.json": lines(export_graphs.manifest(base, sizes, models)),
            f"{name}/lexicon.tsv": words}


def weighed_files(ctc):
    """model.json of ctc/ with every setting of a search; words in the lexicon and others come out close together."""
    settings = json.loads(ctc)
    settings["name"] = "weighed"
    settings["graphs"] = {graph: f"../ctc/{file}" for graph, file in settings["graphs"].items()}
    settings["lexicon"] = f"../ctc/{settings['lexicon']}"
    settings["beam"].update(ctc_weight=0.125, length_reward=0.5, length_alpha=0.125, frequency_weight=0.5, free_score=-8,
                            count_limit=1000000, shape_weight=0.5, temperature=2)
    return {"weighed/model.json": lines(settings)}


def shape_files():
    """Graphs that are there for the tensors that go in and come out."""
    kinds = ("FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16", "INT8", "INT16", "INT32", "INT64", "UINT8",
             "UINT16", "UINT32", "UINT64", "BOOL")
    out = {}
    for kind in kinds:
        g, element = Graph(), getattr(TensorProto, kind)
        g.node("Identity", ["x"], "y")
        out[f"shapes/identity_{kind.lower()}.onnx"] = g.serialize(
            "identity", [port("x", element, None)], [port("y", element, None)], any_rank=True)
    g = Graph()
    g.node("Add", ["x", "y"], "z")
    out["shapes/add.onnx"] = g.serialize(
        "add", [port("x", TensorProto.FLOAT, ["N"]), port("y", TensorProto.FLOAT, ["N"])],
        [port("z", TensorProto.FLOAT, ["N"])])
    g = Graph()
    g.node("Add", ["x", "y"], "sum")
    g.node("Mul", ["sum", "y"], "product")
    out["shapes/two.onnx"] = g.serialize(
        "two", [port("x", TensorProto.FLOAT, ["N"]), port("y", TensorProto.FLOAT, ["N"])],
        [port("sum", TensorProto.FLOAT, ["N"]), port("product", TensorProto.FLOAT, ["N"])])
    g = Graph()
    g.node("Cast", ["n"], "shape", to=TensorProto.INT64)
    g.node("ConstantOfShape", ["shape"], "zeros")
    g.node("Size", ["zeros"], "count")
    g.node("Cast", ["count"], "size", to=TensorProto.FLOAT)
    out["shapes/sized.onnx"] = g.serialize(
        "sized", [port("n", TensorProto.FLOAT, [1])], [port("size", TensorProto.FLOAT, [])])
    return out


def main():
    parser = argparse.ArgumentParser(description="Write the ONNX graphs that the tests use.")
    parser.add_argument("--check", action="store_true",
                        help="write nothing; exit 1 unless the files are what this script makes")
    options = parser.parse_args()
    files = {
        **model_files("mask", seed=41, hidden=12, masked=True, buckets=[16, 32, 64], length=11),
        **model_files("tiny", seed=42, hidden=16, masked=False, buckets=[32, 64, 96, 150],
                      length=21),
        **shape_files(),
    }
    files.update(step_files("step", seed=43, hidden=16, heads=2, words=files["tiny/lexicon.tsv"]))
    files.update(step_files("ctc", seed=44, hidden=16, heads=2, words=files["tiny/lexicon.tsv"],
                            decoder_layers=1, length=21, beam={"ctc_weight": 0.5, "look_ahead": 0.5}))
    files.update(weighed_files(files["ctc/model.json"]))
    here = os.path.dirname(os.path.abspath(__file__))
    different = 0
    for name, data in files.items():
        path = os.path.join(here, *name.split("/"))
        if options.check:
            try:
                with open(path, "rb") as file:
                    same = file.read() == data
            except OSError:
                same = False
            if not same:
                print(f"make_graphs: {name} differs from what this script makes", file=sys.stderr)
                different += 1
            continue
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
