"""Pieces of several windows of 30 s, as published checkpoints have them, against what audiocraft gave once, frozen.

The windows, what they carry over, the one generator that draws in all of them, and the melody that moves along are
`MusicGen._generate_tokens` of tts-webui-audiocraft 1.4.0a2, with its own LMModel and ChromaStemConditioner.
`PYTHONPATH=.:tests python tests/test_musicgen_windowed_golden.py` freezes them anew, where it is installed.
"""

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from audiocraft_fixtures import audiocraft
from audiocraft_lm_fixtures import audiocraft_lm
from encodec_fixtures import CODEBOOK_SIZE, CODEBOOKS, codec_of
from musicgen_chroma_fixtures import RATE, chroma_conditioner, tune
from musicgen_fixtures import asked, letters, network, prompt, states, tensors, tiny
from musicgen_pipeline_fixtures import audio_of, codes_of
from safetensors.numpy import load_file, save_file

from models.decoding.cache import KeyValuePool
from models.engine import Engine
from models.musicgen.config import CHROMA_LENGTH, MusicgenConfig, interleaved_delays
from models.musicgen.pipeline import MusicgenPipeline
from models.request import AudioGenerationRequest, MusicOptions

GOLDEN = Path(__file__).parent / "golden" / "musicgen_windows.safetensors"
TEXT = "a slow waltz"
SAMPLING = asked(cfg_filter_top_k=20, seed=11)
MELODY_SECONDS = 7.0  # so that no window begins where the melody does


@dataclass(frozen=True)
class Case:
    seconds: int
    prefix_frames: int = 0
    channels: int = 1
    melody: bool = False

    @property
    def config(self) -> MusicgenConfig:
        codebooks = CODEBOOKS * self.channels
        return tiny(
            channels=self.channels,
            melody=self.melody,
            codebooks=codebooks,
            vocabulary=CODEBOOK_SIZE,
            delays=interleaved_delays(codebooks, self.channels),
            chroma_length=CHROMA_LENGTH if self.melody else 0,
            max_duration_seconds=30.0,
            stride_seconds=18.0,
        )


CASES = {
    "three windows": Case(49),
    "stereo, gone on from": Case(31, prefix_frames=100, channels=2),
    "a melody, gone on from": Case(32, prefix_frames=20, melody=True),
}


def theirs(case: Case) -> np.ndarray:
    """[K, T]"""
    conditioners = audiocraft("modules.conditioners")
    config, model = case.config, audiocraft("models.musicgen").MusicGen
    lm = audiocraft_lm(config, tensors(config))
    attributes = conditioners.ConditioningAttributes(text={"description": TEXT})
    if case.melody:
        by_name = lm.condition_provider.conditioners
        chroma = chroma_conditioner(CHROMA_LENGTH, config.width)
        chroma.output_proj = by_name["self_wav"].output_proj
        by_name["self_wav"] = chroma
    wave = torch.from_numpy(tune(MELODY_SECONDS))[None] if case.melody else torch.zeros(1, 1, 1)
    attributes.wav["self_wav"] = conditioners.WavCondition(wave, torch.tensor([wave.shape[2]]), [RATE], [None])
    made = model.__new__(model)
    made.lm, made.autocast, made.device = lm, nullcontext(), "cpu"
    made.compression_model = SimpleNamespace(frame_rate=50, sample_rate=RATE)
    made.max_duration, made.extend_stride, made.duration = 30.0, 18.0, case.seconds
    made.generation_params = {
        "use_sampling": True,
        "temp": SAMPLING.temperature,
        "top_k": SAMPLING.cfg_filter_top_k,
        "top_p": SAMPLING.top_p,
        "cfg_coef": SAMPLING.cfg_scale,
    }
    known = torch.from_numpy(prompt(config, case.prefix_frames))[None] if case.prefix_frames else None
    with torch.random.fork_rng():
        torch.manual_seed(SAMPLING.seed)
        codes: np.ndarray = made._generate_tokens([attributes], known)[0].numpy()
    return codes


class Letters:
    """The stand-in for a text encoder that audiocraft_lm has, too."""

    def __init__(self, config: MusicgenConfig) -> None:
        self._states = states(config)

    def tokens(self, text: str) -> list[int]:
        return letters(text)

    def encode(self, text: str) -> torch.Tensor:
        return self._states[letters(text)]


def ours(case: Case, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Codes [K, T] and audio [C, L]."""
    net = network(case.config)
    codec, text = codec_of("musicgen's strides", case.channels), Letters(case.config)
    pipeline = MusicgenPipeline(net, codec, text, KeyValuePool(net.cache_shape, 1, net.device))  # type: ignore[arg-type]
    options: dict[str, Any] = {}
    if case.melody:
        options["melody_audio"] = folder / "melody.wav"
        soundfile.write(options["melody_audio"], tune(MELODY_SECONDS).T, RATE, subtype="FLOAT")
    music = MusicOptions(duration_seconds=float(case.seconds), continuation=case.prefix_frames > 0, **options)
    codes = prompt(case.config, case.prefix_frames).T
    with Engine(pipeline) as engine:
        request = AudioGenerationRequest(
            "a", net.config.name, TEXT, audio_prompt_tokens=codes, sampling_params=SAMPLING, music=music
        )
        chunks = list(engine.stream(request))
    return codes_of(chunks), audio_of(chunks)


@pytest.mark.parametrize("name", CASES)
def test_windows_are_still_those_that_audiocraft_made(name: str, tmp_path: Path) -> None:
    case, golden = CASES[name], load_file(GOLDEN)[name]
    codes, audio = ours(case, tmp_path)
    assert golden.shape == (CODEBOOKS * case.channels, 50 * case.seconds)
    assert audio.shape == (case.channels, RATE * case.seconds)
    # Where it goes wrong first tells what: 1500 and 2400 are where windows meet.
    differing = np.flatnonzero((codes != golden).any(axis=0))
    assert not len(differing), f"frame {differing[0]} is the first of {len(differing)} that differ"


if __name__ == "__main__":
    save_file({name: theirs(case).astype(np.uint8) for name, case in CASES.items()}, GOLDEN)
