"""Train the vocoder: first on spectra alone, then with discriminators. Goes on where it stopped."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from training import published
from training.codec.codebooks import BOOK_SIZE, Codebooks
from training.codec.crops import Crops
from training.codec.loop import Resumable, keep_learning, pace_at
from training.codec.losses import Judges, phase_loss, spectral_loss
from training.codec.mover import Mover
from training.codec.vocoder import Vocoder
from training.frames import FRAME

FOLDER, FILE = "vocoder", "vocoder.pt"
_PARTS = ("vocoder", "average", "judges", "_mover", "_theirs")  # whose states are saved, under these names


@dataclass(frozen=True)
class VocoderRecipe:
    """Every number of the training."""

    batch: int = 10
    frames: int = 40  # of a crop: 0.46 s
    wrong_units: float = 0.25  # share of crops with units of nothing: what is heard of a prompt has many wrong ones
    edge: int = 2  # frames at each end that miss their surroundings and are not judged
    rate: float = 1e-3  # of AdamW
    matrix_rate: float = 2e-3  # of Muon
    judge_rate: float = 3e-4
    warm_up: int = 50
    betas: tuple[float, float] = (0.8, 0.99)
    ema: float = 0.998
    spectral: float = 3.0
    phase: float = 3.0
    fooled: float = 0.3
    alike: float = 1.0
    judged_ramp: int = 300  # judged steps until the two above count in full
    seed: int = 1


class Trainer(Resumable):
    """The vocoder, its average, the discriminators and what moves them."""

    def __init__(self, folder: Path, books: Codebooks, recipe: VocoderRecipe) -> None:
        super().__init__(folder / FILE)
        self.recipe = recipe
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            self.vocoder, self.average, self.judges = Vocoder(books), Vocoder(), Judges()
        self.average.load_state_dict(self.vocoder.state_dict())
        self._mover = Mover(
            self.vocoder.decoder, self.vocoder.meaning(), (recipe.rate, recipe.matrix_rate), recipe.betas
        )
        self._theirs = torch.optim.AdamW(self.judges.parameters(), recipe.judge_rate, recipe.betas, weight_decay=0.0)
        self.judged = 0  # steps
        self.resume()

    def learn(self, codes: Tensor, audio: Tensor, judged: bool, pace: float) -> dict[str, float]:
        """One step. pace: share of the learning rate."""
        recipe = self.recipe
        if judged:
            self._settle()
        cut = slice(recipe.edge * FRAME, -recipe.edge * FRAME)
        total, numbers = self._losses(self.vocoder(codes)[:, cut], audio[:, cut], judged)
        total.backward()
        if judged:
            for parameter in self.vocoder.meaning():
                parameter.grad = None
            self.judged += 1
        self._mover.step(pace * min(1.0, (self.step + 1) / recipe.warm_up))
        self.step += 1
        self._follow()
        return numbers

    @torch.no_grad()
    def start_with(self, vocoder: Vocoder) -> None:
        """Take a trained one's weights; discriminators are those of a beginner."""
        for ours in (self.vocoder, self.average):
            ours.load_state_dict(vocoder.state_dict())

    def state(self) -> dict[str, Any]:
        return {name: getattr(self, name).state_dict() for name in _PARTS} | {"judged": self.judged}

    def load_state(self, state: Mapping[str, Any]) -> None:
        for name in _PARTS:
            getattr(self, name).load_state_dict(state[name])
        self.judged = state["judged"]

    def _losses(self, made: Tensor, real: Tensor, judged: bool) -> tuple[Tensor, dict[str, float]]:
        """What the vocoder learns from, and its parts by name. Where it is judged, the judges learn first."""
        recipe = self.recipe
        spectral, phase = spectral_loss(made, real), phase_loss(made, real)
        total = recipe.spectral * spectral + recipe.phase * phase
        numbers = {"spectral": spectral.item(), "phase": phase.item()}
        if not judged:
            return total, numbers
        own = self._judge(made.detach(), real)
        fooled, alike = self.judges.vocoder_losses(made, real)
        ramp = min(1.0, self.judged / recipe.judged_ramp)
        total = total + ramp * (recipe.fooled * fooled + recipe.alike * alike)
        return total, {**numbers, "judges": own, "fooled": fooled.item(), "alike": alike.item()}

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


def train(
    run: Path, steps: int, judged_from: int, shards: int, recipe: VocoderRecipe, begin_with: Path | None = None
) -> None:
    """Until `steps` in all; discriminators join after `judged_from` steps. shards: of each voice to train on.

    begin_with: where there is nothing to go on from, the folder of an exported codec to start with. Its encoder stays
    true where `judged_from` is 0, because what codes mean does not change from there on.
    """
    folder = run / FOLDER
    folder.mkdir(exist_ok=True)
    crops = Crops(run, recipe.frames, shards)
    trainer = Trainer(folder, Codebooks.load(run / "codebooks.npz"), recipe)
    if begin_with is not None and trainer.step == 0:
        trainer.start_with(published.load_vocoder(begin_with))

    def learn() -> dict[str, float]:
        random = np.random.default_rng([recipe.seed, trainer.step])
        codes, audio = crops.draw(recipe.batch, random)
        spoil(codes, recipe.wrong_units, random)
        return trainer.learn(codes, audio, trainer.step >= judged_from, pace_at(trainer.step / steps))

    keep_learning(trainer, learn, steps)


def spoil(codes: Tensor, share: float, random: np.random.Generator) -> None:
    """In place, a share of crops [B, BOOKS, frames] gets random units; the other books say enough to speak from."""
    chosen = torch.from_numpy(random.random(len(codes)) < share)
    units = torch.from_numpy(random.integers(BOOK_SIZE, size=(len(codes), codes.shape[2])))
    codes[chosen, 0] = units[chosen]


def load_vocoder(run: Path) -> Vocoder:
    """The averaged weights of the trained vocoder."""
    vocoder = Vocoder()
    vocoder.load_state_dict(torch.load(run / FOLDER / FILE, weights_only=True)["average"])
    return vocoder.eval()
