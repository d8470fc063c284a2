"""transformers' MusicGen with random weights: what everybody runs, and the tensors that ours loads.

Speed does not depend on what the weights are, so a benchmark needs no download.
"""

import copy
import time
import warnings
from itertools import pairwise
from typing import Any

import torch
from transformers import (
    EncodecConfig,
    MusicgenConfig,
    MusicgenDecoderConfig,
    MusicgenForConditionalGeneration,
    StoppingCriteria,
    StoppingCriteriaList,
    T5Config,
    logging,
)

TEXT_WIDTH = 768  # of t5-base's states, which musicgen-small reads


def random_musicgen(*, tiny: bool, seed: int = 0) -> MusicgenForConditionalGeneration:
    """A decoder of musicgen-small's size in float32, with a text encoder and a codec that cost next to nothing."""
    size = {"num_hidden_layers": 2, "hidden_size": 64, "ffn_dim": 128, "num_attention_heads": 4} if tiny else {}
    config = MusicgenConfig(
        text_encoder=T5Config(d_model=TEXT_WIDTH, num_layers=1, d_ff=64, num_heads=2, d_kv=16),
        audio_encoder=EncodecConfig(
            sampling_rate=32_000,
            num_filters=2,
            hidden_size=8,
            codebook_size=2048,
            num_lstm_layers=1,
            upsampling_ratios=[8, 5, 4, 4],
            target_bandwidths=[2.2],
        ),
        decoder=MusicgenDecoderConfig(**size),
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return MusicgenForConditionalGeneration(config).eval()


def in_bfloat16(model: MusicgenForConditionalGeneration) -> MusicgenForConditionalGeneration:
    """A copy whose decoder computes in bfloat16."""
    return copy.deepcopy(model).to(torch.bfloat16)


class _Clock(StoppingCriteria):
    """Asked after every step whether to stop: never, but it looks at the time. (A streamer is told of none in 5.23.)"""

    def __init__(self) -> None:
        self.ticks: list[tuple[float, float]] = []  # the time, and how long all threads have worked

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **_: Any) -> torch.Tensor:
        self.ticks.append((time.perf_counter(), time.process_time()))
        return torch.zeros(len(input_ids), dtype=torch.bool)


def generate(
    model: MusicgenForConditionalGeneration, position: int, steps: int, tokens: int
) -> list[tuple[float, float]]:
    """Seconds that passed, and that threads worked, in each step of its own `generate` after a prompt of `position`
    frames, sampled with guidance 3."""
    clock = _Clock()
    books = model.config.decoder.num_codebooks
    logging.set_verbosity_error()
    with warnings.catch_warnings(), torch.random.fork_rng():
        warnings.simplefilter("ignore")  # its advice about generation flags
        torch.manual_seed(0)
        model.generate(
            input_ids=torch.full((1, tokens), 5),
            attention_mask=torch.ones(1, tokens, dtype=torch.long),
            decoder_input_ids=torch.full((books, position), 5),
            decoder_start_token_id=2048,
            pad_token_id=2048,
            do_sample=True,
            top_k=250,
            guidance_scale=3.0,
            max_new_tokens=steps + 1,
            stopping_criteria=StoppingCriteriaList([clock]),
        )
    # The first tick comes when the prompt was read.
    return [(after[0] - before[0], after[1] - before[1]) for before, after in pairwise(clock.ticks)]
