"""The semantic end of turn: its features are those of two other implementations, and it tells ends from middles."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from listening_fixtures import Clip
from transformers import WhisperFeatureExtractor

from models.listening import turns
from models.listening.packaged import PackagedFile
from models.listening.turns import NETWORK, SAMPLE_RATE, EndOfTurn, spectrogram


def part(clip: Clip, start: float, end: float) -> np.ndarray:
    return clip.samples[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)]


@pytest.fixture(scope="module")
def network() -> Path:
    file = NETWORK.find()
    if file is None:
        pytest.skip(f"Smart Turn is not installed: {NETWORK.install}")
    return file


@pytest.fixture(scope="module")
def pipecat(network: Path) -> ModuleType:
    """The features that Smart Turn's own package makes; the file alone, because the package asks for much more."""
    spec = spec_from_file_location("whisper_features", network.parents[1] / "_whisper_features.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("start", "end"), [(9.0, 17.0), (14.4, 17.9), (0.0, 30.0)])
def test_features_are_those_of_the_networks_own_package(
    start: float, end: float, clip: Clip, pipecat: ModuleType
) -> None:
    samples = part(clip, start, end)[-8 * SAMPLE_RATE :]
    padded = np.pad(samples, (8 * SAMPLE_RATE - samples.size, 0))
    theirs = pipecat.compute_whisper_log_mel_features(padded)
    np.testing.assert_allclose(spectrogram(part(clip, start, end)), theirs, atol=1e-4)


def test_features_are_those_of_transformers(clip: Clip) -> None:
    samples = part(clip, 9.0, 17.0)
    extractor = WhisperFeatureExtractor(chunk_length=8)
    theirs = extractor(samples, sampling_rate=SAMPLE_RATE, return_tensors="np", do_normalize=True).input_features[0]
    np.testing.assert_allclose(spectrogram(samples), theirs, atol=1e-3)


def test_a_finished_sentence_is_likelier_to_end_a_turn_than_half_of_it(clip: Clip, network: Path) -> None:
    """ "And I'm Sheila in Texas, originally from Chicago." """
    end_of_turn = EndOfTurn()
    finished, half = (end_of_turn.probability(part(clip, 14.4, end)) for end in (17.95, 16.2))
    assert finished is not None
    assert half is not None
    assert half < 0.2 < 0.8 < finished <= 1


def test_only_the_last_eight_seconds_count_and_no_level(clip: Clip) -> None:
    turn = part(clip, 9.0, 17.95)
    np.testing.assert_array_equal(spectrogram(turn), spectrogram(turn[-8 * SAMPLE_RATE :]))
    np.testing.assert_allclose(spectrogram(turn), spectrogram(0.5 * turn), atol=1e-3)


def test_without_its_network_there_is_no_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "NETWORK", PackagedFile("x", "no_such_package", "x.onnx", "no-such", "pip"))
    turns._session.cache_clear()
    assert EndOfTurn().probability(np.zeros(SAMPLE_RATE, np.float32)) is None
    turns._session.cache_clear()
