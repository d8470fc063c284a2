"""The encoder learns to read before it hears anything: letters → phones on text alone. Knows no codes.

RUN/pronunciations.npz: `text` bytes (uint8) of all texts in a row, `letters` int16 the phone of each byte or -1, `meta`
a JSON list of their lengths. Texts are those of turns, without tags.
"""

import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from training.language.batches import IGNORE
from training.language.learner import ENCODER, Learner
from training.language.losses import class_loss
from training.language.network import DiaTraining
from training.language.recipe import Recipe
from training.language.utterances import Labels
from training.language.workers import Workers

LETTERS_A_BATCH = 4000
TAIL = 0.4  # of the time, over which the rates fall to zero
REPORT_EVERY = 25  # steps

log = logging.getLogger("training")

Reading = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]  # ids and letters of one turn, tag included


def pretrain(run: Path, recipe: Recipe, minutes: float) -> Path:
    """Train encoder and letter head for some minutes on one core → the file that `train` takes as encoder_from."""
    phones = len(Labels.load(run / "codes").phones)
    dtype = torch.bfloat16 if recipe.bfloat16 else torch.float32
    network = DiaTraining.seeded(recipe.config(), recipe.size.codebooks, phones, dtype, recipe.seed)
    learner = Learner(network, recipe.optimiser)
    readings = load_readings(run / "pronunciations.npz")
    start, used = time.monotonic(), 0.0
    with Workers(1) as workers:
        for step, (ids, letters) in enumerate(_batches(readings, recipe.seed), 1):
            loss = class_loss(network.extra.letter, network.model.encoder(ids, ids != 0).to(dtype), letters)
            rate = min(1.0, step / recipe.optimiser.warmup_steps, (1 - used) / TAIL)
            learner.step([learner.gradients(loss)], rate, workers)
            used = (time.monotonic() - start) / 60 / minutes
            if step % REPORT_EVERY == 0 or used >= 1:
                log.info("encoder step %d, %.0f %% of the time, loss %.4f", step, 100 * used, float(loss.detach()))
            if used >= 1:
                break
    return _save(run / "language" / "encoder.ckpt", learner)


def load_readings(path: Path) -> list[Reading]:
    """Texts and their phones, each as a turn of alternating speakers."""
    with np.load(path) as file:
        text, letters, lengths = file["text"], file["letters"], json.loads(str(file["meta"]))
    assert sum(lengths) == len(text) == len(letters), (path, sum(lengths), len(text), len(letters))
    ends = np.cumsum(lengths)[:-1]
    pairs = zip(np.split(text, ends), np.split(letters, ends), strict=True)
    return [_tagged(t.astype(np.int64), p.astype(np.int64), i % 2 + 1) for i, (t, p) in enumerate(pairs)]


def _tagged(text: npt.NDArray[np.int64], letters: npt.NDArray[np.int64], tag: int) -> Reading:
    ids = np.concatenate([[tag, ord(" ")], text])
    return ids, np.concatenate([[IGNORE, IGNORE], np.where(letters < 0, IGNORE, letters)])


def _batches(readings: list[Reading], seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless: ids and letters [B, S] of texts of similar length."""
    random = np.random.default_rng((seed, 3))
    while True:
        order = sorted(range(len(readings)), key=lambda i: len(readings[i][0]) + random.random() * 8)
        groups: list[list[int]] = [[]]
        for i in order:
            if groups[-1] and (len(groups[-1]) + 1) * len(readings[i][0]) > LETTERS_A_BATCH:
                groups.append([])
            groups[-1].append(i)
        for g in random.permutation(len(groups)):
            chosen = [readings[i] for i in groups[g]]
            yield _pad([ids for ids, _ in chosen], 0), _pad([letters for _, letters in chosen], IGNORE)


def _pad(rows: list[npt.NDArray[np.int64]], value: int) -> Tensor:
    out = np.full((len(rows), max(map(len, rows))), value)
    for row, content in zip(out, rows, strict=True):
        row[: len(content)] = content
    return torch.from_numpy(out)


def _save(path: Path, learner: Learner) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({name: weight for name, weight in learner.average.items() if name.startswith(ENCODER)}, path)
    return path
