"""Integrated loudness by ITU-R BS.1770-4, computed here: 300 s of stereo in 4 s on a busy core.

Needs the whole audio at once. Works on any float32 [C, L]; changes nothing. loudness.py asks ffmpeg, which measures
true peaks along with it and took 55 s for those.
"""

import math

import numpy as np
import numpy.typing as npt
from scipy.signal import lfilter

from models.request import Audio

BLOCK_SECONDS = 0.4  # of gating; shorter audio has no loudness
STEP_SECONDS = 0.1  # blocks overlap by three quarters
ABSOLUTE_GATE_LUFS = -70.0
RELATIVE_GATE_LU = -10.0
OFFSET_LU = -0.691  # of the standard: a full-scale sine of 997 Hz in one channel has −3.01 LUFS, −3.05 by these filters

Coefficients = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]  # of a biquad: numerator, denominator


def integrated_loudness(audio: Audio, sample_rate: int) -> float:
    """LUFS of [C, L] with C 1 or 2; −inf for silence, and for audio under 0.4 s."""
    block, step = round(BLOCK_SECONDS * sample_rate), round(STEP_SECONDS * sample_rate)
    if audio.shape[1] < block:
        return -math.inf
    powers = _block_powers(_k_weighted(audio, sample_rate), block, step)
    loud = powers > _power(ABSOLUTE_GATE_LUFS)
    if not loud.any():
        return -math.inf
    relative = _power(_loudness(powers[loud].mean()) + RELATIVE_GATE_LU)
    return _loudness(powers[loud & (powers > relative)].mean())


def _k_weighted(audio: Audio, sample_rate: int) -> npt.NDArray[np.float64]:
    weighted = audio.astype(np.float64)
    for numerator, denominator in (_head_shelf(sample_rate), _low_cut(sample_rate)):
        weighted = lfilter(numerator, denominator, weighted, axis=1)
    return weighted


def _block_powers(audio: npt.NDArray[np.float64], block: int, step: int) -> npt.NDArray[np.float64]:
    """Mean square of each block, summed over the channels: [C, L] → [blocks]."""
    energy = np.concatenate([[0.0], np.cumsum(np.square(audio).sum(axis=0))])
    starts = np.arange(0, audio.shape[1] - block + 1, step)
    return (energy[starts + block] - energy[starts]) / block


def _head_shelf(sample_rate: int) -> Coefficients:
    """4 dB more above 1.5 kHz, as a head has: the high shelf of the Audio EQ Cookbook at any rate, with Q of √½."""
    gain, cosine, alpha = _angles(sample_rate, 1500.0, math.sqrt(0.5), 4.0)
    slope = 2 * math.sqrt(gain) * alpha
    more, less = (gain + 1), (gain - 1)
    numerator = [
        gain * (more + less * cosine + slope),
        -2 * gain * (less + more * cosine),
        gain * (more + less * cosine - slope),
    ]
    denominator = [more - less * cosine + slope, 2 * (less - more * cosine), more - less * cosine - slope]
    return np.array(numerator) / denominator[0], np.array(denominator) / denominator[0]


def _low_cut(sample_rate: int) -> Coefficients:
    """The revised low-frequency B curve: the cookbook's high-pass at 38 Hz with Q of ½."""
    _, cosine, alpha = _angles(sample_rate, 38.0, 0.5, 0.0)
    numerator = np.array([(1 + cosine) / 2, -(1 + cosine), (1 + cosine) / 2])
    return numerator / (1 + alpha), np.array([1 + alpha, -2 * cosine, 1 - alpha]) / (1 + alpha)


def _angles(sample_rate: int, frequency: float, quality: float, gain_db: float) -> tuple[float, float, float]:
    """A, cos ω₀ and α of the Audio EQ Cookbook."""
    omega = 2 * math.pi * frequency / sample_rate
    return 10 ** (gain_db / 40), math.cos(omega), math.sin(omega) / (2 * quality)


def _loudness(power: float) -> float:
    return OFFSET_LU + 10 * math.log10(power)


def _power(loudness: float) -> float:
    return float(10 ** ((loudness - OFFSET_LU) / 10))
