"""`python -m container.predict_local` does what `cog predict` does, and cancels when it is interrupted."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from container_fixtures import write_toy

from container import predict_local
from container.client import Response
from container.predict_local import _refusal, _show, main
from container.server import LogLine

ROOT = Path(__file__).parent.parent


@pytest.fixture
def toy(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(write_toy(tmp_path))
    return tmp_path


def test_a_prediction_writes_its_file_and_tells_its_metrics(toy, capsys):
    (toy / "voice.wav").write_bytes(b"voice")
    assert main(["-i", "text=say", "-i", "audio=@voice.wav", "-i", "seed=5", "-o", "out.wav"]) == 0
    shown = capsys.readouterr()
    assert shown.out == "out.wav\n"
    assert (toy / "out.wav").read_bytes() == b"voice"
    assert {"setup speaks", "begin say"} <= set(shown.err.splitlines())
    assert "seed 5" in shown.err
    assert "DeprecationWarning" not in shown.err


def test_music_is_the_other_predictor(toy, capsys):
    file = toy / "predict.py"
    file.write_text(file.read_text().replace("class Predictor", "class MusicPredictor"))
    assert main(["-i", "text=say"]) == 1
    assert "has no `class Predictor`" in capsys.readouterr().err
    assert main(["--music", "-i", "text=say", "-o", "out.wav"]) == 0


def test_the_name_of_the_file_chooses_the_format(toy):
    assert main(["-i", "text=say", "-o", "out.OGG"]) == 0
    assert ".ogg|" in (toy / "out.OGG").read_text()


def test_a_failed_prediction_tells_the_error_once(toy, capsys):
    assert main(["-i", "text=fail"]) == 1
    shown = capsys.readouterr()
    assert shown.err.endswith("The prediction failed: ValueError: text: is 'fail'; say something else.\n")
    assert shown.out == ""


def test_a_prediction_without_a_file_is_a_failure(toy, capsys):
    """coglet answers `succeeded` with no output when the predictor returns nothing."""
    assert main(["-i", "text=nothing"]) == 1
    assert "without an output" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("setup", "said"), [("fails", "weights missing: toy.safetensors"), ("refuses", "TOY_SETUP: is refuses.")]
)
def test_a_failed_setup_is_told(toy, capsys, monkeypatch, setup, said):
    monkeypatch.setenv("TOY_SETUP", setup)
    assert main(["-i", "text=say"]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == f"The server's setup failed. {said}"


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["-i", "txt=say"], 2, "txt is no input"),
        (["-i", "text=say", "-o", "missing/out.wav"], 2, "in a folder that exists"),
        (
            ["-i", "text=say", "-i", "output_format=wav", "-o", "out.ogg"],
            2,
            "output_format is wav, but --output out.ogg",
        ),
        (["--predictor", "predict.py:Other", "-i", "text=say"], 1, "has no `class Other`"),
    ],
)
def test_what_is_wrong_is_told_before_a_server_is_started(toy, capsys, arguments, status, said):
    assert main(arguments) == status
    assert said in capsys.readouterr().err
    assert not (toy / ".cog").exists()


@pytest.mark.parametrize("name", ["out.m4a", "out.xyz"])
def test_a_name_that_asks_for_another_format_is_refused(toy, capsys, name):
    assert main(["-i", "text=say", "-o", name]) == 2
    assert "End the name in wav, ogg" in capsys.readouterr().err
    assert not (toy / name).exists()


def test_a_place_that_cannot_be_written_is_refused_before_the_work(toy, capsys, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root may write anywhere
    assert main(["-i", "text=say", "-o", "out.wav"]) == 2
    assert "no file can be written there" in capsys.readouterr().err


def test_a_file_too_large_for_a_request_is_refused_with_the_way_out(toy, capsys):
    with (toy / "long.wav").open("wb") as file:
        file.truncate(75 * 2**20)
    assert main(["-i", "text=say", "-i", "audio=@long.wav"]) == 2
    assert "75 MiB large; 74 MiB fit" in capsys.readouterr().err


def test_help_lists_the_inputs(toy, capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "seconds: number, 0 to 60, default 0" in capsys.readouterr().out


def test_a_progress_bar_stays_on_its_line_of_a_terminal(capsys, monkeypatch):
    bar = LogLine(" 40%|████      | 00:01<00:02", is_output=True)
    _show(bar)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    _show(bar)
    _show(LogLine("note: cut at 10 s", is_output=True))
    _show(LogLine("Starting prediction"))
    assert capsys.readouterr().err == f"{bar.text}\n\x1b[K{bar.text}\rnote: cut at 10 s\n"


def test_a_refusal_of_the_server_names_each_input():
    body = b'{"detail": [{"loc": ["body", "input", "seed"], "msg": "-1 is less than the minimum of 0"}]}'
    assert _refusal(Response(422, body)) == "seed: -1 is less than the minimum of 0"
    assert _refusal(Response(503, b"not yet")) == "The server answered 503: not yet"


def as_from_a_terminal() -> None:
    """What a shell starts in the background passes over Ctrl-C, and so would all that it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_cancels_the_prediction_and_stops_the_server(toy, number):
    command = [sys.executable, "-m", "container.predict_local", "-i", "text=sleep", "-i", "seconds=60"]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, cwd=toy, env=environment, preexec_fn=as_from_a_terminal
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("begin sleep"):
                process.send_signal(number)
                break
        rest = process.stderr.read()
        assert process.wait(20) == 130
    assert rest.endswith("Cancelled.\n")


def test_an_interrupt_before_there_is_a_server_leaves_no_trace(capsys, monkeypatch):
    def interrupted(reference):
        raise KeyboardInterrupt

    monkeypatch.setattr(predict_local.signal, "signal", lambda *_: None)
    monkeypatch.setattr(predict_local.schema, "generate", interrupted)
    assert predict_local._command() == 130
    assert capsys.readouterr().err == "Stopped.\n"
