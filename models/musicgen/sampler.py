"""MusicGen's choice of the next codes: guided logits, and what audiocraft does with top_p, top_k and temperature.

The rules (audiocraft/models/lm.py, LMModel._sample_next_token): logits go from the unconditional to and past the
conditional ones; temperature 0 takes the likeliest code; top_p above 0 leaves the nucleus, and top_k then means
nothing; otherwise top_k above 0 leaves the k likeliest and all that are as likely as the last of them; otherwise all
are left. A code is then drawn as torch.multinomial draws it, by dividing probabilities by exponential noise: with the
noise of the same generator the codes are audiocraft's own. `sample_codes` is for rows whose options the host knows,
`sample_codes_static` for any rows in one captured graph; both give the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from models.decoding.sampling import is_greedy
from models.request import SamplingParams


def guide(cond: Tensor, uncond: Tensor, cfg_scale: Tensor | float) -> Tensor:
    """Logits to draw from, of any shape: 0 is the unconditional branch, 1 the conditional one, more goes past it."""
    return uncond + (cond - uncond) * cfg_scale


def sample_codes(cond: Tensor, uncond: Tensor, asked: Sequence[SamplingParams], noise: Sequence[Tensor]) -> Tensor:
    """Next codes [B, K] from logits, float32 [B, K, V], and for each row exponential noise [K, V]."""
    rows = zip(cond, uncond, asked, noise, strict=True)
    return torch.stack([_sample(guide(c, u, params.cfg_scale), params, drawn) for c, u, params, drawn in rows])


def _sample(logits: Tensor, asked: SamplingParams, noise: Tensor) -> Tensor:
    """logits and noise [K, V] → codes [K]."""
    if is_greedy(asked):
        return logits.argmax(-1)
    weights = torch.softmax(logits / asked.temperature, dim=-1)
    if asked.top_p > 0:
        ordered, ids = weights.sort(dim=-1, descending=True)
        return ids.gather(-1, _draw(_nucleus(ordered, asked.top_p), noise)).squeeze(-1)
    if asked.cfg_filter_top_k > 0:
        k = min(asked.cfg_filter_top_k, weights.shape[-1])
        weights = _above(weights, weights.topk(k, dim=-1).values[..., -1:])
    return _draw(weights, noise).squeeze(-1)


@dataclass(frozen=True)
class MusicOptions:
    """Sampling options of the requests of one step, as tensors so that a captured graph can read new values.

    Each is float32 [B, 1, 1], to broadcast over codebooks and codes.
    """

    cfg_scale: Tensor
    temperature: Tensor  # 0 is greedy
    top_p: Tensor  # 0 is none
    top_k: Tensor  # whole numbers; 0 is none

    @staticmethod
    def numbers(asked: SamplingParams) -> tuple[float, float, float, float]:
        """What a request asks for, as one row of the table that `of` takes."""
        temperature = 0.0 if is_greedy(asked) else asked.temperature
        return asked.cfg_scale, temperature, asked.top_p, asked.cfg_filter_top_k

    @classmethod
    def of(cls, table: Tensor) -> Self:
        """From the numbers of some requests, float32 [B, 4]."""
        return cls(*table[:, :, None, None].unbind(1))


def sample_codes_static(cond: Tensor, uncond: Tensor, options: MusicOptions, noise: Tensor) -> Tensor:
    """The same for rows of any options: noise [B, K, V]. Nothing is read back, so a graph can hold it."""
    logits = guide(cond, uncond, options.cfg_scale)
    V = logits.shape[-1]
    weights = torch.softmax(logits / options.temperature.masked_fill(options.temperature == 0, 1), dim=-1)
    ordered, ids = weights.sort(dim=-1, descending=True)
    in_nucleus = ids.gather(-1, _draw(_nucleus(ordered, options.top_p), noise))
    k = options.top_k.masked_fill(options.top_k == 0, V).clamp_max(V).long()
    last_kept = ordered.gather(-1, (k - 1).expand(-1, logits.shape[1], 1))
    kept = _above(weights, last_kept)
    among_top = _draw(torch.where(options.top_k > 0, kept, weights), noise)
    codes = torch.where(options.top_p > 0, in_nucleus, among_top)
    return torch.where(options.temperature == 0, logits.argmax(-1, keepdim=True), codes).squeeze(-1)


def _nucleus(ordered: Tensor, top_p: Tensor | float) -> Tensor:
    """Descending probabilities [..., V] without those that come after top_p is exceeded; they sum to 1 again."""
    before = ordered.cumsum(dim=-1) - ordered
    kept = ordered * (before <= top_p)
    return kept / kept.sum(dim=-1, keepdim=True)


def _above(weights: Tensor, least: Tensor) -> Tensor:
    """Probabilities [..., V] without those below `least` [..., 1]; they sum to 1 again."""
    kept = weights * (weights >= least)
    return kept / kept.sum(dim=-1, keepdim=True)


def _draw(weights: Tensor, noise: Tensor) -> Tensor:
    """Index drawn by probabilities [..., V] → [..., 1]: that of the first of V clocks to ring, each at its own rate."""
    return (weights / noise).argmax(-1, keepdim=True)
