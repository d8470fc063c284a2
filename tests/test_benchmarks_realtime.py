"""The benchmark of the Realtime socket runs to its end and says what it measured."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmarks.realtime import frames_of, main

ROOT = Path(__file__).parent.parent


def test_a_recording_is_appended_in_frames_of_20_ms_and_then_there_is_a_pause(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "speech.wav", np.full((16_000, 2), 0.5), 16_000)
    frames = [json.loads(frame) for frame in frames_of(tmp_path / "speech.wav")]
    assert len(frames) == 100
    assert {(frame["type"], len(frame["audio"])) for frame in frames} == {("input_audio_buffer.append", 1280)}
    assert frames[25]["audio"] != frames[-1]["audio"] == "A" * 1280


def test_help_tells_the_options(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "--no-speech" in capsys.readouterr().out
