"""models/audio/finish.py: everything a caller asks of the sound, as a stream that equals the whole."""

import numpy as np
import pytest
from audio_fixtures import RATE, decode, pieces_of, pitch, silence, speechlike, tone

from models.audio.effects import fade_edges
from models.audio.finish import Finisher, FinishOptions, finish_stream, finish_to_file
from models.audio.limiter import soft_limit
from models.audio.loudness import measure_loudness
from models.audio.stretch import time_stretch
from models.errors import GenerationFailed, InvalidRequest

OPTIONS = [
    FinishOptions(),
    FinishOptions(speed_factor=0.75),
    FinishOptions(loudness_lufs=-18.0),
    FinishOptions(speed_factor=1.5, loudness_lufs=-23.0),
]


def finished(pieces, options):
    with Finisher(options, RATE, pieces[0].shape[0]) as finisher:
        return np.concatenate([*(finisher.push(piece) for piece in pieces), finisher.flush()], axis=1)


@pytest.mark.parametrize("options", OPTIONS)
def test_chunked_equals_whole(options):
    audio = np.concatenate([speechlike(1.0), speechlike(1.0, seed=1)])
    whole = finished([audio], options)
    assert whole.shape == (2, round(audio.shape[1] / options.speed_factor))
    np.testing.assert_array_equal(finished(pieces_of(audio, 0), options), whole)
    streamed = list(finish_stream(pieces_of(audio, 1), RATE, options))
    assert all(piece.shape[1] for piece in streamed)
    np.testing.assert_array_equal(np.concatenate(streamed, axis=1), whole)


def test_without_wishes_only_the_edges_change():
    audio = speechlike(1.0)
    np.testing.assert_array_equal(finished([audio], FinishOptions()), fade_edges(audio, RATE))


def test_stages_run_in_their_order():
    audio = 1.2 * speechlike(1.0) / np.abs(speechlike(1.0)).max()
    expected = fade_edges(soft_limit(time_stretch(audio, 0.94, RATE)), RATE)
    np.testing.assert_array_equal(finished([audio], FinishOptions(speed_factor=0.94)), expected)


def test_no_sample_passes_full_scale():
    loud = 3 * speechlike(1.0)
    assert np.abs(loud).max() > 1
    for options in OPTIONS[:3]:
        assert np.abs(finished([loud], options)).max() <= 1


def test_loudness_is_that_of_what_comes_out():
    out = finished([speechlike(3.0)], FinishOptions(speed_factor=0.8, loudness_lufs=-20.0))
    assert measure_loudness(out, RATE).lufs == pytest.approx(-20, abs=0.3)


def test_a_stream_flows_unless_loudness_needs_the_whole():
    for options, flows in ((FinishOptions(speed_factor=0.9), True), (FinishOptions(loudness_lufs=-16.0), False)):
        assert options.needs_whole is not flows
        with Finisher(options, RATE, 1) as finisher:
            early = sum(finisher.push(piece).shape[1] for piece in pieces_of(speechlike(2.0), 0))
            assert (early > RATE) is flows


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"speed_factor": 5.0}, "speed_factor"),
        ({"speed_factor": float("nan")}, "speed_factor"),
        ({"loudness_lufs": 0.0}, "loudness_lufs"),
        ({"loudness_lufs": float("nan")}, "loudness_lufs"),
        ({"output_format": "midi"}, "output_format"),
    ],
)
def test_options_out_of_range_are_refused(options, field):
    with pytest.raises(InvalidRequest) as caught:
        FinishOptions(**options)
    assert caught.value.field == field


@pytest.mark.parametrize("output_format", ["wav", "opus"])
def test_a_file_has_the_pitch_and_the_length_asked_for(tmp_path, output_format):
    options = FinishOptions(speed_factor=0.8, output_format=output_format)
    seconds = finish_to_file(pieces_of(tone(2.0), 0), tmp_path / "file", RATE, options)
    assert seconds == pytest.approx(2.5, abs=1 / RATE)
    audio = decode(tmp_path / "file")
    assert audio.shape[1] / RATE == pytest.approx(2.5, abs=0.02)
    assert pitch(audio) == pytest.approx(220, rel=0.01)


@pytest.mark.parametrize("options", [FinishOptions(), FinishOptions(speed_factor=0.9, loudness_lufs=-16.0)])
@pytest.mark.parametrize("chunks", [[], [silence(0)]])
def test_no_audio_is_an_error_and_no_file(tmp_path, options, chunks):
    with pytest.raises(GenerationFailed, match="not one sample"):
        finish_to_file(chunks, tmp_path / "file", RATE, options)
    assert list(tmp_path.iterdir()) == []


def test_silence_and_a_single_sample_are_finished(tmp_path):
    for audio in (silence(1.0), tone(1.0)[:, :1]):
        options = FinishOptions(speed_factor=0.5, loudness_lufs=-16.0)
        assert finish_to_file([audio], tmp_path / "file", RATE, options) == 2 * audio.shape[1] / RATE


class Interruption(BaseException):
    """As a cancellation is: no Exception."""


def test_a_cancelled_stream_ends_its_process_and_leaves_no_file(tmp_path, monkeypatch):
    made = []
    plain = Finisher.__init__

    def recorded(self, *arguments):
        plain(self, *arguments)
        made.append(self._stretcher.process.popen)

    def cancelled():
        yield speechlike(1.0)
        raise Interruption

    monkeypatch.setattr(Finisher, "__init__", recorded)
    with pytest.raises(Interruption):
        finish_to_file(cancelled(), tmp_path / "file", RATE, FinishOptions(speed_factor=0.9))
    stream = finish_stream(iter([speechlike(2.0)] * 3), RATE, FinishOptions(speed_factor=0.9))
    next(stream)
    stream.close()
    assert len(made) == 2
    assert all(popen.poll() is not None for popen in made)
    assert list(tmp_path.iterdir()) == []
