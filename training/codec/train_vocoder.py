"""Train the vocoder: first on spectra alone, then with discriminators. Goes on where it stopped."""

import json
import logging
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from training.codec.codebooks import VOICES, Codebooks
from training.codec.losses import Judges, spectral_loss
from training.codec.vocoder import Vocoder
from training.corpus import load_shard
from training.frames import FRAME

REPORT = 50  # steps
log = logging.getLogger("training")


@dataclass(frozen=True)
class VocoderRecipe:
    """Every number of the training."""

    batch: int = 10
    frames: int = 40  # of a crop: 0.46 s
    edge: int = 2  # frames at each end that miss their surroundings and are not judged
    rate: float = 1e-3
    judge_rate: float = 3e-4
    warm_up: int = 50
    betas: tuple[float, float] = (0.8, 0.99)
    ema: float = 0.998
    spectral: float = 3.0
    fooled: float = 0.3
    alike: float = 1.0
    seed: int = 1


class Crops:
    """Random stretches of codes and their audio, both voices alike often."""

    def __init__(self, run: Path, frames: int, shards: int) -> None:
        self._frames = frames
        self._voices = [_load(run, voice, shards, frames) for voice in VOICES]

    def draw(self, batch: int, random: np.random.Generator) -> tuple[Tensor, Tensor]:
        """codes int64 [batch, BOOKS, frames], audio float32 [batch, frames * 512]"""
        pairs = [self._one(random) for _ in range(batch)]
        codes = np.stack([c.T for c, _ in pairs]).astype(np.int64)
        audio = np.stack([a for _, a in pairs]).astype(np.float32) / 32767
        return torch.from_numpy(codes), torch.from_numpy(audio)

    def _one(self, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        readings = self._voices[random.integers(len(self._voices))]
        codes, audio = readings[random.integers(len(readings))]
        start = int(random.integers(len(codes) - self._frames + 1))
        end = start + self._frames
        return codes[start:end], audio[start * FRAME : end * FRAME]


def _load(run: Path, voice: str, shards: int, shortest: int) -> list[tuple[np.ndarray, np.ndarray]]:
    pairs = []
    for path in sorted((run / "codes" / voice).glob("[0-9]*.npz"))[:shards]:
        with np.load(path) as file:
            codes, meta = file["codes"], json.loads(str(file["meta"]))
        audio = {u.text: u.audio for u in load_shard(run / "corpus" / voice / path.name)}
        start = 0
        for entry in meta:
            end = start + entry["frames"]
            if entry["frames"] >= shortest:
                pairs.append((codes[start:end], audio[entry["text"]]))
            start = end
    return pairs


class Trainer:
    """The state of a run: everything that a checkpoint holds."""

    def __init__(self, folder: Path, books: Codebooks, recipe: VocoderRecipe) -> None:
        self._path = folder / "vocoder.pt"
        self.recipe = recipe
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            self.vocoder, self.average, self.judges = Vocoder(books), Vocoder(), Judges()
        self.average.load_state_dict(self.vocoder.state_dict())
        self._own = torch.optim.AdamW(self.vocoder.parameters(), recipe.rate, recipe.betas, weight_decay=0.0)
        self._theirs = torch.optim.AdamW(self.judges.parameters(), recipe.judge_rate, recipe.betas, weight_decay=0.0)
        self.step, self.minutes, self.judged = 0, 0.0, 0
        if self._path.exists():
            self._load()

    def learn(self, codes: Tensor, audio: Tensor, judged: bool, pace: float) -> dict[str, float]:
        """One step. pace: share of the learning rate."""
        recipe = self.recipe
        for group in self._own.param_groups:
            group["lr"] = recipe.rate * pace * min(1.0, (self.step + 1) / recipe.warm_up)
        if judged:
            self._settle()
        cut = slice(recipe.edge * FRAME, -recipe.edge * FRAME)
        made, real = self.vocoder(codes)[:, cut], audio[:, cut]
        spectral = spectral_loss(made, real)
        losses = {"spectral": spectral.item()}
        total = recipe.spectral * spectral
        if judged:
            losses["judges"] = self._judge(made.detach(), real)
            fooled, alike = self.judges.vocoder_losses(made, real)
            losses |= {"fooled": fooled.item(), "alike": alike.item()}
            ramp = min(1.0, self.judged / 300)
            total = total + ramp * (recipe.fooled * fooled + recipe.alike * alike)
            self.judged += 1
        self._own.zero_grad()
        total.backward()
        if judged:
            for parameter in self.vocoder.meaning():
                parameter.grad = None
        torch.nn.utils.clip_grad_norm_(self.vocoder.parameters(), 3.0)
        self._own.step()
        self.step += 1
        self._follow()
        return losses

    @torch.no_grad()
    def _settle(self) -> None:
        """Before the first judged step: from here on what a code means stays, so that the encoder can be taught it."""
        if self.judged == 0:
            for ours, theirs in zip(self.vocoder.meaning(), self.average.meaning(), strict=True):
                ours.copy_(theirs)

    def _judge(self, made: Tensor, real: Tensor) -> float:
        loss = self.judges.own_loss(made, real)
        self._theirs.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.judges.parameters(), 10.0)
        self._theirs.step()
        return loss.item()

    @torch.no_grad()
    def _follow(self) -> None:
        share = min(self.recipe.ema, self.step / (self.step + 10))
        ours: list[Tensor] = list(self.average.parameters())
        theirs: list[Tensor] = list(self.vocoder.parameters())
        torch._foreach_lerp_(ours, theirs, 1 - share)

    def save(self) -> None:
        temporary = self._path.with_suffix(".tmp")
        torch.save({name: getattr(self, name).state_dict() for name in _PARTS} | self._numbers(), temporary)
        temporary.replace(self._path)

    def _numbers(self) -> dict[str, float]:
        return {"step": self.step, "minutes": self.minutes, "judged": self.judged}

    def _load(self) -> None:
        state = torch.load(self._path, weights_only=True)
        for name in _PARTS:
            getattr(self, name).load_state_dict(state[name])
        self.step, self.minutes, self.judged = state["step"], state["minutes"], state["judged"]


