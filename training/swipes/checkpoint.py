# SPDX-License-Identifier: MIT
"""Weights and checkpoints in files; a file is whole or is not there."""
import os
import pickle

import torch


def write(path, state):
    try:
        torch.save(state, path + ".part")
        os.replace(path + ".part", path)
    except (OSError, RuntimeError) as error:
        raise SystemExit(f"{path}: cannot be written: {error}") from None


def read(path):
    try:
        try:
            return torch.load(path, map_location="cpu", weights_only=False)
        except TypeError:             # torch before 1.13.1
            return torch.load(path, map_location="cpu")
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise SystemExit(f"{path}: no checkpoint: {error}") from None


def read_weights(path):
    """Weights by name, of a file of weights or of a checkpoint (the running mean)."""
    state = read(path)
    state = state.get("mean", state) if isinstance(state, dict) else {}
    if not state or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise SystemExit(f"{path}: no weights")
    return state


def load_weights(model, path):
    """True where the file lacks the CTC head, which then keeps what it has."""
    state = read_weights(path)
    try:
        missing, unknown = model.load_state_dict(state, strict=False)
    except RuntimeError as error:     # other sizes
        raise SystemExit(f"{path}: weights of another model: {str(error).splitlines()[1].strip()}") from None
    if unknown or any(not name.startswith("ctc.") for name in missing):
        raise SystemExit(f"{path}: weights of another model (missing {missing}, unknown {unknown})")
    return bool(missing)
