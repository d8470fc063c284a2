"""Where and how a model runs on this machine: device, how matrices are kept, memory for requests. Knows no model."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from models.decoding.linear import Kind, Product, available_kinds, pack
from models.decoding.threads import thread_candidates, usable_cpus
from models.errors import InvalidRequest

CPU_CACHE_GIB = 4.0
CUDA_CACHE_SHARE = 0.4  # of what is free once the weights are loaded; the codec and activations need some too

# What PARLEY_WEIGHTS may say → the kind of product, and the dtype of activations, on a CPU.
_CPU_WEIGHTS: dict[str, tuple[Kind, torch.dtype]] = {
    "float16": ("half", torch.float32),
    "bfloat16": ("onednn", torch.bfloat16),
    "float32": ("onednn", torch.float32),
    "int8": ("int8", torch.float32),
}
_SMALL_MATRIX = 2**20  # numbers; those of Dia-1.6B's encoder have 2 million and more
_CUDA_DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}


@dataclass(frozen=True)
class Runtime:
    """Choices made once, when a model is loaded.

    kind: how matrices are packed; see models/decoding/linear.py. dtype: of activations and of the key/value cache.
    cache_bytes: what all requests in flight may use for keys and values; None is a share of the free CUDA memory.
    thread_counts: of CPU threads, to be tried while running; none where OMP_NUM_THREADS has settled it, or on a GPU.
    """

    device: torch.device
    kind: Kind
    dtype: torch.dtype
    cache_bytes: int | None
    thread_counts: tuple[int, ...] = ()

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """PARLEY_DEVICE (cpu, cuda), PARLEY_WEIGHTS (float16, bfloat16, float32, int8) and PARLEY_CACHE_GIB, each
        with a default that fits the machine. Raises InvalidRequest for values that this machine cannot honour."""
        device = _device(environ.get("PARLEY_DEVICE"))
        wanted = environ.get("PARLEY_WEIGHTS") or None
        kind, dtype = _on_cpu(wanted) if device.type == "cpu" else _on_cuda(wanted)
        governed = device.type == "cpu" and "OMP_NUM_THREADS" not in environ
        return cls(
            device, kind, dtype, _cache_bytes(environ, device), thread_candidates(usable_cpus()) if governed else ()
        )

    def pack_step(self, weight: Tensor) -> Product:
        """A matrix that every decoder step multiplies with a few rows: memory bandwidth is the limit."""
        return pack(weight, self.kind, self.dtype)

    def pack_text(self, weight: Tensor) -> Product:
        """A matrix that a text goes through once, hundreds of rows at a time: arithmetic is the limit, and bfloat16
        has most of it. A small one is kept precise: there it costs 7 ms for 240 bytes of text, and bfloat16 moved the
        logits of the built-in checkpoint by 3 % of their spread."""
        if self.kind not in ("half", "int8") or "onednn" not in available_kinds(self.device, torch.bfloat16):
            return self.pack_step(weight)
        if weight.numel() <= _SMALL_MATRIX:
            return self.pack_precise(weight)
        packed = pack(weight, "onednn", torch.bfloat16)
        return lambda x: packed(x.bfloat16()).to(self.dtype)

    def pack_precise(self, weight: Tensor) -> Product:
        """A matrix whose product must not be coarser than float16: on a tiny Dia, bfloat16 queries and keys of the
        text alone moved the logits by 8 % of their spread, float16 ones by less than 1 %."""
        return pack(weight, "half" if self.kind == "int8" else self.kind, self.dtype)

    def cache_budget(self) -> int:
        """Bytes for keys and values. Asked after the weights are loaded."""
        if self.cache_bytes is not None:
            return self.cache_bytes
        free, _ = torch.cuda.mem_get_info(self.device)
        return int(CUDA_CACHE_SHARE * free)


def _device(wanted: str | None) -> torch.device:
    possible = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    if not wanted:
        return torch.device(possible[-1])
    if wanted not in possible:
        raise InvalidRequest(
            "PARLEY_DEVICE",
            f"is {wanted!r}; this machine has {', '.join(possible)}. Choose among GPUs with CUDA_VISIBLE_DEVICES.",
        )
    return torch.device(wanted)


def _on_cpu(wanted: str | None) -> tuple[Kind, torch.dtype]:
    possible = {name: pair for name, pair in _CPU_WEIGHTS.items() if pair[0] in available_kinds("cpu", pair[1])}
    possible.setdefault("float32", ("plain", torch.float32))
    if wanted is None:
        return possible.get("float16") or possible.get("bfloat16") or possible["float32"]
    if wanted not in possible:
        raise InvalidRequest("PARLEY_WEIGHTS", f"is {wanted!r}; this processor runs {', '.join(possible)}.")
    return possible[wanted]


def _on_cuda(wanted: str | None) -> tuple[Kind, torch.dtype]:
    if wanted is None:
        wanted = "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"
    if wanted not in _CUDA_DTYPES:
        raise InvalidRequest("PARLEY_WEIGHTS", f"is {wanted!r}; a GPU runs {', '.join(_CUDA_DTYPES)}.")
    return "plain", _CUDA_DTYPES[wanted]


def _cache_bytes(environ: Mapping[str, str], device: torch.device) -> int | None:
    text = environ.get("PARLEY_CACHE_GIB")
    if not text:
        return int(CPU_CACHE_GIB * 2**30) if device.type == "cpu" else None
    try:
        gib = float(text)
    except ValueError:
        gib = 0.0
    if not 0 < gib < 2**20:
        raise InvalidRequest("PARLEY_CACHE_GIB", f"is {text!r}; it must be a positive number of gibibytes.")
    return int(gib * 2**30)
