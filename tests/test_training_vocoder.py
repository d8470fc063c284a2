"""Distances between waveforms, the vocoder, and that it learns, stops and goes on to the last bit."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from training_fixtures import random_books, small_codec, tone, utterance

from training import corpus
from training.codec import loop
from training.codec.codebooks import BOOK_SIZE, BOOKS, ENVELOPES, PHASE_BOOK
from training.codec.crops import Crops
from training.codec.features import BANDS, PHASES
from training.codec.loop import pace_at
from training.codec.losses import Judges, phase_loss, spectral_loss
from training.codec.train_vocoder import Trainer, VocoderRecipe, load_vocoder, spoil, train
from training.codec.vocoder import Vocoder, first_rows
from training.frames import FRAME, VOICES

__all__ = ["small_codec"]
FRAMES = 12
RECIPE = VocoderRecipe(batch=1, frames=FRAMES, edge=1, warm_up=1, rate=3e-3)


def waves(amplitude: float = 0.3, hertz: float = 200) -> Tensor:
    """[2, 8192]"""
    return torch.from_numpy(np.stack([tone(hertz, 8192, amplitude), tone(hertz * 1.5, 8192, amplitude)]))


def test_a_waveform_is_no_distance_from_itself_and_some_from_another() -> None:
    assert spectral_loss(waves(), waves()).item() < 1e-3
    louder, other = spectral_loss(waves(0.4), waves()).item(), spectral_loss(waves(hertz=300), waves()).item()
    assert 0.05 < louder < other


def test_only_the_phase_loss_hears_that_a_waveform_is_upside_down() -> None:
    assert phase_loss(waves(), waves()).item() < 1e-3
    assert phase_loss(-waves(), waves()).item() == pytest.approx(2, abs=0.1)
    assert spectral_loss(-waves(), waves()).item() < 1e-3
    assert phase_loss(torch.zeros_like(waves()), waves()).item() == pytest.approx(1, abs=0.05)


def test_rows_of_neighbouring_phases_are_alike_all_the_way_round() -> None:
    rows = first_rows(random_books())[PHASE_BOOK]
    of_band = rows[1 : 1 + BANDS * PHASES].unflatten(0, (BANDS, PHASES))
    likeness = torch.cosine_similarity(of_band, of_band.roll(1, 1), dim=-1)
    assert (likeness > 0.5).all()
    opposite = torch.cosine_similarity(of_band, of_band.roll(PHASES // 2, 1), dim=-1)
    assert (opposite < 0).all(), "half a period later there is no pulse"
    assert not rows[0].any(), "no pitch, no phase"
    assert not rows[1 + BANDS * PHASES :].any()


def test_what_no_teacher_says_counts_even_where_both_have_it() -> None:
    time = torch.arange(8192) / 44100
    shrill = waves() + 0.2 * torch.sin(2 * torch.pi * 18000 * time)
    assert spectral_loss(shrill, shrill) > 10 * spectral_loss(waves(), waves())


@pytest.mark.parametrize("made", [waves(0.0), waves(1e-6), waves(0.5)], ids=["silence", "faint", "loud"])
def test_gradients_are_finite_from_any_start(made: Tensor) -> None:
    made = made.clone().requires_grad_()
    judges = Judges()
    nothing = torch.zeros_like(waves())
    for loss in (f(made, real) for f in (spectral_loss, phase_loss) for real in (waves(), nothing)):
        loss.backward()
    fooled, alike = judges.vocoder_losses(made, waves())
    (fooled + alike).backward()
    assert made.grad is not None
    assert made.grad.isfinite().all()


def test_judges_learn_to_tell_made_from_real_and_the_vocoder_is_told_so() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        judges = Judges()
    made, real = waves(hertz=300), waves()
    before = judges.own_loss(made, real).item()
    optimiser = torch.optim.AdamW(judges.parameters(), 2e-3)
    for _ in range(8):
        optimiser.zero_grad()
        judges.own_loss(made, real).backward()
        optimiser.step()
    assert judges.own_loss(made, real).item() < before - 0.05
    fooled, alike = judges.vocoder_losses(made, real)
    true, same = judges.vocoder_losses(real, real)
    assert fooled > true, "lower is better for the vocoder"
    assert alike > 0.1
    assert same == 0


def random_codes(frames: int) -> Tensor:
    """[2, BOOKS, frames]"""
    return torch.from_numpy(np.random.default_rng(0).integers(BOOK_SIZE, size=(2, BOOKS, frames)))


def test_units_are_spoiled_in_a_share_of_crops_and_nothing_else() -> None:
    codes = torch.zeros(400, BOOKS, FRAMES, dtype=torch.int64)
    spoil(codes, 0.25, np.random.default_rng(0))
    assert not codes[:, 1:].any()
    touched = codes[:, 0].any(1)
    assert 0.15 < touched.float().mean() < 0.35
    assert len(codes[touched, 0].unique()) > BOOK_SIZE // 2


@pytest.mark.usefixtures("small_codec")
def test_a_frame_of_codes_is_512_samples() -> None:
    audio = Vocoder(random_books())(random_codes(9))
    assert audio.shape == (2, 9 * FRAME)
    assert audio.abs().max() <= 1


@pytest.mark.usefixtures("small_codec")
def test_every_book_is_heard() -> None:
    vocoder = Vocoder(random_books())
    codes = random_codes(4)
    whole = vocoder.latent(codes)
    for book in range(BOOKS):
        other = codes.clone()
        other[:, book] = (other[:, book] + 1) % BOOK_SIZE
        assert not torch.allclose(vocoder.latent(other), whole)


@pytest.mark.usefixtures("small_codec")
def test_a_vocoder_starts_from_what_the_codes_mean() -> None:
    books = random_books()
    vocoder = Vocoder(books)
    spectra = vocoder.tables[-ENVELOPES:, :, : books.envelopes.shape[2]].detach().numpy()
    assert np.corrcoef(spectra.ravel(), books.envelopes.ravel())[0, 1] > 0.999

    def apart(a: int, b: int) -> float:
        return (vocoder.tables[1, a] - vocoder.tables[1, b]).norm().item()

    low, next_pitch, high, next_level = 10 * 8 + 3, 11 * 8 + 3, 50 * 8 + 3, 10 * 8 + 4
    assert 0 < apart(low, next_pitch) < apart(low, high)
    assert 0 < apart(low, next_level) < apart(low, high)


@pytest.fixture(scope="module")
def made_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with one shard of codes and readings of each voice."""
    run: Path = tmp_path_factory.mktemp("run")
    books = random_books()
    books.save(run / "codebooks.npz")
    for number, voice in enumerate(VOICES):
        for kind in ("corpus", "codes"):
            (run / kind / voice).mkdir(parents=True)
        us = [utterance(10 * number + seed) for seed in range(3)]
        us = [corpus.Utterance(f"{u.text} {i}", u.frames, u.phones, u.audio) for i, u in enumerate(us)]
        corpus._write(run / "corpus" / voice / "00000.npz", iter(us))
        meta = json.dumps([{"text": u.text, "frames": u.frames} for u in us])
        codes = np.concatenate([books.encode(u, number) for u in us])
        np.savez(run / "codes" / voice / "00000.npz", codes=codes, meta=np.array(meta))
    return run


