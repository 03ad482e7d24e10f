# SPDX-License-Identifier: MIT
"""Words as the decoder spells them by itself: the likeliest letter each time, no lexicon."""
import numpy as np
import torch

from .keyboard import EOS, MAX_TOKENS, SOS, features, word_of


@torch.no_grad()
def greedy_words(model, swipes, rows, bf16=False, batch=128):
    """The words of some rows, in their order. The model is left in the mode that it was in."""
    was_training = model.training
    model.eval()
    words = {}
    order = np.asarray(rows)[np.argsort(swipes.lengths[rows], kind="stable")]
    for first in range(0, len(order), batch):
        part = order[first:first + batch]
        lengths = torch.tensor(swipes.lengths[part])
        values, keys = features(torch.tensor(swipes.points[part][:, :int(lengths.max())]), lengths)
        tokens = torch.full((len(part), 1), SOS)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            memory, bias = model.encode(values, keys, lengths)
            for _ in range(MAX_TOKENS - 1):
                following = model.decode(memory, bias, tokens)[:, -1].argmax(-1)
                tokens = torch.cat([tokens, following[:, None]], 1)
                if (tokens == EOS).any(1).all():
                    break
        words.update(zip(part.tolist(), (word_of(t) for t in tokens[:, 1:].tolist())))
    model.train(was_training)
    return [words[int(row)] for row in rows]
