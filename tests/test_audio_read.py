"""models/audio/read.py: whatever a caller sends, by content, or a refusal that says why."""

import os
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from audio_fixtures import RATE, decode, ffmpeg, make_file, pitch, tone

from models.audio import read
from models.audio.read import read_audio
from models.errors import ParleyError, UnreadableAudio

FORMATS = {
    "wav": ("-f", "wav"),
    "mp3": ("-f", "mp3"),
    "flac": ("-f", "flac"),
    "ogg": ("-f", "ogg", "-c:a", "libvorbis"),
    "opus": ("-f", "ogg", "-c:a", "libopus", "-ar", "48000"),
    "m4a": ("-f", "ipod", "-c:a", "aac"),  # its index stands at the end
    "webm": ("-f", "webm", "-c:a", "libopus", "-ar", "48000"),
    "aac": ("-f", "adts", "-c:a", "aac"),
    "aiff": ("-f", "aiff"),
    "caf": ("-f", "caf"),
    "wma": ("-f", "asf", "-c:a", "wmav2"),
}
LOSSLESS = {"wav", "flac", "aiff", "caf"}


def read_prompt(source, **limits):
    return read_audio(source, field="audio_prompt", sample_rate=RATE, **limits)


@pytest.fixture
def wav(tmp_path):
    return make_file(tmp_path / "tone.wav", tone(1.0), *FORMATS["wav"])


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_read_without_a_suffix_or_from_bytes(tmp_path, name):
    original = tone(1.0)
    file = make_file(tmp_path / "file", original, *FORMATS[name])
    audio = read_prompt(file)
    assert audio.dtype == np.float32
    assert audio.shape[0] == 1
    assert abs(audio.shape[1] - RATE) <= (0 if name in LOSSLESS else 0.1 * RATE)
    assert pitch(audio) == pytest.approx(220, rel=0.002)
    assert np.sqrt(np.mean(audio**2)) == pytest.approx(np.sqrt(np.mean(original**2)), rel=0.1)
    if name in ("m4a", "mp3"):
        np.testing.assert_array_equal(read_prompt(file.read_bytes()), audio)


def test_lossless_samples_come_back_exactly(wav):
    np.testing.assert_array_equal(read_prompt(wav), soundfile.read(wav, dtype="float32")[0][np.newaxis])


@pytest.mark.parametrize("suffix", [".mp3", ".m3u8", ".png"])
def test_a_wrong_suffix_changes_nothing(wav, suffix):
    expected = soundfile.read(wav, dtype="float32")[0][np.newaxis]
    np.testing.assert_array_equal(read_prompt(wav.rename(wav.with_suffix(suffix))), expected)


@pytest.mark.parametrize("name", ["-i.wav", "%03d.wav", "http:x.wav"])
def test_a_strange_name_is_only_a_name(wav, name):
    assert read_prompt(wav.rename(wav.with_name(name))).shape == (1, RATE)


@pytest.mark.parametrize("native_rate", [8_000, 48_000])
def test_other_sample_rates_are_resampled(tmp_path, native_rate):
    file = make_file(tmp_path / "file", tone(1.0, sample_rate=native_rate), "-f", "wav", sample_rate=native_rate)
    audio = read_prompt(file)
    assert audio.shape == (1, RATE)
    assert pitch(audio) == pytest.approx(220, rel=0.001)
    # Edges ring: away from them the tone is the one generated at our rate (16-bit file, soxr HQ).
    inner = slice(2000, -2000)
    np.testing.assert_allclose(audio[:, inner], tone(1.0)[:, inner], atol=2e-3)


@pytest.mark.parametrize("codec", ["pcm_u8", "pcm_s24le", "pcm_f32le", "pcm_mulaw"])
def test_other_sample_formats_are_read(tmp_path, codec):
    file = make_file(tmp_path / "file", tone(1.0), "-f", "wav", "-c:a", codec)
    audio = read_prompt(file)
    assert np.abs(audio - tone(1.0)).mean() < 0.005


@pytest.mark.parametrize("channels", [2, 6, 12])
def test_channels_are_averaged(tmp_path, channels):
    parts = np.concatenate([tone(0.5, 100 + 50 * k, peak=0.5) for k in range(channels)])
    soundfile.write(tmp_path / "file", parts.T, RATE, subtype="FLOAT", format="WAV")
    np.testing.assert_allclose(read_prompt(tmp_path / "file"), parts.mean(axis=0, keepdims=True), atol=1e-6)


