#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Export the swipe model's weights as three graphs of fused operators that share one file of weights.

    encoder        trajectory_features f32 [1,S,6], nearest_keys i32 [1,S], actual_length i32 [1]
                   -> memory f32 [1,S,D]; cross_key_l, cross_value_l f32 [1,heads,S,dim] for each decoder
                   layer l; where the weights have a CTC head, ctc f32 [1,S,V], probabilities
    decoder        memory, target_tokens i32 [beams,T], actual_src_length i32 [1] -> logits f32 [beams,T,V]
    decoder_step   token i32 [beams], past_length i32 [1], src_length i32 [1], beam_width i32 [1],
                   indirection i32 [1,beams,T], cross_key_l, cross_value_l,
                   past_key_l, past_value_l f32 [beams,heads,T,dim]
                   -> logits f32 [beams,V], present_key_l, present_value_l (to be bound to past_...)

The decoder step takes one token of each beam; its past is read through indirection, so that beams change
places without a copy: indirection[0][i][t] is the row whose buffers hold beam i's keys at position t, and a
run writes those of row i to row i at past_length. Beams share the encoder's output: they are the queries of
one sequence. No name of the step's has more than 15 characters: ORT copies names in each run, and such short
ones need no memory of the heap.

Operators of com.microsoft: Attention, MultiHeadAttention, BiasGelu, and in the step SkipLayerNormalization and
DecoderMaskedMultiHeadAttention, which works on a CPU from ONNX Runtime 1.21 on (1.20 opens it and gives wrong
results). With --int8 matrices are int8, with a scale for each column, and activations are quantised in each
run: DynamicQuantizeMatMul, QAttention. Values of weights keep to 7 bits, so that no sum of two products
overflows the 16 bits that it has on x86 without VNNI.

The weights are a NumPy archive (.npz), or a torch checkpoint of a state dict (.pt, which needs torch), named
as in the list below; sizes are read from them. D: hidden size, T: tokens, V: vocabulary, S: points.
    pe [1,S,D], p [D/2,6] + bias, k [V,D/2]; e.L. (encoder layer) and d.L. (decoder layer):
    m. (self attention) and c. (cross attention): q [D,D], kv [2D,D], o [D,D]; f.a [F,D], f.b [D,F]; n1..n3;
    en, dn: last norms; emb [V,D], pd [1,T,D], out [V,D]; ctc [V,D] or none

