"""Muon: momentum whose matrices are made orthogonal before they are added. Knows parameters, no network.

Source: Keller Jordan's Muon (2024) with the scale of Moonlight (arXiv:2502.16982): 0.2 * sqrt(longer side) gives an
update the root mean square of an AdamW one, so that both go by similar rates. Matrices of one shape go together.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic whose repetition brings singular values near 1
UPDATE_SCALE = 0.2
TINY = 1e-7


class Muon:
    """Moves the matrices given, each [out, in], by their gradients."""

    def __init__(self, matrices: Sequence[Tensor], momentum: float, decay: float, steps: int) -> None:
        self.matrices = list(matrices)
        self.momentum, self.decay, self.steps = momentum, decay, steps
        self.velocity = [torch.zeros_like(m) for m in self.matrices]
        self.groups: dict[tuple[int, ...], list[int]] = {}
        for index, matrix in sorted(enumerate(self.matrices), key=lambda m: -m[1].numel()):  # large ones begin
            self.groups.setdefault(tuple(matrix.shape), []).append(index)

    @torch.no_grad()
    def step(self, gradients: list[Tensor], rates: Sequence[float], spread: Callable[..., Iterable[Any]] = map) -> None:
        """One update, a gradient and a rate for each matrix; the gradients are used up.

        spread: `map`, or one that uses many threads.
        """
        torch._foreach_mul_(self.velocity, self.momentum)
        torch._foreach_add_(self.velocity, gradients)
        torch._foreach_add_(gradients, self.velocity, alpha=self.momentum)  # Nesterov's
        torch._foreach_mul_(self.matrices, [1 - rate * self.decay for rate in rates])
        stacks = [torch.stack([gradients[i] for i in members]) for members in self.groups.values()]
        found = spread(lambda stack: orthogonal(stack, self.steps), stacks)
        for (shape, members), updates in zip(self.groups.items(), found, strict=True):
            scale = UPDATE_SCALE * max(shape) ** 0.5
            for index, update in zip(members, updates, strict=True):
                self.matrices[index].add_(update, alpha=-rates[index] * scale)

    def state(self) -> list[Tensor]:
        return self.velocity

    def load_state(self, velocity: Sequence[Tensor]) -> None:
        for mine, theirs in zip(self.velocity, velocity, strict=True):
            mine.copy_(theirs)


def orthogonal(matrices: Tensor, steps: int) -> Tensor:
    """Nearly the nearest orthogonal matrices: [M, out, in] → [M, out, in] float32, by Newton-Schulz iteration."""
    a, b, c = COEFFICIENTS
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = (x / (x.norm(dim=(1, 2), keepdim=True) + TINY)).bfloat16()
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).float()
