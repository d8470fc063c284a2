"""Whisper's weights: put together once from packages and checked, or found by their name."""

import hashlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.errors import WeightsError
from models.listening import whisper
from models.weights import load_manifest
from models.weights.disk import stamp_of, write_marker


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Two packages with the real file names and other, small contents."""
    root = tmp_path / "packages"
    contents = {name: name.encode() for name in whisper.SMALL_FILES}
    for package, files in (
        ("first_part", {**contents, "model.bin.part1": b"abc"}),
        ("second_part", {"model.bin.part2": b"def"}),
    ):
        (root / package / "data").mkdir(parents=True)
        (root / package / "__init__.py").touch()
        for name, data in files.items():
            (root / package / "data" / name).write_bytes(data)
    monkeypatch.syspath_prepend(root)
    monkeypatch.setattr(whisper, "PARTS", ("first_part", "second_part"))
    monkeypatch.setattr(whisper, "SMALL_FILES", {n: hashlib.sha256(d).hexdigest() for n, d in contents.items()})
    monkeypatch.setattr(whisper, "MODEL_SHA256", hashlib.sha256(b"abcdef").hexdigest())
    yield root
    for package in ("first_part", "second_part"):
        sys.modules.pop(package, None)


def test_the_parts_become_one_model_and_the_folder_is_made_once(packages: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "whisper"
    assert whisper.packaged_folder(folder) == folder
    assert (folder / "model.bin").read_bytes() == b"abcdef"
    assert sorted(path.name for path in folder.iterdir()) == sorted(["model.bin", *whisper.SMALL_FILES])
    shutil.rmtree(packages)
    assert whisper.packaged_folder(folder) == folder
    assert [path.name for path in folder.parent.iterdir()] == ["whisper"]


def test_damaged_parts_are_refused_and_nothing_is_left(packages: Path, tmp_path: Path) -> None:
    (packages / "second_part" / "data" / "model.bin.part2").write_bytes(b"xyz")
    with pytest.raises(WeightsError, match=r"model\.bin of whisper-base has sha256"):
        whisper.packaged_folder(tmp_path / "cache" / "whisper")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whisper, "PARTS", ("no_such_part_one", "no_such_part_two"))
    with pytest.raises(WeightsError, match=r"install no-such-part-one, as requirements\.txt says"):
        whisper.packaged_folder(tmp_path / "whisper")


def test_a_cache_that_cannot_be_written_is_named_with_the_way_out(packages: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WeightsError, match=r"cannot be put together in .*XDG_CACHE_HOME"):
        whisper.packaged_folder(tmp_path / "file" / "whisper")


def test_the_packaged_model_counts_as_here_by_its_packages_or_by_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(whisper, "PARTS", ("no_such_part_one", "no_such_part_two"))
    assert not whisper.find_whisper()
    whisper.cache_dir().mkdir(parents=True)
    assert whisper.find_whisper()
    assert whisper.whisper_folder() == tmp_path / "parley" / whisper.cache_dir().name


def test_a_bigger_model_is_found_by_its_name_once_it_is_fetched(tmp_path: Path) -> None:
    assert not whisper.find_whisper("whisper-small", tmp_path)
    with pytest.raises(WeightsError, match=r"whisper-small is not here.*models.weights fetch whisper-small"):
        whisper.whisper_folder("whisper-small", tmp_path)
    checkpoint = load_manifest().checkpoint("whisper-small")
    for pin in checkpoint.pins:
        path = tmp_path / checkpoint.name / pin.path
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.truncate(pin.size)
    stamps = {pin.path: stamp_of(tmp_path / checkpoint.name / pin.path) for pin in checkpoint.pins}
    write_marker(checkpoint, tmp_path, stamps)
    assert whisper.find_whisper("whisper-small", tmp_path)
    assert whisper.whisper_folder("whisper-small", tmp_path) == tmp_path / "whisper-small" / "model"


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    assert not whisper.find_whisper("whisper-huge")
    with pytest.raises(WeightsError, match=r"'whisper-huge'; there are whisper-base"):
        whisper.whisper_folder("whisper-huge")
