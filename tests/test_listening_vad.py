"""Where somebody speaks: on a real conversation, on what is no speech, and as rules on made-up probabilities."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from faster_whisper.vad import get_vad_model
from hypothesis import given
from hypothesis import strategies as st
from listening_fixtures import Clip, pieces

from models.errors import InvalidRequest, WeightsError
from models.listening import vad
from models.listening.packaged import PackagedFile
from models.listening.vad import FRAME_LENGTH, SAMPLE_RATE, SpeechDetector, Started, Stopped, TurnDetector

MS = SAMPLE_RATE // 1000  # samples
ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def probabilities(clip: Clip) -> list[float]:
    return SpeechDetector().push(clip.samples)


def test_every_whole_frame_has_a_probability(clip: Clip, probabilities: list[float]) -> None:
    assert len(probabilities) == clip.samples.size // FRAME_LENGTH
    assert 0 <= min(probabilities) < max(probabilities) <= 1


def test_probabilities_are_those_of_another_implementation(clip: Clip, probabilities: list[float]) -> None:
    """faster-whisper runs the same network over a whole recording. It blanks the end of the last frame."""
    whole = clip.samples[: len(probabilities) * FRAME_LENGTH].copy()
    theirs = get_vad_model()(whole).reshape(-1)
    np.testing.assert_allclose(probabilities[:-1], theirs[:-1], atol=1e-5)


def test_chunked_equals_whole(clip: Clip, probabilities: list[float]) -> None:
    detector = SpeechDetector()
    heard = [probability for piece in pieces(clip.samples, 1, 1700) for probability in detector.push(piece)]
    np.testing.assert_allclose(heard, probabilities, atol=1e-5)


def test_chunked_equals_whole_at_another_rate(clip_24k: np.ndarray) -> None:
    samples = clip_24k[: 12 * 24_000]
    detector = SpeechDetector(24_000)
    heard = [probability for piece in pieces(samples, 2, 960) for probability in detector.push(piece)]
    np.testing.assert_allclose(heard, SpeechDetector(24_000).push(samples), atol=1e-5)


def test_a_reset_forgets_the_stream(clip: Clip, probabilities: list[float]) -> None:
    detector = SpeechDetector()
    detector.push(clip.samples[70_000:150_000])
    detector.reset()
    np.testing.assert_allclose(detector.push(clip.samples[:40_000]), probabilities[: 40_000 // FRAME_LENGTH], atol=1e-5)


def test_the_first_turn_starts_within_150_ms_of_the_first_word(clip: Clip, probabilities: list[float]) -> None:
    first = TurnDetector(prefix_padding_ms=0).push(probabilities)[0]
    assert first == Started(first.sample)
    assert abs(first.sample / SAMPLE_RATE - clip.starts[0]) <= 0.150


def test_turns_of_a_conversation_cover_its_speech(clip: Clip, probabilities: list[float]) -> None:
    """Every stretch of speech of the reference lies in a turn, to a quarter of a second."""
    events = TurnDetector(silence_duration_ms=200).push([*probabilities, *[0.0] * 20])
    spans = [event.sample / SAMPLE_RATE for event in events]
    turns = list(zip(spans[::2], spans[1::2], strict=True))
    assert len(turns) >= 3
    for start, end in zip(clip.starts, clip.ends, strict=True):
        covered = sum(max(0.0, min(end, off) - max(start, on)) for on, off in turns)
        assert covered >= end - start - 0.25, (start, end)


@pytest.mark.parametrize("kind", ["silence", "noise", "sine"])
def test_what_is_no_speech_starts_no_turn(kind: str) -> None:
    time = np.arange(4 * SAMPLE_RATE) / SAMPLE_RATE
    samples = {
        "silence": np.zeros(time.size),
        "noise": 0.1 * np.random.default_rng(0).standard_normal(time.size),
        "sine": 0.5 * np.sin(2 * np.pi * 440 * time),
    }[kind]
    assert TurnDetector().push(SpeechDetector().push(samples.astype(np.float32))) == []


def test_a_missing_network_is_named_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    network = PackagedFile("Voice activity detection", "no_such_package", "x.onnx", "no-such", "pip install no-such")
    monkeypatch.setattr(vad, "NETWORK", network)
    vad._session.cache_clear()
    with pytest.raises(WeightsError, match=r"detection needs x\.onnx of the package no-such.*pip install no-such"):
        SpeechDetector()


def frames(milliseconds: float) -> int:
    return round(milliseconds * MS / FRAME_LENGTH)


def test_a_turn_has_its_padding_and_its_silence() -> None:
    detector = TurnDetector(threshold=0.5, prefix_padding_ms=300, silence_duration_ms=200)
    events = detector.push([0.1] * 20 + [0.9] * 10 + [0.1] * 20)
    assert events == [
        Started(20 * FRAME_LENGTH - 300 * MS),
        Stopped(30 * FRAME_LENGTH + 200 * MS),
    ]
    assert not detector.speaking


def test_a_turn_never_starts_before_the_stream_or_within_the_turn_before() -> None:
    """With 200 ms of silence and 300 ms of padding, a word 250 ms after the last would start before that one's stop."""
    detector = TurnDetector(prefix_padding_ms=300, silence_duration_ms=200)
    events = detector.push([0.9] * 10 + [0.0] * frames(256) + [0.9] * 10)
    assert events == [Started(0), Stopped(10 * FRAME_LENGTH + 200 * MS), Started(10 * FRAME_LENGTH + 200 * MS)]


