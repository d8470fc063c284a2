"""Writes mbd.th and mbd.safetensors beside itself: audiocraft's Multi-Band Diffusion, tiny, frozen.

    python tests/golden/make_mbd.py     (needs what requirements-audiocraft.txt installs)

mbd.th is in the published layout, settings as pickled DictConfig, weights as float16. mbd.safetensors holds codes and
what audiocraft's tokens_to_wav makes of them at torch.manual_seed(5); of stereo, of each side.
"""

import sys
from pathlib import Path

import torch
from omegaconf import OmegaConf
from safetensors.torch import save_file

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent.parent)]

from mbd_fixtures import SAMPLE_RATE, band, random_codes  # noqa: E402
from test_codecs_mbd_parity import their_diffusion  # noqa: E402

TINY = {"diffusion_unet__hidden": 4, "diffusion_unet__norm_groups": 2, "diffusion_unet__res_blocks": 1}
BANDS = (
    {"processor__use": False, "diffusion_unet__depth": 1},
    {"processor__power_std": 0.75, "diffusion_unet__depth": 2, "diffusion_unet__codec_dim": "${latent}", "latent": 6},
)


def main() -> None:
    bands = [band(seed, **TINY, **changes) for seed, changes in enumerate(BANDS)]
    for one in bands:
        one["model_state"] = {name: tensor.half() for name, tensor in one["model_state"].items()}
    contents = {"sample_rate": SAMPLE_RATE, "n_bands": len(bands), **dict(enumerate(bands))}
    codes = random_codes(3, channels=2)
    vectors = {"codes": codes.to(torch.uint8)}
    with torch.no_grad():
        for channels in (1, 2):
            sides = [codes[: channels * 3][side::channels] for side in range(channels)]
            vectors[f"audio_{channels}"] = torch.cat([decode(contents, side) for side in sides])
    save_file(vectors, HERE / "mbd.safetensors")
    for one in bands:
        one["cfg"] = OmegaConf.create(one["cfg"])
    torch.save(contents, HERE / "mbd.th")


def decode(contents: dict, codes: torch.Tensor) -> torch.Tensor:
    """codes [K, T] → [1, L]."""
    diffusion = their_diffusion(contents)
    torch.manual_seed(5)
    return diffusion.tokens_to_wav(codes[None])[0]


if __name__ == "__main__":
    main()
