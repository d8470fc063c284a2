"""Train the codec's encoder on the vocoder's tables, after the vocoder. Goes on where it stopped."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from training import published
from training.codec.crops import Crops
from training.codec.encoder import Listener, listening_loss
from training.codec.loop import Resumable, keep_learning, pace_at
from training.codec.mover import Mover
from training.codec.train_vocoder import load_vocoder
from training.codec.vocoder import Vocoder

FOLDER, FILE = "encoder", "encoder.pt"
BATCH, FRAMES, WARM_UP = 8, 64, 30
RATE, MATRIX_RATE = 1e-3, 2.5e-3  # of AdamW, of Muon; at twice that a run fell apart after 200 steps
QUIETER, LOUDER = -4.0, 1.0  # decibels: a prompt is seldom exactly as loud as the teachers


class Trainer(Resumable):
    """The encoder and what moves it."""

    def __init__(self, folder: Path, vocoder: Vocoder, seed: int) -> None:
        super().__init__(folder / FILE)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.listener = Listener(vocoder)
        self._balanced = False
        self._mover = Mover(self.listener, (), (RATE, MATRIX_RATE), (0.9, 0.98), decay=0.01)
        self.resume()

    def learn(self, codes: Tensor, audio: Tensor, pace: float) -> dict[str, Any]:
        """One step: the loss and the share of right codes of each book. pace: share of the learning rate."""
        if not self._balanced:
            self.listener.balance(audio)
            self._balanced = True
        told = self.listener(audio, codes)
        loss, right = listening_loss(told, codes)
        loss.backward()
        self._mover.step(min((self.step + 1) / WARM_UP, pace))
        self.step += 1
        return {"loss": loss.item(), "missed": told.missed.item(), "right": right.tolist()}

    def start_with(self, listener: Listener) -> None:
        """Take a trained one's weights."""
        self.listener.load_state_dict(listener.state_dict())
        self._balanced = True

    def state(self) -> dict[str, Any]:
        return {"listener": self.listener.state_dict(), "mover": self._mover.state_dict()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.listener.load_state_dict(state["listener"])
        self._mover.load_state_dict(state["mover"])
        self._balanced = True


def train(run: Path, steps: int, shards: int, seed: int, begin_with: Path | None = None) -> None:
    """Until `steps` in all. shards: of each voice to train on.

    begin_with: where there is nothing to go on from, the folder of an exported codec to start with.
    """
    folder = run / FOLDER
    folder.mkdir(exist_ok=True)
    trainer = Trainer(folder, load_vocoder(run), seed)
    if begin_with is not None and trainer.step == 0:
        trainer.start_with(published.load_listener(begin_with))
    crops = Crops(run, FRAMES, shards)

    def learn() -> dict[str, Any]:
        codes, audio = _heard(crops, np.random.default_rng([seed, trainer.step]))
        return trainer.learn(codes, audio, pace_at(trainer.step / steps))

    keep_learning(trainer, learn, steps)


def load_listener(run: Path) -> Listener:
    """The trained encoder."""
    listener = Listener(load_vocoder(run))
    listener.load_state_dict(torch.load(run / FOLDER / FILE, weights_only=True)["listener"])
    return listener.eval()


def _heard(crops: Crops, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Codes and their audio, each crop somewhat louder or quieter than its codes say."""
    codes, audio = crops.draw(BATCH, random)
    gain = 10 ** (torch.from_numpy(random.uniform(QUIETER, LOUDER, (BATCH, 1))).float() / 20)
    return codes, audio * gain
