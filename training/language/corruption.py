"""What is done to the inputs of a batch, so that the decoder trusts the text and survives its own slips."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from training.language.batches import DROPPED, IGNORE, Batch, Specials
from training.language.recipe import Corruption


def voices_swapped(borrowed: Sequence[Sequence[int]], size: int) -> Tensor:
    """int64 [size]: each code of codebook 0 as the other voice would say it; itself where that is not known.

    borrowed: own unit for each of the other's, for each of the two voices.
    """
    table = np.arange(size)
    for own in map(np.asarray, borrowed):
        known = np.flatnonzero(own >= 0)
        table[known] = own[known]
    return torch.from_numpy(table)


def corrupt(
    batch: Batch, how: Corruption, specials: Specials, random: np.random.Generator, other_voice: Tensor | None = None
) -> Batch:
    """Hide some texts and spoil some of the codes read; what is to be said stays the same.

    other_voice: int64 [V], what each code of codebook 0 would be if the other voice spoke, see `voices_swapped`.
    """
    B, T, _ = batch.codes.shape
    severity = random.random((B, 1)) * how.severity
    codes = batch.codes
    if other_voice is not None:
        codes = _swap_voices(codes, torch.from_numpy(_stretches(B, T, how.swap_voice, random)), other_voice, random)
    codes = _replace_rows(codes, torch.from_numpy(random.random((B, T)) < severity * how.replace_row), specials, random)
    row, detail = (random.random((B, T)) < random.permutation(severity) * p for p in (how.drop_row, how.drop_detail))
    row[:, 0] = detail[:, 0] = False  # where the grid begins is always seen
    codes[torch.from_numpy(row)] = DROPPED
    codes[..., 1:][torch.from_numpy(detail)] = DROPPED
    return _drop_texts(batch, codes, torch.from_numpy(random.random(B) < how.drop_text))


def _replace_rows(codes: Tensor, where: Tensor, specials: Specials, random: np.random.Generator) -> Tensor:
    """Rows [B, T] of codes [B, T, K] become other rows of the same example, where both hold codes only."""
    B, T, _ = codes.shape
    others = codes[torch.arange(B)[:, None], torch.from_numpy(random.integers(0, T, (B, T)))]
    plain = (codes < specials.eos).all(-1) & (others < specials.eos).all(-1)
    return torch.where((where & plain)[..., None], others, codes)


def _drop_texts(batch: Batch, codes: Tensor, dropped: Tensor) -> Batch:
    """Some examples [B], never all, lose their text: one 0 as in the unconditional branch of guidance."""
    if dropped.all():
        dropped = dropped.clone()
        dropped[0] = False
    ids = batch.ids.masked_fill(dropped[:, None], 0)
    mask = batch.mask & ~dropped[:, None]
    mask[:, 0] = True
    guided = batch.guided & ~dropped[:, None]
    phones, letters = (t.masked_fill(dropped[:, None], IGNORE) for t in (batch.phones, batch.letters))
    return replace(batch, ids=ids, mask=mask, codes=codes, guided=guided, phones=phones, letters=letters)


def _stretches(count: int, length: int, share: float, random: np.random.Generator) -> npt.NDArray[np.bool_]:
    """[count, length]: in this share of the rows a stretch of any place and length is true."""
    ends = np.sort(random.random((count, 2)) * length, axis=1)
    inside = (np.arange(length) >= ends[:, :1]) & (np.arange(length) < ends[:, 1:])
    return inside & (random.random((count, 1)) < share)


def _swap_voices(codes: Tensor, where: Tensor, other_voice: Tensor, random: np.random.Generator) -> Tensor:
    """The other voice's units in rows [B, T] of codes [B, T, K]; in half of the examples nothing else is known."""
    units = codes[..., 0]
    plain = where & (units >= 0) & (units < len(other_voice))
    swapped = codes.clone()
    swapped[..., 0] = torch.where(plain, other_voice[units.clamp(0, len(other_voice) - 1)], units)
    bare = plain & torch.from_numpy(random.random((len(codes), 1)) < 0.5)
    swapped[..., 1:][bare] = DROPPED
    return swapped
