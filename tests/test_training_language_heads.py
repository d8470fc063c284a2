"""Heads that an export lacks learn beside a network that stays as it is."""

import dataclasses
from pathlib import Path

import pytest
import torch
from training_language_fixtures import RECIPE, utterances, write_run

from training.language.batches import collate
from training.language.heads import fit_heads
from training.language.network import EXTRA
from training.language.train import Budget, Trainer


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    run: Path = tmp_path_factory.mktemp("run")
    write_run(run, utterances(200))
    return Trainer(run, RECIPE, Budget(steps=1))


def test_only_heads_move_and_say_more(trainer: Trainer) -> None:
    network = trainer.learner.network
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    numbers = trainer._numbers(trainer.held_out[0])
    stream = trainer.stream.batches()
    batches = [collate(next(stream)[1], trainer.specials) for _ in range(30)]
    fit_heads(network, batches, RECIPE.weights)
    for name, p in network.named_parameters():
        assert torch.equal(p, before[name]) != name.startswith(EXTRA), name
        assert p.grad is None
    after = trainer._numbers(trainer.held_out[0])
    assert after["letter"] < numbers["letter"] / 2
    assert after["phone"] < numbers["phone"]
    assert after["place"] < numbers["place"]
    assert after["code0"] == numbers["code0"]


def test_a_run_that_takes_up_a_model_fits_them_first(trainer: Trainer) -> None:
    """The average has the fitted ones too."""
    network = trainer.learner.network
    weights = {name: p.detach().clone() for name, p in network.named_parameters() if not name.startswith(EXTRA)}
    random = {name: p.detach().clone() for name, p in network.extra.named_parameters()}
    trainer.recipe = dataclasses.replace(RECIPE, optimiser=dataclasses.replace(RECIPE.optimiser, head_steps=3))
    trainer.take_up(weights, rate=1.0)
    for name, p in network.extra.named_parameters():
        assert not torch.equal(p, random[name]), name
        assert torch.equal(trainer.learner.average[f"{EXTRA}{name}"], p), name
    for name, weight in weights.items():
        assert torch.equal(trainer.learner.average[name], weight), name
