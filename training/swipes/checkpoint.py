# SPDX-License-Identifier: MIT
"""Weights and checkpoints in files; a file is whole or is not there."""
import os
import pickle

import torch


def write(path, state):
    torch.save(state, path + ".part")
    os.replace(path + ".part", path)


def read(path):
    try:
        try:
            return torch.load(path, map_location="cpu", weights_only=False)
        except TypeError:             # torch before 1.13.1
            return torch.load(path, map_location="cpu")
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise SystemExit(f"{path}: no checkpoint: {error}") from None


def load_weights(model, path):
    """Weights by name. True where the file lacks the CTC head, which then keeps what it has."""
    state = read(path)
    state = state.get("mean", state)
    missing, unknown = model.load_state_dict(state, strict=False)
    if unknown or any(not name.startswith("ctc.") for name in missing):
        raise SystemExit(f"{path}: weights of another model (missing {missing}, unknown {unknown})")
    return bool(missing)
