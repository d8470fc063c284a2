"""Windows cover everything, overlap enough and count 1 together."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.codecs.mbd_windows import Window, fades, windows_over


@given(st.integers(1, 400), st.integers(0, 6), st.integers(1, 4), st.integers(0, 20))
def test_windows_cover_every_frame_and_overlap(frames, overlap, step, more):
    overlap *= step
    longest = 3 * overlap + (1 + more) * step
    windows = windows_over(frames, longest=longest, overlap=overlap, step=step)
    assert windows[0].start == 0
    assert windows[-1].end == frames
    assert all(window.start % step == 0 for window in windows)
    assert all(0 < window.end - window.start <= longest for window in windows)
    for earlier, later in pairwise(windows):
        assert earlier.end - later.start == overlap
    for first, third in zip(windows, windows[2:], strict=False):
        assert first.end <= third.start  # so that fades of two overlaps cannot meet
    assert sum(window.end - window.start for window in windows) == frames + overlap * (len(windows) - 1)


@pytest.mark.parametrize("frames", [1, 50, 100])
def test_one_window_is_enough_for_its_length(frames):
    assert windows_over(frames, longest=100, overlap=10, step=2) == [Window(0, frames)]


def test_windows_are_few_and_nearly_equal():
    windows = windows_over(1501, longest=1500, overlap=100, step=2)
    assert windows == [Window(0, 802), Window(702, 1501)]
    assert len(windows_over(15_000, longest=1500, overlap=100, step=2)) == 11


@given(st.integers(1, 300), st.integers(1, 8))
def test_fades_add_up_to_one(frames, hop):
    windows = windows_over(frames, longest=40, overlap=8)
    total = torch.zeros(frames * hop)
    for window, fade in zip(windows, fades(windows, 8, hop), strict=True):
        assert fade.min() >= 0
        total[window.samples(hop)] += fade
    torch.testing.assert_close(total, torch.ones_like(total))


def test_a_window_is_not_used_near_an_end_that_is_not_the_whole_s():
    windows = windows_over(60, longest=40, overlap=8)
    first, second = fades(windows, 8, 10)
    assert len(windows) == 2
    assert first[:-80].min() == 1
    assert first[-20:].max() == second[:20].max() == 0
    assert 0 < first[-40] < 1
    assert second[80:].min() == 1
