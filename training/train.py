#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Trains the swipe model. See README.md for what was run, and what came out."""
import argparse
import copy
import json
import math
import os
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F

from swipes.arguments import number
from swipes.augment import augment
from swipes.checkpoint import load_weights, read, write
from swipes.greedy import greedy_words
from swipes.keyboard import PAD, VOCABULARY, features, word_of
from swipes.model import Model, Shape
from swipes.rows import Swipes

CHUNK = 20                            # batches sorted by length together, so that little is padding
WARMING = 200                         # steps until the full learning rate
HEAD_STEPS, HEAD_RATE = 100, 20       # a new head on old weights: so many steps alone, so much faster
CTC_SHARE = 0.3                       # of the loss, beside the decoder's
SMOOTHING = 0.03
AVERAGE = 0.999                       # of the running mean of the weights, a step


def options(arguments):
    parser = argparse.ArgumentParser(prog="train.py", description=__doc__)
    parser.add_argument("data", help="what to learn from, as prepare.py writes it")
    parser.add_argument("folder", help="for last.pt (checkpoint), weights.pt (running mean) and curve.jsonl; a "
                                       "folder with a checkpoint is gone on with, under the settings that it began with")
    parser.add_argument("--check", metavar="DATA", help="greedy accuracy on these rows for the learning curve")
    parser.add_argument("--same-users", action="store_true", help="let users be in both (for tests)")
    parser.add_argument("--check-rows", type=number(int, 1), default=1000, help="how many of them (1000)")
    parser.add_argument("--check-every", type=number(int, 1), default=100_000, help="swipes (100000)")
    parser.add_argument("--init", metavar="WEIGHTS", help="start from weights (.pt), not at random")
    parser.add_argument("--swipes", type=number(int, 1), default=1_500_000, help="how many to learn from in all (1500000)")
    parser.add_argument("--minutes", type=number(float, 0), default=math.inf, help="stop after so long, to go on later")
    parser.add_argument("--rate", type=number(float, 0, 1), default=6e-4, help="highest learning rate (6e-4)")
    parser.add_argument("--batch", type=number(int, 1), default=192, help="swipes a step (192)")
    parser.add_argument("--dropout", type=number(float, 0, 0.99), default=0.1)
    parser.add_argument("--largest-fit", type=number(float, 0), default=2.5,
                        help="leave out rows whose path lies further from its word, in key widths (2.5)")
    parser.add_argument("--extra", metavar="DATA", help="synthetic swipes")
    parser.add_argument("--extra-share", type=number(float, 0, 1), default=0.05, help="of an epoch (0.05)")
    parser.add_argument("--bf16", action="store_true", help="matrix products in bfloat16: twice as fast where the "
                                                            "processor has them, slower elsewhere")
    parser.add_argument("--compile", action="store_true", help="compile the layers (torch 2 and a C++ compiler): 1.4 "
                                                               "times as fast, after a minute or two")
    parser.add_argument("--threads", type=number(int, 1), default=os.cpu_count())
    parser.add_argument("--seed", type=number(int, 0), default=1)
    parser.add_argument("--hidden", type=number(int, 8), default=256, help="for tests: width (256)")
    return parser.parse_args(arguments)


