"""A tiny run learns, stops, goes on to the last bit, and exports what inference asks for."""

import dataclasses
import json
import os
import signal
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from training_language_fixtures import RECIPE, SIZE, utterances, write_run

from training.export import write_model
from training.language.checkpoints import AVERAGE, checkpoints, load, state_for_export
from training.language.losses import _LinearCrossEntropy
from training.language.network import EXTRA
from training.language.train import Budget, Trainer, train
from training.muon import orthogonal
from training.published import SCALES, load_model


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("data")
    write_run(folder, utterances(300))
    return folder


@pytest.fixture
def run(run_folder: Path, tmp_path: Path) -> Path:
    (tmp_path / "codes").symlink_to(run_folder / "codes")
    return tmp_path


def entries(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "language" / "log.jsonl").read_text().splitlines()]


def test_losses_fall_by_half_and_are_logged(run: Path) -> None:
    train(run, RECIPE, steps=40, threads=1)
    reports = [e for e in entries(run) if "code0" in e]
    first, last = reports[0], reports[-1]
    assert last["code0"] < first["code0"] / 2
    assert last["letter"] < first["letter"] / 2
    assert last["phone"] < first["phone"] / 2
    assert last["step"] == 40
    assert last["rate"] < 0.1
    held_out = [e for e in entries(run) if "validation" in e]
    assert held_out[-1]["validation_average"]["correct"] > held_out[0]["validation_average"]["correct"]


def test_a_run_in_two_pieces_equals_one_in_one(
    run: Path, run_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("whole")
    (other / "codes").symlink_to(run_folder / "codes")
    recipe = dataclasses.replace(RECIPE, optimiser=dataclasses.replace(RECIPE.optimiser, decay_share=0.01))
    whole = load(train(other, recipe, steps=14, threads=1))
    train(run, recipe, steps=6, threads=1)  # decays over its last step only, and not within its first 6 of 14
    pieces = load(train(run, recipe, steps=14, threads=1))
    assert pieces["progress"]["chunk"] == whole["progress"]["chunk"] > 0
    for part in ("network", "average"):
        for name, weight in whole[part].items():
            assert torch.equal(weight, pieces[part][name]), name


def test_cooldown_starts_where_it_is_asked_to(run: Path) -> None:
    last = train(run, RECIPE, steps=6, threads=1)
    trainer = Trainer(run, RECIPE, Budget(steps=10))
    trainer.restore(load(last))
    trainer.start_cooldown()
    assert trainer.rate == 1.0
    trainer.progress.step = 11
    assert trainer.rate == 0.5
    assert load(train(run, RECIPE, steps=4, threads=1, cooldown_from=last))["progress"]["step"] == 10


def test_a_run_may_begin_with_an_exported_model(
    run: Path, run_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """It knows what that one knew, up to float16, and need not learn to read; rates begin where they are told to."""
    recipe = dataclasses.replace(RECIPE, mixing=dataclasses.replace(RECIPE.mixing, reading_steps=7))
    older = load(train(run, RECIPE, steps=30, threads=1))
    write_model(run, {}, {name: w for name, w in older[AVERAGE].items() if not name.startswith(EXTRA)}, SCALES)
    other = tmp_path_factory.mktemp("other")
    (other / "codes").symlink_to(run_folder / "codes")
    trainer = Trainer(other, recipe, Budget(steps=10))
    untaught = trainer._numbers(trainer.held_out[0])
    trainer.take_up(load_model(run / "model"), rate=0.5)
    taught = trainer._numbers(trainer.held_out[0])
    for name, weight in trainer.learner.network.named_parameters():
        assert torch.equal(trainer.learner.average[name], weight), name
        if not name.startswith(EXTRA):
            assert (weight - older[AVERAGE][name]).abs().max() <= 1e-3 * weight.abs().max(), name
    assert taught["code0"] < untaught["code0"] / 2
    assert trainer.progress.step == 7
    trainer.progress.step += RECIPE.optimiser.warmup_steps
    assert trainer.rate == pytest.approx(0.5 * (1 - RECIPE.optimiser.warmup_steps / 10))
    last = load(train(other, recipe, steps=3, threads=1, begin_with=run / "model", rate=0.5))
    assert last["progress"]["step"] == 7 + 3
    again = load(train(other, recipe, steps=3, threads=1, begin_with=run / "none", rate=0.5))
    assert again["progress"]["step"] == last["progress"]["step"], "there is one to go on from"


def test_the_last_two_checkpoints_are_kept(run: Path) -> None:
    recipe = dataclasses.replace(RECIPE, save_minutes=0.0)
    train(run, recipe, steps=4, threads=1)
    assert [p.name for p in checkpoints(run / "language")] == ["00000003.pt", "00000004.pt"]


def test_sigterm_saves_and_returns(run: Path) -> None:
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM))
    timer.start()
    last = load(train(run, RECIPE, steps=100_000, threads=1))
    assert 0 < last["progress"]["step"] < 100_000


