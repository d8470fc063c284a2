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

Reading = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]  # letters and their phones


class Practice:
    """Batches of texts as long as scripts are: readings in a row, a tag where the speaker changes."""

    def __init__(self, readings: list[Reading], lengths: tuple[int, int]) -> None:
        self._readings, self._lengths = readings, lengths

    @classmethod
    def load(cls, path: Path, lengths: tuple[int, int]) -> "Practice":
        """lengths: the shortest and the longest text, in letters."""
        with np.load(path) as file:
            text, letters, sizes = file["text"], file["letters"], json.loads(str(file["meta"]))
        assert sum(sizes) == len(text) == len(letters), (path, sum(sizes), len(text), len(letters))
        ends = np.cumsum(sizes)[:-1]
        pairs = zip(np.split(text, ends), np.split(letters, ends), strict=True)
        return cls([(t.astype(np.int64), p.astype(np.int64)) for t, p in pairs], lengths)

    def batch(self, letters: int, random: np.random.Generator) -> tuple[Tensor, Tensor]:
        """About so many letters: texts of one length, the last reading of each cut there → ids and phones [B, S]."""
        length = int(random.integers(self._lengths[0], self._lengths[1] + 1))
        rows = [self._text(length, random) for _ in range(max(1, letters // length))]
        ids, phones = (torch.from_numpy(np.stack(column)) for column in zip(*rows, strict=True))
        return ids, phones

    def _text(self, length: int, random: np.random.Generator) -> Reading:
        """Readings in a row, each by either speaker, of exactly `length` letters."""
        parts: list[Reading] = []
        speaker, left = -1, length
        while left > 0:
            before, speaker = speaker, int(random.integers(2))
            space = b" " if parts else b""
            tag = b"" if speaker == before else bytes([speaker + 1, ord(" ")])
            head = np.frombuffer(space + tag, np.uint8).astype(np.int64)
            text, phones = self._readings[int(random.integers(len(self._readings)))]
            parts.append((head, np.full(len(head), IGNORE)))
            parts.append((text, np.where(phones < 0, IGNORE, phones)))
            left -= len(head) + len(text)
        ids, phones = (np.concatenate(column)[:length] for column in zip(*parts, strict=True))
        return ids, phones