class Sampler:
    """Batches without end: every row once an epoch, augmented, of like lengths."""

    def __init__(self, swipes, extra, extra_share, batch, seed):
        self.swipes, self.extra, self.batch = swipes, extra, batch
        self.rng = np.random.default_rng(seed)
        self.extra_count = min(int(extra_share * len(swipes)), len(extra)) if extra is not None else 0
        self.begun, self.drawn = None, 0

    def state(self):
        """Where it is: random numbers as the epoch began, and the batches drawn since."""
        return {"begun": self.begun, "drawn": self.drawn}

    def batches(self, state=None):
        """Goes on from a state, if given."""
        skipped = 0
        if state is not None and state["begun"] is not None:
            self.rng.bit_generator.state, skipped = state["begun"], state["drawn"]
        while True:
            self.begun = self.rng.bit_generator.state
            for self.drawn, batch in enumerate(self.epoch(), 1):
                if self.drawn > skipped:
                    yield batch
            skipped = 0

    def epoch(self):
        sources = [(self.swipes, i) for i in range(len(self.swipes))]
        if self.extra_count:
            chosen = self.rng.choice(len(self.extra), self.extra_count, replace=False)
            sources += [(self.extra, int(i)) for i in chosen]
        order = self.rng.permutation(len(sources))
        for first in range(0, len(order), self.batch * CHUNK):
            chunk = []
            for i in order[first:first + self.batch * CHUNK]:
                swipes, row = sources[i]
                chunk.append((augment(swipes.points[row, :swipes.lengths[row]], self.rng), swipes.tokens[row]))
            chunk.sort(key=lambda item: len(item[0]))
            batches = [chunk[i:i + self.batch] for i in range(0, len(chunk), self.batch)]
            for i in self.rng.permutation(len(batches)):
                yield self.tensors(batches[i])

    @staticmethod
    def tensors(batch):
        lengths = np.array([len(points) for points, _ in batch])
        points = np.zeros((len(batch), lengths.max(), 3), np.float32)
        for i, (p, _) in enumerate(batch):
            points[i, :len(p)] = p
        tokens = np.stack([t for _, t in batch])
        tokens = tokens[:, :(tokens != PAD).sum(1).max()]
        return torch.tensor(points), torch.tensor(lengths), torch.tensor(tokens)


def losses(model, points, lengths, tokens, bf16, head_alone):
    """-> the decoder's loss a token, the encoder's (CTC) a letter. head_alone: the second teaches its head only."""
    values, keys = features(points, lengths)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
        memory, bias = model.encode(values, keys, lengths)
        logits = model.decode(memory, bias, tokens[:, :-1])
        letters = model.letters(memory.detach() if head_alone else memory)
    decoder = F.cross_entropy(logits.float().reshape(-1, VOCABULARY), tokens[:, 1:].reshape(-1),
                              ignore_index=PAD, label_smoothing=SMOOTHING)
    letter_counts = (tokens[:, 1:] != PAD).sum(1) - 1      # less the end token
    ctc = F.ctc_loss(letters.float().log_softmax(-1).transpose(0, 1), tokens[:, 1:], lengths, letter_counts,
                     blank=PAD, zero_infinity=True)
    return decoder, ctc


def rate_at(settings, seen, step):
    share = min(1.0, seen / settings.swipes)
    return settings.rate * min(1.0, (step + 1) / WARMING) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share)))


