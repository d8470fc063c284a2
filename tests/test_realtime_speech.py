"""serving/realtime/speech.py: a response's sound is the same however the engine cuts it, at any speed, on any wire."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.audio.stretch import time_stretch
from models.inputs import LONGEST_TOKENS
from models.request import AudioChunk, GenerationStatus
from serving.realtime.audio_formats import FORMATS, PCM, WireFormat
from serving.realtime.speech import speak
from serving.realtime.workers import SpeechOrder

MADE_RATE = 44_100  # Hz, of Dia's codec
SECONDS = 0.8


def voice() -> np.ndarray:
    """[1, L]: a buzz that glides and comes in syllables, at times beyond full scale."""
    times = np.arange(round(SECONDS * MADE_RATE)) / MADE_RATE
    phase = 2 * np.pi * (120 * times + 40 * times**2)
    buzz = sum(np.sin(n * phase) / n for n in range(1, 30))
    return (0.8 * buzz * np.abs(np.sin(2 * np.pi * 3 * times)))[None].astype(np.float32)


class Cutter:
    """An engine that makes this sound, cut at these samples, with an empty chunk last."""

    def __init__(self, made: np.ndarray, cuts: list[int]) -> None:
        self.pipeline = SimpleNamespace(
            name="cutter", sample_rate=MADE_RATE, frame_rate=MADE_RATE / 512, draws_voices=False
        )
        self._pieces = [*np.split(made, sorted(cuts), axis=1), made[:, :0]]

    @contextmanager
    def stream(self, request: Any) -> Iterator[Iterator[AudioChunk]]:
        assert request.sampling_params.max_new_tokens == LONGEST_TOKENS, "with fewer, longer texts are refused, not cut"
        yield map(self._chunk, range(len(self._pieces)))

    def _chunk(self, number: int) -> AudioChunk:
        last = number == len(self._pieces) - 1
        return AudioChunk(
            audio=self._pieces[number],
            sample_rate=MADE_RATE,
            index=number,
            status=GenerationStatus.END_OF_SEQUENCE if last else GenerationStatus.ACTIVE,
            steps_executed=number,
            progress=1.0,
            seed=0,
            buffer_speech_tokens=None,
        )


def spoken(cuts: list[int], speed: float, wire: WireFormat, made: np.ndarray | None = None) -> np.ndarray:
    """[M], 16 bits."""
    order = SpeechOrder("one", "[S1] Hello.", None, wire, speed)
    engine: Any = Cutter(voice() if made is None else made, cuts)
    return np.concatenate([piece.samples for piece in speak(order, engine)])


@pytest.mark.parametrize("wire", FORMATS.values(), ids=lambda wire: wire.name)
@pytest.mark.parametrize("speed", [0.25, 0.8, 1.0, 1.5])
@settings(max_examples=3, deadline=None, derandomize=True)
@given(cuts=st.lists(st.integers(0, round(SECONDS * MADE_RATE)), max_size=12))
def test_sound_in_pieces_is_the_whole(cuts: list[int], speed: float, wire: WireFormat) -> None:
    whole, pieces = spoken([], speed, wire), spoken(cuts, speed, wire)
    assert len(whole) == pytest.approx(SECONDS / speed * wire.rate, abs=2)
    assert wire.encode(pieces) == wire.encode(whole)


@pytest.mark.parametrize("speed", [0.8, 1.0])
@pytest.mark.parametrize("cuts", [[], [512 * 30], [512 * 30 - 1, 512 * 30 + 1], [100, 20_000, 20_001]])
def test_what_is_longer_than_a_limit_is_cut_there_however_it_is_made(cuts: list[int], speed: float) -> None:
    order = SpeechOrder("one", "[S1] Hello.", None, PCM, speed, most_tokens=30)
    engine: Any = Cutter(voice(), cuts)
    *early, last = speak(order, engine)
    assert not any(piece.cut_short for piece in early)
    assert (last.cut_short, last.tokens) == (True, 30)
    heard = np.concatenate([piece.samples for piece in (*early, last)])
    np.testing.assert_array_equal(heard, spoken([], speed, PCM, voice()[:, : 512 * 30]))


def test_what_just_fits_a_limit_is_whole() -> None:
    order = SpeechOrder("one", "[S1] Hello.", None, PCM, most_tokens=30)
    engine: Any = Cutter(voice()[:, : 512 * 30], [512])
    assert not any(piece.cut_short for piece in speak(order, engine))


def test_a_sample_at_a_time_is_the_whole() -> None:
    made = voice()[:, :2000]
    for speed in (1.0, 1.25):
        every = list(range(1, made.shape[1]))
        np.testing.assert_array_equal(spoken(every, speed, PCM, made), spoken([], speed, PCM, made))


def test_the_whole_is_the_sound_at_that_speed_and_rate() -> None:
    """Not merely the same each time: against the stretch of the whole, resampled by numpy."""
    made = 0.5 * np.sin(2 * np.pi * 440 * np.arange(MADE_RATE) / MADE_RATE)[None].astype(np.float32)
    stretched = time_stretch(made, 1.25, MADE_RATE)[0]
    heard = spoken([MADE_RATE // 3], 1.25, PCM, made) / 32_768
    times = np.arange(len(heard)) / PCM.rate
    expected = np.interp(times, np.arange(len(stretched)) / MADE_RATE, stretched)
    inner = slice(PCM.rate // 20, -PCM.rate // 20)  # without the fades, and where the filter has both its sides
    np.testing.assert_allclose(heard[inner], expected[inner], atol=0.01)
