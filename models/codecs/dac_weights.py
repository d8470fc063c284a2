"""A safetensors file, read strictly: each tensor is asked for once, by name and shape, and none may be left over.

Knows no network. Nothing is unpickled; the file is mapped and copied out of tensor by tensor.
"""

from pathlib import Path
from types import TracebackType
from typing import Self

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from models.errors import WeightsError


class TensorReader:
    """Context manager over one file; leaving it without an error checks that every tensor was taken."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Self:
        try:
            self._file = safe_open(self.path, framework="pt", device="cpu")
        except (OSError, SafetensorError) as error:
            raise WeightsError(f"{self.path.name} of the codec cannot be read ({error}). Fetch it again.") from error
        self._left = set(self._file.keys())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        del self._file
        if error is None and self._left:
            raise WeightsError(
                f"{self.path.name} of the codec holds {len(self._left)} tensors that config.json gives no place, "
                f"{min(self._left)} among them. The two files are of different models."
            )

    def take(self, name: str, *shape: int) -> Tensor:
        """A copy of the tensor called `name`, float32. Raises WeightsError if it is missing or of another shape."""
        if name not in self._left:
            raise WeightsError(f"{self.path.name} of the codec has no tensor {name}, which config.json asks for.")
        found = tuple(self._file.get_slice(name).get_shape())
        if found != shape:
            raise WeightsError(
                f"{self.path.name} of the codec: {name} is {list(found)}; config.json asks for {list(shape)}."
            )
        self._left.remove(name)
        return self._file.get_tensor(name).to(torch.float32, copy=True)
