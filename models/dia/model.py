"""Dia's network with its weights: text → vectors, and rows of the grid → logits. Draws nothing, loops nothing.

Both branches of guidance run in one batch of rows. The unconditional branch has no text of its own to attend to: an
empty text is the same vector at every position, so what cross-attention adds is one constant a layer, computed at load.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from models.decoding.attention import attend
from models.decoding.cache import CacheShape, KeyValuePool
from models.decoding.checkpoint import Checkpoint
from models.decoding.elementwise import rope_table
from models.decoding.linear import Product
from models.dia.config import DecoderConfig, DiaConfig, EncoderConfig
from models.dia.layers import DecoderLayer, EncoderLayer, Norm, Packs, attend_all


class TextEncoder:
    """Byte ids → vectors, at the text's true length: padding would see only itself and change nothing."""

    def __init__(self, file: Checkpoint, config: DiaConfig, packs: Packs) -> None:
        c = config.encoder
        self.embedding = file.take("model.encoder.embedding.weight", c.vocabulary, c.width)
        self.layers = [EncoderLayer.take(file, f"model.encoder.layers.{i}", c, packs) for i in range(c.layers)]
        self.norm = Norm.take(file, "model.encoder.norm", c.width, c.norm_eps)
        self.cos, self.sin = _rope(c, file.device)

    def __call__(self, ids: Tensor) -> Tensor:
        """ids [S] → [S, D]."""
        (S,) = ids.shape
        x = F.embedding(ids, self.embedding)
        for layer in self.layers:
            x = layer(x, self.cos[:S], self.sin[:S])
        return self.norm(x)


