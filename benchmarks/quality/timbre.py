"""Whose voice is it? Voices are told apart by their timbre, which short and hoarse turns have too. Knows no words."""

from collections.abc import Iterable
from typing import Self

import librosa
import numpy as np
import numpy.typing as npt
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from benchmarks.quality.judge import SAMPLE_RATE, Samples

COEFFICIENTS, MEL_BANDS = 20, 40
WINDOW, HOP = 512, 160  # samples at SAMPLE_RATE
LOUD = 10 ** (-25 / 20)  # of the loudest frame: what is softer is not heard as a voice
FEWEST_PIECES = 6  # of a speaker

Timbre = npt.NDArray[np.float32]


def timbre(samples: Samples) -> Timbre | None:
    """[COEFFICIENTS - 1]: mean mel cepstrum of the loud frames of [L] samples, without its level; None of silence."""
    if samples.size < WINDOW or not samples.any():
        return None
    cepstrum = librosa.feature.mfcc(
        y=samples, sr=SAMPLE_RATE, n_mfcc=COEFFICIENTS, n_mels=MEL_BANDS, n_fft=WINDOW, hop_length=HOP
    )
    level = librosa.feature.rms(y=samples, frame_length=WINDOW, hop_length=HOP)[0]
    return np.asarray(cepstrum[1:, level > LOUD * level.max()].mean(axis=1), np.float32)


class Voices:
    """Two speakers, by linear discriminant analysis of what each was heard to say alone."""

    def __init__(self, model: LinearDiscriminantAnalysis) -> None:
        self._model = model

    @classmethod
    def of(cls, pieces: Iterable[tuple[int, Timbre | None]]) -> Self | None:
        """From (speaker, timbre) of pieces that one speaker says alone; None where either has too few."""
        known = [(speaker, timbre) for speaker, timbre in pieces if timbre is not None]
        speakers = [speaker for speaker, _ in known]
        if len(set(speakers)) < 2 or min(speakers.count(one) for one in set(speakers)) < FEWEST_PIECES:
            return None
        model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
        return cls(model.fit(np.array([timbre for _, timbre in known]), speakers))

    def nearest(self, timbre: Timbre) -> int:
        """The speaker who sounds most like this."""
        return int(self._model.predict(timbre[None])[0])
