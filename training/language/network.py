"""Dia's network in training form: whole sequences, known codes in, hidden states out. Knows no loss and no data.

Parameters carry the names of DiaForConditionalGeneration's tensors, heads that only training has are under `extra`.
The same mathematics as models/dia/model.py, arranged for few large operations: residuals and norms are float32, matrix
products run in `dtype`.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.decoding.elementwise import apply_rope, rope_table
from models.dia.config import DiaConfig, EncoderConfig
from training.language.attention import attend

EXTRA = "extra."  # what names of tensors begin with that inference does without
EMBEDDING_SCALE = 0.05  # standard deviation: one of each codebook is added up
HEAD_SCALE = 0.5
PLACE_PERIODS = (32, 64, 128, 256, 512, 1024)  # letters: a place in the text is the sine and cosine of each
BRANCH_SCALE = 0.3  # of what attention and MLP add to the residual stream


@dataclass(frozen=True)
class Hidden:
    """What the losses look at."""

    text: Tensor  # float32 [B, S, D_text], the encoder's output
    rows: Tensor  # float32 [B, T, D], normed: what the logits are made of
    middle: Tensor  # float32 [B, T, D], after the layer where phones are read off
    attended: list[Tensor]  # a guided layer each, float32 [B, heads, T]: attention within `near`


class Norm(nn.Module):
    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps) * self.weight


class Attention(nn.Module):
    """Projections. The scale that Dia leaves out, 1 / sqrt(head_dim), is in the first values of q_proj."""

    def __init__(self, width: int, key_width: int, heads: int, kv_heads: int, head_dim: int) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = heads, kv_heads, head_dim
        self.q_proj = _linear(width, heads * head_dim, head_dim**-0.5)
        self.k_proj = _linear(key_width, kv_heads * head_dim)
        self.v_proj = _linear(key_width, kv_heads * head_dim)
        self.o_proj = _linear(heads * head_dim, width, BRANCH_SCALE)

    def own(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None) -> Tensor:
        """Self-attention: x [B, N, D] in dtype → the same; causal without a mask, else mask [B, 1, 1, N]."""
        H, G = self.heads, self.kv_heads
        weight = torch.cat([self.q_proj.weight, self.k_proj.weight, self.v_proj.weight]).to(x.dtype)
        heads = F.linear(x, weight).unflatten(-1, (H + 2 * G, self.head_dim))
        q, k = apply_rope(heads[..., : H + G, :], cos, sin).split((H, G), dim=-2)
        v = heads[..., H + G :, :]
        q, k, v = (t.transpose(1, 2) for t in (q, k, v))
        mixed = attend(q, k, v, mask)
        return product(mixed.transpose(1, 2).flatten(2), self.o_proj)

    def text_keys(self, text: Tensor) -> tuple[Tensor, Tensor]:
        """text [B, S, D_text] in dtype → keys and values [B, H, S, d]."""
        weight = torch.cat([self.k_proj.weight, self.v_proj.weight]).to(text.dtype)
        k, v = F.linear(text, weight).unflatten(-1, (2, self.heads, self.head_dim)).permute(2, 0, 3, 1, 4)
        return k, v

    def across(self, x: Tensor, text: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """x [B, T, D], text [B, S, D_text], mask [B, 1, 1, S] → the mixed [B, T, D] and weights [B, H, T, S]."""
        k, v = self.text_keys(text)
        q = product(x, self.q_proj).unflatten(-1, (self.heads, self.head_dim)).transpose(1, 2)
        weights = (q @ k.transpose(2, 3)).float().masked_fill(~mask, -torch.inf).softmax(-1)
        mixed = weights.to(v.dtype) @ v
        return product(mixed.transpose(1, 2).flatten(2), self.o_proj), weights


class MLP(nn.Module):
    def __init__(self, width: int, ffn: int) -> None:
        super().__init__()
        self.gate_up_proj = _linear(width, 2 * ffn)
        self.down_proj = _linear(ffn, width, BRANCH_SCALE)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = product(x, self.gate_up_proj).chunk(2, dim=-1)
        return product(F.silu(gate) * up, self.down_proj)


class EncoderLayer(nn.Module):
    def __init__(self, c: EncoderConfig, dtype: torch.dtype) -> None:
        super().__init__()
        self.pre_sa_norm = Norm(c.width, c.norm_eps)
        self.self_attention = Attention(c.width, c.width, c.heads, c.kv_heads, c.head_dim)
        self.post_sa_norm = Norm(c.width, c.norm_eps)
        self.mlp = MLP(c.width, c.ffn)
        self.dtype = dtype

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor) -> Tensor:
        x = x + self.self_attention.own(self.pre_sa_norm(x).to(self.dtype), cos, sin, mask)
        return x + self.mlp(self.post_sa_norm(x).to(self.dtype))


class DecoderLayer(nn.Module):
    def __init__(self, config: DiaConfig, dtype: torch.dtype) -> None:
        super().__init__()
        c = config.decoder
        self.pre_sa_norm = Norm(c.width, c.norm_eps)
        self.self_attention = Attention(c.width, c.width, c.heads, c.kv_heads, c.head_dim)
        self.pre_ca_norm = Norm(c.width, c.norm_eps)
        self.cross_attention = Attention(c.width, config.encoder.width, c.cross_heads, c.cross_heads, c.cross_head_dim)
        self.pre_mlp_norm = Norm(c.width, c.norm_eps)
        self.mlp = MLP(c.width, c.ffn)
        self.dtype = dtype

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, text: Tensor, mask: Tensor, near: Tensor | None, heads: int
    ) -> tuple[Tensor, Tensor | None]:
        """x [B, T, D] → the next x, and how much the first `heads` heads attend within near [B, T, S], if given."""
        x = x + self.self_attention.own(self.pre_sa_norm(x).to(self.dtype), cos, sin, None)
        crossed, weights = self.cross_attention.across(self.pre_ca_norm(x).to(self.dtype), text, mask)
        x = x + crossed
        x = x + self.mlp(self.pre_mlp_norm(x).to(self.dtype))
        return x, None if near is None else (weights[:, :heads] * near[:, None]).sum(-1)


class Encoder(nn.Module):
    def __init__(self, c: EncoderConfig, dtype: torch.dtype) -> None:
        super().__init__()
        self.embedding = nn.Embedding(c.vocabulary, c.width)
        self.layers = nn.ModuleList(EncoderLayer(c, dtype) for _ in range(c.layers))
        self.norm = Norm(c.width, c.norm_eps)
        self.cos, self.sin = _rope(c.positions, c.head_dim, c.rope_theta)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """ids [B, S], mask [B, S] → [B, S, D]."""
        S = ids.shape[1]
        x = self.embedding(ids)
        for layer in self.layers:
            x = layer(x, self.cos[:S], self.sin[:S], mask[:, None, None, :])
        return self.norm(x)


class Decoder(nn.Module):
    """The table of embeddings begins as zero where a codebook is idle, and stays so: nothing looks there."""

    def __init__(self, config: DiaConfig, codebooks: int, dtype: torch.dtype) -> None:
        super().__init__()
        c = config.decoder
        self.embeddings = nn.ModuleDict({"embed": nn.Embedding(c.codebooks * c.vocabulary, c.width)})
        with torch.no_grad():
            self.table[: codebooks * c.vocabulary].mul_(EMBEDDING_SCALE)
            self.table[codebooks * c.vocabulary :].zero_()
        self.layers = nn.ModuleList(DecoderLayer(config, dtype) for _ in range(c.layers))
        self.norm = Norm(c.width, c.norm_eps)
        self.offsets = torch.arange(codebooks) * c.vocabulary
        self.cos, self.sin = _rope(c.positions, c.head_dim, c.rope_theta)

    @property
    def table(self) -> Tensor:
        weight = self.embeddings["embed"].weight
        assert isinstance(weight, Tensor)
        return weight

    def embed(self, codes: Tensor) -> Tensor:
        """codes [B, T, K], -1 where one is dropped → the sum of their embeddings [B, T, D]."""
        B, T, _ = codes.shape
        nothing = len(self.table) - 1
        index = torch.where(codes < 0, nothing, codes + self.offsets)
        return F.embedding_bag(index.flatten(0, 1), self.table, mode="sum", padding_idx=nothing).unflatten(0, (B, T))


class _Halves(nn.Module):
    def __init__(self, config: DiaConfig, codebooks: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.encoder = Encoder(config.encoder, dtype)
        self.decoder = Decoder(config, codebooks, dtype)


class _Extra(nn.Module):
    def __init__(self, config: DiaConfig, phones: int) -> None:
        super().__init__()
        self.phone = nn.Linear(config.decoder.width, phones)
        self.letter = nn.Linear(config.encoder.width, phones)
        self.letter_place = nn.Linear(config.encoder.width, 2 * len(PLACE_PERIODS))
        self.row_place = nn.Linear(config.decoder.width, 2 * len(PLACE_PERIODS))
        for head in (self.letter_place, self.row_place):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)


class DiaTraining(nn.Module):
    """One network with its extra heads: the phones and the places of frames, and those of letters."""

    def __init__(self, config: DiaConfig, codebooks: int, phones: int, dtype: torch.dtype) -> None:
        super().__init__()
        assert codebooks < config.decoder.codebooks, "the last row of the table stands for nothing"
        c = config.decoder
        self.config, self.codebooks, self.dtype = config, codebooks, dtype
        self.model = _Halves(config, codebooks, dtype)
        self.logits_dense = _linear(c.width, c.codebooks * c.vocabulary, HEAD_SCALE)
        with torch.no_grad():
            self.logits_dense.weight[codebooks * c.vocabulary :].zero_()
        self.extra = _Extra(config, phones)

    @classmethod
    def seeded(cls, config: DiaConfig, codebooks: int, phones: int, dtype: torch.dtype, seed: int) -> "DiaTraining":
        """Random weights of this seed; the global generator is as before afterwards."""
        with torch.random.fork_rng(devices=[]):
            torch.random.default_generator.manual_seed(seed)
            return cls(config, codebooks, phones, dtype)

    def forward(
        self,
        ids: Tensor,
        mask: Tensor,
        codes: Tensor,
        near: Tensor,
        guide_layers: tuple[int, ...],
        guide_heads: int,
        phone_layer: int,
    ) -> Hidden:
        """ids and mask [B, S], codes [B, T, K] as the decoder reads them, near [B, T, S]."""
        decoder = self.model.decoder
        text = self.model.encoder(ids, mask)
        keys = text.to(self.dtype)
        x = middle = decoder.embed(codes)
        T = codes.shape[1]
        attended = []
        for i, layer in enumerate(decoder.layers):
            guide = near if i in guide_layers else None
            x, mass = layer(x, decoder.cos[:T], decoder.sin[:T], keys, mask[:, None, None, :], guide, guide_heads)
            if mass is not None:
                attended.append(mass)
            if i == phone_layer:
                middle = x
        return Hidden(text, decoder.norm(x), middle, attended)

    @torch.no_grad()
    def begin(self, book: int, read: Tensor, said: Tensor, loudness: float = 1.0) -> None:
        """Give the codes of one codebook these rows, as large on average as those they replace.

        read: [codes, D], the embeddings, `loudness` times as large; said: [codes, D], the rows of the logits.
        """
        vocabulary = self.config.decoder.vocabulary
        for table, rows, times in ((self.model.decoder.table, read, loudness), (self.logits_dense.weight, said, 1.0)):
            own = table[book * vocabulary :][: len(rows)]
            own.copy_(rows * (times * (own.square().mean() / rows.square().mean()).sqrt()))

    def head(self) -> Tensor:
        """The rows of the logits' matrix that are in use: [K, V, D]."""
        c = self.config.decoder
        return self.logits_dense.weight.unflatten(0, (c.codebooks, c.vocabulary))[: self.codebooks]


def product(x: Tensor, linear: nn.Linear) -> Tensor:
    """x in its own dtype times the float32 weight."""
    return F.linear(x, linear.weight.to(x.dtype))


def _linear(width: int, out: int, gain: float = 1.0) -> nn.Linear:
    linear = nn.Linear(width, out, bias=False)
    nn.init.normal_(linear.weight, std=gain / math.sqrt(width))
    return linear


def _rope(positions: int, head_dim: int, theta: float) -> tuple[Tensor, Tensor]:
    cos, sin = rope_table(positions, head_dim, theta)
    return cos[:, None], sin[:, None]
