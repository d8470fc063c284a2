"""The encoder learns the codes that the vocoder speaks, stops and goes on."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from training_fixtures import random_books, small_codec, utterance

from training.codec import loop, train_encoder
from training.codec.codebooks import BOOK_SIZE, BOOKS, pcm
from training.codec.encoder import RESIDUAL_SCALE, Listener, Told, listening_loss
from training.codec.train_encoder import Trainer, load_listener
from training.codec.train_vocoder import load_vocoder
from training.codec.vocoder import Vocoder
from training.frames import FRAME

pytestmark = pytest.mark.usefixtures("small_codec")
__all__ = ["small_codec"]
FRAMES = 8


def crop() -> tuple[Tensor, Tensor]:
    """Codes [2, BOOKS, FRAMES] and audio [2, FRAMES * 512] of two readings."""
    pairs = [(random_books().encode(u, 0), pcm(u)) for u in (utterance(0), utterance(1))]
    codes = np.stack([codes[:FRAMES].T for codes, _ in pairs]).astype(np.int64)
    return torch.from_numpy(codes), torch.from_numpy(np.stack([audio[: FRAMES * FRAME] for _, audio in pairs]))


def test_logits_are_cosines_and_a_perfect_pointer_is_right() -> None:
    codes, audio = crop()
    logits = Listener(Vocoder(random_books()))(audio, codes).logits
    assert [x.shape for x in logits] == [(2, FRAMES, BOOK_SIZE)] * BOOKS
    assert max(x.abs().max().item() for x in logits) <= 16.001
    perfect = [20.0 * torch.nn.functional.one_hot(codes[:, i], BOOK_SIZE) for i in range(BOOKS)]
    loss, right = listening_loss(Told(perfect, torch.zeros(())), codes)
    assert loss < 1e-4
    assert torch.equal(right, torch.ones(BOOKS))
    wrong, none = listening_loss(Told([-x for x in perfect], torch.zeros(())), codes)
    assert wrong > 10
    assert listening_loss(Told(perfect, torch.ones(())), codes)[0] > 1
    assert not none.any()


@torch.no_grad()
def test_an_encoder_that_puts_out_the_rows_sum_misses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    codes, audio = crop()
    listener = Listener(Vocoder(random_books()))
    assert listener(audio, codes).missed > 0.1
    monkeypatch.setattr(listener.encoder, "forward", lambda _: Vocoder.latent(listener._vocoder[0], codes))
    assert listener(audio, codes).missed < 1e-6


def test_the_vocoder_is_no_part_of_what_is_trained() -> None:
    vocoder = Vocoder(random_books())
    listener = Listener(vocoder)
    assert not any(name.startswith("_vocoder") for name in listener.state_dict())
    assert not any(parameter.requires_grad for parameter in vocoder.parameters())


def balanced_one_by_one(listener: Listener, audio: Tensor) -> None:
    """The slow twin of Listener.balance: all of the encoder anew for every convolution."""
    for name, layer in listener.encoder.named_modules():
        if isinstance(layer, torch.nn.Conv1d):
            spread: list[Tensor] = []
            hook = layer.register_forward_hook(lambda _, __, out, seen=spread: seen.append(out.std()))
            listener.encoder(audio[:, None])
            hook.remove()
            layer.weight.mul_((RESIDUAL_SCALE if "res_unit" in name and name.endswith("conv2") else 1) / spread[0])


@torch.no_grad()
def test_balancing_in_one_pass_equals_one_pass_for_every_layer() -> None:
    audio = crop()[1]
    quick = Listener(Vocoder(random_books()))
    slow = copy.deepcopy(quick)
    before = {name: tensor.clone() for name, tensor in quick.state_dict().items()}
    quick.balance(audio)
    balanced_one_by_one(slow, audio)
    for name, tensor in slow.state_dict().items():
        torch.testing.assert_close(quick.state_dict()[name], tensor, rtol=1e-4, atol=1e-6, msg=name)
    changed = {name for name, tensor in quick.state_dict().items() if not torch.equal(tensor, before[name])}
    convolutions = [name for name, m in quick.encoder.named_modules() if isinstance(m, torch.nn.Conv1d)]
    assert changed == {f"encoder.{name}.weight" for name in convolutions}
    after = {name: tensor.clone() for name, tensor in quick.state_dict().items()}
    assert 0.8 < quick.encoder(audio[:, None]).std() < 1.2, "of about unit variance"
    assert all(torch.equal(tensor, after[name]) for name, tensor in quick.state_dict().items()), "no hook is left"


def test_two_readings_are_learnt_by_heart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_encoder, "WARM_UP", 1)
    trainer = Trainer(tmp_path, Vocoder(random_books()), seed=0)
    losses = [trainer.learn(*crop(), pace=1.0)["loss"] for _ in range(15)]
    assert np.mean(losses[-3:]) < 0.9 * losses[0], losses


def test_a_run_that_was_cut_off_goes_on_to_the_last_bit(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "cut").mkdir()
    vocoder = Vocoder(random_books())
    straight = Trainer(tmp_path / "whole", vocoder, seed=0)
    expected = [straight.learn(*crop(), pace=1.0) for _ in range(5)]
    cut = Trainer(tmp_path / "cut", vocoder, seed=0)
    assert [cut.learn(*crop(), pace=1.0) for _ in range(2)] == expected[:2]
    cut.save()
    resumed = Trainer(tmp_path / "cut", vocoder, seed=1)
    assert [resumed.learn(*crop(), pace=1.0) for _ in range(3)] == expected[2:]


def test_what_a_run_leaves_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "vocoder").mkdir()
    vocoder = Vocoder(random_books())
    torch.save({"average": vocoder.state_dict()}, tmp_path / "vocoder" / "vocoder.pt")
    assert torch.equal(load_vocoder(tmp_path).tables, vocoder.tables)

    class OneCrop:
        def __init__(self, run: Path, frames: int, shards: int) -> None:
            assert shards == 3

        def draw(self, batch: int, random: np.random.Generator) -> tuple[Tensor, Tensor]:
            codes, audio = crop()
            return codes.repeat(batch // 2, 1, 1), audio.repeat(batch // 2, 1)

    monkeypatch.setattr(train_encoder, "Crops", OneCrop)
    monkeypatch.setattr(loop, "REPORT", 3)
    monkeypatch.setattr(train_encoder, "BATCH", 2)
    train_encoder.train(tmp_path, steps=4, shards=3, seed=0)
    (entry,) = map(json.loads, (tmp_path / "encoder" / "log.jsonl").read_text().splitlines())
    assert (entry["step"], len(entry["right"])) == (3, BOOKS)
    assert entry["loss"] > 0
    saved = torch.load(tmp_path / "encoder" / "encoder.pt", weights_only=True)
    assert saved["step"] == 4
    assert torch.equal(load_listener(tmp_path).state_dict()["in_proj.2.weight"], saved["listener"]["in_proj.2.weight"])