@pytest.fixture
def run(made_run: Path, tmp_path: Path) -> Path:
    for name in ("corpus", "codes", "codebooks.npz"):
        (tmp_path / name).symlink_to(made_run / name)
    return tmp_path


def test_crops_hold_codes_and_the_audio_they_stand_for(run: Path) -> None:
    crops = Crops(run, FRAMES, most_shards=1)
    codes, audio = crops.draw(6, np.random.default_rng(0))
    assert (codes.shape, codes.dtype) == ((6, BOOKS, FRAMES), torch.int64)
    assert (audio.shape, audio.dtype) == ((6, FRAMES * FRAME), torch.float32)
    again = crops.draw(6, np.random.default_rng(0))
    assert torch.equal(codes, again[0])
    assert torch.equal(audio, again[1])
    loud = audio.unflatten(1, (FRAMES, FRAME)).abs().amax(2) > 0.05
    level = codes[:, 1] % 8
    assert level[loud].float().mean() > level[~loud].float().mean() + 2, "codes and audio are of the same place"


def test_readings_shorter_than_a_crop_are_left_out(run: Path) -> None:
    longest = max(utterance(seed).frames for seed in (0, 1, 2, 10, 11, 12))
    shortest = min(utterance(seed).frames for seed in (0, 1, 2, 10, 11, 12))
    assert sum(map(len, Crops(run, shortest, 1)._voices)) == 6
    assert sum(map(len, Crops(run, longest, 1)._voices)) == 1


