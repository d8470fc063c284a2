"""Dia's network with its weights: text → vectors, and rows of the grid → logits. Draws nothing, loops nothing.

Both branches of guidance run in one batch of rows. The unconditional branch has no text of its own to attend to: an
empty text is the same vector at every position, so what cross-attention adds is one constant a layer, computed at load.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from models.decoding.attention import attend, attend_all
from models.decoding.cache import CacheShape, KeyValuePool
from models.decoding.checkpoint import Checkpoint
from models.decoding.elementwise import rope_turns
from models.decoding.linear import Product
from models.dia.config import DecoderConfig, DiaConfig, EncoderConfig
from models.dia.layers import DecoderLayer, EncoderLayer, Packs, take_norm

_CPU_CACHE_BYTES = 2**25  # what is read anew in every step stays in the cache of a CPU, if it is no more


class TextEncoder:
    """Byte ids → vectors, at the text's true length: padding would see only itself and change nothing."""

    def __init__(self, file: Checkpoint, config: DiaConfig, packs: Packs) -> None:
        c = config.encoder
        self.embedding = file.take("model.encoder.embedding.weight", c.vocabulary, c.width)
        self.layers = [EncoderLayer.take(file, f"model.encoder.layers.{i}", c, packs) for i in range(c.layers)]
        self.norm = take_norm(file, "model.encoder.norm", c.width, c.norm_eps)
        self.turns = _rope(c, file.device)

    def __call__(self, ids: Tensor) -> Tensor:
        """ids [S] → [S, D]."""
        (S,) = ids.shape
        x = F.embedding(ids, self.embedding)
        for layer in self.layers:
            x = layer(x, self.turns[:S])
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
        self.norm = take_norm(file, "model.decoder.norm", c.width, c.norm_eps)
        self.head: Product = packs.step(
            _spoken(file.take("logits_dense.weight", c.codebooks * c.vocabulary, c.width), c)
        )
        self.turns = _rope(c, file.device)
        self._attend = partial(attend, streamed=self.cache_shape.slot_bytes > _CPU_CACHE_BYTES)

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

    def branches(self, codes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """codes [B, K] → rows [2B, D] of both branches by turns, and the unconditional and the conditional ones [B, D]
        among them: views, so that what is added to them is added to the rows."""
        embedded = self.embed(codes)
        rows = torch.stack((embedded, embedded), dim=1)
        return rows.flatten(0, 1), rows[:, 0], rows[:, 1]

    def logits(self, x: Tensor) -> Tensor:
        """x [..., D] → float32 [..., K, V], without the codebooks that are never spoken."""
        return self.head(self.norm(x)).float().unflatten(-1, (-1, self.config.decoder.vocabulary))

    def branch_logits(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x [2B, D], unconditional and conditional row by turns → conditional and unconditional logits [B, K, V]."""
        uncond, cond = self.logits(x).unflatten(0, (-1, 2)).unbind(1)
        return cond, uncond

    def step(
        self, codes: Tensor, pool: KeyValuePool, slots: Sequence[int], positions: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        """One row of each slot: codes [B, K] at `positions` → conditional and unconditional logits [B, K, V].

        Reads no more of the cache than each slot's own length, and writes the row's keys and values into it.
        """
        B, H, G = len(slots), self.config.decoder.heads, self.config.decoder.kv_heads
        x, uncond, cond = self.branches(codes)
        where = torch.tensor([position for position in positions for _ in range(2)], device=self.device)
        turns = self.turns.index_select(0, where)
        for i, layer in enumerate(self.layers):
            q, k, v = layer.attention.project(layer.attention_norm(x), turns)
            # By slot and key head, of which both branches have G.
            q, k, v = q.reshape(B, 2 * G, H // G, -1), k.reshape(B, 2 * G, -1), v.reshape(B, 2 * G, -1)
            mixed = [self._attend(q[b], *pool.append(i, slots[b], positions[b], k[b], v[b])) for b in range(B)]
            x += layer.attention.out(_join(mixed, 2 * B))
            uncond += layer.uncond_cross
            cond += self._cross(i, cond, pool, slots)
            x += layer.mlp(layer.mlp_norm(x))
        return self.branch_logits(x)

    def prefill(self, codes: Tensor, pool: KeyValuePool, slot: int, start: int) -> None:
        """Write the keys and values of known rows, codes [N, K] at positions start …, in one causal pass."""
        N = len(codes)
        end = start + N
        x = self.embed(codes).repeat(2, 1)  # rows 0 … N-1 unconditional, N … 2N-1 conditional
        turns = self.turns[start:end].repeat(2, 1, 1)
        seen = torch.ones(N, end, dtype=torch.bool, device=self.device).tril(start)
        for i, layer in enumerate(self.layers):
            q, k, v = (t.unflatten(0, (2, N)) for t in layer.attention.project(layer.attention_norm(x), turns))
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
        q = cross.q(self.layers[i].cross_norm(x)).view(len(slots), cross.heads, 1, cross.head_dim)
        mixed = [self._attend(q[b], *pool.text[slot][i]) for b, slot in enumerate(slots)]
        return cross.out(_join(mixed, len(slots)))


def _join(heads: list[Tensor], rows: int) -> Tensor:
    """What attention gave for each slot → [rows, H·d]."""
    return (heads[0] if len(heads) == 1 else torch.cat(heads)).view(rows, -1)


def _spoken(head: Tensor, config: DecoderConfig) -> Tensor:
    """head [K·V, D] without the last codebooks whose rows are all zero.

    A network with fewer codebooks than its layout has them so. They would be drawn evenly from all codes.
    """
    used = head.view(config.codebooks, -1).any(dim=1).tolist()
    spoken = max((book for book, any_weight in enumerate(used, start=1) if any_weight), default=1)
    return head[: spoken * config.vocabulary]


def _rope(config: EncoderConfig | DecoderConfig, device: torch.device) -> Tensor:
    """Rotations of every position, to broadcast over heads: [positions, 1, d / 2]."""
    return rope_turns(config.positions, config.head_dim, config.rope_theta)[:, None].to(device)
