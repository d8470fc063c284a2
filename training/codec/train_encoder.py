"""Train the codec's encoder on the vocoder's tables, after the vocoder. Goes on where it stopped."""

import json
import logging
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from training.codec.encoder import Listener, listening_loss
from training.codec.train_vocoder import REPORT, Crops, pace_at
from training.codec.vocoder import Vocoder
from training.muon import Muon

BATCH, FRAMES, WARM_UP = 8, 64, 30
RATE, MATRIX_RATE = 1e-3, 5e-3  # of AdamW, of Muon
QUIETER, LOUDER = -4.0, 1.0  # decibels: a prompt is seldom exactly as loud as the teachers
log = logging.getLogger("training")


def load_vocoder(run: Path) -> Vocoder:
    """The averaged weights of the trained vocoder."""
    vocoder = Vocoder()
    vocoder.load_state_dict(torch.load(run / "vocoder" / "vocoder.pt", weights_only=True)["average"])
    return vocoder.eval()


def load_listener(run: Path) -> Listener:
    """The trained encoder."""
    listener = Listener(load_vocoder(run))
    listener.load_state_dict(torch.load(run / "encoder" / "encoder.pt", weights_only=True)["listener"])
    return listener.eval()


class Trainer:
    """The state of a run: everything that a checkpoint holds."""

    def __init__(self, folder: Path, vocoder: Vocoder, seed: int) -> None:
        self._path = folder / "encoder.pt"
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.listener = Listener(vocoder)
        self._weights = [p for p in self.listener.parameters() if p.ndim > 1 and not _is_alpha(p)]
        self._rest = [p for p in self.listener.parameters() if p.ndim <= 1 or _is_alpha(p)]
        self._matrices = Muon([p.detach().flatten(1) for p in self._weights], 0.95, 0.01, 5)
        self._own = torch.optim.AdamW(self._rest, RATE, (0.9, 0.98), weight_decay=0.0)
        self.step, self.minutes = 0, 0.0
        if self._path.exists():
            self._load()

    def learn(self, codes: Tensor, audio: Tensor, pace: float) -> list[float]:
        """One step: the loss and the share of right codes of each book. pace: share of the learning rate."""
        if self.step == 0:
            self.listener.balance(audio)
        pace = min((self.step + 1) / WARM_UP, pace)
        for group in self._own.param_groups:
            group["lr"] = RATE * pace
        loss, right = listening_loss(self.listener(audio, codes), codes)
        self.listener.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._rest, 1.0)
        self._own.step()
        self._matrices.step([p.grad.flatten(1) for p in self._weights if p.grad is not None], MATRIX_RATE * pace)
        self.step += 1
        return [loss.item(), *right.tolist()]

    def save(self) -> None:
        state = {
            "listener": self.listener.state_dict(),
            "own": self._own.state_dict(),
            "velocity": self._matrices.state(),
        }
        temporary = self._path.with_suffix(".tmp")
        torch.save(state | {"step": self.step, "minutes": self.minutes}, temporary)
        temporary.replace(self._path)

    def _load(self) -> None:
        state = torch.load(self._path, weights_only=True)
        self.listener.load_state_dict(state["listener"])
        self._own.load_state_dict(state["own"])
        self._matrices.load_state(state["velocity"])
        self.step, self.minutes = state["step"], state["minutes"]


def _is_alpha(parameter: Tensor) -> bool:
    """Of a Snake activation: [1, C, 1], no matrix."""
    return parameter.ndim == 3 and parameter.shape[0] == 1


def train(run: Path, steps: int, shards: int, seed: int) -> None:
    """Until `steps` in all. Saves every two minutes."""
    folder = run / "encoder"
    folder.mkdir(exist_ok=True)
    trainer = Trainer(folder, load_vocoder(run), seed)
    crops = Crops(run, FRAMES, shards)
    recent: list[list[float]] = []
    saved = time.monotonic()
    while trainer.step < steps:
        began = time.monotonic()
        codes, audio = _heard(crops, np.random.default_rng([seed, trainer.step]))
        recent.append(trainer.learn(codes, audio, pace_at(trainer.step / steps)))
        trainer.minutes += (time.monotonic() - began) / 60
        if trainer.step % REPORT == 0:
            _report(folder, trainer.step, trainer.minutes, np.mean(recent, axis=0))
            recent.clear()
        if time.monotonic() - saved > 120:
            trainer.save()
            saved = time.monotonic()
    trainer.save()


def _heard(crops: Crops, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Codes and their audio, each crop somewhat louder or quieter than its codes say."""
    codes, audio = crops.draw(BATCH, random)
    gain = 10 ** (torch.from_numpy(random.uniform(QUIETER, LOUDER, (BATCH, 1))).float() / 20)
    return codes, audio * gain


def _report(folder: Path, step: int, minutes: float, means: np.ndarray) -> None:
    entry = {
        "step": step,
        "minutes": round(minutes, 2),
        "loss": round(float(means[0]), 3),
        "right": [round(float(share), 3) for share in means[1:]],
    }
    log.info("encoder %s", entry)
    with (folder / "log.jsonl").open("a") as file:
        file.write(json.dumps(entry) + "\n")
