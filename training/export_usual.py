#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""usage: export_usual.py WEIGHTS.pt FOLDER [--heads 4] [--manifest BASE.json]

Exports weights the way that torch does it, no operator fused: what a usual export is, for export_graphs.py's
graphs to be compared with. FOLDER gets encoder.onnx (trajectory_features, nearest_keys, actual_length -> memory,
ctc) and decoder.onnx (memory, target_tokens, actual_src_length -> logits); --manifest writes model.json: what
BASE.json says, with these graphs.
"""
import argparse
import os
import sys

import onnx
import torch
from torch import nn

from export_graphs import MIN_ORT, OPSET, operators
from swipes.checkpoint import load_weights, read_weights
from swipes.keyboard import MAX_TOKENS, VOCABULARY
from swipes.manifest import read_base, write_manifest
from swipes.model import NO, Model, Shape


class Encoder(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, features, keys, length):
        memory, _ = self.model.encode(features, keys.long(), length)
        return memory, self.model.letters(memory).softmax(-1)


class Decoder(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, memory, tokens, length):
        outside = torch.arange(memory.shape[1])[None] >= length[:, None]
        return self.model.decode(memory, (outside.float() * NO)[:, None, None], tokens.long())


def export(module, example, path, inputs, outputs, free):
    more = {} if torch.__version__ < "2.5" else {"dynamo": False}
    torch.onnx.export(module, example, path, input_names=inputs, output_names=outputs, dynamic_axes=free,
                      opset_version=OPSET, **more)


def main(arguments):
    parser = argparse.ArgumentParser(prog="export_usual.py", description=__doc__.split("\n\n")[1])
    parser.add_argument("weights")
    parser.add_argument("folder")
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--manifest", metavar="BASE.json")
    settings = parser.parse_args(arguments)
    base = read_base(settings.manifest, settings.folder) if settings.manifest else None
    model = Model(Shape.of(read_weights(settings.weights), settings.heads)).eval()
    if load_weights(model, settings.weights):
        raise SystemExit(f"{settings.weights}: no CTC head")
    os.makedirs(settings.folder, exist_ok=True)
    paths = {name: os.path.join(settings.folder, name + ".onnx") for name in ("encoder", "decoder")}
    length = torch.tensor([60], dtype=torch.int32)
    torch.manual_seed(1)
    features, memory = torch.randn(1, 64, 6), torch.randn(1, 64, model.emb.weight.shape[1])
    keys = torch.randint(0, VOCABULARY, (1, 64), dtype=torch.int32)
    tokens = torch.randint(0, VOCABULARY, (8, MAX_TOKENS), dtype=torch.int32)
    export(Encoder(model), (features, keys, length), paths["encoder"],
           ["trajectory_features", "nearest_keys", "actual_length"], ["memory", "ctc"],
           {"trajectory_features": {1: "S"}, "nearest_keys": {1: "S"}, "memory": {1: "S"}, "ctc": {1: "S"}})
    export(Decoder(model), (memory, tokens, length), paths["decoder"],
           ["memory", "target_tokens", "actual_src_length"], ["logits"],
           {"memory": {1: "S"}, "target_tokens": {0: "beams"}, "logits": {0: "beams"}})
    graphs = [onnx.load(path) for path in paths.values()]
    for name, graph in zip(paths, graphs):
        onnx.checker.check_model(graph)
        print(f"{name}.onnx: {len(graph.graph.node)} nodes, {os.path.getsize(paths[name])} bytes")
    if base is not None:
        out = {**base, "hidden": model.emb.weight.shape[1]}
        out.pop("decoder_step", None)
        out["graphs"] = {name: name + ".onnx" for name in paths}
        out["encoder"] = {k: v for k, v in out["encoder"].items() if k != "cross"} | {"ctc": "ctc"}
        out.update(opset=OPSET, operators=operators(graphs), min_ort=MIN_ORT)
        write_manifest(os.path.join(settings.folder, "model.json"), out)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
