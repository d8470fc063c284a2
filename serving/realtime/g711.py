"""G.711: 16-bit samples ↔ one byte a sample, µ-law or A-law. Knows no rate and no stream: each sample stands alone.

Both laws keep a sign, an exponent of 3 bits and a mantissa of 4. Encoding looks up a table of all 65,536 samples, made
once. Source: ITU-T G.711; the roundings are those of Sun's g711.c, which CPython's audioop has too, so that what one
of them has encoded comes back from the other as the same byte.
"""

import functools
from typing import Literal

import numpy as np
import numpy.typing as npt

Law = Literal["mu", "a"]
Samples = npt.NDArray[np.int16]  # [L]

BIAS = 33  # of µ-law, in steps of 14 bits: makes every exponent's range begin at a power of two
CLIP = 8158  # the largest magnitude of 14 bits that µ-law has room for


def decode(data: bytes, law: Law) -> Samples:
    """One byte a sample → [L]."""
    return _decoding_table(law)[np.frombuffer(data, np.uint8)]


def encode(samples: Samples, law: Law) -> bytes:
    """[L] → one byte a sample, at most half a step away; µ-law clips at 32,635."""
    return _encoding_table(law)[samples.view(np.uint16)].tobytes()


@functools.cache
def _decoding_table(law: Law) -> Samples:
    """[256] the sample of each byte."""
    codes = np.arange(256)
    if law == "mu":
        codes = ~codes & 0xFF
        exponent, mantissa = codes >> 4 & 7, codes & 15
        magnitude = (((mantissa << 1) + BIAS << exponent) - BIAS) << 2
        negative = codes >= 128
    else:
        codes = codes ^ 0x55
        exponent, mantissa = codes >> 4 & 7, codes & 15
        magnitude = np.where(exponent == 0, (mantissa << 4) + 8, (mantissa << 4) + 0x108 << np.maximum(exponent - 1, 0))
        negative = codes < 128
    return np.where(negative, -magnitude, magnitude).astype(np.int16)


@functools.cache
def _encoding_table(law: Law) -> npt.NDArray[np.uint8]:
    """[65536] the byte of each sample, by its bits read as an unsigned number."""
    samples = np.arange(1 << 16, dtype=np.uint16).view(np.int16).astype(np.int64)
    return (_mu_codes(samples) if law == "mu" else _a_codes(samples)).astype(np.uint8)


def _mu_codes(samples: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    fine = samples >> 2  # 14 bits; rounds down, also below zero
    magnitude = np.minimum(np.abs(fine), CLIP) + BIAS
    exponent = _exponent(magnitude, 6)
    codes = exponent << 4 | (magnitude >> (exponent + 1)) & 15
    return np.where(fine < 0, codes ^ 0x7F, codes ^ 0xFF)


def _a_codes(samples: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    fine = samples >> 3  # 13 bits; rounds down, also below zero
    magnitude = np.where(fine < 0, -fine - 1, fine)
    exponent = _exponent(magnitude, 5)
    codes = exponent << 4 | (magnitude >> np.maximum(exponent, 1)) & 15
    return np.where(fine < 0, codes ^ 0x55, codes ^ 0xD5)


def _exponent(magnitude: npt.NDArray[np.int64], bits: int) -> npt.NDArray[np.int64]:
    """0 for what fits into so many bits, and one more for each bit that it needs above."""
    return np.searchsorted(2 ** np.arange(bits, bits + 7), magnitude, side="right")
