"""Tiny Multi-Band Diffusion checkpoints with random weights, in the published layout, and a codec to go with them."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.codecs.mbd_config import BandConfig, UnetConfig
from models.codecs.mbd_random import random_band

SAMPLE_RATE, HOP = 8000, 160  # 50 frames a second, as the published model's
CODEBOOKS, VOCABULARY, LATENT = 3, 16, 6
REDUCTION = 64  # samples that a row of the tiny networks' bottleneck stands for

# As audiocraft's training composes them (config/model/score/basic.yaml, config/solver/default.yaml and
# diffusion/default.yaml), with tiny numbers, and less noise: networks with random weights take none of it away, and at
# the published betas every sample would end at the clip, where there is nothing to compare.
SETTINGS: dict[str, Any] = {
    "solver": "diffusion",
    "sample_rate": SAMPLE_RATE,
    "channels": 1,
    "device": "cuda",
    "n_q": CODEBOOKS,
    "dataset": {"batch_size": 128, "train": {"shuffle": True}},
    "optim": {"adam": {"betas": [0.9, 0.999]}, "ema": {"device": "${device}"}},
    "diffusion_unet": {
        "hidden": 8,
        "depth": 3,
        "res_blocks": 2,
        "norm_groups": 4,
        "kernel": 8,
        "stride": 4,
        "growth": 2,
        "max_channels": 10_000,
        "dropout": 0.0,
        "emb_all_layers": True,
        "bilstm": False,
        "codec_dim": LATENT,
        "transformer": False,
        "cross_attention": False,
    },
    "processor": {"name": "multi_band_processor", "use": True, "n_bands": 4, "num_samples": 100, "power_std": 0.4},
    "resampling": {"use": False, "target_sr": 16_000},
    "filter": {"use": True, "n_bands": 4, "idx_band": 0, "cutoffs": None},
    "schedule": {
        "repartition": "power",
        "variable_step_batch": True,
        "beta_t0": 1.0e-5,
        "beta_t1": 4.0e-3,
        "beta_exp": 1.5,
        "num_steps": 1000,
        "variance": "beta",
        "clip": 5.0,
        "rescale": 1.0,
        "n_bands": None,
        "noise_scale": 1.0,
        "lr_scheduler": None,
        "step": {"step_size": None, "gamma": None},
        "exponential": {"lr_decay": None},
        "cosine": {"warmup": None, "lr_min_ratio": 0.0, "cycle_length": 1.0},
        "polynomial_decay": {"warmup": None, "zero_lr_warmup_steps": 0, "end_lr": 0.0, "power": 1},
        "inverse_sqrt": {"warmup": None, "warmup_init_lr": 0.0},
        "linear_warmup": {"warmup": None, "warmup_init_lr": 0.0},
    },
}


def settings(**changes: Any) -> dict[str, Any]:
    """SETTINGS with `section__name=value` instead of what they say, or `section__name=...` without it."""
    changed = deepcopy(SETTINGS)
    for path, value in changes.items():
        *sections, name = path.split("__")
        place = changed
        for section in sections:
            place = place[section]
        if value is ...:
            del place[name]
        else:
            place[name] = value
    return changed


def unet_config(**changes: Any) -> UnetConfig:
    return BandConfig.from_settings(settings(**{f"diffusion_unet__{k}": v for k, v in changes.items()}), "tiny").unet


def processor_state(bands: int) -> dict[str, Tensor]:
    return band(0, processor__n_bands=bands)["processor_state"]


def band(seed: int, **changes: Any) -> dict[str, Any]:
    """What the file holds of one band whose settings are changed so."""
    return random_band(settings(**changes), SAMPLE_RATE, seed)


def checkpoint() -> dict[int | str, Any]:
    """Two bands that differ in everything in which the published four do."""
    bands = [band(1, processor__use=False), band(2, processor__power_std=0.75)]
    return {"sample_rate": SAMPLE_RATE, "n_bands": len(bands), **dict(enumerate(bands))}


def save_mbd(directory: Path, contents: dict[int | str, Any] | None = None) -> Path:
    path = directory / "mbd_tiny.th"
    torch.save(contents or checkpoint(), path)
    return path


class TinyCodec(torch.nn.Module):
    """Codes → latents and a waveform, frame by frame, as loud as music; of stereo, L0 R0 L1 R1 … A module, because
    audiocraft asks for its parameters."""

    sample_rate, hop_length, frame_rate = SAMPLE_RATE, HOP, SAMPLE_RATE // HOP

    def __init__(self, channels: int = 1) -> None:
        super().__init__()
        self.channels = channels
        self.codebooks = channels * CODEBOOKS
        generator = torch.Generator().manual_seed(7)
        self.table = torch.nn.Parameter(torch.randn(CODEBOOKS, VOCABULARY, LATENT, generator=generator), False)
        self.waves = torch.nn.Parameter(0.05 * torch.randn(LATENT, HOP, generator=generator), False)

    def latents(self, codes: Tensor) -> Tensor:
        """[C·K, T] → [C, D, T]."""
        return torch.stack([self.decode_latent(codes[None, c :: self.channels])[0] for c in range(self.channels)])

    def decode(self, codes: Tensor) -> Tensor:
        """[C·K, T] → [C, L], or audiocraft's [B, K, T] → [B, 1, L]."""
        latents = self.latents(codes) if codes.dim() == 2 else self.decode_latent(codes)
        audio = (latents.transpose(1, 2) @ self.waves).flatten(1)
        return audio if codes.dim() == 2 else audio[:, None]

    def decode_latent(self, codes: Tensor) -> Tensor:
        """[B, K, T] → [B, D, T]."""
        return sum(self.table[k][codes[:, k]] for k in range(CODEBOOKS)).transpose(1, 2)


def random_codes(frames: int, channels: int = 1, seed: int = 0) -> Tensor:
    """[C·K, T]."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(VOCABULARY, (channels * CODEBOOKS, frames), generator=generator)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def read(cfg: dict[str, Any]) -> BandConfig:
    return BandConfig.from_settings(cfg, "tiny")