usage: export_graphs.py WEIGHTS FOLDER [--heads 4] [--int8] [--manifest BASE.json]
--manifest writes the model's manifest, FOLDER/model.json: what BASE.json says, with the graphs, ports, sizes and
operators of these, and the lexicon where it is.
Needs NumPy and onnx. The same weights give the same bytes.
"""

import argparse
import os
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper

from swipes.manifest import read_base, write_manifest

FLOAT, INT32 = TensorProto.FLOAT, TensorProto.INT32
FUSED = "com.microsoft"
ELEMENTS = {name: getattr(TensorProto, name.upper()) for name in ("int8", "uint8", "int32", "int64")}
ELEMENTS["float32"] = FLOAT
OPSET = 17
MIN_ORT = "1.18"  # of encoder and decoder
STEP_MIN_ORT = "1.21"
EPSILON = 1e-5
STANDARD = ("Add", "DynamicQuantizeLinear", "Gather", "Gemm", "LayerNormalization", "MatMul", "Reshape",
            "Shape", "Slice", "Softmax", "Split", "Transpose")
INT8_LIMIT = 63  # 7 bits: 255 * 63 * 2 is below 32768
WEIGHTS_FILE = "weights.bin"
INLINE_BYTES = 1024  # smaller ones lie in the graph


def read_weights(path):
    """Name -> float32 array."""
    if path.endswith(".npz"):
        try:
            weights = {name: np.asarray(array, np.float32) for name, array in np.load(path).items()}
        except (OSError, ValueError, EOFError) as error:
            raise SystemExit(f"{path}: no weights: {error}") from None
    else:
        from swipes import checkpoint  # pylint: disable=import-outside-toplevel
        weights = {name: tensor.float().numpy() for name, tensor in checkpoint.read_weights(path).items()}
    missing = [name for name in ("emb.weight", "pd", "p.weight") if name not in weights]
    if missing:
        raise SystemExit(f"{path}: weights of another model: no {', '.join(missing)}")
    return weights


class Store:
    """The weights of all graphs, each once, for one file beside them."""

    def __init__(self):
        self.data = bytearray()
        self.offsets = {}

    def tensor(self, name, array):
        array = np.ascontiguousarray(array)
        out = TensorProto(name=name, dims=array.shape, data_type=ELEMENTS[array.dtype.name])
        raw = array.tobytes()
        if len(raw) < INLINE_BYTES:
            out.raw_data = raw
            return out
        if raw not in self.offsets:
            self.data += bytes(-len(self.data) % 64)
            self.offsets[raw] = len(self.data)
            self.data += raw
        out.data_location = TensorProto.EXTERNAL
        for key, value in (("location", WEIGHTS_FILE), ("offset", self.offsets[raw]), ("length", len(raw))):
            out.external_data.add(key=key, value=str(value))
        return out


def quantised(matrix):
    """int8 values of a matrix [N,K], and a scale for each of its N."""
    scales = np.maximum(np.abs(matrix).max(axis=1), 1e-9) / INT8_LIMIT
    return np.rint(matrix / scales[:, None]).astype(np.int8), scales.astype(np.float32)


class Sizes:
    def __init__(self, weights, heads):
        self.hidden = weights["emb.weight"].shape[1]
        self.vocabulary = weights["emb.weight"].shape[0]
        self.tokens = weights["pd"].shape[1]
        self.features = weights["p.weight"].shape[1]
        if heads < 1 or self.hidden % heads != 0:
            raise SystemExit(f"--heads {heads}: the width of {self.hidden} is no multiple of it")
        self.heads = heads
        self.head = self.hidden // heads
        self.encoder_layers = self.layers(weights, "e")
        self.decoder_layers = self.layers(weights, "d")

    def key_value_names(self, which):
        layers = range(self.decoder_layers)
        return [f"{which}_{what}_{layer}" for layer in layers for what in ("key", "value")]

    @staticmethod
    def layers(weights, side):
        return len({name.split(".")[1] for name in weights if name.startswith(side + ".")})


class Graph:
    """One graph in the making. Weights are named after what they are, values after what made them."""

    def __init__(self, name, weights, sizes, store, int8):
        self.name, self.weights, self.sizes, self.store, self.int8 = name, weights, sizes, store, int8
        self.nodes, self.initializers, self.inputs, self.outputs = [], {}, [], []

    def constant(self, name, array):
        name = "w." + name
        if name not in self.initializers:
            self.initializers[name] = self.store.tensor(name, array)
        return name

    def weight(self, name):
        """As it was trained; a matrix as MatMul wants it."""
        array = self.weights[name]
        return self.constant(name, array.T if array.ndim == 2 else array)

    def node(self, operator, inputs, outputs, **attributes):
        single = isinstance(outputs, str)
        outputs = [outputs] if single else outputs
        domain = "" if operator in STANDARD else FUSED
        node = helper.make_node(operator, inputs, outputs, name=outputs[0], domain=domain, **attributes)
        self.nodes.append(node)
        return outputs[0] if single else outputs

    def input(self, name, element, shape):
        self.inputs.append(helper.make_tensor_value_info(name, element, shape))
        return name

    def output(self, name, shape):
        self.outputs.append(helper.make_tensor_value_info(name, FLOAT, shape))

    # ---- what the layers have in common ----

    def norm(self, x, which, name):
        inputs = [x, self.weight(which + ".weight"), self.weight(which + ".bias")]
        return self.node("LayerNormalization", inputs, name, epsilon=EPSILON)

    def product(self, y, name, out, bias=None, matrix=None):
        """The rows y by a matrix [N,K], the trained one of this name unless it is given, and a bias."""
        matrix = self.weights[name + ".weight"] if matrix is None else matrix
        if self.int8:
            inputs = [y, *self.int8_constants(name, matrix)] + (["", bias] if bias else [])
            return self.node("DynamicQuantizeMatMul", inputs, out)
        return self.node("Gemm", [y, self.constant(name, matrix.T)] + ([bias] if bias else []), out)

    def reshape(self, y, shape, out):
        name = "as_" + "_".join(str(size) for size in shape).replace("-1", "n")
        return self.node("Reshape", [y, self.constant(name, np.array(shape, np.int64))], out)

    def rows(self, y, out):
        """Any shape as rows [n,D], which is what a Gemm takes."""
        return self.reshape(y, [-1, self.sizes.hidden], out)

    def int8_constants(self, name, matrix):
        values, scales = quantised(matrix)
        return self.constant(name + ".int8", values.T), self.constant(name + ".scales", scales)

    def add(self, y, weight, skip, norm, name):
        """The norm of skip + y by a weight, and that sum. SkipLayerNormalization would be one node instead of
        three, and takes longer than they do together."""
        y = self.product(y, weight, name + ".out", self.weight(weight + ".bias"))
        total = self.node("Add", [y, skip], name + ".sum")
        return self.norm(total, norm, name), total

    def add_last(self, y, weight, skip, norm, name):
        """The same where nobody reads the sum, as one node: for few rows it takes no longer."""
        y = self.product(y, weight, name + ".out", self.weight(weight + ".bias"))
        inputs = [y, skip, self.weight(norm + ".weight"), self.weight(norm + ".bias")]
        return self.node("SkipLayerNormalization", inputs, norm, epsilon=EPSILON)

    def feed_forward(self, y, layer):
        """Without the second product, which the next norm takes."""
        y = self.product(y, layer + ".f.a", layer + ".up")
        return self.node("BiasGelu", [y, self.weight(layer + ".f.a.bias")], layer + ".gelu")

    def packed_qkv(self, attention):
        """Matrix and bias of queries, keys and values together."""
        w = self.weights
        matrix, bias = (np.concatenate([w[f"{attention}.q.{kind}"], w[f"{attention}.kv.{kind}"]])
                        for kind in ("weight", "bias"))
        return matrix, self.constant(attention + ".qkv.bias", bias)

    def self_attention(self, y, layer, length=None):
        """Over all points up to the length, or where there is none, at each position over those up to it."""
        return self.rows(self.attention(self.sequences(y, layer, length), layer, length), layer + ".attended")

    def sequences(self, y, layer, length):
        """The rows as sequences: one of all points, or one of all tokens for each beam."""
        shape = [1, -1, self.sizes.hidden] if length else [-1, self.sizes.tokens, self.sizes.hidden]
        return self.reshape(y, shape, layer + ".sequences")

    def attention(self, y, layer, length):
        matrix, bias = self.packed_qkv(layer + ".m")
        which = {"num_heads": self.sizes.heads, "unidirectional": int(not length)}
        if not self.int8:
            inputs = [y, self.constant(layer + ".m.qkv", matrix.T), bias, length or ""]
            return self.node("Attention", inputs, layer + ".attention", **which)
        parts = [layer + ".rounded", layer + ".scale", layer + ".zero"]
        y, scale, zero = self.node("DynamicQuantizeLinear", [y], parts)
        values, scales = self.int8_constants(layer + ".m.qkv", matrix)
        inputs = [y, values, bias, scale, scales, length or "", zero]
        return self.node("QAttention", inputs, layer + ".attention", **which)

    def cross_names(self):
        return self.sizes.key_value_names("cross")

    def cross_from_memory(self, memory, by_heads):
        """Keys and values of all decoder layers by one product of the memory's rows: [1,S,D], or by heads
        [1,heads,S,dim], as the attention works on them, so that it need not bring them there in each step."""
        s = self.sizes
        w, layers = self.weights, range(self.sizes.decoder_layers)
        matrix = np.concatenate([w[f"d.{layer}.c.kv.weight"] for layer in layers])
        bias = np.concatenate([w[f"d.{layer}.c.kv.bias"] for layer in layers])
        y = self.product(memory, "cross", "cross", self.constant("cross.bias", bias), matrix)
        if by_heads:
            y = self.reshape(y, [1, -1, len(self.cross_names()) * s.heads, s.head], "cross.heads")
            y = self.node("Transpose", [y], "cross.by_heads", perm=[0, 2, 1, 3])
        else:
            y = self.reshape(y, [1, -1, len(self.cross_names()) * s.hidden], "cross.points")
        self.node("Split", [y], self.cross_names(), axis=1 if by_heads else 2)

    def cross_attention(self, y, layer, length):
        """The rows of all beams as the queries of one sequence."""
        attention = layer + ".c"
        key, value = self.cross_names()[2 * int(layer.split(".")[1]):][:2]
        y = self.product(y, attention + ".q", attention + ".query", self.weight(attention + ".q.bias"))
        y = self.reshape(y, [1, -1, self.sizes.hidden], attention + ".one")
        mask = ["", length] if length else []
        y = self.node("MultiHeadAttention", [y, key, value, *mask], attention + ".attention",
                      num_heads=self.sizes.heads)
        return self.rows(y, attention + ".rows")

    def decoder_layer(self, y, x, layer, self_attention, length, after):
        """y: the normed input, x: the sum it was made of; both of the next layer."""
        y = self_attention(y, layer)
        y, x = self.add(y, layer + ".m.o", x, layer + ".n2", layer + ".self")
        y = self.cross_attention(y, layer, length)
        y, x = self.add(y, layer + ".c.o", x, layer + ".n3", layer + ".crossed")
        y = self.feed_forward(y, layer)
        if after == "dn" and self.name == "decoder_step":
            return self.add_last(y, layer + ".f.b", x, after, layer + ".end"), None
        return self.add(y, layer + ".f.b", x, after, layer + ".end")

    def logits(self, y, name):
        return self.product(y, "out", name, self.weight("out.bias"))

    def model(self):
        initializers = list(self.initializers.values())
        graph = helper.make_graph(self.nodes, self.name, self.inputs, self.outputs, initializers)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(FUSED, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="ortpool")


def encoder(g):
    s, w = g.sizes, g.weights
    features = g.input("trajectory_features", FLOAT, [1, "S", s.features])
    keys = g.input("nearest_keys", INT32, [1, "S"])
    length = g.input("actual_length", INT32, [1])
    half = s.hidden // 2  # features and keys make a half each: one product and one lookup for both
    matrix = np.zeros((s.features, s.hidden), np.float32)
    matrix[:, :half] = w["p.weight"].T
    table = np.concatenate([np.tile(w["p.bias"], (s.vocabulary, 1)), w["k.weight"]], axis=1)
    x = g.node("MatMul", [features, g.constant("features", matrix)], "features")
    placed = g.node("Gather", [g.constant("keys", table), keys], "keys")
    size = g.node("Shape", [keys], "size", start=1)
    zero = g.constant("zero", np.zeros(1, np.int64))
    position = g.node("Slice", [g.constant("pe", w["pe"][0]), zero, size, zero], "position")
    placed = g.node("Add", [placed, position], "placed")
    x = g.rows(g.node("Add", [x, placed], "e.0.in.points"), "e.0.in.sum")
    y = g.norm(x, "e.0.n1", "e.0.in")
    for number in range(s.encoder_layers):
        layer = f"e.{number}"
        last = number + 1 == s.encoder_layers
        y = g.self_attention(y, layer, length)
        y, x = g.add(y, layer + ".m.o", x, layer + ".n2", layer + ".self")
        y, x = g.add(g.feed_forward(y, layer), layer + ".f.b", x, "en" if last else f"e.{number + 1}.n1",
                     layer + ".end")
    g.reshape(y, [1, -1, s.hidden], "memory")
    g.output("memory", [1, "S", s.hidden])
    g.cross_from_memory(y, by_heads=True)
    for name in g.cross_names():
        g.output(name, [1, s.heads, "S", s.head])
    if "ctc.weight" in w:
        letters = g.product(y, "ctc", "ctc.rows", g.weight("ctc.bias"))
        g.reshape(g.node("Softmax", [letters], "ctc.softmax", axis=-1), [1, -1, s.vocabulary], "ctc")
        g.output("ctc", [1, "S", s.vocabulary])


def decoder_layers(g, x, self_attention, length, logits):
    y = g.norm(x, "d.0.n1", "d.0.in")
    for number in range(g.sizes.decoder_layers):
        last = number + 1 == g.sizes.decoder_layers
        after = "dn" if last else f"d.{number + 1}.n1"
        y, x = g.decoder_layer(y, x, f"d.{number}", self_attention, length, after)
    return g.logits(y, logits)


def decoder(g):
    s, w = g.sizes, g.weights
    memory = g.input("memory", FLOAT, [1, "S", s.hidden])
    tokens = g.input("target_tokens", INT32, ["beams", s.tokens])
    length = g.input("actual_src_length", INT32, [1])
    # without what is padded no mask is needed: where queries and keys differ in number, ONNX Runtime before
    # 1.21 damages the heap and gives wrong results for a mask that is a length
    zero, one = (g.constant(name, np.array([value], np.int32)) for name, value in (("zero", 0), ("one", 1)))
    g.cross_from_memory(g.rows(g.node("Slice", [memory, zero, length, one], "there"), "points"), by_heads=False)
    x = g.node("Gather", [g.constant("emb", w["emb.weight"]), tokens], "embedded")
    x = g.rows(g.node("Add", [x, g.constant("pd", w["pd"][0])], "placed.tokens"), "placed")
    y = decoder_layers(g, x, g.self_attention, None, "product")
    g.reshape(y, [-1, s.tokens, s.vocabulary], "logits")
    g.output("logits", ["beams", s.tokens, s.vocabulary])


def decoder_step(g):
    s, w = g.sizes, g.weights
    token = g.input("token", INT32, ["beams"])
    past_length = g.input("past_length", INT32, [1])
    length = g.input("src_length", INT32, [1])
    width = g.input("beam_width", INT32, [1])
    indirection = g.input("indirection", INT32, [1, "beams", s.tokens])
    for name in g.cross_names():
        g.input(name, FLOAT, [1, s.heads, "S", s.head])
    buffer = ["beams", s.heads, s.tokens, s.head]
    for name in s.key_value_names("past"):
        g.input(name, FLOAT, buffer)
    x = g.node("Gather", [g.constant("emb", w["emb.weight"]), token], "embedded")
    position = g.node("Gather", [g.constant("pd", w["pd"][0]), past_length], "position")
    x = g.node("Add", [x, position], "placed")

    def with_past(y, layer):
        first = 2 * int(layer.split(".")[1])
        matrix, bias = g.packed_qkv(layer + ".m")
        y = g.product(y, layer + ".m.qkv", layer + ".qkv.rows", bias, matrix)
        y = g.reshape(y, [-1, 1, 3 * s.hidden], layer + ".qkv")
        parts = g.node("Split", [y], [f"{layer}.{part}" for part in ("query", "key", "value")], axis=2)
        past, present = (s.key_value_names(which)[first:first + 2] for which in ("past", "present"))
        inputs = [*parts, "", "", *past, past_length, width, indirection]
        outputs = g.node("DecoderMaskedMultiHeadAttention", inputs, [layer + ".attention", *present],
                         num_heads=s.heads, past_present_share_buffer=1)
        return g.rows(outputs[0], layer + ".attended")

    decoder_layers(g, x, with_past, length, "logits")
    g.output("logits", ["beams", s.vocabulary])
    for name in s.key_value_names("present"):
        g.output(name, buffer)


def operators(models):
    """The names of all operators, those of other domains with their domain."""
    return sorted({f"{node.domain}.{node.op_type}" if node.domain else node.op_type
                   for model in models for node in model.graph.node})


def manifest(base, sizes, models):
    """What the base says, and how these graphs are run."""
    out = dict(base)
    out["graphs"] = {build.__name__: build.__name__ + ".onnx" for build in GRAPHS}
    out["encoder"] = {**base["encoder"], "cross": sizes.key_value_names("cross")}
    out["hidden"] = sizes.hidden
    out["encoder"].pop("ctc", None)
    if "ctc" in {output.name for output in models[0].graph.output}:
        out["encoder"]["ctc"] = "ctc"
    else:
        out["beam"] = {key: value for key, value in base["beam"].items() if key != "ctc_weight"}
    step = {"token": "token", "past_length": "past_length", "length": "src_length",
            "beam_width": "beam_width", "indirection": "indirection",
            **{which: sizes.key_value_names(which) for which in CACHES},
            "logits": "logits", "kv_heads": sizes.heads, "kv_size": sizes.head, "min_ort": STEP_MIN_ORT}
    new = {"opset": OPSET, "operators": operators(models), "min_ort": MIN_ORT}
    kept = [(key, value) for key, value in out.items() if key not in new and key != "decoder_step"]
    place = [key for key, value in kept].index("decoder") + 1
    return dict([*kept[:place], ("decoder_step", step), *kept[place:], *new.items()])


CACHES = ("cross", "past", "present")
GRAPHS = (encoder, decoder, decoder_step)


def main():
    parser = argparse.ArgumentParser(description="Exports weights as fused graphs: see the file's head.")
    parser.add_argument("weights")
    parser.add_argument("folder")
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--int8", action="store_true",
                        help="int8 matrices, activations quantised in each run")
    parser.add_argument("--manifest", metavar="BASE.json",
                        help="write model.json: this one with these graphs")
    arguments = parser.parse_args()
    weights = read_weights(arguments.weights)
    sizes = Sizes(weights, arguments.heads)
    base = read_base(arguments.manifest, arguments.folder) if arguments.manifest else None
    store = Store()
    os.makedirs(arguments.folder, exist_ok=True)
    models = []
    for build in GRAPHS:
        graph = Graph(build.__name__, weights, sizes, store, arguments.int8)
        build(graph)
        models.append(graph.model())
        onnx.save(models[-1], os.path.join(arguments.folder, build.__name__ + ".onnx"))
        print(f"{build.__name__}.onnx: {len(graph.nodes)} nodes")
    with open(os.path.join(arguments.folder, WEIGHTS_FILE), "wb") as file:
        file.write(store.data)
    print(f"{WEIGHTS_FILE}: {len(store.data)} bytes")
    if base is not None:
        write_manifest(os.path.join(arguments.folder, "model.json"), manifest(base, sizes, models))


if __name__ == "__main__":
    sys.exit(main())
