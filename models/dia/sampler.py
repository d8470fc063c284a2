"""Dia's choice of the next nine codes: guidance picks the candidates, the conditional logits are what is drawn from.

Source: nari-labs/dia, dia/model.py `_decoder_step` and `_sample_next_token` at 876125e. The rules are theirs; the order
of work is ours: only the at most `limit` guided candidates are ever sorted, and nothing waits for the host.
"""

import torch
from torch import Tensor

from models.decoding.sampling import StepOptions, draw, nucleus

# The largest cfg_filter_top_k. Always this many are sorted, whoever shares the step: with another width the sums of a
# softmax round otherwise, and a request in a batch would not be the same to the last bit as alone.
CANDIDATES = 100


def sample_codes(cond: Tensor, uncond: Tensor, options: StepOptions, uniform: Tensor, eos: int) -> Tensor:
    """Next codes [B, K] from conditional and unconditional logits, float32 [B, K, V], and uniform [B, K] in [0, 1).

    Codes are 0..eos, and eos only in codebook 0.
    """
    ids, logits = guided_candidates(cond, uncond, options)
    logits = forbid_special_codes(ids, logits, eos)
    likeliest, place = logits.max(-1, keepdim=True)
    best = ids.gather(-1, place).squeeze(-1)  # [B, K]
    # With a small top_k guidance may choose special codes only; then the likeliest code that may be spoken is taken.
    speakable = cond[..., :eos].argmax(-1)
    none_left = likeliest.squeeze(-1).isneginf()
    best = torch.where(none_left, speakable, best)
    logits = logits.masked_fill(ids == eos, -torch.inf)  # the end is taken when it is likeliest, never drawn
    drawn = draw_candidate(ids, logits, options, uniform)
    take_best = (best == eos) | none_left | (options.temperature == 0)[:, None]
    return torch.where(take_best, best, drawn)


def guided_candidates(cond: Tensor, uncond: Tensor, options: StepOptions) -> tuple[Tensor, Tensor]:
    """Ids [B, K, 100] of the best guided logits and their *conditional* logits, -inf past each request's top_k."""
    # scale + 1 in MusicGen's terms: Dia guides on from the conditional branch.
    guided = cond + options.cfg_scale[:, None, None] * (cond - uncond)
    ids = guided.topk(CANDIDATES, dim=-1).indices
    rank = torch.arange(CANDIDATES, device=ids.device)
    return ids, cond.gather(-1, ids).masked_fill(rank >= options.top_k[:, None, None], -torch.inf)


def forbid_special_codes(ids: Tensor, logits: Tensor, eos: int) -> Tensor:
    """Codes above eos are never spoken, and only codebook 0 may end."""
    highest = torch.full((ids.shape[1], 1), eos - 1, device=ids.device)
    highest[0] = eos
    return logits.masked_fill(ids > highest, -torch.inf)


def draw_candidate(ids: Tensor, logits: Tensor, options: StepOptions, uniform: Tensor) -> Tensor:
    """One id [B, K] by temperature and nucleus; at temperature 0 it is any candidate, and the caller takes the best."""
    temperature = torch.where(options.temperature > 0, options.temperature, 1)[:, None, None]
    probs, order = torch.softmax(logits / temperature, dim=-1).sort(dim=-1, descending=True, stable=True)
    index = draw(nucleus(probs, options.top_p), uniform)
    return ids.gather(-1, order.gather(-1, index[..., None])).squeeze(-1)
