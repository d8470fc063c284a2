"""What moves the network: the text encoder's matrices by a share of the rate once they read well."""

import pytest
import torch
from training_language_fixtures import PHONES, RECIPE, SIZE

from training.language.learner import READER, Learner
from training.language.network import DiaTraining
from training.language.workers import Workers


def moved(reader: float) -> dict[str, float]:
    """How far each matrix of the layers went in one step."""
    network = DiaTraining.seeded(RECIPE.config(), SIZE.codebooks, PHONES, torch.float32, seed=3)
    learner = Learner(network, RECIPE.optimiser)
    random = torch.Generator().manual_seed(0)
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    with Workers(1) as workers:
        learner.step([[torch.randn(p.shape, generator=random) for p in learner.parameters]], 1.0, workers, reader)
    return {
        name: float((p.detach() - before[name]).norm())
        for name, p in network.named_parameters()
        if ".layers." in name and p.ndim == 2
    }


def test_the_text_encoder_moves_by_its_share() -> None:
    whole, third = moved(1.0), moved(0.3)
    assert any(name.startswith(READER) for name in whole)
    assert not all(name.startswith(READER) for name in whole)
    for name, distance in whole.items():
        share = 0.3 if name.startswith(READER) else 1.0
        assert third[name] == pytest.approx(share * distance, rel=1e-3), name
