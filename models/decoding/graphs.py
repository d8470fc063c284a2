"""A decoder step of fixed shapes, captured as a CUDA graph once per shape; without CUDA it simply runs.

A step is about a thousand small operations at 18 layers, and launching them one by one would take longer than they do.
Knows no network and no sampling.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Shape = tuple[int, int, int]  # slots, positions that they see, positions of their texts


class StepGraphs:
    """step: reads and writes tensors that stay where they are, and says nothing to the host. active: bool [slots]; the
    step must leave a slot that is not as it is."""

    def __init__(self, step: Callable[[int, int, int], Tensor], active: Tensor) -> None:
        self._step = step
        self._active = active
        self._memory: Any = None  # one pool for all graphs: only one runs at a time
        self._graphs: dict[Shape, tuple[torch.cuda.CUDAGraph, Tensor]] = {}

    def __call__(self, shape: Shape) -> Tensor:
        """What the step returns at this shape; the next call may overwrite it."""
        if self._active.device.type != "cuda":
            return self._step(*shape)
        if shape not in self._graphs:
            self._graphs[shape] = self._capture(shape)
        graph, out = self._graphs[shape]
        graph.replay()
        return out

    def _capture(self, shape: Shape) -> tuple[torch.cuda.CUDAGraph, Tensor]:
        """Record the step. Warm-up and recording run it for real, so the slots stand still meanwhile."""
        active = self._active.clone()
        self._active.zero_()
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(2):
                self._step(*shape)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        self._memory = self._memory or torch.cuda.graph_pool_handle()
        with torch.cuda.graph(graph, pool=self._memory, capture_error_mode="thread_local"):
            out = self._step(*shape)
        self._active.copy_(active)
        return graph, out


def bucket(needed: int, sizes: Sequence[int], most: int) -> int:
    """The least of some sizes that is enough, `most` at most: so that few shapes are captured."""
    return min(next((size for size in sizes if size >= needed), most), most)
