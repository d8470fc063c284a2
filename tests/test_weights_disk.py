"""locate and verify: what counts as complete."""

import json
import os
from pathlib import Path

import pytest
from weights_fixtures import SHARD, copy_files, small_manifest

from models.errors import WeightsError
from models.weights import disk, locate, verify, weights_dir
from models.weights.manifest import SOURCE_WEIGHTS

MANIFEST = small_manifest()


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A root with a checkpoint that was verified."""
    copy_files(tmp_path / "dia")
    verify("dia", tmp_path, manifest=MANIFEST)
    return tmp_path


def _locate(root: Path):
    return locate("dia", root, manifest=MANIFEST)


def _change_in_place(path: Path) -> None:
    """Other bytes, the same size, a later time."""
    data = path.read_bytes()
    path.write_bytes(bytes(data[:-1]) + bytes([data[-1] ^ 1]))
    os.utime(path, (path.stat().st_atime, path.stat().st_mtime + 60))


def test_copied_files_count_after_verify_and_not_before(tmp_path):
    copy_files(tmp_path / "dia")
    assert _locate(tmp_path) is None
    paths = verify("dia", tmp_path, manifest=MANIFEST)
    assert paths == _locate(tmp_path)
    assert paths.codec == tmp_path / "dia" / "codec"


def test_locate_hashes_nothing(whole, monkeypatch):
    def fail(*arguments: object) -> None:
        raise AssertionError("locate must be cheap")

    monkeypatch.setattr(disk, "hash_file", fail)
    assert _locate(whole) is not None


def test_verify_names_every_fault_and_changes_no_file(whole):
    folder = whole / "dia"
    _change_in_place(folder / "model" / SHARD)
    (folder / "codec" / SHARD).write_bytes(b"short")
    (folder / "codec" / "config.json").unlink()
    with pytest.raises(WeightsError) as caught:
        verify("dia", whole, manifest=MANIFEST)
    message = str(caught.value)
    assert "model/model.safetensors has sha256" in message
    assert "codec/model.safetensors has 5 bytes, the manifest says 80000" in message
    assert "codec/config.json is missing" in message
    assert "fetch dia" in message
    assert "model/config.json" not in message
    assert (folder / "codec" / SHARD).read_bytes() == b"short"
    assert _locate(whole) is None


def test_verify_says_what_it_checks(whole):
    lines: list[str] = []
    verify("dia", whole, lines.append, manifest=MANIFEST)
    assert "checking model/model.safetensors, 300 kB" in lines


@pytest.mark.parametrize("file", ["model/config.json", f"model/{SHARD}", f"codec/{SHARD}"])
def test_a_file_that_changed_after_the_marker_ends_completeness(file, whole):
    _change_in_place(whole / "dia" / file)
    assert _locate(whole) is None


def test_a_file_that_went_missing_ends_completeness(whole):
    (whole / "dia" / "model" / SHARD).unlink()
    assert _locate(whole) is None


def test_a_marker_keeps_whole_seconds_as_image_layers_do(whole):
    """A container image keeps no parts of a second; a checkpoint baked into one must not be hashed at every start."""
    for path in (whole / "dia").rglob("*.*"):
        status = path.stat()
        os.utime(path, (int(status.st_atime), int(status.st_mtime)))
    assert _locate(whole) is not None


@pytest.mark.parametrize("text", ["", "{", "null", "[]", '{"pins": 1}', "{}", "\xff"])
def test_a_spoiled_marker_is_no_marker(text, whole):
    (whole / "dia" / ".verified.json").write_bytes(text.encode("latin-1"))
    assert _locate(whole) is None


def test_a_marker_of_other_pins_is_no_marker(whole):
    marker = whole / "dia" / ".verified.json"
    content = json.loads(marker.read_text())
    marker.write_text(json.dumps(content | {"pins": "0" * 64}))
    assert _locate(whole) is None


def test_a_marker_can_be_read_by_every_user(whole):
    """A checkpoint fetched while an image is built is used by another user later."""
    marker = whole / "dia" / ".verified.json"
    assert marker.stat().st_mode & 0o777 == (whole / "dia" / "model" / SHARD).stat().st_mode & 0o777


def test_a_folder_that_cannot_be_marked_is_verified_all_the_same(tmp_path, monkeypatch):
    """Weights on a read-only mount: right, but each start checks them again, and says so."""

    def fail(*arguments: object) -> None:
        raise OSError(30, "Read-only file system")

    copy_files(tmp_path / "dia")
    monkeypatch.setattr(disk.os, "replace", fail)
    lines: list[str] = []
    assert verify("dia", tmp_path, lines.append, manifest=MANIFEST).name == "dia"
    assert "cannot be marked" in lines[-1]
    assert "Read-only file system" in lines[-1]


def test_a_file_that_cannot_be_read_is_a_fault(tmp_path, monkeypatch):
    def fail(*arguments: object) -> None:
        raise OSError(5, "Input/output error")

    copy_files(tmp_path / "dia")
    monkeypatch.setattr(disk, "hash_file", fail)
    with pytest.raises(WeightsError, match=r"model/config\.json cannot be read \(Input/output error\)"):
        verify("dia", tmp_path, manifest=MANIFEST)


def test_nothing_on_disk_is_not_complete(tmp_path):
    assert _locate(tmp_path) is None
    assert locate("dia-builtin", tmp_path) is None
    with pytest.raises(WeightsError, match=r"model/config\.json is missing"):
        verify("dia", tmp_path, manifest=MANIFEST)


@pytest.mark.parametrize("function", [locate, verify])
def test_an_unknown_name_lists_the_names(function, tmp_path):
    with pytest.raises(WeightsError, match=r"'dia2'.*has dia"):
        function("dia2", tmp_path, manifest=MANIFEST)


def test_a_local_checkpoint_is_complete_with_both_its_folders(tmp_path):
    copy_files(tmp_path / "dia-builtin")
    paths = locate("dia-builtin", tmp_path)
    assert paths is not None
    assert paths.model == tmp_path / "dia-builtin" / "model"
    (paths.codec / "config.json").unlink()
    assert locate("dia-builtin", tmp_path) is None


def test_the_place_of_weights_can_be_set():
    assert weights_dir({}) == weights_dir({"PARLEY_WEIGHTS_DIR": ""}) == SOURCE_WEIGHTS
    assert weights_dir({"PARLEY_WEIGHTS_DIR": "/data/weights"}) == Path("/data/weights")
