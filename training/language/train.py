"""The training loop: batches in, checkpoints and a log out. Goes on where it was stopped, to the last bit.

Everything random is a function of the recipe's seed and the number of the step; the only clock is the one of a budget
in minutes, which counts over all pieces of a run.
"""

import logging
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from training.codec.codebooks import Codebooks
from training.files import append_log
from training.frames import FRAME_RATE
from training.language.batches import Batch, Specials, Stream, collate, validation
from training.language.beginnings import begin
from training.language.checkpoints import checkpoints, load, save
from training.language.corruption import corrupt, voices_swapped
from training.language.heads import fit_heads
from training.language.learner import Learner
from training.language.losses import losses_of, practice_loss
from training.language.meter import Meter
from training.language.network import DiaTraining
from training.language.practice import Practice
from training.language.recipe import Recipe
from training.language.utterances import Example, Labels, load_utterances
from training.language.workers import Workers
from training.published import load_model

log = logging.getLogger("training")

Found = tuple[list[Tensor], dict[str, float]]  # of a batch: gradients and numbers


@dataclass
class Progress:
    """Where a run stands. All of it is saved."""

    step: int = 0
    minutes: float = 0.0  # of training, over all pieces
    frames: int = 0
    chunk: int = 0
    batch: int = 0
    cooldown_start: float = -1.0  # in units of the budget; negative: the rates fall by the recipe
    cooldown_end: float = -1.0


@dataclass(frozen=True)
class Budget:
    """What a run may take: minutes of training or steps, whichever is given."""

    minutes: float | None = None
    steps: int | None = None

    def __post_init__(self) -> None:
        assert (self.minutes is None) != (self.steps is None), (self.minutes, self.steps)

    @property
    def total(self) -> float:
        return float(self.minutes if self.minutes is not None else self.steps or 0)

    def used(self, progress: Progress) -> float:
        return progress.minutes if self.minutes is not None else float(progress.step)


def train(
    run: Path,
    recipe: Recipe,
    *,
    minutes: float | None = None,
    steps: int | None = None,
    threads: int = 2,
    resume: bool = True,
    cooldown_from: Path | None = None,
    begin_with: Path | None = None,
    rate: float = 1.0,
) -> Path:
    """Train on RUN/codes into RUN/language until the budget is used up or SIGTERM comes → the last checkpoint.

    resume: go on from the last checkpoint, if there is one; the budget counts what it has used. cooldown_from: go on
    from this one and let the rates fall to zero over the budget, counted from there. begin_with: where there is no
    checkpoint to go on from, the folder of an exported model to start with; the rates fall from `rate` to zero.
    """
    trainer = Trainer(run, recipe, Budget(minutes, steps))
    found = checkpoints(trainer.folder) if resume else []
    if cooldown_from is not None:
        trainer.restore(load(cooldown_from))
        trainer.start_cooldown()
    elif found:
        trainer.restore(load(found[-1]))
    elif begin_with is not None:
        trainer.take_up(load_model(begin_with), rate)
    return trainer.run(threads)


