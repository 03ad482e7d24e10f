# SPDX-License-Identifier: MIT
"""The encoder-decoder transformer: 4 and 2 layers of width 256, pre-norm; export_graphs.py knows its weights by name.

Besides the decoder there is a head on the encoder that reads letters off the points themselves (CTC,
Graves et al. 2006, doi 10.1145/1143844.1143891; trained together with attention as by Watanabe et al. 2017,
doi 10.1109/JSTSP.2017.2763455): a second score of a word.
"""
import torch
import torch.nn.functional as F
from torch import nn

from .keyboard import MAX_POINTS, MAX_TOKENS, VOCABULARY

NO = -1e9                             # what a masked place adds to a score


class Shape:
    """The sizes of a model. Tests use small ones."""

    def __init__(self, hidden=256, heads=4, inner=768, encoder_layers=4, decoder_layers=2):
        if heads < 1 or hidden % (2 * heads) != 0:
            raise SystemExit(f"a width of {hidden} is no multiple of 2 x {heads} heads")
        self.hidden, self.heads, self.inner = hidden, heads, inner
        self.encoder_layers, self.decoder_layers = encoder_layers, decoder_layers

    @classmethod
    def of(cls, state, heads=4):
        """The sizes of the model that weights by name belong to; of the heads they say nothing."""
        try:
            hidden, inner = state["emb.weight"].shape[1], state["e.0.f.a.weight"].shape[0]
        except KeyError as error:
            raise SystemExit(f"weights of another model: no {error}") from None
        layers = [len({name.split(".")[1] for name in state if name.startswith(part)}) for part in ("e.", "d.")]
        return cls(hidden, heads, inner, *layers)


class Dropout(nn.Module):
    """Drops channels of a whole sequence: one random number for all its points, since numbers are what costs."""

    def __init__(self, share):
        super().__init__()
        self.share = share

    def forward(self, x):
        if not self.training or self.share == 0:
            return x
        keep = torch.rand(x.shape[0], 1, x.shape[2]) >= self.share
        return x * (keep / (1 - self.share)).to(x.dtype)


class Attention(nn.Module):
    def __init__(self, shape, dropout):
        super().__init__()
        self.heads, self.size = shape.heads, shape.hidden // shape.heads
        self.q = nn.Linear(shape.hidden, shape.hidden)
        self.kv = nn.Linear(shape.hidden, 2 * shape.hidden)
        self.o = nn.Linear(shape.hidden, shape.hidden)
        self.dropout = Dropout(dropout)

    def split(self, x):
        return x.view(x.shape[0], -1, self.heads, self.size).transpose(1, 2)

    def forward(self, x, memory, bias):
        key, value = self.kv(memory).chunk(2, -1)
        query = self.split(self.q(x))
        scores = query @ self.split(key).transpose(2, 3) * self.size ** -0.5
        y = (scores + bias.to(scores.dtype)).softmax(-1) @ self.split(value)   # on CPUs faster than the fused one
        return self.dropout(self.o(y.transpose(1, 2).reshape(x.shape[0], -1, self.heads * self.size)))


class FeedForward(nn.Module):
    def __init__(self, shape, dropout):
        super().__init__()
        self.a = nn.Linear(shape.hidden, shape.inner)
        self.b = nn.Linear(shape.inner, shape.hidden)
        self.dropout = Dropout(dropout)

    def forward(self, x):
        return self.dropout(self.b(F.gelu(self.a(x))))


class EncoderLayer(nn.Module):
    def __init__(self, shape, dropout):
        super().__init__()
        self.m, self.f = Attention(shape, dropout), FeedForward(shape, dropout)
        self.n1, self.n2 = nn.LayerNorm(shape.hidden), nn.LayerNorm(shape.hidden)

    def forward(self, x, bias):
        y = self.n1(x)
        x = x + self.m(y, y, bias)
        return x + self.f(self.n2(x))


class DecoderLayer(nn.Module):
    def __init__(self, shape, dropout):
        super().__init__()
        self.m, self.c, self.f = Attention(shape, dropout), Attention(shape, dropout), FeedForward(shape, dropout)
        self.n1, self.n2, self.n3 = (nn.LayerNorm(shape.hidden) for _ in range(3))

    def forward(self, x, memory, causal, bias):
        y = self.n1(x)
        x = x + self.m(y, y, causal)
        x = x + self.c(self.n2(x), memory, bias)
        return x + self.f(self.n3(x))


class Model(nn.Module):
    def __init__(self, shape=None, dropout=0.1):
        super().__init__()
        shape = shape or Shape()
        width = shape.hidden
        self.p = nn.Linear(6, width // 2)
        self.k = nn.Embedding(VOCABULARY, width // 2)
        self.pe = nn.Parameter(torch.randn(1, MAX_POINTS, width) * 0.02)
        self.e = nn.ModuleList(EncoderLayer(shape, dropout) for _ in range(shape.encoder_layers))
        self.en = nn.LayerNorm(width)
        self.emb = nn.Embedding(VOCABULARY, width)
        self.pd = nn.Parameter(torch.randn(1, MAX_TOKENS, width) * 0.02)
        self.d = nn.ModuleList(DecoderLayer(shape, dropout) for _ in range(shape.decoder_layers))
        self.dn = nn.LayerNorm(width)
        self.out = nn.Linear(width, VOCABULARY)
        self.ctc = nn.Linear(width, VOCABULARY)

    def encode(self, features, keys, lengths):
        """-> memory [B,n,hidden], bias [B,1,1,n] that masks what lies beyond the lengths."""
        points = self.p(features)
        x = torch.cat([points, self.k(keys).to(points.dtype)], -1) + self.pe[:, :features.shape[1]]
        outside = torch.arange(features.shape[1])[None] >= lengths[:, None]
        bias = (outside.float() * NO)[:, None, None]
        for layer in self.e:
            x = layer(x, bias)
        return self.en(x), bias

    def decode(self, memory, bias, tokens):
        """tokens [B,m] -> logits [B,m,vocabulary] of what follows each."""
        count = tokens.shape[1]
        x = self.emb(tokens) + self.pd[:, :count]
        causal = torch.triu(torch.full((count, count), NO), 1)
        for layer in self.d:
            x = layer(x, memory, causal, bias)
        return self.out(self.dn(x))

    def letters(self, memory):
        """-> logits [B,n,vocabulary] of the letter a point stands for; the pad token says none."""
        return self.ctc(memory)
