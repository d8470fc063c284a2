"""The tensors of a folder in the hub's format, handed out once each with the shape they must have. Knows no layer.

Safetensors, one file or shards with an index. Files are memory-mapped, so a float32 checkpoint is never in memory
whole. Strict: a missing, unexpected or mis-shaped tensor is an error that names it.
"""

import json
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from models.errors import WeightsError

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"


class TensorSource(Protocol):
    """Tensors by name, whatever file they are in: what a network is loaded from."""

    def take(self, name: str, *shape: int, dtype: torch.dtype | None = None) -> Tensor:
        """The tensor of this name, which must have this shape, in `dtype` or the source's own; each is taken once.

        It belongs to the caller. Raises WeightsError where it is missing, taken already or of another shape.
        """
        ...


class Checkpoint:
    """Context manager over a folder's tensors; leaving it without an error checks that every tensor was taken.

    `rename` gives the name under which a tensor of the file is handed out, None for one that nothing needs; of two with
    the same name the first is.
    """

    def __init__(
        self,
        directory: Path,
        dtype: torch.dtype,
        device: torch.device,
        rename: Callable[[str], str | None] = lambda name: name,
    ) -> None:
        self.directory = directory
        self.dtype = dtype
        self.device = device
        self._rename = rename

    def __enter__(self) -> Self:
        self._files = {path.name: _open(path) for path in _shards(self.directory)}
        self._left: dict[str, tuple[str, str]] = {}  # name → the file that has it, and its name there
        for shard, file in self._files.items():
            for stored in file.keys():  # noqa: SIM118
                if (name := self._rename(stored)) is not None:
                    self._left.setdefault(name, (shard, stored))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.clear()
        if error is None and self._left:
            first = min(self._left)
            raise WeightsError(
                f"{self._left[first][0]} in {self.directory} holds {len(self._left)} tensors that config.json gives no "
                f"place, {first} among them. The two files are of different models."
            )

    def take(self, name: str, *shape: int, dtype: torch.dtype | None = None) -> Tensor:
        """A copy of the tensor of this name in `dtype`, which must have this shape. Raises WeightsError."""
        if name not in self._left:
            raise WeightsError(f"{self.directory} has no tensor {name}, which config.json asks for. Fetch it again.")
        shard, stored = self._left[name]
        file = self._files[shard]
        found = tuple(file.get_slice(stored).get_shape())
        if found != shape:
            raise WeightsError(
                f"{shard} in {self.directory}: {name} is {list(found)}; config.json asks for {list(shape)}."
            )
        del self._left[name]
        # A copy even where nothing is converted: a file that is replaced while it is mapped would change the weights.
        return file.get_tensor(stored).to(device=self.device, dtype=dtype or self.dtype, copy=True)


def _shards(directory: Path) -> list[Path]:
    index = directory / INDEX
    if not index.is_file():
        return [directory / SINGLE]
    try:
        names = sorted(set(json.loads(index.read_text())["weight_map"].values()))
    except (ValueError, KeyError, AttributeError) as error:
        raise WeightsError(f"{index} is no index of shards ({error}). Fetch it again.") from error
    return [directory / Path(name).name for name in names]


def _open(path: Path) -> Any:
    try:
        return safe_open(path, framework="pt", device="cpu")
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path} cannot be read ({error}). Delete it and fetch it again.") from error
