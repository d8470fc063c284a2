"""Audio that can be repeated without a seam: what would have come after the end is faded into the beginning.

Needs the whole audio at once. Works on any float32 [C, L]; knows no beat and no bar.
"""

import numpy as np

from models.request import Audio


def seamless_loop(audio: Audio, overrun: int) -> Audio:
    """Fold the last `overrun` samples into the first: [C, L] → [C, L - overrun].

    The result begins where the overrun began, so its end goes over into its beginning as in the audio itself, and
    fades within `overrun` samples into the audio's own beginning. The power of the fade stays even: sin² + cos² = 1
    holds for sounds that are independent, and what alike ones would add is taken off again.
    0 returns the audio itself. Raises ValueError where more is to be folded than remains.
    """
    length = audio.shape[1] - overrun
    if not 0 <= overrun <= length:
        raise ValueError(f"{overrun} samples of overrun cannot be folded into {length}")
    if overrun == 0:
        return audio
    coming, going = audio[:, :overrun], audio[:, length:]
    angle = np.pi / 2 * np.arange(overrun) / overrun  # from the overrun alone to the beginning alone
    rise, fall = np.sin(angle), np.cos(angle)
    even = np.sqrt(1 + 2 * _likeness(coming, going) * rise * fall)
    faded = (coming * rise + going * fall) / even
    return np.concatenate([faded.astype(np.float32), audio[:, overrun:length]], axis=1)


def _likeness(first: Audio, second: Audio) -> float:
    """Their correlation, over all channels, from 0 to 1. Opposite sounds count as independent: the gain that evens
    out how they cancel has no limit."""
    energies = np.square(first, dtype=np.float64).sum() * np.square(second, dtype=np.float64).sum()
    if energies == 0:
        return 0.0
    return float(np.clip((first.astype(np.float64) * second).sum() / np.sqrt(energies), 0.0, 1.0))
