"""What was generated becomes a file at its level, looped where it is asked, in mono and in stereo."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from audio_fixtures import decode, speechlike

from models.audio.loop import seamless_loop
from models.audio.master import MasterOptions, master, master_to_file
from models.audio.normalise import normalise
from models.errors import GenerationFailed
from models.inputs.settings import MusicFormat

RATE = 32_000
LEFT, RIGHT = speechlike(2.0, RATE, seed=1), 0.5 * speechlike(2.0, RATE, seed=2)


def test_audio_is_levelled_as_it_was_asked() -> None:
    np.testing.assert_array_equal(master(LEFT, RATE, MasterOptions("peak")), normalise(LEFT, RATE, "peak"))


def test_a_loop_is_folded_before_its_level_is_set() -> None:
    made = master(LEFT, RATE, MasterOptions("peak", loop_seconds=1.5))
    np.testing.assert_array_equal(made, normalise(seamless_loop(LEFT, RATE // 2), RATE, "peak"))


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("output_format", get_args(MusicFormat))
def test_every_format_holds_every_channel(tmp_path: Path, output_format: MusicFormat, channels: int) -> None:
    audio = np.concatenate([LEFT, RIGHT])[:channels]
    path = tmp_path / f"song.{output_format}"
    wanted = master_to_file(audio, path, RATE, MasterOptions("peak", output_format))
    np.testing.assert_array_equal(wanted, normalise(audio, RATE, "peak"))
    read = decode(path, RATE, channels)
    exact = output_format in ("wav", "flac")
    assert read.shape[1] >= wanted.shape[1] if not exact else read.shape == wanted.shape
    start = _offset(read[0], wanted[0])
    heard = read[:, start : start + wanted.shape[1]]
    for channel in range(channels):
        likeness = np.corrcoef(heard[channel], wanted[channel][: heard.shape[1]])[0, 1]
        assert likeness > (0.9999 if exact else 0.98)


def _offset(read: np.ndarray, wanted: np.ndarray) -> int:
    """Samples of silence that an encoder put in front."""
    middle = wanted[20_000:30_000]
    candidates = range(3000)
    around = np.correlate(read[20_000 : 30_000 + len(candidates) - 1], middle, "valid")
    return int(np.argmax(around))


def test_audio_without_a_sample_is_no_song(tmp_path: Path) -> None:
    with pytest.raises(GenerationFailed):
        master_to_file(np.zeros((1, 0), np.float32), tmp_path / "a.wav", RATE, MasterOptions(output_format="wav"))
    assert not list(tmp_path.iterdir())
