"""Windows cover a piece once, carry over what they must, and are audiocraft's."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from musicgen_window_fixtures import window_calls

from models.musicgen.windows import Window, plan_windows

MUSICGEN, AUDIOGEN = (1500, 900), (500, 100)  # window and stride at 50 frames a second: 30 s and 18 s, 10 s and 2 s

# (frames, (window, stride), prefix) → (prompt length, generated length) of each call of LMModel.generate, as MusicGen's
# and AudioGen's `_generate_tokens` of tts-webui-audiocraft 1.4.0a2 made them for durations of whole seconds.
AUDIOCRAFT = {
    (400, MUSICGEN, 0): [(0, 400)],
    (1500, MUSICGEN, 0): [(0, 1500)],
    (1500, MUSICGEN, 600): [(600, 1500)],
    (1550, MUSICGEN, 0): [(0, 1500), (600, 650)],
    (2400, MUSICGEN, 0): [(0, 1500), (600, 1500)],
    (2450, MUSICGEN, 700): [(700, 1500), (600, 1500), (600, 650)],
    (6000, MUSICGEN, 0): [(0, 1500), *[(600, 1500)] * 5],
    (6000, MUSICGEN, 1499): [(1499, 1500), *[(600, 1500)] * 5],
    (250, AUDIOGEN, 0): [(0, 250)],
    (500, AUDIOGEN, 0): [(0, 500)],
    (550, AUDIOGEN, 0): [(0, 500), (400, 450)],
    (650, AUDIOGEN, 450): [(450, 500), (400, 500), (400, 450)],
}


@st.composite
def pieces(draw: st.DrawFn) -> tuple[int, int, int, int]:
    window = draw(st.integers(2, 60))
    stride = draw(st.integers(1, window - 1))
    frames = draw(st.integers(1, 400))
    return frames, window, stride, draw(st.integers(0, min(frames - 1, window)))


@pytest.mark.parametrize(("frames", "sizes", "prefix"), AUDIOCRAFT)
def test_windows_are_audiocrafts(frames: int, sizes: tuple[int, int], prefix: int) -> None:
    windows = plan_windows(frames, *sizes, prefix)
    assert [(w.prefix_frames, w.stop - w.start) for w in windows] == AUDIOCRAFT[frames, sizes, prefix]


@given(pieces(), st.sampled_from(["musicgen.MusicGen", "audiogen.AudioGen"]))
@settings(max_examples=50, deadline=None)  # the first example imports audiocraft
def test_windows_are_those_that_audiocraft_makes(piece: tuple[int, int, int, int], name: str) -> None:
    frames, window, stride, prefix = (number * 25 for number in piece)  # half seconds, which its floats hold exactly
    assume(prefix < window)  # it fails an assertion
    calls = window_calls(name, frames / 50, window / 50, stride / 50, prefix, np.zeros((1, 0), np.float32))
    windows = plan_windows(frames, window, stride, prefix)
    assert [(w.prefix_frames, w.stop - w.start) for w in windows] == [(c.prompt_frames, c.frames) for c in calls]


@given(pieces())
def test_every_frame_behind_the_prefix_is_added_once(piece: tuple[int, int, int, int]) -> None:
    frames, *_, prefix = piece
    added = [frame for w in plan_windows(*piece) for frame in range(w.known, w.stop)]
    assert added == list(range(prefix, frames))


@given(pieces())
def test_a_window_fits_the_network_and_adds_something(piece: tuple[int, int, int, int]) -> None:
    _, window, stride, _ = piece
    for w in plan_windows(*piece):
        assert 0 <= w.start <= w.known < w.stop <= w.start + window
        assert w.start % stride == 0
        assert (w.prefix_frames, w.new_frames) == (w.known - w.start, w.stop - w.known)


@given(pieces())
def test_every_window_but_the_first_carries_over_all_that_the_stride_leaves(piece: tuple[int, int, int, int]) -> None:
    _, window, stride, _ = piece
    for w in plan_windows(*piece)[1:]:
        assert w.prefix_frames == window - stride


def test_a_prefix_that_fills_the_window_is_carried_on_from_the_second() -> None:
    assert plan_windows(70, 50, 30, 50) == (Window(30, 50, 70),)


@pytest.mark.parametrize(
    ("frames", "window", "stride", "prefix"),
    [(10, 5, 5, 0), (10, 5, 0, 0), (10, 20, 5, 10), (10, 5, 3, 6), (0, 5, 3, 0), (10, 5, 3, -1)],
)
def test_what_cannot_be_planned_is_refused(frames: int, window: int, stride: int, prefix: int) -> None:
    with pytest.raises(ValueError, match="frames"):
        plan_windows(frames, window, stride, prefix)