class Trainer:
    """One run: data, learner, progress."""

    def __init__(self, run: Path, recipe: Recipe, budget: Budget) -> None:
        self.folder, self.recipe, self.budget = run / "language", recipe, budget
        config = recipe.config()
        self.specials = Specials(config.eos, config.pad, config.bos)
        labels = Labels.load(run / "codes")
        utterances = load_utterances(run / "codes")
        self.stream = Stream(utterances, labels.silence, recipe.mixing, recipe.seed, labels.borrowed)
        readings = run / "pronunciations.npz"
        self.practice = Practice.load(readings, recipe.mixing.practice_lengths) if readings.exists() else None
        self.other_voice = voices_swapped(labels.borrowed, recipe.size.codes) if labels.borrowed else None
        self.held_out = [collate(g, self.specials) for g in validation(utterances, labels.silence, recipe.mixing)]
        dtype = torch.bfloat16 if recipe.bfloat16 else torch.float32
        network = DiaTraining.seeded(config, recipe.size.codebooks, len(labels.phones), dtype, recipe.seed)
        books = run / "codebooks.npz"
        if books.exists():
            begin(network, Codebooks.load(books), recipe.seed)
        self.learner = Learner(network, recipe.optimiser)
        self.progress = Progress()
        frames = sum(u.frames for u in self.stream.utterances)
        log.info("%d utterances, %.1f hours", len(self.stream.utterances), frames / FRAME_RATE / 3600)

    def restore(self, state: dict[str, Any]) -> None:
        self.learner.load_state(state)
        self.progress = Progress(**state["progress"])

    def take_up(self, weights: dict[str, Tensor], rate: float) -> None:
        """Start with a trained network, which can read. What was dropped at its export is fitted to it anew."""
        self.learner.start_with(weights)
        taken = islice(self.stream.batches(), self.recipe.optimiser.head_steps)
        fit_heads(self.learner.network, (collate(e, self.specials) for _, e in taken), self.recipe.weights)
        self.learner.start_with({})  # the average has them too
        self.progress.step = self.recipe.mixing.reading_steps
        self.start_cooldown(rate)

    def start_cooldown(self, rate: float = 1.0) -> None:
        """From here on rates fall in a straight line, from `rate` to zero over the budget."""
        p, total = self.progress, self.budget.total
        p.cooldown_end = self.budget.used(p) + total
        p.cooldown_start = p.cooldown_end - total / rate

    @property
    def end(self) -> float:
        return self.progress.cooldown_end if self.progress.cooldown_end >= 0 else self.budget.total

    @property
    def rate(self) -> float:
        """What rates are multiplied with: up, level, down to zero in a straight line."""
        o, p = self.recipe.optimiser, self.progress
        start = p.cooldown_start if p.cooldown_end >= 0 else self.end * (1 - o.decay_share)
        left = (self.end - self.budget.used(p)) / (self.end - start)
        begun = p.step if self._only_reads else p.step - self.recipe.mixing.reading_steps
        return max(0.0, min(1.0, (begun + 1) / o.warmup_steps, left))

    @property
    def _only_reads(self) -> bool:
        """Whether the next step is one of the first, in which the text encoder learns to read on its own."""
        return self.progress.step < self.recipe.mixing.reading_steps

    def run(self, threads: int) -> Path:
        p, recipe = self.progress, self.recipe
        meter, saved = Meter(), p.minutes
        clock = time.monotonic() - 60 * p.minutes
        stream = self.stream.batches(p.chunk, p.batch)
        with _terminated() as stop, Workers(threads) as workers:
            while not stop.is_set() and self.budget.used(p) < self.end:
                if self._only_reads:
                    meter.add(self._read(workers))
                else:
                    meter.add(self._step([next(stream) for _ in range(recipe.mixing.batches_per_step)], workers))
                p.minutes = (time.monotonic() - clock) / 60
                if p.step % recipe.report_every == 0:
                    self._report(meter)
                if p.step % recipe.validate_every == 0:
                    self._validate(workers)
                if p.minutes - saved >= recipe.save_minutes:
                    self._save()
                    saved = p.minutes
            if not stop.is_set():
                self._validate(workers)
        return self._save()

    def _read(self, workers: Workers) -> dict[str, float]:
        """A step of reading alone."""
        return self._learn(workers.map(self._reading, range(self.recipe.mixing.batches_per_step)), workers)

    def _step(self, taken: list[tuple[tuple[int, int], list[Example]]], workers: Workers) -> dict[str, float]:
        numbers = self._learn(
            workers.map(self._gradients, [(i, examples) for i, (_, examples) in enumerate(taken)]), workers
        )
        p = self.progress
        p.frames += int(numbers["frames"])
        p.chunk, p.batch = taken[-1][0]
        return numbers

    def _learn(self, found: list[Found], workers: Workers) -> dict[str, float]:
        """One update by the gradients of some batches → their numbers: a sum of frames, means of the others."""
        reader = 1.0 if self._only_reads else self.recipe.optimiser.reader_share
        self.learner.step([gradients for gradients, _ in found], self.rate, workers, reader)
        self.progress.step += 1
        numbers = [n for _, n in found]
        means = {name: float(np.mean([n[name] for n in numbers])) for name in numbers[0]}
        return {**means, "frames": sum(n["frames"] for n in numbers)}

    def _reading(self, index: int) -> Found:
        assert self.practice, "a recipe with reading_steps needs pronunciations.npz"
        random = np.random.default_rng((self.recipe.seed, 3, self.progress.step, index))
        texts = self.practice.batch(self.recipe.mixing.reading_letters, random)
        loss, phone = practice_loss(self.learner.network, self.recipe.weights, *texts)
        return self.learner.gradients(loss), {"practice": float(phone), "frames": 0}

    def _gradients(self, part: tuple[int, list[Example]]) -> Found:
        """Of one batch of the step: gradients and numbers."""
        index, examples = part
        random = np.random.default_rng((self.recipe.seed, 2, self.progress.step, index))
        batch = collate(examples, self.specials)
        batch = corrupt(batch, self.recipe.corruption, self.specials, random, self.other_voice)
        losses = losses_of(self.learner.network, batch, self.recipe.weights)
        numbers = {**losses.numbers(), "frames": batch.frames}
        if self.practice is None:
            return self.learner.gradients(losses.total), numbers
        texts = self.practice.batch(self.recipe.mixing.practice_letters, random)
        extra, phone = practice_loss(self.learner.network, self.recipe.weights, *texts)
        return self.learner.gradients(losses.total + extra), {**numbers, "practice": float(phone)}

    def _report(self, meter: Meter) -> None:
        p = self.progress
        entry = {"step": p.step, "minutes": round(p.minutes, 3), "frames": p.frames, "rate": round(self.rate, 4)}
        entry |= {"audio_seconds": round(p.frames / FRAME_RATE)} | meter.take()
        append_log(self._folder(), entry)
        log.info(" ".join(f"{name} {value:.4g}" for name, value in entry.items()))

    def _validate(self, workers: Workers) -> None:
        """Losses on the held-out texts, of the weights as they are and of their average."""
        if not self.held_out:
            return
        entry: dict[str, Any] = {"step": self.progress.step, "minutes": round(self.progress.minutes, 3)}
        entry["validation"] = self._held_out_losses(workers)
        with self.learner.averaged():
            entry["validation_average"] = self._held_out_losses(workers)
        append_log(self._folder(), entry)
        log.info("held out: %s", {k: round(v, 3) for k, v in entry["validation_average"].items()})

    def _held_out_losses(self, workers: Workers) -> dict[str, float]:
        found = workers.map(self._numbers, self.held_out)
        frames = [batch.frames for batch in self.held_out]
        return {name: float(np.average([n[name] for n in found], weights=frames)) for name in found[0]}

    @torch.no_grad()
    def _numbers(self, batch: Batch) -> dict[str, float]:
        return losses_of(self.learner.network, batch, self.recipe.weights).numbers()

    def _folder(self) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder

    def _save(self) -> Path:
        state = {**self.learner.state(), "progress": asdict(self.progress), "size": asdict(self.recipe.size)}
        return save(self.folder, self.progress.step, state)


@contextmanager
def _terminated() -> Iterator[threading.Event]:
    """An event that SIGTERM sets meanwhile; outside the main thread, where no signal arrives, nothing does."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def set_stop(number: int, frame: FrameType | None) -> None:
        stop.set()

    before = signal.signal(signal.SIGTERM, set_stop)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, before)
