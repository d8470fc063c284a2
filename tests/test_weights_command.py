"""python -m models.weights: what it prints and how it exits."""

import subprocess
import sys
from pathlib import Path

import pytest
from weights_fixtures import SHARD, copy_files, serve_hub, small_manifest

from models.weights import __main__ as command
from models.weights import choice

MANIFEST = small_manifest()
SOURCE = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _no_builtin(tmp_path, monkeypatch):
    """Whatever the source holds, these tests lay out their own."""
    monkeypatch.setattr(choice, "SOURCE_WEIGHTS", tmp_path / "source")


def _run(*arguments: object) -> int:
    return command.main([str(argument) for argument in arguments], MANIFEST)


def test_fetch_prints_the_folder_alone_on_stdout(tmp_path, monkeypatch, capsys):
    with serve_hub(monkeypatch):
        assert _run("fetch", "dia", "--root", tmp_path) == 0
    printed = capsys.readouterr()
    assert printed.out == f"{tmp_path / 'dia'}\n"
    assert "fetching model/model.safetensors" in printed.err


def test_verify_exits_0_for_good_and_1_for_damaged_files(tmp_path, capsys):
    copy_files(tmp_path / "dia")
    assert _run("verify", "dia", "--root", tmp_path) == 0
    assert "complete and undamaged" in capsys.readouterr().out
    (tmp_path / "dia" / "model" / SHARD).write_bytes(bytes(300_000))
    assert _run("verify", "dia", "--root", tmp_path) == 1
    printed = capsys.readouterr()
    assert "error: Small voice" in printed.err
    assert "model/model.safetensors has sha256" in printed.err
    assert printed.out == ""


def test_an_interruption_says_that_it_goes_on(tmp_path, monkeypatch, capsys):
    def interrupt(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "fetch", interrupt)
    assert _run("fetch", "dia", "--root", tmp_path) == 130
    assert "goes on from here" in capsys.readouterr().err


def test_an_unknown_name_exits_1_and_lists_the_names(tmp_path, capsys):
    assert _run("fetch", "dya", "--root", tmp_path) == 1
    assert "has dia" in capsys.readouterr().err


def test_list_shows_sizes_licences_and_what_is_here(tmp_path, capsys):
    def shown() -> str:
        assert _run("list", "--root", tmp_path) == 0
        return capsys.readouterr().out

    text = shown()
    assert "dia  380 kB  not here: python -m models.weights fetch dia" in text
    assert f"model  300 kB  Apache-2.0  makers/voice @ {'a' * 40}" in text
    assert f"codec  80 kB  MIT  makers/codec @ {'b' * 40}" in text
    assert "dia-builtin  not here" in text
    assert "refused: nari-labs/Dia-1.6B: it is another model" in text
    copy_files(tmp_path / "dia")
    copy_files(tmp_path / "dia-builtin")
    text = shown()
    assert "all files here, not checked: python -m models.weights verify dia" in text
    assert "dia-builtin  complete" in text
    assert _run("verify", "dia", "--root", tmp_path) == 0
    capsys.readouterr()
    assert "dia  380 kB  complete" in shown()
    (tmp_path / "dia" / "model" / SHARD).unlink()
    assert "3 of 4 files here: python -m models.weights fetch dia" in shown()


@pytest.mark.parametrize("arguments", [[], ["fetch"], ["fetch", "dia", "more"], ["burn"]])
def test_bad_usage_exits_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        _run(*arguments)
    assert caught.value.code == 2
    assert "usage: python -m models.weights" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["fetch", "--help"], ["verify", "--help"], ["list", "--help"]])
def test_help_of_every_command_exits_0(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        _run(*arguments)
    assert caught.value.code == 0
    assert "usage: python -m models.weights" in capsys.readouterr().out


def test_the_module_runs_without_torch(tmp_path):
    script = (
        "import sys, runpy; sys.argv = ['weights', 'list', '--root', sys.argv[1]]\n"
        "try: runpy.run_module('models.weights', run_name='__main__')\n"
        "except SystemExit as end: assert end.code == 0, end.code\n"
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], cwd=SOURCE, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "nari-labs/Dia-1.6B-0626" in done.stdout