@pytest.mark.parametrize("native", [1, 2, 6])
def test_two_channels_are_the_first_two_or_the_only_one_twice(tmp_path, native):
    """As audiocraft/data/audio_utils.py, convert_audio_channels."""
    given = np.concatenate([tone(0.2) / (1 + c) for c in range(native)])
    soundfile.write(tmp_path / "file.wav", given.T, RATE, subtype="FLOAT")
    audio = read_prompt(tmp_path / "file.wav", channels=2)
    np.testing.assert_array_equal(audio, given[[0, min(1, native - 1)]])


def test_each_channel_is_resampled_alone(tmp_path):
    given = np.concatenate([tone(0.5), 0.5 * tone(0.5)])
    soundfile.write(tmp_path / "file.wav", given.T, 48_000, subtype="FLOAT")
    audio = read_prompt(tmp_path / "file.wav", channels=2)
    assert audio.shape == (2, pytest.approx(given.shape[1] * RATE / 48_000, abs=1))
    np.testing.assert_allclose(audio[1], 0.5 * audio[0], atol=1e-6)


def test_a_video_gives_its_sound(tmp_path):
    video = ("-f", "lavfi", "-i", "color=size=16x16:duration=1:rate=5", "-f", "lavfi", "-i", "sine=220:duration=1")
    ffmpeg(*video, "-c:v", "mpeg4", "-c:a", "aac", "-f", "mp4", str(tmp_path / "file"))
    assert pitch(read_prompt(tmp_path / "file")) == pytest.approx(220, rel=0.002)


def test_nothing_to_read_is_refused(tmp_path):
    with pytest.raises(UnreadableAudio, match="audio_prompt: is empty"):
        read_prompt(b"")
    (tmp_path / "empty").touch()  # what Cog makes of a data URI that is not base64
    with pytest.raises(UnreadableAudio, match="is empty"):
        read_prompt(tmp_path / "empty")


def test_a_wav_without_a_sample_is_refused(tmp_path):
    soundfile.write(tmp_path / "file.wav", np.zeros(0), RATE)
    with pytest.raises(UnreadableAudio, match=r"holds no sample|no audio"):
        read_prompt(tmp_path / "file.wav")


@pytest.mark.parametrize("data", [b"hello, this is a text\n" * 50, b"\x89PNG\r\n\x1a\n" + bytes(99), bytes(5000)])
def test_what_is_not_audio_is_refused_with_the_formats(data):
    with pytest.raises(UnreadableAudio, match=r"Send wav, mp3, flac") as caught:
        read_prompt(data)
    assert caught.value.field == "audio_prompt"
    assert caught.value.status == 422


def test_random_bytes_are_refused():
    with pytest.raises(UnreadableAudio):
        read_prompt(np.random.default_rng(3).bytes(20_000))


def test_a_video_without_sound_is_refused(tmp_path):
    picture = ("-f", "lavfi", "-i", "color=size=16x16:duration=1:rate=5", "-c:v", "mpeg4", "-f", "mp4")
    ffmpeg(*picture, str(tmp_path / "file"))
    with pytest.raises(UnreadableAudio, match="has no audio stream"):
        read_prompt(tmp_path / "file")


def test_too_many_bytes_are_refused_before_reading(wav):
    size = wav.stat().st_size
    assert read_prompt(wav, max_bytes=size).shape == (1, RATE)
    for source in (wav, wav.read_bytes()):
        with pytest.raises(UnreadableAudio, match=f"is {size} bytes long; at most {size - 1} are read"):
            read_prompt(source, max_bytes=size - 1)


def test_too_many_seconds_are_refused(wav):
    assert read_prompt(wav, max_seconds=1).shape == (1, RATE)
    with pytest.raises(UnreadableAudio, match=r"longer than 0\.99 seconds"):
        read_prompt(wav, max_seconds=0.99)