_PARTS = ("vocoder", "average", "judges", "_own", "_theirs")


def train(run: Path, steps: int, judged_from: int, shards: int, recipe: VocoderRecipe) -> None:
    """Until `steps` in all; discriminators join after `judged_from` steps. Saves every two minutes."""
    folder = run / "vocoder"
    folder.mkdir(exist_ok=True)
    crops = Crops(run, recipe.frames, shards)
    trainer = Trainer(folder, Codebooks.load(run / "codebooks.npz"), recipe)
    recent: list[dict[str, float]] = []
    saved = time.monotonic()
    while trainer.step < steps:
        began = time.monotonic()
        random = np.random.default_rng([recipe.seed, trainer.step])
        codes, audio = crops.draw(recipe.batch, random)
        judged = trainer.step >= judged_from
        recent.append(trainer.learn(codes, audio, judged, pace_at(trainer.step / steps)))
        trainer.minutes += (time.monotonic() - began) / 60
        if trainer.step % REPORT == 0:
            _report(folder, trainer, recent)
            recent.clear()
        if time.monotonic() - saved > 120:
            trainer.save()
            saved = time.monotonic()
    trainer.save()


def pace_at(done: float) -> float:
    """The share of the learning rate: all of it, and over the last 40 % of the steps down to a twentieth."""
    return min(1.0, max(0.05, (1 - done) / 0.4))


def _report(folder: Path, trainer: Trainer, recent: list[dict[str, float]]) -> None:
    means = {name: round(float(np.mean([r[name] for r in recent if name in r])), 4) for name in recent[-1]}
    entry = {"step": trainer.step, "minutes": round(trainer.minutes, 2), **means}
    log.info("vocoder %s", entry)
    with (folder / "log.jsonl").open("a") as file:
        file.write(json.dumps(entry) + "\n")