def test_between_the_two_thresholds_a_turn_neither_starts_nor_begins_to_end() -> None:
    detector = TurnDetector(threshold=0.5, silence_duration_ms=100)
    assert detector.push([0.4] * 50) == []
    assert detector.push([0.6] + [0.4] * 50) == [Started(50 * FRAME_LENGTH - 300 * MS)]
    assert detector.silent_samples == 0
    assert [type(event) for event in detector.push([0.3] * 10)] == [Stopped]


def test_speech_within_the_silence_takes_it_back() -> None:
    detector = TurnDetector(silence_duration_ms=320)
    detector.push([0.9] * 4 + [0.0] * 9)
    assert detector.silent_samples == 9 * FRAME_LENGTH
    assert detector.push([0.9] + [0.0] * 9) == []
    assert detector.push([0.0]) == [Stopped(14 * FRAME_LENGTH + 320 * MS)]


def test_new_settings_hold_from_the_next_push_on() -> None:
    detector = TurnDetector(threshold=0.5, silence_duration_ms=2000)
    assert [type(event) for event in detector.push([0.9] * 5 + [0.0] * 10)] == [Started]
    detector.configure(threshold=0.95, prefix_padding_ms=0, silence_duration_ms=100)
    assert detector.push([0.0]) == [Stopped(5 * FRAME_LENGTH + 100 * MS)]
    assert detector.push([0.9] * 5) == []


def test_a_turn_that_runs_already_stops_and_has_no_start() -> None:
    turns = TurnDetector(silence_duration_ms=64)
    turns.begin_turn()
    assert turns.speaking
    assert turns.push([0.9, 0.0, 0.0, 0.0]) == [Stopped(32 * 16 + 64 * 16)]


def test_a_turn_ended_by_its_caller_stops_without_a_word_and_is_not_begun_again() -> None:
    detector = TurnDetector(prefix_padding_ms=300)
    detector.push([0.9] * 20)
    detector.end_turn()
    assert not detector.speaking
    assert detector.push([0.0] * 2 + [0.9]) == [Started(20 * FRAME_LENGTH)]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"threshold": 1.5}, "threshold"),
        ({"threshold": float("nan")}, "threshold"),
        ({"prefix_padding_ms": -1}, "prefix_padding_ms"),
        ({"silence_duration_ms": -1}, "silence_duration_ms"),
    ],
)
def test_settings_out_of_range_are_refused(given: dict, field: str) -> None:
    with pytest.raises(InvalidRequest, match=field):
        TurnDetector(**given)


@given(
    st.lists(st.floats(0, 1), max_size=120),
    st.integers(1, 120),
    st.floats(0, 1),
    st.integers(0, 400),
    st.integers(0, 400),
)
def test_turns_alternate_and_do_not_overlap_however_the_stream_is_cut(
    probabilities: list[float], cut: int, threshold: float, padding: int, silence: int
) -> None:
    whole = TurnDetector(threshold, padding, silence).push(probabilities)
    chunked = TurnDetector(threshold, padding, silence)
    assert [*chunked.push(probabilities[:cut]), *chunked.push(probabilities[cut:])] == whole
    assert [type(event) for event in whole] == [Started, Stopped] * (len(whole) // 2) + [Started] * (len(whole) % 2)
    samples = [event.sample for event in whole]
    assert samples == sorted(samples)
    assert all(0 <= sample <= len(probabilities) * FRAME_LENGTH for sample in samples)


def test_nobody_is_told_what_is_heard_here(tmp_path: Path) -> None:
    """onnxruntime tells its maker of the machine and of each network, unless it is forbidden to. What is to be told,
    and an id of the machine, it keeps in the cache folder: before, they were there as soon as it was loaded."""
    heard = (
        "import numpy; from models.listening.vad import SpeechDetector; SpeechDetector().push(numpy.zeros(512, 'f4'))"
    )
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    cache = environment | {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", heard], cwd=ROOT, env=cache, check=True)
    assert list(tmp_path.iterdir()) == []