def test_a_decompression_bomb_is_stopped_at_the_limit(tmp_path):
    """100 hours of silence as a small file; were it decoded to its end, this would take minutes and 60 GB."""
    source = ("-f", "lavfi", "-i", "anullsrc=r=8000:cl=mono", "-t", "200", "-f", "ogg")
    part = ffmpeg(*source, "-c:a", "libopus", "-frame_duration", "60", "-compression_level", "0", "pipe:1")
    (tmp_path / "file").write_bytes(part * 1800)
    assert (tmp_path / "file").stat().st_size < read.MAX_BYTES
    start = time.monotonic()
    with pytest.raises(UnreadableAudio, match="longer than 20 seconds"):
        read_prompt(tmp_path / "file", max_seconds=20)
    assert time.monotonic() - start < 20


def test_slow_decoding_is_stopped(wav, monkeypatch):
    monkeypatch.setattr(read, "DECODE_SECONDS", -1.0)
    with pytest.raises(UnreadableAudio, match="to decode"):
        read_prompt(wav)


def test_a_damaged_recording_is_refused(tmp_path):
    """About a third of the frames: ffmpeg, left to itself, calls that a success."""
    data = bytearray(make_file(tmp_path / "file", tone(3.0), *FORMATS["flac"]).read_bytes())
    noise = np.random.default_rng(0)
    for start in range(9000, len(data) - 100, 12_000):
        data[start : start + 40] = noise.bytes(40)
    with pytest.raises(UnreadableAudio, match="is damaged"):
        read_prompt(bytes(data))


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_samples_that_are_no_audio_are_refused(tmp_path, value):
    audio = tone(0.5)
    audio[0, 1000] = value
    soundfile.write(tmp_path / "file.wav", audio[0], RATE, subtype="FLOAT")
    with pytest.raises(UnreadableAudio, match="no numbers"):
        read_prompt(tmp_path / "file.wav")


@pytest.mark.parametrize("native_rate", [10, 2_000_000])
def test_an_absurd_sample_rate_is_refused(tmp_path, native_rate):
    soundfile.write(tmp_path / "file.wav", np.zeros(1000), native_rate)
    with pytest.raises(UnreadableAudio, match=f"at {native_rate} Hz"):
        read_prompt(tmp_path / "file.wav")


PLAYLISTS = {
    "hls": "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXTINF:1.0,\n{target}\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile '{target}'\n",
}


@pytest.mark.parametrize("kind", PLAYLISTS)
def test_a_file_that_names_another_file_is_refused(tmp_path, kind):
    target = make_file(tmp_path / "secret.ts", tone(1.0), "-f", "mpegts", "-c:a", "aac")
    playlist = tmp_path / ("list.m3u8" if kind == "hls" else "list.txt")
    # An absolute path, which holds from wherever the playlist is read; ffmpeg's concat takes only relative ones.
    playlist.write_text(PLAYLISTS[kind].format(target=target if kind == "hls" else target.name))
    assert decode(playlist).shape[1] > RATE / 2  # ffmpeg, left to itself, follows it
    for source in (playlist, playlist.read_bytes()):
        with pytest.raises(UnreadableAudio, match="is no audio file"):
            read_prompt(source)


def test_only_regular_files_are_opened(tmp_path, wav):
    link, fifo = tmp_path / "link", tmp_path / "fifo"
    link.symlink_to(wav)
    os.mkfifo(fifo)
    for path, kind in ((link, "symbolic link"), (tmp_path, "a directory"), (fifo, "a FIFO")):
        with pytest.raises(UnreadableAudio, match=kind):
            read_prompt(path)
    with pytest.raises(UnreadableAudio, match="a device"):
        read_prompt(Path("/dev/zero"))


@pytest.mark.parametrize("name", ["missing.wav", "nul\0.wav", "x" * 300])
def test_a_file_that_cannot_be_opened_is_refused(tmp_path, name):
    with pytest.raises(UnreadableAudio, match="cannot be opened"):
        read_prompt(tmp_path / name)


def test_without_ffmpeg_the_fault_is_ours(wav, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ParleyError, match=r"ffprobe is not installed .* ffmpeg") as caught:
        read_prompt(wav)
    assert caught.value.status == 500


def test_no_descriptor_is_left_open(wav):
    read_prompt(wav)
    before = len(os.listdir("/proc/self/fd"))
    read_prompt(wav)
    with pytest.raises(UnreadableAudio):
        read_prompt(wav, max_seconds=0.1)
    assert len(os.listdir("/proc/self/fd")) == before
