"""A real conversation to listen to: thirty seconds of two speakers on the telephone, with who speaks when and what.

It lies in the wheel of pyannote.audio (MIT) as sample.wav, .rttm and .stm; requirements-clip.txt installs that wheel
without its dependencies, and nothing of it is imported. Without it these tests skip.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr


@dataclass(frozen=True)
class Clip:
    samples: np.ndarray  # [480,000] at 16 kHz
    starts: tuple[float, ...]  # seconds, of each piece of speech
    ends: tuple[float, ...]
    words: str


def clip_folder() -> Path | None:
    spec = find_spec("pyannote")
    folders = [Path(place) / "audio" / "sample" for place in (spec.submodule_search_locations or ())] if spec else []
    return next((folder for folder in folders if (folder / "sample.wav").is_file()), None)


@pytest.fixture(scope="session")
def clip() -> Clip:
    folder = clip_folder()
    if folder is None:
        pytest.skip("the clip is missing: pip install --no-deps -r requirements-clip.txt")
    samples, rate = soundfile.read(folder / "sample.wav", dtype="float32")
    assert rate == 16_000
    spans = [line.split()[3:5] for line in (folder / "sample.rttm").read_text().splitlines()]
    words = [line.split(maxsplit=5)[5] for line in (folder / "sample.stm").read_text().splitlines()]
    starts = tuple(float(start) for start, _ in spans)
    return Clip(
        samples,
        starts,
        tuple(start + float(length) for start, (_, length) in zip(starts, spans, strict=True)),
        " ".join(words),
    )


@pytest.fixture(scope="session")
def clip_24k(clip: Clip) -> np.ndarray:
    """[720,000], what a microphone would send."""
    return soxr.resample(clip.samples, 16_000, 24_000)


def pieces(samples: np.ndarray, seed: int, longest: int) -> list[np.ndarray]:
    """The samples cut at random into pieces of 0 to `longest`."""
    lengths = np.random.default_rng(seed).integers(0, longest + 1, size=2 * samples.size // longest + 8)
    ends = np.minimum(np.cumsum(lengths), samples.size)
    cut = [samples[start:end] for start, end in zip([0, *ends], [*ends, samples.size], strict=True)]
    assert sum(map(len, cut)) == samples.size
    return cut
