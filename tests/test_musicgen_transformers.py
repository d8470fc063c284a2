"""Whole pieces against transformers' own generate, on tiny checkpoints that transformers saved: the same audio.

Greedy, because transformers samples otherwise than audiocraft does, and of one window, because it knows no others.
"""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from musicgen_chroma_fixtures import RATE, tune
from musicgen_files_fixtures import KINDS, write_hub
from musicgen_pipeline_fixtures import HOP, RUNTIME, SAMPLING, ask, audio_of
from transformers import PreTrainedModel

from models.engine import Engine
from models.musicgen.chroma import chroma
from models.musicgen.pipeline import MusicgenPipeline

TEXT = "a slow waltz for two violins"
FRAMES, MELODY_SECONDS = 30, 0.7
GREEDY = dataclasses.replace(SAMPLING, temperature=0.0, cfg_filter_top_k=0)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[PreTrainedModel, MusicgenPipeline]]:
    made = {}
    for kind in KINDS:
        model, paths = write_hub(tmp_path_factory.mktemp(kind), kind)
        made[kind] = model, MusicgenPipeline.load(paths, RUNTIME)
    return made


def their_audio(model: PreTrainedModel, pipeline: MusicgenPipeline, **inputs: Any) -> np.ndarray:
    """[C, L]"""
    ids = torch.tensor([pipeline.text.tokens(TEXT)])
    K = pipeline.config.codebooks // pipeline.channels
    with torch.no_grad():
        audio = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            guidance_scale=SAMPLING.cfg_scale,
            max_new_tokens=FRAMES + K - 1,  # the last frame's last codebook comes K - 1 rows later
            **inputs,
        )
    return audio[0].numpy()


@pytest.mark.parametrize("kind", KINDS)
def test_text_becomes_the_audio_that_transformers_makes(
    pairs: dict[str, tuple[PreTrainedModel, MusicgenPipeline]], kind: str
) -> None:
    model, pipeline = pairs[kind]
    theirs = their_audio(model, pipeline)
    with Engine(pipeline) as engine:
        ours = audio_of(list(engine.stream(ask(TEXT, frames=FRAMES, model=pipeline.name, sampling_params=GREEDY))))
    assert ours.shape == theirs.shape == (pipeline.channels, FRAMES * HOP)
    np.testing.assert_allclose(ours, theirs, atol=1e-5 * max(1.0, float(np.abs(theirs).max())))


def test_a_melody_is_followed_as_transformers_follows_it(
    pairs: dict[str, tuple[PreTrainedModel, MusicgenPipeline]], tmp_path: Path
) -> None:
    model, pipeline = pairs["melody"]
    features = chroma(tune(MELODY_SECONDS), RATE, pipeline.config.chroma_length)
    theirs = their_audio(model, pipeline, input_features=features[None])
    soundfile.write(tmp_path / "melody.wav", tune(MELODY_SECONDS).T, RATE, subtype="FLOAT")
    request = ask(
        TEXT, frames=FRAMES, model=pipeline.name, sampling_params=GREEDY, audio_prompt=tmp_path / "melody.wav"
    )
    with Engine(pipeline) as engine:
        ours = audio_of(list(engine.stream(request)))
    np.testing.assert_allclose(ours, theirs, atol=1e-5 * max(1.0, float(np.abs(theirs).max())))
    assert (ours != their_audio(model, pipeline)).any()