class Training:
    """What a checkpoint holds, and the steps."""

    def __init__(self, settings, begun_before):
        torch.manual_seed(settings.seed)
        self.settings = settings
        self.model = Model(Shape(hidden=settings.hidden, inner=3 * settings.hidden), settings.dropout)
        head_is_new = bool(settings.init) and not begun_before and load_weights(self.model, settings.init)
        self.head_steps = HEAD_STEPS if head_is_new else 0
        self.mean = copy.deepcopy(self.model).eval()
        if settings.compile:
            for layer in (*self.model.e, *self.model.d):
                layer.compile(dynamic=True)
        head = list(self.model.ctc.parameters())
        body = [p for name, p in self.model.named_parameters() if not name.startswith("ctc.")]
        self.optimizer = torch.optim.AdamW([{"params": body}, {"params": head}], lr=settings.rate, weight_decay=0.02,
                                           betas=(0.9, 0.98))
        self.step = self.seen = 0

    def state(self):
        return {"settings": vars(self.settings), "model": self.model.state_dict(), "mean": self.mean.state_dict(),
                "optimizer": self.optimizer.state_dict(), "head_steps": self.head_steps, "step": self.step,
                "seen": self.seen, "torch": torch.get_rng_state()}

    def restore(self, state):
        self.model.load_state_dict(state["model"])
        self.mean.load_state_dict(state["mean"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.head_steps, self.step, self.seen = state["head_steps"], state["step"], state["seen"]
        torch.set_rng_state(state["torch"])

    def learn(self, batch):
        body, head = self.optimizer.param_groups
        head_alone = self.step < self.head_steps
        body["lr"] = rate_at(self.settings, self.seen, self.step)
        head["lr"] = body["lr"] * (HEAD_RATE if head_alone else 1)
        decoder, ctc = losses(self.model, *batch, self.settings.bf16, head_alone)
        self.optimizer.zero_grad(set_to_none=True)
        (decoder + CTC_SHARE * ctc).backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        self.seen += len(batch[1])
        share = min(AVERAGE, self.step / (self.step + 9))
        with torch.no_grad():
            for mean, now in zip(self.mean.parameters(), self.model.parameters()):
                mean.lerp_(now, 1 - share)
        return decoder.item(), ctc.item()


def accuracy(model, swipes, count, bf16):
    """The share of so many rows, evenly spaced, whose word the decoder spells without a lexicon."""
    rows = np.linspace(0, len(swipes) - 1, min(count, len(swipes))).astype(int)
    words = greedy_words(model, swipes, rows, bf16)
    return float(np.mean([word == word_of(swipes.tokens[row]) for row, word in zip(rows, words)]))


def train(settings):
    try:
        os.makedirs(settings.folder, exist_ok=True)
    except OSError as error:
        raise SystemExit(f"{settings.folder}: no folder: {error}") from None
    checkpoint, curve = (os.path.join(settings.folder, name) for name in ("last.pt", "curve.jsonl"))
    resumed = read(checkpoint) if os.path.exists(checkpoint) else None
    if resumed is not None:           # but for where and how long, the settings are those of the first start
        for name, value in resumed["settings"].items():
            if name not in ("data", "folder", "check", "extra", "minutes", "compile", "threads"):
                setattr(settings, name, value)
    torch.set_num_threads(settings.threads)
    training = Training(settings, resumed is not None)
    if resumed is not None:
        training.restore(resumed)
        print(f"going on after {training.seen} swipes", flush=True)
    swipes = Swipes.load(settings.data).select(lambda s: s.fit <= settings.largest_fit)
    if not len(swipes):
        raise SystemExit(f"{settings.data}: no rows within --largest-fit {settings.largest_fit:g}")
    extra = Swipes.load(settings.extra) if settings.extra else None
    check = Swipes.load(settings.check) if settings.check else None
    shared = set(swipes.users) & set(check.users) - {""} if check is not None else ()
    if shared and not settings.same_users:
        raise SystemExit(f"{settings.check}: {len(shared)} of its users are in {settings.data} too, so that it would "
                         "tell nothing of others (--same-users lets them)")
    print(f"{len(swipes)} swipes to learn from, {sum(p.numel() for p in training.model.parameters())} weights",
          flush=True)
    sampler = Sampler(swipes, extra, settings.extra_share, settings.batch, settings.seed)
    began, began_seen, shown = time.monotonic(), training.seen, 0.0
    means = resumed["means"] if resumed is not None else None
    next_check = (training.seen // settings.check_every + 1) * settings.check_every

    def save_and_measure():
        write(checkpoint, {**training.state(), "sampler": sampler.state(), "means": means})
        write(os.path.join(settings.folder, "weights.pt"), training.mean.state_dict())
        if check is not None:
            line = {"seen": training.seen, "rate": rate_at(settings, training.seen, training.step),
                    "loss": round(means[0], 4), "ctc": round(means[1], 4),
                    "greedy": accuracy(training.mean, check, settings.check_rows, settings.bf16)}
            print(f"  {line}", flush=True)
            with open(curve, "a") as file:
                file.write(json.dumps(line) + "\n")

    if training.seen >= settings.swipes:
        print(f"nothing left to do: it began with --swipes {settings.swipes}, and its settings stay")
        return 0
    for batch in sampler.batches(resumed["sampler"] if resumed is not None else None):
        now = training.learn(batch)
        means = now if means is None else tuple(0.98 * m + 0.02 * n for m, n in zip(means, now))
        elapsed = time.monotonic() - began
        if elapsed - shown > 20:
            shown = elapsed
            print(f"{training.seen} of {settings.swipes} swipes, {(training.seen - began_seen) / elapsed:.0f} a "
                  f"second, loss {means[0]:.4f}, ctc {means[1]:.4f}", flush=True)
        ends = training.seen >= settings.swipes or elapsed > settings.minutes * 60
        if ends or training.seen >= next_check:
            next_check += settings.check_every
            save_and_measure()
        if ends:
            print(f"{training.seen} swipes seen, {elapsed / 60:.0f} minutes", flush=True)
            break
    return 0


if __name__ == "__main__":
    sys.exit(train(options(sys.argv[1:])))
