"""Dia's choice of the next nine codes: guidance picks the candidates, the conditional logits are what is drawn from.

Source: nari-labs/dia, dia/model.py `_decoder_step` and `_sample_next_token` at 876125e. The rules are theirs; the order
of work is ours: only the at most `limit` guided candidates are ever sorted, and nothing waits for the host.
"""

import torch
from torch import Tensor

from models.decoding.sampling import StepOptions, draw

# The largest cfg_filter_top_k. Always this many are sorted, whoever shares the step: with another width the sums of a
# softmax round otherwise, and a request in a batch would not be the same to the last bit as alone.
CANDIDATES = 100


def sample_codes(cond: Tensor, uncond: Tensor, options: StepOptions, uniform: Tensor, eos: int) -> Tensor:
    """Next codes [B, K] from conditional and unconditional logits, float32 [B, K, V], and uniform [B, K] in [0, 1).

    Codes are 0..eos, and eos only in codebook 0.
    """
    ids, kept = guided_candidates(cond, uncond, options)
    logits = cond.gather(-1, ids).masked_fill_((ids >= eos).logical_or_(~kept), -torch.inf)
    logits, order = logits.sort(dim=-1, descending=True, stable=True)
    place = draw(torch.softmax(logits / options.temperature, dim=-1), options.top_p, uniform)
    codes = ids.gather(-1, order.gather(-1, place)).squeeze(-1)
    likeliest = logits[..., 0]
    # With a small top_k guidance may choose special codes only; then the likeliest code that may be spoken is taken.
    codes = torch.where(likeliest.isneginf(), cond[..., :eos].argmax(-1), codes)
    # The end is taken when it is a candidate and the likeliest, never drawn.
    ends = ((ids[:, 0] == eos) & kept[:, 0]).any(-1) & (cond[:, 0, eos] > likeliest[:, 0])
    codes[:, 0].masked_fill_(ends, eos)
    return codes


def guided_candidates(cond: Tensor, uncond: Tensor, options: StepOptions) -> tuple[Tensor, Tensor]:
    """Ids [B, K, 100] of the best guided logits, and which of them each request's top_k keeps, bool [B, 1, 100]."""
    # scale + 1 in MusicGen's terms: Dia guides on from the conditional branch.
    guided = cond + options.cfg_scale * (cond - uncond)
    ids = guided.topk(CANDIDATES, dim=-1).indices
    return ids, torch.arange(CANDIDATES, device=ids.device) < options.top_k
