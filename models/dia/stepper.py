"""One decoder step of a batch of slots: eagerly, or as fixed shapes that a CUDA graph can replay. Both give the same.

Eager reads each slot's cache up to its own length, which is what a CPU wants. Static computes all slots 0 … B - 1 up to
a shared span, free ones too, and holds everything, sampling included, in one graph.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.decoding.attention import attend_padded, seen_mask
from models.decoding.cache import KeyValuePool
from models.decoding.decoder import Place
from models.decoding.graphs import StepGraphs, bucket
from models.decoding.grid import GridState, Turn
from models.decoding.sampling import SamplingTable
from models.decoding.sequence import CodeSequence
from models.dia.model import DiaNetwork
from models.dia.sampler import sample_codes

SPANS = (256, 512, 1024, 2048)  # positions a static step reads at most; each is a graph of its own
TEXT_SPANS = (128, 256, 512)  # bytes of text, likewise

Text = list[tuple[Tensor, Tensor]]  # [layer] → keys, values [H, S, d]


class _DiaStepper:
    """What both have in common: text and prompt are read alike, and no position stands before the rows."""

    def __init__(self, network: DiaNetwork, pool: KeyValuePool, state: GridState) -> None:
        self.network, self.pool, self.state = network, pool, state
        self.sampling = SamplingTable(pool.slots, state.rows, len(state.delays), network.device)

    def load(self, slot: int, sequence: CodeSequence) -> int:
        self._load_text(slot, self.network.read_text(sequence.conditioning))
        self.sampling.load(slot, sequence)
        return 0

    def _load_text(self, slot: int, text: Text) -> None:
        self.pool.text[slot] = text

    def prefill(self, slot: int, start: int, stop: int) -> None:
        self.network.prefill(self.state.prefix(slot, start, stop), self.pool, slot, start)

    def _choose(self, turn: Turn, cond: Tensor, uncond: Tensor) -> Tensor:
        """Draw the next codes [B, K] of the slots; codebooks that the network never speaks stay at code 0."""
        options, uniform = self.sampling.of(turn.slots, turn.place)
        spoken, K = cond.shape[1], uniform.shape[1]
        codes = sample_codes(cond, uncond, options, uniform[:, :spoken], self.network.config.eos)
        return codes if spoken == K else F.pad(codes, (0, K - spoken))


class EagerStepper(_DiaStepper):
    """Steps the slots it is given, each over its own length."""

    def __call__(self, places: Sequence[Place]) -> np.ndarray:
        """Step → [B, K + 1]: the codes written, and the row in which each sequence ends."""
        slots, rows = [p.slot for p in places], [p.position for p in places]
        turn = self.state.turn(torch.tensor(slots, device=self.network.device))
        cond, uncond = self.network.step(turn.codes, self.pool, slots, rows)
        return self.state.write(turn, self._choose(turn, cond, uncond)).cpu().numpy()


class StaticStepper(_DiaStepper):
    """Steps slots 0 … B - 1 together, whether anybody is in them or not; captured once per shape on CUDA."""

    def __init__(self, network: DiaNetwork, pool: KeyValuePool, state: GridState) -> None:
        super().__init__(network, pool, state)
        c = network.config.decoder
        size = (c.layers, pool.slots, c.cross_heads, network.config.encoder.positions, c.cross_head_dim)
        self.text_k, self.text_v = (torch.zeros(size, dtype=pool.k.dtype, device=network.device) for _ in range(2))
        self.text_lengths = torch.ones(pool.slots, dtype=torch.long, device=network.device)
        self._text_bytes = [1] * pool.slots  # the same, on the host
        self.active = torch.ones(pool.slots, dtype=torch.bool, device=network.device)
        pool.k.zero_(), pool.v.zero_()  # free slots are computed too
        self._graphs = StepGraphs(self.step, self.active)

    def _load_text(self, slot: int, text: Text) -> None:
        length = text[0][0].shape[1]
        self._text_bytes[slot] = length
        for i, (k, v) in enumerate(text):
            self.text_k[i, slot, :, :length], self.text_v[i, slot, :, :length] = k, v
        self.text_lengths[slot] = length
        # What a prefill reads: views, so that a text is kept once.
        self.pool.text[slot] = [
            (k[slot, :, :length], v[slot, :, :length]) for k, v in zip(self.text_k, self.text_v, strict=True)
        ]
        # Positions past a row's own are computed with weight 0, and 0 · inf is NaN: nothing of the last user may stay.
        self.pool.k[:, slot].zero_(), self.pool.v[:, slot].zero_()

    def __call__(self, places: Sequence[Place]) -> np.ndarray:
        """Step → [B, K + 1]: the codes written, and the row in which each sequence ends."""
        taken = [p.slot for p in places]
        self.active.zero_()
        self.active[torch.tensor(taken)] = True
        shape = (
            min(1 << max(taken).bit_length(), self.pool.slots),
            bucket(1 + max(p.position for p in places), SPANS, self.network.config.decoder.positions),
            bucket(max(self._text_bytes[s] for s in taken), TEXT_SPANS, self.network.config.encoder.positions),
        )
        return self._graphs(shape)[taken].cpu().numpy()

    def step(self, B: int, span: int, text_span: int) -> Tensor:
        """One step of slots 0 … B - 1, of fixed shapes and without a word from the host → [B, K + 1]."""
        network, state = self.network, self.state
        turn = state.turn(torch.arange(B, device=network.device))
        slots, rows = turn.slots, turn.row - 1
        codes = turn.codes.clamp_min(0)  # a slot nobody is in may hold UNKNOWN, which is no index
        x, uncond, cond = network.branches(codes)
        turns = network.turns[rows].repeat_interleave(2, dim=0)
        seen = seen_mask((rows + 1).repeat_interleave(2), span)
        seen_text = seen_mask(self.text_lengths[:B], text_span)
        for i, layer in enumerate(network.layers):
            q, k, v = layer.attention.project(layer.attention_norm(x), turns)
            x += layer.attention.out(self._attend(i, q, k, v, slots, rows, seen))
            uncond += layer.uncond_cross
            cond += self._cross(i, layer.cross_norm(cond), seen_text)
            x += layer.mlp(layer.mlp_norm(x))
        return state.write(turn, self._choose(turn, *network.branch_logits(x)), self.active[:B])

    def _attend(self, i: int, q: Tensor, k: Tensor, v: Tensor, slots: Tensor, rows: Tensor, seen: Tensor) -> Tensor:
        """Write the row's keys and values, then attend: q [2B, H, d] → [2B, H·d]."""
        B, span = len(slots), seen.shape[1]
        self.pool.k[i][slots, :, :, rows] = k.unflatten(0, (B, 2))
        self.pool.v[i][slots, :, :, rows] = v.unflatten(0, (B, 2))
        past_k, past_v = (t[i, :B, :, :, :span].flatten(0, 1) for t in (self.pool.k, self.pool.v))
        return attend_padded(q, past_k, past_v, seen).flatten(1)

    def _cross(self, i: int, x: Tensor, seen: Tensor) -> Tensor:
        B, text_span = seen.shape
        cross = self.network.layers[i].cross
        q = cross.q(x).unflatten(-1, (cross.heads, cross.head_dim))
        text_k, text_v = (t[i, :B, :, :text_span] for t in (self.text_k, self.text_v))
        return cross.out(attend_padded(q, text_k, text_v, seen).flatten(1))
