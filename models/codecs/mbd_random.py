"""A tiny Multi-Band Diffusion checkpoint with random weights, in the published layout: for tests and for trying it out.

What it makes of codes is noise, with the levels that the codec's decoder has in each band. A seed gives the same
weights, and nothing global changes.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.codecs.mbd_bands import low_pass_filters
from models.codecs.mbd_config import BandConfig, UnetConfig
from models.codecs.mbd_unet import DiffusionUnet

BANDS = 2  # the published file has 4
PROCESSOR_BANDS = 4


def write_random_diffusion(path: Path, *, sample_rate: int, latent_width: int, seed: int = 0) -> None:
    """Write the file `path`, for a codec of this sample rate in Hz and this width of latents."""
    contents: dict[int | str, Any] = {"sample_rate": sample_rate, "n_bands": BANDS}
    for band in range(BANDS):
        contents[band] = random_band(_settings(latent_width, scaled=band > 0), sample_rate, seed + band)
    torch.save(contents, path)


def random_band(cfg: dict[str, Any], sample_rate: int, seed: int) -> dict[str, Any]:
    """What the file holds of one band with these settings."""
    config = BandConfig.from_settings(cfg, "random")
    bands = config.processor.bands if config.processor else 0
    return {
        "cfg": cfg,
        "model_state": random_unet(config.unet, seed),
        "processor_state": _random_processor(bands, sample_rate, seed) if bands else {},
    }


def random_unet(config: UnetConfig, seed: int) -> dict[str, Tensor]:
    """The tensors of a network of this shape, by their names in the published files."""
    source = _RandomTensors(seed)
    DiffusionUnet(config, source)
    return source.tensors


class _RandomTensors:
    """A source that has every tensor it is asked for, of a size with which activations neither fade nor explode."""

    def __init__(self, seed: int) -> None:
        self.tensors: dict[str, Tensor] = {}
        self._generator = torch.Generator().manual_seed(seed)

    def take(self, name: str, *shape: int, dtype: torch.dtype | None = None) -> Tensor:
        self.tensors[name] = self._random(name, torch.randn(*shape, generator=self._generator))
        return self.tensors[name].to(dtype, copy=True)

    @staticmethod
    def _random(name: str, normal: Tensor) -> Tensor:
        if normal.dim() == 1:
            return 1 + 0.2 * normal if "norm" in name and name.endswith("weight") else 0.1 * normal
        if "embedding" in name:
            return 0.3 * normal
        # An output of a transposed convolution sums over a share of its kernel: a quarter in the published networks.
        inputs = normal.shape[0] * normal.shape[2] / 4 if "convtr" in name else normal[0].numel()
        return normal / inputs**0.5


def _settings(latent_width: int, *, scaled: bool) -> dict[str, Any]:
    """Those of a published band with fewer channels; `scaled` says whether a processor scales its mel bands."""
    return {
        "channels": 1,
        "diffusion_unet": {
            "hidden": 8,
            "depth": 4,
            "growth": 2,
            "kernel": 8,
            "stride": 4,
            "res_blocks": 2,
            "norm_groups": 4,
            "emb_all_layers": True,
            "codec_dim": latent_width,
        },
        "schedule": {"beta_t0": 1.0e-5, "beta_t1": 2.9e-2, "beta_exp": 7.5, "num_steps": 1000, "repartition": "power"},
        "processor": {
            "use": scaled,
            "name": "multi_band_processor",
            "n_bands": PROCESSOR_BANDS,
            "power_std": 0.4,
        },
    }


def _random_processor(bands: int, sample_rate: int, seed: int) -> dict[str, Tensor]:
    """As training leaves it after 100 samples: loud low bands, soft high ones."""
    generator = torch.Generator().manual_seed(seed)
    power = torch.rand(bands, generator=generator) * torch.logspace(0, -2, bands)
    state = {
        "counts": torch.tensor([100.0]),
        "sum_x": 0.2 * torch.randn(bands, generator=generator),
        "sum_x2": 100 * (power + 0.01),
        "sum_target_x2": 100 * torch.linspace(0.05, 0.5, bands),
    }
    if bands > 1:
        state["split_bands.lowpass.filters"] = low_pass_filters(bands, sample_rate)[:, None]
    return state
