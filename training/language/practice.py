"""Reading practice for the text encoder: letters → phones on text alone. Knows no codes.

RUN/pronunciations.npz: `text` bytes (uint8) of all texts in a row, `letters` int16 the phone of each byte or -1, `meta`
a JSON list of their lengths. Texts are those of turns, without tags.
"""

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from training.language.batches import IGNORE

Reading = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]  # ids and letters of one turn, tag included


class Practice:
    """Batches of readings of like length."""

    def __init__(self, readings: list[Reading]) -> None:
        self._readings = sorted(readings, key=lambda reading: len(reading[0]))
        self._starts = np.cumsum([0, *(len(ids) for ids, _ in self._readings)])

    @classmethod
    def load(cls, path: Path) -> "Practice":
        with np.load(path) as file:
            text, letters, lengths = file["text"], file["letters"], json.loads(str(file["meta"]))
        assert sum(lengths) == len(text) == len(letters), (path, sum(lengths), len(text), len(letters))
        ends = np.cumsum(lengths)[:-1]
        pairs = zip(np.split(text, ends), np.split(letters, ends), strict=True)
        return cls([_tagged(t.astype(np.int64), p.astype(np.int64), i % 2 + 1) for i, (t, p) in enumerate(pairs)])

    def batch(self, letters: int, random: np.random.Generator) -> tuple[Tensor, Tensor]:
        """About so many letters of readings from one place in the order of lengths → ids and phones [B, S]."""
        start = int(random.integers(max(1, self._starts[-1] - letters)))
        first, after = np.searchsorted(self._starts, (start, start + letters), side="right")
        chosen = self._readings[first - 1 : max(first, after - 1)]
        return _pad([ids for ids, _ in chosen], 0), _pad([phones for _, phones in chosen], IGNORE)


def _tagged(text: npt.NDArray[np.int64], letters: npt.NDArray[np.int64], tag: int) -> Reading:
    ids = np.concatenate([[tag, ord(" ")], text])
    return ids, np.concatenate([[IGNORE, IGNORE], np.where(letters < 0, IGNORE, letters)])


def _pad(rows: list[npt.NDArray[np.int64]], value: int) -> Tensor:
    out = np.full((len(rows), max(map(len, rows))), value)
    for row, content in zip(out, rows, strict=True):
        row[: len(content)] = content
    return torch.from_numpy(out)
