"""The judge: its weights are put together once and checked, and it hears what was said."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmarks.quality import judge as judge_module
from benchmarks.quality import whisper
from benchmarks.quality.errors import count_errors
from benchmarks.quality.judge import Judge, mono
from models.errors import WeightsError

SENTENCE = "Could you bring the blue umbrella when you come over tonight?"


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two packages with the judge's file names and other, small contents."""
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
    assert whisper.whisper_folder(folder) == folder
    assert (folder / "model.bin").read_bytes() == b"abcdef"
    assert sorted(path.name for path in folder.iterdir()) == sorted(["model.bin", *whisper.SMALL_FILES])
    shutil.rmtree(packages)
    assert whisper.whisper_folder(folder) == folder
    assert [path.name for path in folder.parent.iterdir()] == ["whisper"]


def test_damaged_parts_are_refused_and_nothing_is_left(packages: Path, tmp_path: Path) -> None:
    (packages / "second_part" / "data" / "model.bin.part2").write_bytes(b"xyz")
    with pytest.raises(WeightsError, match=r"model\.bin of the judge has sha256"):
        whisper.whisper_folder(tmp_path / "cache" / "whisper")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whisper, "PARTS", ("no_such_part_one", "no_such_part_two"))
    with pytest.raises(WeightsError, match=r"install no-such-part-one, as requirements-dev\.txt says"):
        whisper.whisper_folder(tmp_path / "whisper")


def test_any_rate_and_shape_becomes_mono_at_the_rate_of_the_judge() -> None:
    assert mono(np.zeros((1, 44_100), np.float32), 44_100).shape == (16_000,)
    assert mono(np.zeros(160, np.float32), 16_000).shape == (160,)
    with pytest.raises(AssertionError, match=r"\(2, 10\)"):
        mono(np.zeros((2, 10), np.float32), 16_000)


class CirclingModel:
    """Gives one good piece and one that repeats itself, as whisper does on noise."""

    def transcribe(self, samples: np.ndarray, **options: object) -> tuple[list, None]:
        class Piece:
            def __init__(self, text: str, compression_ratio: float) -> None:
                self.text, self.compression_ratio = text, compression_ratio

        return [Piece(" Good piece.", 0.9), Piece(" and on" * 100, 11.0)], None


def test_a_piece_that_runs_in_circles_counts_as_not_understood() -> None:
    assert Judge(CirclingModel()).transcribe(np.ones(16_000, np.float32), 16_000) == "Good piece."


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge.load()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> tuple[np.ndarray, int]:
    """SENTENCE by a synthesiser of the system."""
    path = tmp_path_factory.mktemp("clip") / "clip.wav"
    if shutil.which("flite"):
        command = ["flite", "-voice", "slt", "-t", SENTENCE, "-o", str(path)]
    elif shutil.which("espeak-ng"):
        command = ["espeak-ng", "-s", "140", "-w", str(path), SENTENCE]
    else:
        pytest.skip("neither flite nor espeak-ng is on PATH to make a clip")
    subprocess.run(command, check=True, capture_output=True)
    return soundfile.read(path, dtype="float32")


def test_the_judge_hears_a_clip_and_the_same_word_by_word(judge: Judge, clip: tuple[np.ndarray, int]) -> None:
    heard, words = judge.transcribe(*clip), judge.words(*clip)
    assert count_errors(SENTENCE, heard).total <= 1
    assert "".join(word.text for word in words).strip() == heard
    edges = [edge for word in words for edge in (word.start, word.end)]
    assert edges == sorted(edges)
    assert edges[-1] <= len(clip[0]) / clip[1] + 0.5


def test_the_judge_hears_nothing_in_silence(judge: Judge) -> None:
    assert judge.transcribe(np.zeros(2 * judge_module.SAMPLE_RATE, np.float32), judge_module.SAMPLE_RATE) == ""
    assert judge.transcribe(np.zeros(0, np.float32), judge_module.SAMPLE_RATE) == ""
