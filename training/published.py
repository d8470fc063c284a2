"""What the export writes, read back: a training may begin with a finished checkpoint in the place of random weights."""

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from training.codec.codebooks import BOOKS
from training.codec.encoder import Listener
from training.codec.vocoder import Vocoder
from training.frames import ALL_BOOKS

LOGITS = "logits_dense.weight"
# Of the logits, one per trained codebook; training/README.md says what they were chosen by.
SCALES = (3.0, 1.5, 6.0, 1.5, 1.5, 1.5)


def load_model(folder: Path, scales: Sequence[float] = SCALES) -> dict[str, Tensor]:
    """Tensors of a language model that was exported with these scales, float32, and its logits without them."""
    tensors = {name: tensor.float() for name, tensor in _tensors(folder).items()}
    rows = tensors[LOGITS].unflatten(0, (ALL_BOOKS, -1))
    rows[: len(scales)] /= torch.tensor(scales)[:, None, None]
    return tensors


def load_vocoder(folder: Path) -> Vocoder:
    """The half of a codec that speaks."""
    tensors, vocoder = _tensors(folder), Vocoder()
    state = {name: tensor for name, tensor in tensors.items() if name.startswith("decoder.")}
    state["tables"] = torch.stack([tensors[f"quantizer.quantizers.{book}.codebook.weight"] for book in range(BOOKS)])
    vocoder.load_state_dict(state | _projections(tensors, "out_proj", "projections"))
    return vocoder


def load_listener(folder: Path) -> Listener:
    """The half of a codec that hears."""
    tensors, listener = _tensors(folder), Listener(load_vocoder(folder))
    state = {name: tensor for name, tensor in tensors.items() if name.startswith("encoder.")}
    listener.load_state_dict(state | _projections(tensors, "in_proj", "in_proj"))
    return listener


def _tensors(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / "model.safetensors")


def _projections(tensors: dict[str, Tensor], published: str, ours: str) -> dict[str, Tensor]:
    """One linear layer a book; published as convolutions one frame wide."""
    named = {
        (book, part): tensors[f"quantizer.quantizers.{book}.{published}.{part}"]
        for book in range(BOOKS)
        for part in ("weight", "bias")
    }
    return {
        f"{ours}.{book}.{part}": tensor.flatten(1) if part == "weight" else tensor
        for (book, part), tensor in named.items()
    }
