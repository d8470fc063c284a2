"""Tiny DAC codecs with random weights, made and saved by transformers; and audio for them."""

from functools import cache
from pathlib import Path

import torch
from torch import Tensor
from transformers import DacConfig, DacModel

REAL_STRIDES = (2, 4, 8, 8)  # those of descript/dac_44khz
SMALL_STRIDES = (4, 4, 4, 4, 2)  # another way to hop 512
CODEBOOKS, CODEBOOK_SIZE = 3, 32
HOP = 512


@cache
def hf_dac(strides: tuple[int, ...] = REAL_STRIDES) -> DacModel:
    """transformers' own class. Its weights neither fade nor explode, so that each layer is heard at the output."""
    config = DacConfig(
        encoder_hidden_size=12 if strides == SMALL_STRIDES else 4,
        decoder_hidden_size=64,
        downsampling_ratios=list(strides),
        n_codebooks=CODEBOOKS,
        codebook_size=CODEBOOK_SIZE,
        codebook_dim=4,
        sampling_rate=44_100,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = DacModel(config).eval().requires_grad_(False)
        for name, parameter in model.named_parameters():
            _fill(name, parameter)
    return model


def save_dac(directory: Path, strides: tuple[int, ...] = REAL_STRIDES) -> Path:
    hf_dac(strides).save_pretrained(directory)
    return directory


def random_codes(frames: int, seed: int = 0) -> Tensor:
    """[K, T]."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(CODEBOOK_SIZE, (CODEBOOKS, frames), generator=generator)


def random_audio(samples: int, seed: int = 0) -> Tensor:
    """[1, L]."""
    return 0.3 * torch.randn(1, samples, generator=torch.Generator().manual_seed(seed))


def _fill(name: str, parameter: Tensor) -> None:
    if name.endswith("alpha"):
        parameter.uniform_(0.3, 2.0)
    elif name.endswith("bias"):
        parameter.normal_(0, 0.02)
    elif "codebook" in name:
        parameter.normal_()
    else:
        fan_in = 2 * parameter.shape[0] if "conv_t1" in name else parameter[0].numel()
        gain = 0.3 if "res_unit" in name and "conv2" in name else 0.7
        parameter.normal_(0, gain / fan_in**0.5)


def network_calls(codec, monkeypatch) -> list[tuple[int, int]]:
    """[streams, frames] of every call of the decoder's network from now on."""
    calls = []
    network = codec._decoder._network

    def spy(latents, memory, *, last):
        calls.append(latents.shape[:2])
        return network(latents, memory, last=last)

    monkeypatch.setattr(codec._decoder, "_network", spy)
    return calls
