"""Readings made of tones, with phones and text that belong together, and a codec small enough to train in a test."""

from collections.abc import Sequence

import numpy as np
import pytest

from training.codec import vocoder
from training.codec.codebooks import BOOK_SIZE, CEPSTRA, ENVELOPES, Codebooks
from training.corpus import Utterance
from training.frames import FRAME, SAMPLE_RATE
from training.phones import Phone

SOUNDS = {"a": 110.0, "ˈo": 220.0, "s": 0.0, "ə": 165.0}  # Hz; 0: noise
SPELLING = {"a": "a", "ˈo": "o", "s": "s", "ə": "e", " ": " ", ".": "."}


def tone(hertz: float, samples: int, amplitude: float = 0.3) -> np.ndarray:
    """Ten harmonics, each half as loud as the one before; their sum peaks at about `amplitude`."""
    time = np.arange(samples) / SAMPLE_RATE
    harmonics = [np.cos(2 * np.pi * hertz * n * time) / 2**n for n in range(1, 11)]
    return (amplitude * np.sum(harmonics, axis=0)).astype(np.float32)


def noise(samples: int, amplitude: float = 0.1, seed: int = 0) -> np.ndarray:
    return (amplitude * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


def sound_of(name: str, frames: int) -> np.ndarray:
    if name not in SOUNDS:
        return np.zeros(frames * FRAME, np.float32)
    hertz = SOUNDS[name]
    return tone(hertz, frames * FRAME) if hertz else noise(frames * FRAME)


def utterance(seed: int, sounds: int = 6) -> Utterance:
    """Silence, some sounds of three to nine frames, silence; each sound is one letter of the text."""
    random = np.random.default_rng(seed)
    names = [" ", *random.choice(list(SOUNDS), sounds), "."]
    lengths = [4, *random.integers(3, 10, sounds), 8]
    audio = np.concatenate([sound_of(str(n), int(k)) for n, k in zip(names, lengths, strict=True)])
    ends = np.cumsum(lengths)
    phones = tuple((str(name), int(end)) for name, end in zip(names, ends, strict=True))
    text = "".join(SPELLING[str(name)] for name in names[1:])
    return Utterance(text, int(ends[-1]), phones, np.round(audio * 32767).astype(np.int16))


class ToneTeacher:
    """Says every phone for a tenth of a second at half the rate of the corpus."""

    rate, gain = SAMPLE_RATE // 2, 1.0

    def say(self, phones: Sequence[Phone]) -> tuple[np.ndarray, list[float]]:
        samples = self.rate // 10
        pieces = [np.zeros(samples, np.float32) if p.pause else tone(200, samples) for p in phones]
        return np.concatenate(pieces), [(i + 1) * samples / self.rate for i in range(len(phones))]


def random_books(seed: int = 0) -> Codebooks:
    envelopes = np.random.default_rng(seed).standard_normal((ENVELOPES, BOOK_SIZE, CEPSTRA)).astype(np.float32)
    return Codebooks((tuple(SPELLING), tuple(SPELLING)), envelopes)


@pytest.fixture
def small_codec(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirty-two channels in place of 256."""
    monkeypatch.setattr(vocoder, "HIDDEN", 32)
    monkeypatch.setattr(vocoder, "LATENT", 32)
