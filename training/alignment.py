"""Which letter each phone is read from, found by expectation maximisation. Knows no audio.

The attention of the language model is shown this while it trains. Phones follow the letters in order; several phones
may share a letter (x → k s) and a letter may be silent. With P(phone | letter) and P(silent | letter) known, the best
path is found by dynamic programming; the probabilities are counted from the paths, a few times over.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from training.phones import PAUSES

Pair = tuple[str, Sequence[str]]  # a text and its phones
ROUNDS = 5
SAMPLE = 3000  # texts that the probabilities are counted from


class Aligner:
    """Aligns phones with letters. Made by `Aligner.fit`."""

    def __init__(self, letters: str, phones: Sequence[str]) -> None:
        self._letters = {letter: i for i, letter in enumerate(letters)}
        self._phones = {phone: i for i, phone in enumerate(phones)}
        self._read = np.array([[_first_guess(p, c) for c in letters] for p in phones])
        self._silent = np.array([-2.0 if c.isalpha() else -0.7 for c in letters])

    @classmethod
    def fit(cls, pairs: Sequence[Pair]) -> "Aligner":
        letters = "".join(sorted({c for text, _ in pairs for c in text}))
        aligner = cls(letters, sorted({p for _, phones in pairs for p in phones}))
        for _ in range(ROUNDS):
            aligner._count(pairs[:SAMPLE])
        return aligner

    def align(self, text: str, phones: Sequence[str]) -> npt.NDArray[np.int64]:
        """For each phone the index of its letter in `text`, never going back."""
        letters, sounds = self._indices(text, phones)
        silent = np.concatenate([[0.0], np.cumsum(self._silent[letters])])  # of the letters before each one
        scores = self._read[sounds][:, letters]
        score = scores[0] + silent[:-1]
        came_from = np.zeros((len(sounds), len(letters)), np.int64)
        for i in range(1, len(sounds)):
            score, came_from[i] = _advance(score, silent)
            score = score + scores[i]
        path = [int(np.argmax(score + silent[-1] - silent[1:]))]
        for i in range(len(sounds) - 1, 0, -1):
            path.append(int(came_from[i, path[-1]]))
        return np.array(path[::-1])

    def _indices(self, text: str, phones: Sequence[str]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        return np.array([self._letters[c] for c in text]), np.array([self._phones[p] for p in phones])

    def _count(self, pairs: Sequence[Pair]) -> None:
        read = np.full(self._read.shape, 0.05)
        silent = np.full(self._silent.shape, 0.5)
        for text, phones in pairs:
            path = self.align(text, phones)
            letters, sounds = self._indices(text, phones)
            np.add.at(read, (sounds, letters[path]), 1)
            unread = np.ones(len(letters), bool)
            unread[path] = False
            np.add.at(silent, letters[unread], 1)
        total = read.sum(axis=0) + silent
        self._read, self._silent = np.log(read / total), np.log(silent / total)


def label_letters(
    letters: int, path: npt.NDArray[np.int64], labels: Sequence[int] | npt.NDArray[np.int64]
) -> npt.NDArray[np.int16]:
    """[letters]: the label of the last phone read from each letter, -1 where none is. path and labels: one a phone."""
    read = np.full(letters, -1, np.int16)
    read[path] = labels
    return read


def _advance(
    score: npt.NDArray[np.float64], silent: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """For each letter the best score of the phone before, at the same letter or an earlier one, and where that was."""
    here = np.arange(len(score))
    reach = score - silent[1:]
    best = np.maximum.accumulate(reach)
    where = np.maximum.accumulate(np.where(reach >= best, here, 0))
    earlier = np.concatenate([[-np.inf], best[:-1]]) + silent[:-1]
    stay = score >= earlier
    return np.where(stay, score, earlier), np.where(stay, here, np.concatenate([[0], where[:-1]]))


def _first_guess(phone: str, letter: str) -> float:
    if phone == letter or phone.lstrip("ˈ")[:1] == letter:
        return 0.0
    return -1.0 if (phone in PAUSES) != letter.isalpha() else -6.0
