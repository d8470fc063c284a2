"""One part of a checkpoint, under the names that it has when it stands alone. Knows no file and no layer."""

from torch import Tensor, dtype

from models.decoding.checkpoint import TensorSource


class Part:
    """A TensorSource: `take("x")` takes `prefix + "x"` of the whole. What is left over, the whole complains of."""

    def __init__(self, whole: TensorSource, prefix: str) -> None:
        self._whole, self._prefix = whole, prefix

    def take(self, name: str, *shape: int, dtype: dtype | None = None) -> Tensor:
        """As the whole's `take`."""
        return self._whole.take(self._prefix + name, *shape, dtype=dtype)
