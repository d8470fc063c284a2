"""Tensors that are in memory by their names, handed out as Checkpoint hands out those of a folder. Knows no file.

For checkpoints that are one pickled dict, read with torch.load(weights_only=True). Strict: a missing, unexpected or
mis-shaped tensor is an error that names it.
"""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor

from models.errors import WeightsError


class StateDict:
    """A TensorSource, and a context manager: leaving it without an error checks that every tensor was taken.

    origin: what the tensors are of, for errors: "mbd_musicgen_32khz.th, band 0". dtype and device: of what is taken.
    """

    def __init__(
        self,
        tensors: Mapping[str, Any],
        origin: str,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        self.origin = origin
        self.dtype = dtype
        self.device = torch.device(device)
        self._left = dict(tensors)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None and self._left:
            raise WeightsError(
                f"{self.origin} holds {len(self._left)} tensors that its settings give no place, {min(self._left)} "
                "among them. Fetch the checkpoint again."
            )

    def take(self, name: str, *shape: int, dtype: torch.dtype | None = None) -> Tensor:
        """A copy of the tensor of this name, which must have this shape. Raises WeightsError."""
        if name not in self._left:
            raise WeightsError(f"{self.origin} has no tensor {name}, which its settings ask for. Fetch it again.")
        tensor = self._left[name]
        if not isinstance(tensor, Tensor):
            raise WeightsError(f"{self.origin}: {name} is a {type(tensor).__name__}, not a tensor. Fetch it again.")
        if tuple(tensor.shape) != shape:
            raise WeightsError(
                f"{self.origin}: {name} is {list(tensor.shape)}; its settings ask for {list(shape)}. "
                "Fetch the checkpoint again."
            )
        del self._left[name]
        # A copy even where nothing is converted: the tensor may be a view of a mapped file that is replaced later.
        return tensor.detach().to(device=self.device, dtype=dtype or self.dtype, copy=True)
