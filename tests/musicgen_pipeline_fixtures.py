"""Whole requests to a tiny MusicGen: a checkpoint of random weights with windows of a second, and what to ask of it."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from models.decoding.runtime import Runtime
from models.engine import Engine
from models.musicgen.pipeline import MusicgenPipeline
from models.musicgen.random_checkpoint import Variant, write_random_checkpoint
from models.request import AudioChunk, AudioGenerationRequest, MusicOptions, SamplingParams
from models.weights import CheckpointPaths

RATE, HOP, WINDOW, STRIDE = 32_000, 640, 50, 30  # Hz, samples a frame, frames, frames
# float32: what a batch adds up in another order stays far below the distance of two codes.
RUNTIME = Runtime(torch.device("cpu"), "plain", torch.float32, cache_bytes=2**25)
SAMPLING = SamplingParams(cfg_scale=3.0, temperature=1.0, top_p=0.0, cfg_filter_top_k=250, seed=5)


def load(directory: Path, name: str, variant: Variant, **options: object) -> MusicgenPipeline:
    write_random_checkpoint(directory, name, variant=variant)
    return MusicgenPipeline.load(CheckpointPaths(name, directory / "model", directory / "codec"), RUNTIME, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def music(tmp_path_factory: pytest.TempPathFactory) -> MusicgenPipeline:
    """Melody and mono."""
    return load(tmp_path_factory.mktemp("music"), "musicgen-random", Variant(window_seconds=1.0, stride_seconds=0.6))


@pytest.fixture(scope="session")
def stereo(tmp_path_factory: pytest.TempPathFactory) -> MusicgenPipeline:
    """Melody and stereo."""
    variant = Variant(channels=2, window_seconds=1.0, stride_seconds=0.6)
    return load(tmp_path_factory.mktemp("stereo"), "musicgen-random", variant)


@pytest.fixture(scope="session")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> MusicgenPipeline:
    """AudioGen: 16 kHz, cross-attention, no melody."""
    variant = Variant(False, 1, 16_000, (8, 5, 4, 2), window_seconds=1.0, stride_seconds=0.2)
    return load(tmp_path_factory.mktemp("sounds"), "audiogen-random", variant)


@pytest.fixture
def music_engine(music: MusicgenPipeline) -> Iterator[Engine]:
    with Engine(music) as running:
        yield running


def ask(text: str = "a slow waltz", *, frames: int = 40, name: str = "a", **changed: object) -> AudioGenerationRequest:
    """A request whose music options are given by their names, and its other fields by theirs."""
    names = {field.name for field in dataclasses.fields(MusicOptions)}
    options = {"duration_seconds": frames / 50, **{n: changed.pop(n) for n in list(changed) if n in names}}
    fields = {"model": "musicgen-random", "sampling_params": SAMPLING, "music": MusicOptions(**options), **changed}  # type: ignore[arg-type]
    return AudioGenerationRequest(name, input=text, **fields)  # type: ignore[arg-type]


def audio_of(chunks: list[AudioChunk]) -> np.ndarray:
    return np.concatenate([c.audio for c in chunks], axis=1)


def codes_of(chunks: list[AudioChunk]) -> np.ndarray:
    """All codes of a piece, [K, T]: EnCodec's decoder forgets none, so the last chunk carries them."""
    return chunks[-1].buffer_speech_tokens.T
