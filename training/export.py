"""Trained parts → weights/dia-builtin in the published formats, read by the same code as Dia-1.6B.

Logits are scaled per codebook, so that the defaults of the public schema (temperature 1.3, guidance 3, made for
Dia-1.6B) are the best setting of this much smaller model too.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from training.codec.codebooks import BOOKS
from training.codec.train_encoder import load_listener
from training.codec.train_vocoder import load_vocoder
from training.codec.vocoder import Vocoder
from training.frames import ALL_BOOKS, FRAME
from training.language.checkpoints import checkpoints, load, state_for_export
from training.language.recipe import Size, hub_config
from training.published import LOGITS

# Read by models/dia/config.py beside Dia's own.
PARLEY = {"name": "dia-builtin", "plain_text": True, "own_voices": True, "end_mark": True}


def export(run: Path, folder: Path, scales: Sequence[float]) -> None:
    """The averaged weights of RUN's last checkpoints → folder/model and folder/codec."""
    checkpoint = checkpoints(run / "language")[-1]
    config = hub_config(Size(**load(checkpoint)["size"])) | {"parley": PARLEY}
    write_model(folder, config, state_for_export(checkpoint), scales)
    write_codec(folder, load_vocoder(run), *load_listener(run).tensors())


def write_model(folder: Path, config: Mapping[str, Any], state: Mapping[str, Tensor], scales: Sequence[float]) -> None:
    """The language model. state: tensors under their published names; scales: one per trained codebook."""
    tensors = dict(state)
    rows = tensors[LOGITS].unflatten(0, (ALL_BOOKS, -1)).clone()
    rows[: len(scales)] *= torch.tensor(scales)[:, None, None]
    tensors[LOGITS] = rows.flatten(0, 1)
    _write(folder / "model", config, tensors)


def write_codec(
    folder: Path, vocoder: Vocoder, encoder: Mapping[str, Tensor], in_proj: Sequence[Mapping[str, Tensor]]
) -> None:
    """The codec. Books that are not used are all zeros: whatever code they hold adds nothing; they are heard as 0."""
    tensors = {f"decoder.{name}": tensor for name, tensor in vocoder.decoder.state_dict().items()}
    tensors |= {f"encoder.{name}": tensor for name, tensor in encoder.items()}
    for book in range(ALL_BOOKS):
        last = min(book, BOOKS - 1)
        parts = _book(vocoder.state_dict(), last, in_proj[last])
        tensors |= {f"quantizer.quantizers.{book}.{part}": t * (book < BOOKS) for part, t in parts.items()}
    head = {
        "architectures": ["DacModel"],
        "model_type": "dac",
        "hop_length": FRAME,
        "hidden_size": vocoder.latent_width,
    }
    _write(folder / "codec", {**head, **vocoder.config}, tensors)


def _book(vocoder: Mapping[str, Tensor], book: int, in_proj: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """One book's tensors under their published names; its projections are convolutions one frame wide."""
    return {
        "codebook.weight": vocoder["tables"][book],
        "out_proj.weight": vocoder[f"projections.{book}.weight"][:, :, None],
        "out_proj.bias": vocoder[f"projections.{book}.bias"],
        "in_proj.weight": in_proj["weight"][:, :, None],
        "in_proj.bias": in_proj["bias"],
    }


def _write(folder: Path, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """float16, which holds every value of a trained network to a thousandth."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({**config, "torch_dtype": "float16"}, indent=2) + "\n")
    halves = {name: tensor.detach().to(torch.float16).contiguous() for name, tensor in tensors.items()}
    for name, tensor in halves.items():
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{name} does not fit into float16")
    (folder / "model.safetensors").write_bytes(save(halves, metadata={"format": "pt"}))
