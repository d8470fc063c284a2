"""The network with what moves it: Muon for the layers' matrices, AdamW for the rest, an average of it all.

Knows no data and no schedule.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from training.language.checkpoints import AVERAGE
from training.language.network import DiaTraining
from training.language.recipe import Optimiser
from training.language.workers import Workers
from training.muon import Muon

READER = "model.encoder."  # what names of the text encoder's tensors begin with


class Learner:
    def __init__(self, network: DiaTraining, numbers: Optimiser) -> None:
        self.network, self.numbers = network, numbers
        named = dict(network.named_parameters())
        matrices = {name: p for name, p in named.items() if ".layers." in name and p.ndim == 2}
        self.reads = [name.startswith(READER) for name in matrices]
        self.rest = [p for name, p in named.items() if name not in matrices]
        self.parameters = [*matrices.values(), *self.rest]
        self.muon = Muon(
            list(matrices.values()), numbers.muon_momentum, numbers.muon_decay, numbers.newton_schulz_steps
        )
        self.adam = torch.optim.AdamW(
            self.rest, lr=numbers.adam_rate, betas=numbers.adam_betas, weight_decay=0.0, fused=True
        )
        self.average = {name: p.detach().clone() for name, p in named.items()}
        self.steps = 0

    def gradients(self, loss: Tensor) -> list[Tensor]:
        """Of all parameters, of zeros where a batch does not reach one. Threads may do this side by side."""
        found = torch.autograd.grad(loss, self.parameters, allow_unused=True)
        return [torch.zeros_like(p) if g is None else g for p, g in zip(self.parameters, found, strict=True)]

    def step(self, gradients: Sequence[list[Tensor]], rate: float, workers: Workers, reader: float = 1.0) -> None:
        """One update by the mean of the gradients of some batches, at `rate` times the recipe's rates.

        reader: times as much for the matrices of the text encoder.
        """
        mean, *others = gradients
        for other in others:
            torch._foreach_add_(mean, other)
        torch._foreach_div_(mean, float(len(gradients)))
        matrices = len(self.reads)
        self._adam_step(mean[matrices:], rate)
        full = self.numbers.muon_rate * rate
        self.muon.step(mean[:matrices], [full * reader if reads else full for reads in self.reads], workers.map)
        self.steps += 1
        self._average()

    def _adam_step(self, gradients: list[Tensor], rate: float) -> None:
        for p, gradient in zip(self.rest, gradients, strict=True):
            p.grad = gradient
        norm = torch.nn.utils.clip_grad_norm_(self.rest, self.numbers.clip)
        assert torch.isfinite(norm), f"gradients of norm {norm} after {self.steps} steps"
        for options in self.adam.param_groups:
            options["lr"] = self.numbers.adam_rate * rate
        self.adam.step()
        self.adam.zero_grad(set_to_none=True)

    @torch.no_grad()
    def _average(self) -> None:
        """Early on over fewer steps, so that the first weights are soon forgotten."""
        keep = min(self.numbers.average, self.steps / (self.steps + 9))
        torch._foreach_lerp_(list(self.average.values()), list(self.network.parameters()), 1 - keep)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Meanwhile the network has the averaged weights."""
        own = {name: p.detach().clone() for name, p in self.network.named_parameters()}
        self.network.load_state_dict(self.average)
        try:
            yield
        finally:
            self.network.load_state_dict(own)

    @torch.no_grad()
    def start_with(self, weights: Mapping[str, Tensor]) -> None:
        """Give the parameters of these names these values, and the average all that the network has then."""
        named = dict(self.network.named_parameters())
        for name, weight in weights.items():
            named[name].copy_(weight)
        for name, p in named.items():
            self.average[name].copy_(p)

    def state(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            AVERAGE: self.average,
            "velocity": self.muon.state(),
            "adam": self.adam.state_dict(),
            "steps": self.steps,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        for name, weight in state[AVERAGE].items():
            self.average[name].copy_(weight)
        self.muon.load_state(state["velocity"])
        self.adam.load_state_dict(state["adam"])
        self.steps = state["steps"]
