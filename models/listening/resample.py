"""Another sample rate while samples still come. Knows no speech.

soxr's stream is aligned with its input: it gives a sample once it has heard what lies behind it, and in the end
exactly as many as there ought to be. Values do not depend on how the input was cut.
"""

import numpy as np
import numpy.typing as npt
import soxr

Samples = npt.NDArray[np.float32]  # [L], mono, full scale is ±1

NOTHING: Samples = np.zeros(0, np.float32)
NOTHING.flags.writeable = False


class Resampler:
    """One stream from one rate (Hz) to another; equal rates pass through."""

    def __init__(self, from_rate: int, to_rate: int) -> None:
        assert from_rate > 0, from_rate
        assert to_rate > 0, to_rate
        self._passes = from_rate == to_rate
        self._stream = soxr.ResampleStream(from_rate, to_rate, num_channels=1, dtype="float32", quality="HQ")

    def push(self, samples: Samples) -> Samples:
        """[L] → every sample that is exact by now and was not given before; may be [0]."""
        return samples if self._passes else self._stream.resample_chunk(samples)

    def flush(self) -> Samples:
        """The samples left over: with them L in have become about L · to_rate / from_rate out, at most one more.

        The next push starts anew.
        """
        if self._passes:
            return NOTHING
        rest = self._stream.resample_chunk(NOTHING, last=True)
        self._stream.clear()
        return rest
