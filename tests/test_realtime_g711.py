"""serving/realtime/g711.py against CPython's audioop, and what an 8-bit law can keep of 16 bits."""

import warnings
from typing import Any

import numpy as np
import pytest

from serving.realtime import g711

EVERY_BYTE = bytes(range(256))
EVERY_SAMPLE = np.arange(-32768, 32768).astype(np.int16)
LAWS: tuple[g711.Law, ...] = ("mu", "a")


@pytest.fixture(scope="module")
def audioop() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return pytest.importorskip("audioop", reason="this Python has no audioop any more (3.13)")


def test_mu_law_is_that_of_audioop(audioop: Any) -> None:
    assert g711.decode(EVERY_BYTE, "mu").tobytes() == audioop.ulaw2lin(EVERY_BYTE, 2)
    assert g711.encode(EVERY_SAMPLE, "mu") == audioop.lin2ulaw(EVERY_SAMPLE.tobytes(), 2)


def test_a_law_is_that_of_audioop(audioop: Any) -> None:
    assert g711.decode(EVERY_BYTE, "a").tobytes() == audioop.alaw2lin(EVERY_BYTE, 2)
    assert g711.encode(EVERY_SAMPLE, "a") == audioop.lin2alaw(EVERY_SAMPLE.tobytes(), 2)


@pytest.mark.parametrize("law", LAWS)
def test_what_was_decoded_is_encoded_as_the_same_sample(law: g711.Law) -> None:
    """µ-law has two zeros, so that the byte may differ where the sample does not."""
    decoded = g711.decode(EVERY_BYTE, law)
    assert np.array_equal(g711.decode(g711.encode(decoded, law), law), decoded)


@pytest.mark.parametrize(("law", "bias"), [("mu", 132), ("a", 256)])
def test_a_sample_comes_back_within_half_a_step(law: g711.Law, bias: int) -> None:
    """Half a step is 1/32 of the magnitude, `bias` included; 8 more come of the bits that are shifted out first."""
    magnitude = np.abs(EVERY_SAMPLE.astype(int))
    heard = magnitude < 32_000  # above, µ-law clips
    error = np.abs(g711.decode(g711.encode(EVERY_SAMPLE, law), law).astype(int) - EVERY_SAMPLE)
    assert np.all((error <= (magnitude + bias) / 32 + 8)[heard])


@pytest.mark.parametrize("law", LAWS)
def test_no_sample_is_no_byte(law: g711.Law) -> None:
    assert g711.encode(np.zeros(0, np.int16), law) == b""
    assert g711.decode(b"", law).size == 0
