"""Less noise and no delay: against the clean recording, cut as it may come, on silence, and without its library."""

import numpy as np
import pytest
import soxr
from listening_fixtures import pieces

from models.errors import GenerationFailed, InvalidRequest, WeightsError
from models.listening import denoise
from models.listening.denoise import (
    DEEPFILTERNET_DELAY,
    FRAME_LENGTH,
    RNNOISE_DELAY,
    SAMPLE_RATE,
    Denoiser,
    FrameDenoiser,
    _Native,
    open_denoiser,
)
from models.listening.packaged import PackagedFile

FIELDS = ("near_field", "far_field")
NOISY_DB = 5.0  # SI-SNR of the noisy recording


@pytest.fixture(params=FIELDS)
def field(request: pytest.FixtureRequest) -> str:
    library = {"near_field": denoise.RNNOISE, "far_field": denoise.DEEPFILTERNET}[request.param]
    if library.find() is None:
        pytest.skip(f"{library.distribution} is not installed: {library.install}")
    return request.param


@pytest.fixture(scope="module")
def speech(clip_24k: np.ndarray) -> np.ndarray:
    """Five seconds in which both talk."""
    return clip_24k[7 * SAMPLE_RATE : 12 * SAMPLE_RATE]


def si_snr(heard: np.ndarray, clean: np.ndarray) -> float:
    """Scale-invariant signal-to-noise ratio in dB of [L] against [L]."""
    heard, clean = (samples.astype(np.float64) - samples.mean(dtype=np.float64) for samples in (heard, clean))
    wanted = (heard @ clean) / (clean @ clean) * clean
    return float(10 * np.log10((wanted @ wanted) / ((heard - wanted) @ (heard - wanted))))


def with_noise(speech: np.ndarray, kind: str) -> np.ndarray:
    noise = np.random.default_rng(1).standard_normal(speech.size)
    if kind == "rumble":
        noise = np.convolve(noise, np.ones(20) / 20, mode="same")
    level = np.sqrt(np.mean(speech**2) / np.mean(noise**2) / 10 ** (NOISY_DB / 10))
    return (speech + level * noise).astype(np.float32)


def whole(denoiser: Denoiser, samples: np.ndarray) -> np.ndarray:
    return np.concatenate([denoiser.push(samples), denoiser.flush()])


@pytest.mark.parametrize(("kind", "gain_db"), [("hiss", 7.0), ("rumble", 4.0)])
def test_noise_becomes_less(field: str, kind: str, gain_db: float, speech: np.ndarray) -> None:
    """Rumble lies where speech does. The ratio would be far below zero if the delay were not taken out."""
    noisy = with_noise(speech, kind)
    assert si_snr(noisy, speech) == pytest.approx(NOISY_DB, abs=0.1)
    assert si_snr(whole(open_denoiser(field), noisy), speech) >= NOISY_DB + gain_db


def test_speech_stays_where_it_was(field: str, speech: np.ndarray) -> None:
    cleaned = whole(open_denoiser(field), speech[: 2 * SAMPLE_RATE])
    middle = slice(24_000, 42_000)
    lags = range(-40, 41)
    likeness = [float(cleaned[middle] @ speech[middle.start - lag : middle.stop - lag]) for lag in lags]
    assert abs(lags[int(np.argmax(likeness))]) <= 1


def test_chunked_equals_whole(field: str, speech: np.ndarray) -> None:
    noisy = with_noise(speech, "hiss")[: 3 * SAMPLE_RATE // 2]
    denoiser = open_denoiser(field)
    chunks = [denoiser.push(piece) for piece in pieces(noisy, 1, 2000)]
    chunks.append(denoiser.flush())
    np.testing.assert_allclose(np.concatenate(chunks), whole(open_denoiser(field), noisy), atol=1e-6)


def test_as_many_samples_come_out_as_went_in_and_the_stream_goes_on(field: str) -> None:
    denoiser = open_denoiser(field)
    noise = 0.1 * np.random.default_rng(2).standard_normal(7_001).astype(np.float32)
    for length in (0, 1, 239, 240, 241, 7_001, 0):
        assert whole(denoiser, noise[:length]).size == length


def test_silence_stays_silent_and_steady_noise_nearly_so(field: str) -> None:
    noise = 0.05 * np.random.default_rng(3).standard_normal(2 * SAMPLE_RATE).astype(np.float32)
    denoiser = open_denoiser(field)
    assert np.abs(whole(denoiser, np.zeros(SAMPLE_RATE // 2, np.float32))).max() < 1e-4
    rest = whole(denoiser, noise)[SAMPLE_RATE:]
    assert np.sqrt(np.mean(rest**2)) < 0.1 * np.sqrt(np.mean(noise**2))


def test_two_streams_do_not_hear_each_other(field: str, speech: np.ndarray) -> None:
    noisy = with_noise(speech, "hiss")[: SAMPLE_RATE // 2]
    first, second = open_denoiser(field), open_denoiser(field)
    mixed = []
    for piece in pieces(noisy, 4, 4000):
        mixed.append(first.push(piece))
        second.push(np.flip(piece))
    mixed.append(first.flush())
    np.testing.assert_array_equal(np.concatenate(mixed), whole(open_denoiser(field), noisy))


@pytest.mark.parametrize("delay", [RNNOISE_DELAY, DEEPFILTERNET_DELAY])
def test_a_network_that_only_delays_gives_back_what_it_heard(delay: int, speech: np.ndarray) -> None:
    """All that is ours, without any library: framing, rates, the delay."""
    line = np.zeros(delay, np.float32)

    def delayed(frames: np.ndarray) -> np.ndarray:
        nonlocal line
        assert frames.shape[1] == FRAME_LENGTH
        line = np.concatenate([line, frames.reshape(-1)])
        given, line = line[: frames.size], line[frames.size :]
        return given.reshape(frames.shape)

    samples = soxr.resample(soxr.resample(speech, SAMPLE_RATE, 16_000), 16_000, SAMPLE_RATE)[
        :20_001
    ]  # nothing at 12 kHz
    denoiser = FrameDenoiser(delayed, delay)
    for _ in range(2):
        heard = [denoiser.push(piece) for piece in pieces(samples, 5, 700)]
        np.testing.assert_allclose(
            np.concatenate([*heard, denoiser.flush()]), samples, atol=2e-3
        )  # two changes of rate


def test_a_stream_that_is_dropped_frees_what_its_library_holds() -> None:
    freed: list[int] = []
    native = _Native(7, freed.append, lambda state, heard, given: 0.0)
    denoiser = FrameDenoiser(native, RNNOISE_DELAY)
    del native
    assert freed == []
    del denoiser
    assert freed == [7]


def test_a_library_that_gives_no_state_is_no_stream() -> None:
    with pytest.raises(GenerationFailed, match="could not be opened"):
        _Native(None, print, lambda state, heard, given: 0.0)


def test_another_field_is_refused_with_the_choices() -> None:
    with pytest.raises(InvalidRequest, match=r"noise_reduction: is 'mid_field'; choose near_field or far_field"):
        open_denoiser("mid_field")


@pytest.mark.parametrize(("field", "name"), [("near_field", "RNNOISE"), ("far_field", "DEEPFILTERNET")])
def test_a_missing_library_is_named_with_the_way_out(field: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        denoise, name, PackagedFile("Noise reduction", "no_such", "lib.so", "no-such", "pip install it")
    )
    denoise._rnnoise_library.cache_clear()
    denoise._deepfilternet_library.cache_clear()
    with pytest.raises(WeightsError, match=r"needs lib\.so of the package no-such.*Install it: pip install it"):
        open_denoiser(field)
