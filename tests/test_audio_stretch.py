"""models/audio/stretch.py: another tempo, the same pitch, the same numbers however the stream is cut."""

import numpy as np
import pytest
from audio_fixtures import RATE, pieces_of, pitch, silence, speechlike, tone

from models.audio import stretch
from models.audio.stretch import TimeStretcher, has_filter, time_stretch
from models.errors import InvalidRequest, ParleyError


@pytest.fixture(params=["rubberband", "atempo"])
def either_filter(request, monkeypatch):
    if not has_filter(request.param):
        pytest.skip(f"this ffmpeg has no {request.param}")
    monkeypatch.setattr(stretch, "has_filter", lambda name: name == request.param)


def test_filters_that_exist_are_found_and_others_are_not():
    assert has_filter("atempo")
    assert not has_filter("no-such-filter")


@pytest.mark.usefixtures("either_filter")
@pytest.mark.parametrize("speed_factor", [0.5, 0.75, 0.94, 1.5, 3.0])
def test_duration_is_exact_and_pitch_is_kept(speed_factor):
    audio = tone(2.0)
    stretched = time_stretch(audio, speed_factor, RATE)
    assert stretched.shape == (1, round(audio.shape[1] / speed_factor))
    assert stretched.dtype == np.float32
    assert pitch(stretched) == pytest.approx(220, rel=0.01)
    assert np.sqrt(np.mean(stretched**2)) == pytest.approx(np.sqrt(np.mean(audio**2)), rel=0.1)


@pytest.mark.parametrize("speed_factor", [0.5, 3.0])
def test_the_beginning_has_no_burst(speed_factor):
    """rubberband divides its first windows by weights near zero: a tone of 0.3 once came out with peaks of 41."""
    assert np.abs(time_stretch(tone(1.0, peak=0.3), speed_factor, RATE)).max() < 0.5


@pytest.mark.usefixtures("either_filter")
@pytest.mark.parametrize(("length", "speed_factor"), [(0, 0.25), (1, 0.25), (2, 4.0), (700, 4.0)])
def test_short_audio_has_an_exact_length_too(length, speed_factor):
    assert time_stretch(tone(1.0)[:, :length], speed_factor, RATE).shape == (1, round(length / speed_factor))


@pytest.mark.usefixtures("either_filter")
def test_chunked_equals_whole():
    audio = np.concatenate([speechlike(1.5), speechlike(1.5, seed=1)])
    whole = time_stretch(audio, 0.94, RATE)
    for seed in range(2):
        with TimeStretcher(0.94, RATE, channels=2) as stretcher:
            streamed = [stretcher.push(piece) for piece in pieces_of(audio, seed)] + [stretcher.flush()]
        np.testing.assert_array_equal(np.concatenate(streamed, axis=1), whole)


def test_single_samples_equal_the_whole():
    audio = speechlike(0.3)[:, :100]
    with TimeStretcher(1.5, RATE, channels=1) as stretcher:
        streamed = [stretcher.push(audio[:, i : i + 1]) for i in range(100)] + [stretcher.flush()]
    np.testing.assert_array_equal(np.concatenate(streamed, axis=1), time_stretch(audio, 1.5, RATE))


def test_the_stream_gives_audio_before_its_end():
    audio = speechlike(2)
    with TimeStretcher(0.94, RATE, channels=1) as stretcher:
        early = sum(stretcher.push(piece).shape[1] for piece in pieces_of(audio, 0))
        late = stretcher.flush().shape[1]
    assert early > late


@pytest.mark.parametrize(("name", "tolerance_ms"), [("rubberband", 16), ("atempo", 60)])
@pytest.mark.parametrize("speed_factor", [0.5, 0.94, 2.0])
def test_clicks_stay_in_their_place(monkeypatch, name, tolerance_ms, speed_factor):
    if not has_filter(name):
        pytest.skip(f"this ffmpeg has no {name}")
    monkeypatch.setattr(stretch, "has_filter", lambda asked: asked == name)
    audio, click = silence(2), np.random.default_rng(1).standard_normal(32) * 0.5
    places = [RATE // 2, RATE, RATE * 3 // 2]
    for place in places:
        audio[0, place : place + 32] = click
    power = np.convolve(time_stretch(audio, speed_factor, RATE)[0] ** 2, np.ones(64), "same")
    for place in places:
        expected = round((place + 16) / speed_factor)
        near = power[expected - RATE // 10 : expected + RATE // 10]
        assert abs(int(near.argmax()) - RATE // 10) <= tolerance_ms / 1000 * RATE


def test_speed_one_is_the_input_itself_and_starts_nothing():
    audio = tone(0.1)
    assert time_stretch(audio, 1.0, RATE) is audio
    with TimeStretcher(1.0, RATE, channels=1) as stretcher:
        assert stretcher.process is None
        assert stretcher.push(audio) is audio
        assert stretcher.flush().shape == (1, 0)


@pytest.mark.parametrize("speed_factor", [0.0, 0.24, 4.01, -1.0, float("nan"), float("inf")])
def test_a_speed_out_of_range_is_refused(speed_factor):
    with pytest.raises(InvalidRequest, match=r"must lie between 0.25 and 4") as caught:
        TimeStretcher(speed_factor, RATE, channels=1)
    assert caught.value.field == "speed_factor"


class Interruption(BaseException):
    """As a cancellation is: no Exception."""


def test_the_process_is_gone_after_close_flush_and_any_exception():
    closed, flushed = TimeStretcher(0.9, RATE, 1), TimeStretcher(0.9, RATE, 1)
    assert closed.process.popen.poll() is None
    closed.push(tone(0.5))
    closed.close()
    closed.close()
    flushed.flush()
    interrupted = TimeStretcher(0.9, RATE, 1)
    with pytest.raises(Interruption), interrupted:
        raise Interruption
    for stretcher in (closed, flushed, interrupted):
        assert stretcher.process.popen.poll() is not None


def test_a_process_that_dies_is_an_error_and_not_an_end():
    with TimeStretcher(0.9, RATE, 1) as stretcher:
        stretcher.push(tone(0.5))
        stretcher.process.popen.kill()
        stretcher.process.popen.wait()
        with pytest.raises(ParleyError, match="ffmpeg ended with status -9"):
            stretcher.push(tone(0.5))
