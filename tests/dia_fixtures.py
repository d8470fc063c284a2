"""What the tests of whole requests share: a pipeline, an engine, requests and recordings."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from models.decoding.sequence import CodeSequence
from models.dia.pipeline import DiaPipeline
from models.engine import Engine
from models.request import AudioChunk, AudioGenerationRequest, SamplingParams

FRAMES = 90
SAMPLING = SamplingParams(max_new_tokens=FRAMES, seed=11)
HOP = 512


@pytest.fixture
def noisy(pipeline: DiaPipeline, monkeypatch: pytest.MonkeyPatch) -> DiaPipeline:
    """The pipeline as random weights want it: what it makes is not judged as speech."""
    monkeypatch.setattr(pipeline.network, "config", dataclasses.replace(pipeline.network.config, speech=False))
    return pipeline


@pytest.fixture
def engine(noisy: DiaPipeline) -> Iterator[Engine]:
    with Engine(noisy) as running:
        yield running


@pytest.fixture
def admitted(noisy: DiaPipeline, monkeypatch: pytest.MonkeyPatch) -> list[CodeSequence]:
    """Every sequence that the decoder was given."""
    seen: list[CodeSequence] = []
    admit = noisy.decoder.admit
    monkeypatch.setattr(noisy.decoder, "admit", lambda sequence: (seen.append(sequence), admit(sequence))[1])
    return seen


def request(text: str | None = "[S1] Hi. [S2] Oh.", **changed: object) -> AudioGenerationRequest:
    fields = {"request_id": "a", "model": "tiny", "input": text, "sampling_params": SAMPLING, **changed}
    return AudioGenerationRequest(**fields)  # type: ignore[arg-type]


def speechlike(seconds: float, sample_rate: int = 44_100, gap_every: float = 1.5) -> np.ndarray:
    """A buzz in syllables with a pause now and then: [L]."""
    t = np.arange(round(seconds * sample_rate)) / sample_rate
    buzz = sum(np.sin(2 * np.pi * 140 * h * t) / h for h in range(1, 12))
    syllables = 0.6 + 0.4 * np.sin(2 * np.pi * 4 * t)
    return (0.2 * buzz * syllables * ((t % gap_every) < gap_every - 0.25)).astype(np.float32)


def wav(path: Path, seconds: float, **options: float) -> Path:
    soundfile.write(path, speechlike(seconds, **options), 44_100, format="WAV")
    return path


def audio_of(chunks: list[AudioChunk]) -> np.ndarray:
    return np.concatenate([c.audio for c in chunks], axis=1)
