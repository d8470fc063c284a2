"""Random stretches of codes and the audio they stand for, read from the shards of a run. Knows no network."""

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from training.codec.codebooks import Codes
from training.corpus import load_shard, shards
from training.frames import FRAME, VOICES

Pair = tuple[Codes, npt.NDArray[np.int16]]  # [frames, BOOKS] and [frames * 512]


class Crops:
    """Draws from both voices alike often. Readings shorter than a crop are left out."""

    def __init__(self, run: Path, frames: int, most_shards: int) -> None:
        """most_shards: of each voice, the first ones."""
        self._frames = frames
        self._voices = [_load(run, voice, most_shards, frames) for voice in VOICES]

    def draw(self, batch: int, random: np.random.Generator) -> tuple[Tensor, Tensor]:
        """codes int64 [batch, BOOKS, frames], audio float32 [batch, frames * 512]"""
        pairs = [self._one(random) for _ in range(batch)]
        codes = np.stack([codes.T for codes, _ in pairs]).astype(np.int64)
        audio = np.stack([audio for _, audio in pairs]).astype(np.float32) / 32767
        return torch.from_numpy(codes), torch.from_numpy(audio)

    def _one(self, random: np.random.Generator) -> Pair:
        readings = self._voices[random.integers(len(self._voices))]
        codes, audio = readings[random.integers(len(readings))]
        start = int(random.integers(len(codes) - self._frames + 1))
        end = start + self._frames
        return codes[start:end], audio[start * FRAME : end * FRAME]


def _load(run: Path, voice: str, most_shards: int, shortest: int) -> list[Pair]:
    pairs = []
    for path in shards(run / "codes", voice)[:most_shards]:
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
