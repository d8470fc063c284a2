"""models/audio/ffmpeg_process.py: pipes that cannot stop each other, and processes that do not stay."""

import gc
import subprocess

import pytest

from models.audio import ffmpeg_process
from models.audio.ffmpeg_process import FfmpegProcess, require_ffmpeg
from models.errors import ParleyError


def test_more_than_both_pipes_hold_passes_through():
    data = bytes(range(256)) * 20_000  # 5 MB, pipes hold 64 KiB
    with FfmpegProcess(["cat"], has_input=True) as process:
        assert process.push(data) + process.flush() == data
        assert process.popen.returncode == 0


def test_a_program_that_writes_a_long_log_is_not_stopped_by_it():
    with FfmpegProcess(["sh", "-c", "yes warning | head -c 1000000 >&2; echo the end >&2"], has_input=False) as process:
        assert process.flush() == b""
        assert process.log.endswith("the end")
        assert len(process.log) <= ffmpeg_process.LOG_SIZE


def test_a_failure_tells_the_status_to_the_caller_and_the_reason_to_the_log(caplog):
    """The reason names paths of the server, which are no caller's business."""
    with (
        FfmpegProcess(["sh", "-c", "echo no such file /srv/secret >&2; exit 3"], has_input=False) as process,
        pytest.raises(ParleyError, match="sh ended with status 3") as failed,
    ):
        process.flush()
    assert "/srv/secret" not in str(failed.value)
    assert "no such file /srv/secret" in caplog.text


def test_a_program_that_ends_before_its_input_is_a_failure(caplog):
    with (
        FfmpegProcess(["sh", "-c", "echo full disk >&2; exit 1"], has_input=True) as process,
        pytest.raises(ParleyError, match="sh ended with status 1"),
    ):
        process.push(bytes(1_000_000))
    assert "full disk" in caplog.text


def test_a_program_that_stalls_is_stopped(monkeypatch):
    monkeypatch.setattr(ffmpeg_process, "STALL_SECONDS", 0.3)
    process = FfmpegProcess(["sleep", "60"], has_input=True)
    with pytest.raises(ParleyError, match="neither read nor wrote"):
        process.push(bytes(1_000_000))
    assert process.popen.poll() is not None


def test_a_program_that_is_not_there_is_our_fault():
    with pytest.raises(ParleyError, match="no-such-ffmpeg is not installed"):
        FfmpegProcess(["no-such-ffmpeg"], has_input=False)


class Interruption(BaseException):
    """As a cancellation is: no Exception."""


def test_leaving_by_any_exception_kills_the_program():
    with pytest.raises(Interruption), FfmpegProcess(["sleep", "60"], has_input=True) as process:
        raise Interruption
    assert process.popen.poll() is not None


def test_a_program_that_nobody_holds_is_killed():
    process = FfmpegProcess(["sleep", "60"], has_input=True)
    popen: subprocess.Popen[bytes] = process.popen
    del process
    gc.collect()
    assert popen.poll() is not None


@pytest.mark.parametrize("missing", ["ffmpeg", "ffprobe"])
def test_a_missing_program_is_told_before_it_is_needed(missing, tmp_path, monkeypatch):
    require_ffmpeg()
    for program in {"ffmpeg", "ffprobe"} - {missing}:
        (tmp_path / program).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ParleyError, match=rf"{missing} is not installed.*Install the system package ffmpeg"):
        require_ffmpeg()