def test_an_export_has_no_extra_heads_and_idle_codebooks_of_zero(run: Path) -> None:
    state = state_for_export(train(run, RECIPE, steps=3, threads=1))
    assert not [name for name in state if not name.startswith(("model.", "logits_dense."))]
    used = SIZE.codebooks * (SIZE.codes + 4)
    for name in ("model.decoder.embeddings.embed.weight", "logits_dense.weight"):
        assert state[name][:used].any(dim=1).all()
        assert not state[name][used:].any()


def test_loss_and_gradients_without_kept_logits_equal_torchs() -> None:
    random = torch.Generator().manual_seed(0)
    x, weight = torch.randn(300, 8, generator=random), torch.randn(11, 8, generator=random)
    targets = torch.randint(0, 11, (300,), generator=random)
    found = []
    for theirs in (True, False):
        a, b = x.clone().requires_grad_(), weight.clone().requires_grad_()
        loss = (
            torch.nn.functional.cross_entropy(a @ b.T, targets)
            if theirs
            else _LinearCrossEntropy.apply(a, b, targets)[0]
        )
        (3 * loss).backward()
        found.append((loss.detach(), a.grad, b.grad))
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("shape", [(4, 40, 12), (2, 12, 40), (3, 16, 16)])
def test_orthogonal_updates_have_singular_values_near_one(shape: tuple[int, ...]) -> None:
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonal(matrices, 5))
    assert values.max() < 1.4
    assert values.median() > 0.6


def test_the_first_steps_are_of_reading_alone(run: Path) -> None:
    items = utterances(100)
    text = np.frombuffer(b"".join(u.text for u in items), np.uint8)
    letters = np.concatenate([u.letters for u in items])
    meta = json.dumps([len(u.text) for u in items])
    np.savez(run / "pronunciations.npz", text=text, letters=letters, meta=meta)
    recipe = dataclasses.replace(RECIPE, mixing=dataclasses.replace(RECIPE.mixing, reading_steps=60))
    seeded = Trainer(run, recipe, Budget(steps=1)).learner.network.state_dict()
    reader = load(train(run, recipe, steps=60, threads=1))["network"]
    read = [e["practice"] for e in entries(run) if "practice" in e]
    assert read[-1] < read[0] / 4
    first = "model.decoder.layers.0.mlp.down_proj.weight"
    assert torch.allclose(reader[first], seeded[first], atol=0.05), "the decoder has not begun"
    train(run, recipe, steps=62, threads=1)
    assert next(e["letter"] for e in entries(run) if "letter" in e) < 0.5


def test_two_threads_train_what_one_does(run: Path, run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("threads")
    (other / "codes").symlink_to(run_folder / "codes")
    one, two = (load(train(folder, RECIPE, steps=5, threads=n)) for folder, n in ((run, 1), (other, 2)))
    for name, weight in one["network"].items():
        assert torch.equal(weight, two["network"][name]), name