def learn(trainer: Trainer, crop: tuple[Tensor, Tensor], steps: int, judged: bool = False) -> list[dict[str, float]]:
    return [trainer.learn(*crop, judged=judged, pace=1.0) for _ in range(steps)]


@pytest.fixture
def crop(run: Path) -> tuple[Tensor, Tensor]:
    return Crops(run, FRAMES, 1).draw(1, np.random.default_rng(1))


@pytest.mark.usefixtures("small_codec")
def test_one_crop_is_learnt_by_heart(tmp_path: Path, crop: tuple[Tensor, Tensor]) -> None:
    losses = [entry["spectral"] for entry in learn(Trainer(tmp_path, random_books(), RECIPE), crop, 15)]
    assert np.mean(losses[-3:]) < 0.85 * losses[0], losses


@pytest.mark.usefixtures("small_codec")
def test_a_run_that_was_cut_off_goes_on_to_the_last_bit(tmp_path: Path, crop: tuple[Tensor, Tensor]) -> None:
    whole, first = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    first.mkdir()
    straight = Trainer(whole, random_books(), RECIPE)
    expected = learn(straight, crop, 2) + learn(straight, crop, 3, judged=True)
    cut = Trainer(first, random_books(), RECIPE)
    learn(cut, crop, 2)
    learn(cut, crop, 1, judged=True)
    cut.save()
    resumed = Trainer(first, random_books(1), RECIPE)
    assert learn(resumed, crop, 2, judged=True) == expected[3:]
    assert (resumed.step, resumed.judged) == (5, 3)
    for name in ("vocoder", "average", "judges"):
        ours, theirs = getattr(resumed, name).state_dict(), getattr(straight, name).state_dict()
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs), name


@pytest.mark.usefixtures("small_codec")
def test_what_codes_mean_stays_from_the_first_judged_step(tmp_path: Path, crop: tuple[Tensor, Tensor]) -> None:
    trainer = Trainer(tmp_path, random_books(), RECIPE)
    learn(trainer, crop, 2)
    settled = [parameter.detach().clone() for parameter in trainer.average.meaning()]
    other = next(trainer.vocoder.decoder.parameters()).detach().clone()
    learn(trainer, crop, 2, judged=True)
    for vocoder in (trainer.vocoder, trainer.average):
        for now, then in zip(vocoder.meaning(), settled, strict=True):
            torch.testing.assert_close(now, then, rtol=1e-5, atol=1e-7)
    assert not torch.equal(next(trainer.vocoder.decoder.parameters()), other), "how it sounds is still learnt"


@pytest.mark.usefixtures("small_codec")
def test_the_average_follows_the_vocoder(tmp_path: Path, crop: tuple[Tensor, Tensor]) -> None:
    trainer = Trainer(tmp_path, random_books(), RECIPE)
    start = trainer.average.tables.detach().clone()
    learn(trainer, crop, 3)
    now = trainer.vocoder.tables.detach()
    assert 0 < (trainer.average.tables - start).norm() < (now - start).norm()


@pytest.mark.usefixtures("small_codec")
def test_training_ends_after_its_steps_and_is_logged(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.random.get_rng_state()
    monkeypatch.setattr(loop, "REPORT", 3)
    train(run, steps=7, judged_from=4, shards=1, recipe=RECIPE)
    entries = [json.loads(line) for line in (run / "vocoder" / "log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in entries] == [3, 6]
    assert {"spectral", "judges", "fooled", "alike", "minutes"} <= entries[1].keys()
    assert "judges" not in entries[0]
    state = torch.load(run / "vocoder" / "vocoder.pt", weights_only=True)
    assert (state["step"], state["judged"]) == (7, 3)
    assert torch.equal(before, torch.random.get_rng_state()), "no one else's random numbers are touched"
    assert torch.equal(load_vocoder(run).tables, state["average"]["tables"])


def test_the_pace_falls_to_a_twentieth_at_the_end() -> None:
    assert [pace_at(x) for x in (0, 0.5, 0.6)] == [1, 1, 1]
    assert pace_at(0.8) == pytest.approx(0.5)
    assert pace_at(1.0) == pace_at(1.5) == 0.05
