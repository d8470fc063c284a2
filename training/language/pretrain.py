"""The encoder learns to read before it hears anything."""

import logging
import time
from pathlib import Path

import numpy as np
import torch

from training.language.learner import ENCODER, Learner
from training.language.losses import practice_loss
from training.language.network import DiaTraining
from training.language.practice import Practice
from training.language.recipe import Recipe
from training.language.utterances import Labels
from training.language.workers import Workers

LETTERS = 4000  # a thread and step
TAIL = 0.4  # of the time, over which the rates fall to zero
REPORT_EVERY = 25  # steps

log = logging.getLogger("training")


def pretrain(run: Path, recipe: Recipe, minutes: float, threads: int = 2) -> Path:
    """Train encoder and letter head for some minutes → the file that `train` takes as encoder_from."""
    phones = len(Labels.load(run / "codes").phones)
    dtype = torch.bfloat16 if recipe.bfloat16 else torch.float32
    network = DiaTraining.seeded(recipe.config(), recipe.size.codebooks, phones, dtype, recipe.seed)
    learner = Learner(network, recipe.optimiser)
    practice = Practice.load(run / "pronunciations.npz")

    def gradients(place: tuple[int, int]) -> tuple[list[torch.Tensor], float]:
        loss = practice_loss(network, *practice.batch(LETTERS, np.random.default_rng((recipe.seed, 3, *place))))
        return learner.gradients(loss), float(loss.detach())

    start, used, step = time.monotonic(), 0.0, 0
    with Workers(threads) as workers:
        while used < 1:
            found = workers.map(gradients, [(step, i) for i in range(threads)])
            step += 1
            rate = min(1.0, step / recipe.optimiser.warmup_steps, (1 - used) / TAIL)
            learner.step([g for g, _ in found], rate, workers)
            used = (time.monotonic() - start) / 60 / minutes
            if step % REPORT_EVERY == 0 or used >= 1:
                loss = sum(loss for _, loss in found) / threads
                log.info("encoder step %d, %.0f %% of the time, loss %.4f", step, 100 * used, loss)
    return _save(run / "language" / "encoder.ckpt", learner)


def _save(path: Path, learner: Learner) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({name: weight for name, weight in learner.average.items() if name.startswith(ENCODER)}, path)
    return path
