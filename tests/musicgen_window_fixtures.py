"""audiocraft's MusicGen and AudioGen whose language model only notes what it is called with."""

from contextlib import nullcontext
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from audiocraft_fixtures import audiocraft

FRAME_RATE = 50  # of every codec of audiocraft's language models


@dataclass(frozen=True, eq=False)
class Call:
    """One call of `LMModel.generate`."""

    prompt_frames: int
    frames: int
    melody: np.ndarray  # [C, L]


def window_calls(
    name: str, seconds: float, window_seconds: float, stride_seconds: float, prefix_frames: int, melody: np.ndarray
) -> list[Call]:
    """What `_generate_tokens` of models.NAME ("musicgen.MusicGen") asks the language model for, at 32 kHz.

    melody: [C, L]; without samples there is none. Skips where audiocraft is missing.
    """
    file, kind = name.split(".")
    conditioners, model_class = audiocraft("modules.conditioners"), getattr(audiocraft(f"models.{file}"), kind)
    calls: list[Call] = []

    def generate(prompt: torch.Tensor | None, attributes: Any, *, max_gen_len: int, **_: object) -> torch.Tensor:
        given = 0 if prompt is None else prompt.shape[-1]
        assert given < max_gen_len  # as the real one does
        calls.append(Call(given, max_gen_len, attributes[0].wav["self_wav"].wav[0].numpy()))
        return torch.zeros(1, 1, max_gen_len, dtype=torch.long)

    model = model_class.__new__(model_class)
    model.duration, model.max_duration, model.extend_stride = seconds, window_seconds, stride_seconds
    model.compression_model = SimpleNamespace(frame_rate=FRAME_RATE, sample_rate=32_000)
    model.lm = SimpleNamespace(generate=generate)
    model.autocast, model.generation_params, model.device = nullcontext(), {}, "cpu"
    attributes = conditioners.ConditioningAttributes()
    length = torch.tensor([melody.shape[1]])
    attributes.wav["self_wav"] = conditioners.WavCondition(torch.from_numpy(melody)[None], length, [32_000], [None])
    prompt = torch.zeros(1, 1, prefix_frames, dtype=torch.long) if prefix_frames else None
    model._generate_tokens([attributes], prompt)
    return calls
