"""What moves a network of convolutions: Muon its weights, AdamW all the rest. A vocoder needs a third of the steps."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from training.muon import Muon

MOMENTUM, STEPS = 0.95, 5  # of Muon


class Mover:
    """Both optimisers, over weights of convolutions (each a matrix of its outputs) and other parameters."""

    def __init__(
        self,
        network: nn.Module,
        rest: Iterable[nn.Parameter],
        rates: tuple[float, float],
        betas: tuple[float, float],
        *,
        decay: float = 0.0,
        clip: float = 1.0,
    ) -> None:
        """network: whose weights Muon moves. rest: what AdamW moves beside what is no weight there.

        rates: of AdamW and of Muon. decay: of the weights. clip: the largest norm of what AdamW is given.
        """
        self._rates, self._clip = rates, clip
        self._weights = [p for p in network.parameters() if _is_weight(p)]
        self._rest = [*rest, *(p for p in network.parameters() if not _is_weight(p))]
        self._muon = Muon([p.detach().flatten(1) for p in self._weights], MOMENTUM, decay, STEPS)
        self._adam = torch.optim.AdamW(self._rest, rates[0], betas, weight_decay=0.0)

    def step(self, pace: float) -> None:
        """By the gradients that are there, which are used up. pace: share of both rates."""
        for group in self._adam.param_groups:
            group["lr"] = self._rates[0] * pace
        torch.nn.utils.clip_grad_norm_(self._rest, self._clip)
        self._adam.step()
        gradients = [p.grad.flatten(1) for p in self._weights if p.grad is not None]
        self._muon.step(gradients, [self._rates[1] * pace] * len(gradients))
        for parameter in (*self._weights, *self._rest):
            parameter.grad = None

    def state_dict(self) -> dict[str, Any]:
        return {"adam": self._adam.state_dict(), "velocity": self._muon.state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._adam.load_state_dict(state["adam"])
        self._muon.load_state(state["velocity"])


def _is_weight(parameter: nn.Parameter) -> bool:
    """Not a bias, nor the alpha of a Snake: [1, C, 1]."""
    return parameter.ndim > 1 and not (parameter.ndim == 3 and parameter.shape[0] == 1)
