"""Keeping samples within full scale: a soft limit for streams, and a look-ahead limiter of true peaks.

Works on any float32 [C, L]; knows no loudness and no container.
"""

import numpy as np
import numpy.typing as npt
import soxr

from models.request import Audio

KNEE = 0.95  # −0.45 dBFS: below it soft_limit changes nothing
OVERSAMPLING = 4  # ITU-R BS.1770-4 annex 2
REACH_SECONDS = 0.01  # the limiter's gain starts to fall this long before a peak and is back this long after it
MARGIN_DB = 0.1  # what a moving gain may add between samples


def soft_limit(audio: Audio) -> Audio:
    """Bend samples above ±0.95 so that none passes ±1; each alone, so a stream equals the whole.

    Samples up to ±0.95 stay bit for bit. 1.0 becomes 0.988, and anything larger nears 1.
    """
    loud = np.abs(audio) > KNEE
    if not loud.any():
        return audio
    bent = KNEE + (1 - KNEE) * np.tanh((np.abs(audio) - KNEE) / (1 - KNEE))
    return np.where(loud, np.copysign(bent, audio), audio).astype(np.float32)


def true_peak(audio: Audio) -> npt.NDArray[np.float32]:
    """Largest magnitude at and after each sample, over all channels, of the signal between samples: [C, L] → [L]."""
    dense = soxr.resample(audio.T, 1, OVERSAMPLING, quality="VHQ")  # [4·L, C]
    between = np.abs(dense).reshape(audio.shape[1], -1).max(axis=1)
    return np.maximum(between, np.abs(audio).max(axis=0))  # the filter rounds off the edges


def limit_true_peak(audio: Audio, sample_rate: int, ceiling_db: float) -> Audio:
    """Turn down what would pass `ceiling_db` (dBTP), smoothly and alike in all channels: [C, L] → [C, L].

    The gain is the least one needed within ±10 ms, averaged over ±10 ms: it never exceeds the one needed.
    """
    ceiling = 10 ** ((ceiling_db - MARGIN_DB) / 20)
    reach = max(1, round(REACH_SECONDS * sample_rate))
    needed = np.minimum(1, ceiling / np.maximum(true_peak(audio), ceiling))
    return (audio * _sliding_mean(_sliding_min(needed, reach), reach)).astype(np.float32)


def _sliding_min(values: npt.NDArray, reach: int) -> npt.NDArray:
    """Minimum over 2·reach + 1 neighbours, by van Herk's running minima of blocks; needs time linear in the length."""
    width = 2 * reach + 1
    blocks = -(-(len(values) + 2 * reach) // width)
    padded = np.pad(values, (reach, blocks * width - len(values) - reach), constant_values=1.0).reshape(blocks, width)
    forward = np.minimum.accumulate(padded, axis=1).ravel()
    backward = np.minimum.accumulate(padded[:, ::-1], axis=1)[:, ::-1].ravel()
    return np.minimum(backward[: len(values)], forward[width - 1 : width - 1 + len(values)])


def _sliding_mean(values: npt.NDArray, reach: int) -> npt.NDArray:
    width = 2 * reach + 1
    total = np.cumsum(np.pad(values, (reach + 1, reach), mode="edge"), dtype=np.float64)
    return (total[width:] - total[:-width]) / width
