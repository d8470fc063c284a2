"""The level of finished music, by AudioCraft's four strategies with its published numbers.

Needs the whole audio at once. Works on any float32 [C, L]; one gain for all channels; every result lies within ±1.
Source: audiocraft/data/audio_utils.py, normalize_audio, with the defaults of audio_write. What that one cannot do
leaves the audio as it is here: silence has no level to bring anywhere (it divides by 0 there), nor have 0.4 s a
loudness.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np

from models.audio.bs1770 import integrated_loudness
from models.request import Audio

Strategy = Literal["loudness", "clip", "peak", "rms"]

CEILING = 10 ** (-1 / 20)  # of clip and peak: −1 dB
RMS_LEVEL = 10 ** (-18 / 20)
LOUDNESS_LUFS = -14.0
QUIETEST_RMS = 2e-3  # below it, loudness changes nothing: −54 dB is a pause, not music
SILENCE = 2**-17  # −102 dB: half a step of a 16-bit file, which rounds it to 0


def normalise(audio: Audio, sample_rate: int, strategy: Strategy) -> Audio:
    """Bring [C, L], L > 0, to the level of `strategy`:

    loudness: −14 LUFS by one gain, then cut at ±1; as it is where its RMS is below 0.002.
    clip: cut at ±0.891 (−1 dB), no gain. peak: the largest sample to 0.891. rms: the RMS of the mono mix to −18 dB,
    then cut at ±1.
    """
    assert np.isfinite(audio).all(), "audio that is no number cannot be levelled"
    return _STRATEGIES[strategy](audio, sample_rate).astype(np.float32)


def notes_on_level(levelled: Audio, strategy: Strategy) -> tuple[str, ...]:
    """What whoever asked should know of [C, L] that normalise gave: what did not fit. clip is asked to cut."""
    cut = int((np.abs(levelled) >= 1).sum())
    if strategy == "clip" or not cut:
        return ()
    return (f"{strategy} took {cut} of {levelled.size} samples past full scale, where they are cut; peak cuts none",)


def _loudness(audio: Audio, sample_rate: int) -> Audio:
    lufs = integrated_loudness(audio, sample_rate)
    if np.isinf(lufs) or _rms(audio) < QUIETEST_RMS:
        return _cut(audio, 1.0)
    return _cut(audio * 10 ** ((LOUDNESS_LUFS - lufs) / 20), 1.0)


def _clip(audio: Audio, sample_rate: int) -> Audio:
    return _cut(audio, CEILING)


def _peak(audio: Audio, sample_rate: int) -> Audio:
    return _amplified(audio, CEILING, float(np.abs(audio).max()))


def _rms_level(audio: Audio, sample_rate: int) -> Audio:
    return _cut(_amplified(audio, RMS_LEVEL, _rms(audio.mean(axis=0))), 1.0)


_STRATEGIES: dict[Strategy, Callable[[Audio, int], Audio]] = {
    "loudness": _loudness,
    "clip": _clip,
    "peak": _peak,
    "rms": _rms_level,
}


def _amplified(audio: Audio, wanted: float, level: float) -> Audio:
    """From `level` to the wanted one; what has next to none, such as stereo whose sides cancel, stays."""
    return audio * (wanted / level) if level > SILENCE else audio


def _rms(audio: Audio) -> float:
    return float(np.sqrt(np.mean(np.square(audio, dtype=np.float64))))


def _cut(audio: Audio, ceiling: float) -> Audio:
    return np.clip(audio, -ceiling, ceiling)
