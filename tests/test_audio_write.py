"""models/audio/encode.py and write.py: containers that others can read, and files that are whole or not there."""

import io
import struct
from typing import get_args

import numpy as np
import pytest
import soundfile
from audio_fixtures import RATE, decode, pieces_of, pitch, silence, speechlike, tone

from models.audio import encode
from models.audio.encode import CONTENT_TYPES, AudioFormat, encode_stream
from models.audio.write import write_audio
from models.errors import GenerationFailed, ParleyError
from models.inputs import OutputFormat

FORMATS = get_args(AudioFormat)
EXACT = tuple(f for f in FORMATS if f != "aac")  # formats whose files know their length; ADTS has no place for it
AAC_FRAME = 1024  # samples
CODECS = {"wav": "PCM_16", "flac": "PCM_16", "mp3": "MPEG_LAYER_III", "ogg": "VORBIS", "opus": "OPUS"}


def stream(audio, output_format, sample_rate=RATE, seed=0):
    return b"".join(encode_stream(pieces_of(audio, seed), sample_rate, output_format))


def samples_of(data: bytes, output_format, channels=1):
    if output_format == "pcm":
        return np.frombuffer(data, "<i2").reshape(-1, channels).T.astype(np.float32) / 32768
    return decode(data, channels=channels)


def test_every_public_format_can_be_written_and_has_a_content_type():
    assert set(get_args(OutputFormat)) <= set(FORMATS) == set(CONTENT_TYPES)


@pytest.mark.parametrize("output_format", EXACT)
def test_a_file_holds_the_audio(tmp_path, output_format):
    path, audio = tmp_path / "speech", tone(1.0)
    write_audio(path, pieces_of(audio, 0), RATE, output_format)
    assert list(tmp_path.iterdir()) == [path]
    decoded = samples_of(path.read_bytes(), "pcm") if output_format == "pcm" else decode(path)
    assert decoded.shape == audio.shape
    if output_format in ("wav", "flac", "pcm"):
        np.testing.assert_allclose(decoded, audio, atol=1 / 32768)
    assert pitch(decoded) == pytest.approx(220, rel=0.002)
    assert np.sqrt(np.mean(decoded**2)) == pytest.approx(np.sqrt(np.mean(audio**2)), rel=0.07)  # LAME scales by 0.95
    if output_format != "pcm":
        info = soundfile.info(path)
        assert info.subtype == CODECS[output_format]
        assert info.samplerate == (48_000 if output_format == "opus" else RATE)
        assert info.frames == info.samplerate


@pytest.mark.parametrize("output_format", FORMATS)
def test_both_channels_come_through(tmp_path, output_format):
    audio = np.concatenate([tone(1.0, 200), tone(1.0, 330)])
    write_audio(tmp_path / "file", [audio], RATE, output_format)
    decoded = samples_of((tmp_path / "file").read_bytes(), output_format, channels=2)
    assert [round(pitch(decoded[k : k + 1])) for k in (0, 1)] == [200, 330]


@pytest.mark.parametrize("output_format", ["wav", "flac", "ogg", "opus", "aac", "pcm"])
def test_the_stream_decodes_to_the_same_samples_as_the_file(tmp_path, output_format):
    audio = speechlike(1.0)
    write_audio(tmp_path / "file", [audio], RATE, output_format)
    file = samples_of((tmp_path / "file").read_bytes(), output_format)
    np.testing.assert_array_equal(samples_of(stream(audio, output_format), output_format), file)


def test_the_mp3_stream_is_the_file_with_the_padding_that_its_header_would_name(tmp_path):
    audio = tone(1.0)
    write_audio(tmp_path / "file", [audio], RATE, "mp3")
    streamed = decode(stream(audio, "mp3"))
    assert RATE < streamed.shape[1] <= RATE + 4 * 1152
    file = decode(tmp_path / "file")
    lead = streamed.shape[1] - RATE
    assert min(np.abs(streamed[:, k : k + RATE] - file).max() for k in range(lead)) < 1e-4


@pytest.mark.parametrize("channels", [1, 2])
def test_aac_is_the_audio_behind_one_frame_of_silence(channels):
    audio = np.concatenate([speechlike(1.0, seed=seed) for seed in range(channels)])
    encoded = stream(audio, "aac")
    bit_rate = 8 * len(encoded) * RATE / (AAC_FRAME * len(adts_frames(encoded)))
    assert bit_rate == pytest.approx(64_000 + 64_000 * channels, rel=0.1)
    decoded = decode(encoded, channels=channels)
    assert decoded.shape[1] % AAC_FRAME == 0
    assert 0 <= decoded.shape[1] - AAC_FRAME - RATE < AAC_FRAME
    assert np.abs(decoded[:, AAC_FRAME : AAC_FRAME + RATE] - audio).max() < 0.05  # 0.13 one sample off


def adts_frames(data: bytes) -> list[bytes]:
    """AAC-LC frames at RATE, their headers checked."""
    frames, at = [], 0
    while at < len(data):
        header = int.from_bytes(data[at : at + 7], "big")
        assert header >> 44 == 0xFFF, at
        assert (header >> 38 & 3, header >> 34 & 15) == (1, 4)  # AAC-LC, 44.1 kHz
        length = header >> 13 & 0x1FFF
        frames.append(data[at : at + length])
        at += length
    return frames


