"""The benchmark of the Realtime socket runs to its end and says what it measured."""

import json
import subprocess
import sys
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


@pytest.mark.slow
@pytest.mark.usefixtures("clip")
def test_sessions_are_measured_and_told_as_one_json_document_at_last() -> None:
    options = ["--sessions", "1", "2", "--seconds", "16", "--rounds", "1"]
    command = [sys.executable, "-m", "benchmarks.realtime", *options]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout.splitlines()[-1])
    assert [row["sessions"] for row in report["listening"]] == [1, 2]
    assert report["machine"]["commit"]
    for row in report["listening"]:
        assert row["turns"] >= 1
        assert report["silence_ms"] < row["committed_after_speech_p50_ms"] <= row["committed_after_speech_p99_ms"]
    assert 0 < report["speech"]["first_audio_p50_ms"] <= report["speech"]["first_audio_most_ms"]
