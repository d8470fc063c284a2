"""Heads that training alone has, fitted to a network that is there and stays as it is meanwhile.

An export drops them. Random ones would first teach the network what fits them, and unteach what it knows.
"""

from collections.abc import Iterable

import torch

from training.language.batches import Batch
from training.language.losses import losses_of
from training.language.network import DiaTraining
from training.language.recipe import Weights

RATE = 1e-2  # of AdamW; nothing but linear layers moves


def fit_heads(network: DiaTraining, batches: Iterable[Batch], weights: Weights) -> None:
    """One step for each batch."""
    heads = list(network.extra.parameters())
    adam = torch.optim.AdamW(heads, RATE, weight_decay=0.0)
    for batch in batches:
        found = torch.autograd.grad(losses_of(network, batch, weights).total, heads)
        for head, gradient in zip(heads, found, strict=True):
            head.grad = gradient
        adam.step()
    adam.zero_grad()