@pytest.mark.parametrize("sample_rate", [16_000, 32_000])
@pytest.mark.parametrize("output_format", ["mp3", "opus", "aac"])
def test_the_rates_of_other_models_are_encoded(sample_rate, output_format):
    decoded = decode(stream(tone(1.0, sample_rate=sample_rate), output_format, sample_rate), sample_rate)
    assert decoded.shape[1] == pytest.approx(sample_rate, abs=0.15 * sample_rate)
    assert pitch(decoded, sample_rate) == pytest.approx(220, rel=0.002)


@pytest.mark.parametrize("output_format", FORMATS)
def test_the_same_audio_gives_the_same_bytes(output_format):
    audio = speechlike(0.5)
    assert stream(audio, output_format, seed=1) == stream(audio, output_format, seed=2)


@pytest.mark.parametrize("output_format", FORMATS)
def test_bytes_leave_before_the_audio_ends(output_format):
    taken = []

    def chunks():
        for piece in np.split(speechlike(20.0), 100, axis=1):
            taken.append(piece)
            yield piece

    encoded = encode_stream(chunks(), RATE, output_format)
    first = next(encoded)
    assert first
    assert len(taken) < 100
    encoded.close()


def test_wav_headers_know_the_length_in_a_file_and_say_so_in_a_stream(tmp_path):
    audio = np.concatenate([tone(0.1)] * 2)
    write_audio(tmp_path / "file", [audio], RATE, "wav")
    file, streamed = (tmp_path / "file").read_bytes(), stream(audio, "wav")
    assert struct.unpack("<I", file[4:8]) == (len(file) - 8,)
    assert struct.unpack("<I", file[40:44]) == (len(file) - 44,) == (4410 * 4,)
    assert streamed[4:8] == streamed[40:44] == b"\xff" * 4
    assert streamed[8:40] == file[8:40]
    assert streamed[44:] == file[44:]
    read, rate = soundfile.read(io.BytesIO(streamed), dtype="float32")  # libsndfile reads it to its end
    assert (read.shape, rate) == ((4410, 2), RATE)


def test_full_scale_is_written_and_more_is_refused(tmp_path):
    full = np.array([[1.0, -1.0, 0.0]], np.float32)
    assert np.frombuffer(stream(full, "pcm"), "<i2").tolist() == [32767, -32767, 0]
    for wrong in (1.001, np.nan):
        with pytest.raises(AssertionError, match="over full scale"):
            write_audio(tmp_path / "file", [tone(0.1), np.array([[wrong]], np.float32)], RATE, "mp3")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("output_format", FORMATS)
@pytest.mark.parametrize("chunks", [[], [silence(0), silence(0)]])
def test_audio_without_a_sample_is_an_error_before_any_byte(tmp_path, output_format, chunks):
    with pytest.raises(GenerationFailed, match="not one sample"):
        write_audio(tmp_path / "file", chunks, RATE, output_format)
    with pytest.raises(GenerationFailed, match="not one sample"):
        next(encode_stream(chunks, RATE, output_format))
    assert list(tmp_path.iterdir()) == []


class Interruption(BaseException):
    """As a cancellation is: no Exception."""


@pytest.mark.parametrize("output_format", FORMATS)
@pytest.mark.parametrize("name", ["new", "old"])
def test_a_failure_leaves_no_file_and_the_old_one_untouched(tmp_path, output_format, name):
    def failing():
        yield tone(1.0)
        raise Interruption

    (tmp_path / "old").write_bytes(b"old")
    with pytest.raises(Interruption):
        write_audio(tmp_path / name, failing(), RATE, output_format)
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert (tmp_path / "old").read_bytes() == b"old"


def test_a_file_of_the_same_name_is_replaced(tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    write_audio(tmp_path / "file", [tone(0.1)], RATE, "flac")
    assert decode(tmp_path / "file").shape == (1, 4410)


@pytest.mark.parametrize("name", ["-y.mp3", "%03d.flac", "x" * 250 + ".mp3"])
def test_a_strange_name_is_only_a_name(tmp_path, name):
    write_audio(tmp_path / name, [tone(0.1)], RATE, "mp3")
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(("output_format", "error"), [("wav", OSError), ("mp3", ParleyError)])
def test_a_folder_that_is_not_there_is_an_error_and_ffmpegs_words_for_it_are_in_the_log(
    tmp_path, output_format, error, caplog
):
    with pytest.raises(error) as raised:
        write_audio(tmp_path / "missing" / "file", [tone(0.1)], RATE, output_format)
    assert "No such file" in f"{raised.value}{caplog.text}"


def test_a_stream_that_is_closed_ends_its_encoder(monkeypatch):
    started = []

    class Recorded(encode.FfmpegProcess):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            started.append(self)

    monkeypatch.setattr(encode, "FfmpegProcess", Recorded)
    encoded = encode_stream(iter([speechlike(3.0)] * 5), RATE, "mp3")
    next(encoded)
    assert started[0].popen.poll() is None
    encoded.close()
    assert started[0].popen.poll() is not None
