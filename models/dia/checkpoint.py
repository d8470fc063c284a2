"""A checkpoint's tensors, handed out once each with the shape they must have. Knows no layer.

Format: safetensors, one file or shards with an index, tensor names of transformers' Dia. Files are memory-mapped, so a
float32 checkpoint is never in memory whole. Strict: a missing, unexpected or mis-shaped tensor is an error naming it.
"""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from models.errors import WeightsError

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"


class Checkpoint:
    """Tensors of a directory by name, converted to `dtype` as they are taken."""

    def __init__(self, directory: Path, dtype: torch.dtype, device: torch.device) -> None:
        self.directory = directory
        self.dtype = dtype
        self.device = device
        self._files = [_open(path) for path in _shards(directory)]
        self._where = {name: file for file in self._files for name in file.keys()}  # noqa: SIM118  not a dict
        self._taken: set[str] = set()

    def take(self, name: str, *shape: int, dtype: torch.dtype | None = None) -> Tensor:
        """The tensor of this name, which must have this shape. Raises WeightsError."""
        if name not in self._where:
            raise WeightsError(f"{self.directory.name}: tensor {name} is missing; fetch the checkpoint again.")
        tensor = self._where[name].get_tensor(name)
        if tuple(tensor.shape) != shape:
            raise WeightsError(
                f"{self.directory.name}: tensor {name} has shape {tuple(tensor.shape)}, config.json asks for {shape}."
            )
        self._taken.add(name)
        return tensor.to(device=self.device, dtype=dtype or self.dtype)

    def close(self) -> None:
        """Raise WeightsError if a tensor was never taken, so that no weight is left out in silence."""
        left = sorted(self._where.keys() - self._taken)
        if left:
            more = f" and {len(left) - 1} more" if len(left) > 1 else ""
            raise WeightsError(f"{self.directory.name}: unexpected tensor {left[0]}{more}; this is another model.")


def _shards(directory: Path) -> list[Path]:
    index = directory / INDEX
    if not index.is_file():
        return [directory / SINGLE]
    try:
        names = sorted(set(json.loads(index.read_text())["weight_map"].values()))
    except (json.JSONDecodeError, KeyError, AttributeError) as error:
        raise WeightsError(f"{index}: is no index of shards ({error}); fetch it again.") from error
    return [directory / Path(name).name for name in names]


def _open(path: Path) -> safe_open:
    if not path.is_file():
        raise WeightsError(f"{path}: is missing; fetch the checkpoint again.")
    try:
        return safe_open(path, framework="pt")
    except SafetensorError as error:
        raise WeightsError(f"{path}: is no safetensors file ({error}). Delete it and fetch it again.") from error
