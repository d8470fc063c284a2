"""The judge hears what was said, and nothing in silence."""

import shutil
import subprocess

import numpy as np
import pytest
import soundfile

from benchmarks.quality import judge as judge_module
from benchmarks.quality.errors import count_errors
from benchmarks.quality.judge import Judge, mono

SENTENCE = "Could you bring the blue umbrella when you come over tonight?"


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
