"""Tiny EnCodecs with random weights, made by transformers; ours with the same weights; audio and codes for them."""

from functools import cache
from typing import Any

import torch
from torch import Tensor
from transformers import EncodecConfig as HFEncodecConfig
from transformers import EncodecModel

from models.codecs.encodec import EncodecCodec
from models.codecs.encodec_settings import encodec_from_hub
from models.decoding.state_dict import StateDict
from models.musicgen.names import codec_state

CODEBOOKS, CODEBOOK_SIZE = 3, 32
BASE: dict[str, Any] = {  # as MusicGen's codec but for the sizes
    "upsampling_ratios": [5, 4, 2],
    "num_filters": 4,
    "hidden_size": 6,
    "codebook_size": CODEBOOK_SIZE,
    "use_causal_conv": False,
    "use_conv_shortcut": False,
    "sampling_rate": 2000,
    "target_bandwidths": [0.75],  # 3 codebooks of 5 bits at 50 frames a second
}
VARIANTS: dict[str, dict[str, Any]] = {
    "reflect": {},
    "constant": {"pad_mode": "constant"},
    "audiogen's strides": {
        "upsampling_ratios": [8, 5, 4, 2],
        "sampling_rate": 16_000,
        "num_filters": 2,
        "pad_mode": "constant",
    },
    "musicgen's strides": {"upsampling_ratios": [8, 5, 4, 4], "sampling_rate": 32_000, "num_filters": 2},
    "causal reflect": {"use_causal_conv": True},
    "causal constant": {"use_causal_conv": True, "pad_mode": "constant", "trim_right_ratio": 0.6},
    "deep": {
        "num_residual_layers": 3,
        "dilation_growth_rate": 3,
        "use_conv_shortcut": True,
        "kernel_size": 5,
        "last_kernel_size": 3,
        "residual_kernel_size": 5,
        "num_lstm_layers": 1,
        "compress": 1,
    },
}


@cache
def hf_encodec(name: str = "reflect") -> EncodecModel:
    """transformers' own class. Its weights neither fade nor explode, so that each layer is heard at the output."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = EncodecModel(HFEncodecConfig(**(BASE | VARIANTS[name]))).eval().requires_grad_(False)
        fill(model)
    return model


def fill(model: torch.nn.Module) -> None:
    """Random weights by the names of transformers or of audiocraft."""
    for name, parameter in model.named_parameters():
        if name.endswith(("original0", "weight_g")):  # the length of a channel's weights
            parameter.data.fill_(0.2 if len(parameter) == 1 else _gain(name))  # one channel: the audio itself
        elif ".lstm.weight" in name:
            parameter.data.normal_(0, 1.5 / parameter.shape[1] ** 0.5)
        else:
            parameter.data.normal_(0, 0.1 if name.endswith("bias") else 1)
    for name, buffer in model.named_buffers():
        if name.endswith("embed"):
            buffer.normal_()


def _gain(name: str) -> float:
    """ELU takes away about half of the power; the two ways through a residual unit add up."""
    return 0.6 if ".block.3." in name else 1.0 if ".shortcut." in name else 1.5


def codec_of(name: str = "reflect", channels: int = 1, dtype: torch.dtype = torch.float32) -> EncodecCodec:
    """Ours, with the weights of hf_encodec(name)."""
    config = encodec_from_hub(BASE | VARIANTS[name], channels=channels)
    with StateDict(codec_state(hf_encodec(name).state_dict()), "hf_encodec", dtype=dtype) as tensors:
        return EncodecCodec.load(tensors, config, "cpu", dtype=dtype)


def hf_decode(codes: Tensor, name: str = "reflect") -> Tensor:
    """[K, T] → [1, hop·T], whole, by transformers."""
    return hf_encodec(name).decode(codes[None, None], [None]).audio_values[0]


def hf_encode(audio: Tensor, name: str = "reflect") -> Tensor:
    """[1, L] → [K, ⌈L / hop⌉], whole, by transformers."""
    return hf_encodec(name).encode(audio[None]).audio_codes[0, 0]


def random_codes(frames: int, seed: int = 0, channels: int = 1) -> Tensor:
    """[K, T]."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(CODEBOOK_SIZE, (CODEBOOKS * channels, frames), generator=generator)


def random_audio(samples: int, seed: int = 0, channels: int = 1) -> Tensor:
    """[C, L]."""
    return 0.5 * torch.randn(channels, samples, generator=torch.Generator().manual_seed(seed))
