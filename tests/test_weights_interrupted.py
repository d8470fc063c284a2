"""A fetch that ends before its time, and two at once: nothing half-done looks complete, nothing comes twice."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from weights_fixtures import FILES, SHARD, is_whole, manifest_entries, parts, serve_hub, small_manifest

from models.weights import download, fetch, locate, verify

MANIFEST = small_manifest()
VOICE = ("makers/voice", SHARD)
HALF = 150_000  # bytes of the voice's file
SOURCE = Path(__file__).resolve().parents[1]
COMMAND = """
import signal, sys
from pathlib import Path
from models.weights import load_manifest
from models.weights.__main__ import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have started us deaf to it
sys.exit(main(sys.argv[2:], load_manifest(Path(sys.argv[1]))))
"""


@pytest.fixture
def stand_in(monkeypatch):
    with serve_hub(monkeypatch) as state:
        yield state


def _fetch(root: Path):
    return fetch("dia", root, manifest=MANIFEST)


def _locate(root: Path):
    return locate("dia", root, manifest=MANIFEST)


def test_an_end_between_download_and_move_costs_no_byte(stand_in, tmp_path, monkeypatch):
    def die(source: Path, target: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(download.os, "replace", die)
        with pytest.raises(KeyboardInterrupt):
            _fetch(tmp_path)
    assert len(parts(tmp_path)) == 1
    assert _locate(tmp_path) is None
    before = len(stand_in.downloads("config.json"))
    _fetch(tmp_path)
    assert len(stand_in.downloads("config.json")) == before + 1, "only the codec's"
    assert is_whole(tmp_path)


def test_an_end_before_the_marker_costs_no_byte(stand_in, tmp_path, monkeypatch):
    def die(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(download, "write_marker", die)
        with pytest.raises(KeyboardInterrupt):
            _fetch(tmp_path)
    assert is_whole(tmp_path)
    assert _locate(tmp_path) is None, "files without a marker are never taken for complete"
    before = len(stand_in.requests)
    assert _fetch(tmp_path) == _locate(tmp_path)
    assert len(stand_in.requests) == before


def _start(arguments: list[str], endpoint: str, manifest_file: Path) -> subprocess.Popen[str]:
    manifest_file.write_text(json.dumps(manifest_entries()))
    environ = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, str(manifest_file), *arguments],
        cwd=SOURCE,
        env=environ | {"HF_ENDPOINT": endpoint, "HF_HUB_OFFLINE": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("blow", "status"),
    [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 130)],
)
def test_a_fetch_that_is_ended_is_not_complete_and_goes_on(blow, status, stand_in, tmp_path):
    held = threading.Event()
    stand_in.hold[VOICE] = (HALF, held)
    root = tmp_path / "weights"
    process = _start(["fetch", "dia", "--root", str(root)], stand_in.endpoint, tmp_path / "manifest.json")
    with process:
        _wait_until(lambda: any(part.stat().st_size >= 100_000 for part in parts(root)))
        process.send_signal(blow)
        process.communicate(timeout=20)
    held.set()
    assert process.returncode == status
    assert _locate(root) is None
    stand_in.hold.clear()
    before = len(stand_in.downloads())
    _fetch(root)
    assert int(stand_in.downloads()[before]["range"].removeprefix("bytes=").removesuffix("-")) >= 100_000
    assert is_whole(root)


def test_two_fetches_at_once_share_the_work(stand_in, tmp_path):
    held = threading.Event()
    stand_in.hold[VOICE] = (HALF, held)
    root, manifest_file = tmp_path / "weights", tmp_path / "manifest.json"
    arguments = ["fetch", "dia", "--root", str(root)]
    with _start(arguments, stand_in.endpoint, manifest_file) as first:
        _wait_until(lambda: len(stand_in.downloads(SHARD)) == 1)
        with _start(arguments, stand_in.endpoint, manifest_file) as second:
            assert second.stderr is not None
            assert "another process is fetching dia" in second.stderr.readline()
            held.set()
            stdout, stderr = second.communicate(timeout=20)
            first_stdout, _ = first.communicate(timeout=20)
    assert (first.returncode, second.returncode) == (0, 0)
    assert stdout == first_stdout == f"{root / 'dia'}\n"
    assert len(stand_in.downloads()) == len(FILES), "each file came once"
    assert stderr == "", "what the first has checked is not checked again"
    assert verify("dia", root, manifest=MANIFEST) == _locate(root)
