"""One decoder step of a batch of slots: eagerly, or as fixed shapes that a CUDA graph can replay. Both give the same.

Eager reads each slot's cache up to its own length, which is what a CPU wants. Static computes all slots 0 … B - 1 up to
a shared span, free ones too, and holds everything but the drawing of noise, sampling included, in one graph.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from models.decoding.attention import attend_padded, seen_mask
from models.decoding.cache import KeyValuePool
from models.decoding.decoder import Place
from models.decoding.graphs import StepGraphs, bucket
from models.decoding.grid import GridState
from models.decoding.sequence import CodeSequence
from models.musicgen.layers import CrossAttention
from models.musicgen.network import MusicgenNetwork, TextHeads
from models.musicgen.noise import ExponentialNoise
from models.musicgen.sampler import MusicOptions, sample_codes, sample_codes_static
from models.request import SamplingParams

SPANS = (256, 512, 1024, 2048)  # positions a static step reads at most; each is a graph of its own
TEXT_SPANS = (32, 128, 512)  # tokens of text, likewise


class _MusicStepper:
    """What both have in common: how conditions and prompts are read."""

    def __init__(self, network: MusicgenNetwork, pool: KeyValuePool, state: GridState) -> None:
        self.network, self.pool, self.state = network, pool, state
        self.noise = ExponentialNoise(pool.slots, network.config.codebooks, network.config.vocabulary)
        self._prefix: list[Tensor] = [torch.empty(2, 0, 0)] * pool.slots  # [slot] → [2, P, D]

    def load(self, slot: int, sequence: CodeSequence) -> int:
        self._prefix[slot] = self.network.read_prefix(sequence.conditioning)
        self._load_text(slot, self.network.read_text(sequence.conditioning))
        self.noise.load(slot, sequence)
        self._load_options(slot, sequence.sampling)
        return self._prefix[slot].shape[1]

    def _load_text(self, slot: int, text: TextHeads) -> None:
        self.pool.text[slot] = text

    def _load_options(self, slot: int, asked: SamplingParams) -> None:
        raise NotImplementedError

    def prefill(self, slot: int, start: int, stop: int) -> None:
        prefix = self._prefix[slot]
        P = prefix.shape[1]
        rows = self.state.prefix(slot, max(0, start - P), max(0, stop - P))
        self.network.prefill(prefix[:, start:stop], rows, self.pool, slot, start)


class EagerStepper(_MusicStepper):
    """Steps the slots it is given, each over its own length."""

    def __init__(self, network: MusicgenNetwork, pool: KeyValuePool, state: GridState) -> None:
        super().__init__(network, pool, state)
        self._asked = [SamplingParams(seed=0)] * pool.slots

    def _load_options(self, slot: int, asked: SamplingParams) -> None:
        self._asked[slot] = asked

    def __call__(self, places: Sequence[Place]) -> np.ndarray:
        """Step → [B, K + 1]: the codes written, and the row in which each sequence ends."""
        slots, positions = [p.slot for p in places], [p.position for p in places]
        turn = self.state.turn(torch.tensor(slots, device=self.network.device))
        cond, uncond = self.network.step(turn.codes, self.pool, slots, positions)
        noise = [each.to(self.network.device) for each in self.noise.draw(slots)]
        codes = sample_codes(cond, uncond, [self._asked[slot] for slot in slots], noise)
        return self.state.write(turn, codes).cpu().numpy()


class StaticStepper(_MusicStepper):
    """Steps slots 0 … B - 1 together, whether anybody is in them or not; captured once per shape on CUDA."""

    def __init__(self, network: MusicgenNetwork, pool: KeyValuePool, state: GridState) -> None:
        super().__init__(network, pool, state)
        c, shape, device = network.config, network.cache_shape, network.device
        size = (c.layers, pool.slots, c.heads, shape.text_positions, c.head_dim)
        self.text_k, self.text_v = (torch.zeros(size, dtype=pool.k.dtype, device=device) for _ in range(2))
        self.text_lengths = torch.ones(pool.slots, dtype=torch.long, device=device)
        self._text_tokens = [1] * pool.slots  # the same, on the host
        self.before = torch.zeros(pool.slots, dtype=torch.long, device=device)  # positions before a slot's rows
        self.numbers = torch.ones(pool.slots, 4, device=device)  # of MusicOptions
        self.drawn = torch.ones(pool.slots, c.codebooks, c.vocabulary, device=device)
        self.active = torch.ones(pool.slots, dtype=torch.bool, device=device)
        pool.k.zero_(), pool.v.zero_()  # free slots are computed too
        self._graphs = StepGraphs(self.step, self.active)

    def load(self, slot: int, sequence: CodeSequence) -> int:
        # Positions past a row's own are computed with weight 0, and 0 · inf is NaN: nothing of the last user may stay.
        self.pool.k[:, slot].zero_(), self.pool.v[:, slot].zero_()
        before = super().load(slot, sequence)
        self.before[slot] = before
        return before

    def _load_text(self, slot: int, text: TextHeads) -> None:
        length = text[0][0].shape[1] if text else 1
        for i, (k, v) in enumerate(text):
            self.text_k[i, slot, :, :length], self.text_v[i, slot, :, :length] = k, v
        self.text_lengths[slot] = self._text_tokens[slot] = length
        # What a prefill reads: views, so that a text is kept once.
        kept = zip(self.text_k[:, slot, :, :length], self.text_v[:, slot, :, :length], strict=True)
        self.pool.text[slot] = list(kept) if text else []

    def _load_options(self, slot: int, asked: SamplingParams) -> None:
        self.numbers[slot] = torch.tensor(MusicOptions.numbers(asked))

    def __call__(self, places: Sequence[Place]) -> np.ndarray:
        """Step → [B, K + 1]: the codes written, and the row in which each sequence ends."""
        taken = [p.slot for p in places]
        self.active.zero_()
        self.active[torch.tensor(taken)] = True
        for slot, noise in zip(taken, self.noise.draw(taken), strict=True):
            self.drawn[slot] = noise
        shape = (
            min(1 << max(taken).bit_length(), self.pool.slots),
            bucket(1 + max(p.position for p in places), SPANS, self.network.positions),
            bucket(max(self._text_tokens[slot] for slot in taken), TEXT_SPANS, TEXT_SPANS[-1]),
        )
        return self._graphs(shape)[taken].cpu().numpy()

    def step(self, B: int, span: int, text_span: int) -> Tensor:
        """One step of slots 0 … B - 1, of fixed shapes and without a word from the host → [B, K + 1]."""
        network, state = self.network, self.state
        turn = state.turn(torch.arange(B, device=network.device))
        slots, positions = turn.slots, turn.row - 1 + self.before[:B]
        codes = turn.codes.clamp_min(0)  # a slot nobody is in may hold UNKNOWN, which is no index
        x, cond = network.branches(codes, positions)
        seen = seen_mask((positions + 1).repeat_interleave(2), span)
        seen_text = seen_mask(self.text_lengths[:B], text_span)
        for i, layer in enumerate(network.layers):
            q, k, v = layer.attention.project(x)
            x += layer.attention.out(self._attend(i, q, k, v, slots, positions, seen))
            if layer.cross is not None:
                cond += self._cross(i, layer.cross, cond, seen_text)
            x += layer.mlp(x)
        options = MusicOptions.of(self.numbers[:B])
        codes = sample_codes_static(*network.guided_pair(x), options, self.drawn[:B])
        return state.write(turn, codes, self.active[:B])

    def _attend(
        self, i: int, q: Tensor, k: Tensor, v: Tensor, slots: Tensor, positions: Tensor, seen: Tensor
    ) -> Tensor:
        """Write the row's keys and values, then attend: q [2B, H, d] → [2B, H·d]."""
        B, span = len(slots), seen.shape[1]
        self.pool.k[i][slots, :, :, positions] = k.unflatten(0, (B, 2))
        self.pool.v[i][slots, :, :, positions] = v.unflatten(0, (B, 2))
        past_k, past_v = (t[i, :B, :, :, :span].flatten(0, 1) for t in (self.pool.k, self.pool.v))
        return attend_padded(q, past_k, past_v, seen).flatten(1)

    def _cross(self, i: int, cross: CrossAttention, x: Tensor, seen: Tensor) -> Tensor:
        """What layer i's cross-attention adds to the conditional rows x [B, D] → [B, D]."""
        B, text_span = seen.shape
        text_k, text_v = (t[i, :B, :, :text_span] for t in (self.text_k, self.text_v))
        return cross.out(attend_padded(cross.queries(x), text_k, text_v, seen).flatten(1))
