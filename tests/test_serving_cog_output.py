"""What a container gives and prints becomes the samples, the lines and the progress that listeners hear."""

import numpy as np
import pytest
import soundfile
from serving_cog_fixtures import PIECES, Heard, write_tone
from serving_fixtures import PIECE, RATE, tone

from models.audio.encode import OPUS_RATE
from models.audio.pcm import pcm16_bytes
from models.errors import GenerationFailed
from serving.cog.logs import Logs
from serving.sound import PIECE_SAMPLES, Sound

BAR = "\r 40%|####      | 00:01<00:02, 123 tokens, 1.4 s, 0.52 x real time"


@pytest.mark.parametrize("output_format", ["wav", "flac", "mp3", "ogg", "opus"])
def test_every_format_gives_its_samples(tmp_path, output_format):
    path = tmp_path / f"tone.{output_format}"
    write_tone(path, output_format)
    sound = Sound(path)
    pcm = b"".join(sound.pieces())
    assert sound.sample_rate == (OPUS_RATE if output_format == "opus" else RATE)
    assert len(pcm) / 2 == pytest.approx(sound.seconds * sound.sample_rate, abs=1)
    assert sound.seconds == pytest.approx(PIECES * PIECE / RATE, abs=0.1)
    assert np.abs(np.frombuffer(pcm, "<i2")).max() == pytest.approx(0.5 * 32767, rel=0.15)


@pytest.mark.parametrize("output_format", ["wav", "flac"])
def test_what_a_lossless_file_holds_is_heard_to_the_last_bit(tmp_path, output_format):
    path = tmp_path / "tone"
    write_tone(path, output_format)
    assert b"".join(Sound(path).pieces()) == b"".join(pcm16_bytes(tone(number)) for number in range(PIECES))


def test_long_audio_comes_in_pieces_and_stereo_as_mono(tmp_path):
    path = tmp_path / "long.wav"
    left = np.full(PIECE_SAMPLES + 1, 0.5, np.float32)
    soundfile.write(path, np.stack([left, -left], axis=1), 44_100)
    pieces = list(Sound(path).pieces())
    assert [len(piece) // 2 for piece in pieces] == [PIECE_SAMPLES, 1]
    assert not any(b"".join(pieces))


@pytest.mark.parametrize("content", [b"", b"RIFF", b"no audio at all"])
def test_what_is_no_audio_is_a_failure(tmp_path, content):
    path = tmp_path / "output.wav"
    path.write_bytes(content)
    with pytest.raises(GenerationFailed, match="is no audio"):
        Sound(path)


def test_a_file_without_a_sample_is_a_failure(tmp_path):
    soundfile.write(tmp_path / "output.wav", np.zeros(0, np.float32), 44_100)
    with pytest.raises(GenerationFailed, match="not one sample"):
        Sound(tmp_path / "output.wav")


def test_however_often_the_logs_are_read_each_line_is_told_once_and_bars_are_progress():
    heard = Heard()
    logs = Logs(heard)
    whole = f"seed: 7\n\r  0%|          | 00:00<?{BAR}\nnote: a new take\n{BAR.replace('40%', '100%')}\n5.4 s"
    for end in range(len(whole) + 1):
        logs.hear(whole[:end])
    assert heard.logs == ["seed: 7", "note: a new take"]
    logs.hear(whole, ended=True)
    assert heard.logs == ["seed: 7", "note: a new take", "5.4 s"]
    assert (0.4, 1.4) in heard.shares
    assert heard.shares[-1] == (1.0, 1.4)