class DiaNetwork:
    """Encoder and decoder of one checkpoint, immutable after construction and free of any request's state."""

    def __init__(self, file: Checkpoint, config: DiaConfig, packs: Packs) -> None:
        c = config.decoder
        self.config = config
        self.dtype, self.device = file.dtype, file.device
        self.encoder = TextEncoder(file, config, packs)
        empty = self.encoder(torch.zeros(1, dtype=torch.long, device=file.device))  # [1, D]; see the module's docstring
        self.embedding = file.take("model.decoder.embeddings.embed.weight", c.codebooks * c.vocabulary, c.width)
        self.offsets = torch.arange(c.codebooks, device=file.device) * c.vocabulary
        self.layers = [DecoderLayer.take(file, f"model.decoder.layers.{i}", c, empty, packs) for i in range(c.layers)]
        self.norm = Norm.take(file, "model.decoder.norm", c.width, c.norm_eps)
        self.head: Product = packs.step(file.take("logits_dense.weight", c.codebooks * c.vocabulary, c.width))
        self.cos, self.sin = _rope(c, file.device)

    @classmethod
    def load(cls, directory: Path, *, dtype: torch.dtype, device: torch.device, packs: Packs) -> "DiaNetwork":
        """From config.json and safetensors. Raises WeightsError where they do not fit each other to the last tensor."""
        config = DiaConfig.load(directory / "config.json")
        with Checkpoint(directory, dtype, device) as file, torch.inference_mode():
            return cls(file, config, packs)

    @property
    def cache_shape(self) -> CacheShape:
        c = self.config.decoder
        text = (c.cross_heads, self.config.encoder.positions, c.cross_head_dim)
        return CacheShape(c.layers, c.kv_heads, c.positions, c.head_dim, *text, self.dtype)

    def read_text(self, ids: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
        """Byte ids → the keys and values [H, S, d] that each decoder layer attends to."""
        text = self.encoder(torch.tensor(ids, dtype=torch.long, device=self.device))
        return [layer.cross.project_text(text) for layer in self.layers]

    def embed(self, codes: Tensor) -> Tensor:
        """codes [..., K] → [..., D], the sum of one embedding a codebook."""
        return F.embedding(codes + self.offsets, self.embedding).sum(-2)

    def logits(self, x: Tensor) -> Tensor:
        """x [..., D] → float32 [..., K, V]."""
        c = self.config.decoder
        return self.head(self.norm(x)).float().unflatten(-1, (c.codebooks, c.vocabulary))

    def step(
        self, codes: Tensor, pool: KeyValuePool, slots: Sequence[int], positions: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        """One row of each slot: codes [B, K] at `positions` → conditional and unconditional logits [B, K, V].

        Reads no more of the cache than each slot's own length, and writes the row's keys and values into it.
        """
        B = len(slots)
        x = self.embed(codes).repeat(2, 1)  # rows 0 … B-1 unconditional, B … 2B-1 conditional
        where = torch.tensor(positions, device=self.device).repeat(2)
        cos, sin = self.cos[where], self.sin[where]
        for i, layer in enumerate(self.layers):
            q, k, v = layer.attention.project(layer.attention_norm(x), cos, sin)
            mixed = torch.empty_like(q)
            for b, (slot, position) in enumerate(zip(slots, positions, strict=True)):
                pool.write(i, slot, position, k[b::B, None], v[b::B, None])
                mixed[b::B] = attend(q[b::B], *pool.past(i, slot, position + 1))
            x = x + layer.attention.out(mixed.flatten(1))
            x = torch.cat([x[:B] + layer.uncond_cross, x[B:] + self._cross(i, x[B:], pool, slots)])
            x = x + layer.mlp(layer.mlp_norm(x))
        uncond, cond = self.logits(x).chunk(2)
        return cond, uncond

    def prefill(self, codes: Tensor, pool: KeyValuePool, slot: int, start: int) -> None:
        """Write the keys and values of known rows, codes [N, K] at positions start …, in one causal pass."""
        N = len(codes)
        end = start + N
        x = self.embed(codes).repeat(2, 1)  # rows 0 … N-1 unconditional, N … 2N-1 conditional
        cos, sin = (t[start:end].repeat(2, 1, 1) for t in (self.cos, self.sin))
        seen = torch.ones(N, end, dtype=torch.bool, device=self.device).tril(start)
        for i, layer in enumerate(self.layers):
            q, k, v = (t.unflatten(0, (2, N)) for t in layer.attention.project(layer.attention_norm(x), cos, sin))
            pool.write(i, slot, start, k, v)
            past_k, past_v = (t.transpose(1, 2) for t in pool.past(i, slot, end))
            x = x + layer.attention.out(attend_all(q, past_k, past_v, seen).flatten(0, 1))
            queries = layer.cross.q(layer.cross_norm(x[N:])).unflatten(-1, (layer.cross.heads, layer.cross.head_dim))
            text_k, text_v = (t.transpose(0, 1) for t in pool.text[slot][i])
            crossed = layer.cross.out(attend_all(queries, text_k, text_v, mask=None))
            x = x + torch.cat([layer.uncond_cross.expand(N, -1), crossed])
            x = x + layer.mlp(layer.mlp_norm(x))

    def _cross(self, i: int, x: Tensor, pool: KeyValuePool, slots: Sequence[int]) -> Tensor:
        """What layer i's cross-attention adds to the conditional rows x [B, D] → [B, D]."""
        cross = self.layers[i].cross
        q = cross.q(self.layers[i].cross_norm(x)).unflatten(-1, (cross.heads, cross.head_dim))
        mixed = [attend(q[b, None], *(t[None] for t in pool.text[slot][i])) for b, slot in enumerate(slots)]
        return cross.out(torch.cat(mixed).flatten(1))


def _rope(config: EncoderConfig | DecoderConfig, device: torch.device) -> tuple[Tensor, Tensor]:
    """Rotations of every position, to broadcast over heads: [positions, 1, d]."""
    cos, sin = rope_table(config.positions, config.head_dim, config.rope_theta)
    return cos[:, None].to(device), sin[:, None].to(device)
