"""Drawing one code from logits, for many requests at once and without waiting for the host.

Knows no model and no codebook meaning. Randomness comes in as uniform numbers drawn beforehand by each request's own
generator, so that the same seed gives the same codes alone, in a batch, on a CPU and inside a CUDA graph.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


def uniform_noise(seed: int, steps: int, codebooks: int) -> Tensor:
    """The randomness of one sequence: float32 [steps, K] in [0, 1), from a generator of its own on the CPU."""
    return torch.rand(steps, codebooks, generator=torch.Generator().manual_seed(seed))


@dataclass(frozen=True)
class StepOptions:
    """Sampling options of the requests of one step, as tensors so that a captured graph can read new values."""

    cfg_scale: Tensor  # float32 [B]
    temperature: Tensor  # float32 [B]; 0 is greedy
    top_p: Tensor  # float32 [B]
    top_k: Tensor  # int64 [B]


def nucleus(probs: Tensor, top_p: Tensor) -> Tensor:
    """Keep the head of sorted probabilities that reaches top_p: [B, K, N] descending → the same, tail zeroed.

    The candidate that crosses the threshold is kept, so at least one always is. top_p [B]; 1 keeps all.
    """
    before = torch.nn.functional.pad(probs.cumsum(-1)[..., :-1], (1, 0))  # what the likelier ones reach together
    limit = torch.where(top_p < 1, top_p, torch.inf)[:, None, None]
    return probs.masked_fill(before > limit, 0)


def draw(weights: Tensor, uniform: Tensor) -> Tensor:
    """Index drawn in proportion to weights [B, K, N] by inverting their cumulative sum at uniform [B, K] → [B, K].

    Weights need not add up to 1; one of weight 0 is never drawn.
    """
    cumulative = weights.cumsum(-1)
    threshold = uniform[..., None] * cumulative[..., -1:]
    index = (cumulative <= threshold).sum(-1)
    # Rounding can put the threshold on the total itself; the last index of positive weight is meant then.
    last = (weights > 0).long().cumsum(-1).argmax(-1)
    return torch.minimum(index, last)
