#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""usage: weights_of.py FOLDER WEIGHTS.pt

The weights of a usual export (models/swipe-en-usual, or what export_usual.py wrote), for train.py --init: to train on
from the bundled model.
"""
import os
import sys

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError
from onnx import numpy_helper

from swipes.checkpoint import write
from swipes.model import Model, Shape

PREFIX = "model."                     # of the export's names


def of_graph(graph):
    """Weights by name. torch names what it keeps; a matrix, which it turns, is known by the bias added to its product."""
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    made_by = {name: node for node in graph.node for name in node.output}
    found = {name[len(PREFIX):]: value for name, value in values.items() if name.startswith(PREFIX)}
    for node in graph.node:
        if node.op_type == "Add":
            for bias, product in (node.input, reversed(node.input)):
                maker = made_by.get(product)
                if bias.startswith(PREFIX) and maker is not None and maker.op_type == "MatMul":
                    found[bias[len(PREFIX):-len("bias")] + "weight"] = values[maker.input[1]].T
    return found


def main(arguments):
    if len(arguments) != 2 or arguments[0].startswith("-"):
        print(__doc__.strip(), file=sys.stdout if arguments in (["-h"], ["--help"]) else sys.stderr)
        return 0 if arguments in (["-h"], ["--help"]) else 2
    folder, output = arguments
    state = {}
    for name in ("encoder", "decoder"):
        path = os.path.join(folder, name + ".onnx")
        try:
            state.update(of_graph(onnx.load(path).graph))
        except (OSError, DecodeError) as error:
            raise SystemExit(f"{path}: cannot be read: {error}") from None
    state = {name: torch.tensor(np.array(value)) for name, value in state.items()}
    try:
        Model(Shape.of(state)).load_state_dict(state)
    except (SystemExit, RuntimeError) as error:
        raise SystemExit(f"{folder}: no usual export of such a model: {error}") from None
    write(output, state)
    print(f"{output}: {sum(value.numel() for value in state.values())} weights")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
