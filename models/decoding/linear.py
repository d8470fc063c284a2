"""Matrix products of a decoder step: x [R, in] → y [R, out], without bias, from weights packed once.

A decoder step reads every weight for a handful of rows, so memory bandwidth is the limit and the packing decides how
much of it is used. Knows no model, no layer and no checkpoint.

| kind   | weights           | activations       | where           | row i is the same for any R and thread count |
|--------|-------------------|-------------------|-----------------|----------------------------------------------|
| plain  | dtype             | dtype             | anywhere        | no: MKL has another kernel for every R       |
| onednn | float32, bfloat16 | float32, bfloat16 | CPU             | bit for bit                                  |
| half   | float16           | float32           | x86             | bit for bit                                  |
| int8   | int8, row scales  | float32 via int8  | x86 with FBGEMM | bit for bit                                  |

On CPU `half` is the fast 16-bit kind, and its weights are 8 times closer to float32 than bfloat16. With AVX-512 it runs
in loops of our own, and takes 0.65 to 0.75 times as long as `onednn` in bfloat16 with 2 to 32 rows (Intel Xeon, 1
thread); elsewhere in FBGEMM's, which are slower than that from 4 rows on. `onednn` in float32 is the exact one.
"""

import warnings
from collections.abc import Callable
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from models.decoding.half_product import multiply_half
from models.decoding.lanes import LANES
from models.decoding.machine_code import runs_here

Kind = Literal["plain", "onednn", "half", "int8"]
Product = Callable[[Tensor], Tensor]  # x [R, in] → y [R, out]

# With oneDNN 3 to 6 rows take 0.6 to 0.7 times as long as 2 (measured: Zen 4, 1 thread, oneDNN 3.12). One row alone
# adds in another order and would not be batch invariant.
ONEDNN_ROWS = 4

# Up to here a product of two rows is over in 40 µs, and what FBGEMM's threaded entry costs by itself (10 µs, a search
# for the class of the packed weight) is more than a second thread would save.
_DIRECT_ELEMENTS = 2**20

_TINY = torch.finfo(torch.float32).tiny


class PackedLinear:
    """y = x · Wᵀ. `activation_dtype` is what a call takes and returns; `kind` says how W is kept."""

    kind: Kind

    def __init__(self, weight: Tensor, activation_dtype: torch.dtype) -> None:
        self.out_features, self.in_features = weight.shape
        self.activation_dtype = activation_dtype

    def __call__(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"PackedLinear({self.in_features} → {self.out_features}, {self.kind}, {self.activation_dtype})"


class _Plain(PackedLinear):
    kind: Kind = "plain"

    def __init__(self, weight: Tensor, dtype: torch.dtype) -> None:
        super().__init__(weight, dtype)
        self.weight = weight.to(dtype).contiguous()

    def __call__(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight)


class _OneDnn(PackedLinear):
    kind: Kind = "onednn"

    def __init__(self, weight: Tensor, dtype: torch.dtype) -> None:
        super().__init__(weight, dtype)
        # The batch size that oneDNN can be given for choosing the blocks changes nothing (hints of 2 to 64 tried).
        self._packed = torch.ops.mkldnn._reorder_linear_weight(weight.to(dtype).contiguous(), None)

    def __call__(self, x: Tensor) -> Tensor:
        R = x.shape[0]
        if R < ONEDNN_ROWS:
            return self._multiply(F.pad(x, (0, 0, 0, ONEDNN_ROWS - R)))[:R]
        return self._multiply(x)

    def _multiply(self, x: Tensor) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(x, self._packed, None, "none", [], "")


class _Half(PackedLinear):
    kind: Kind = "half"

    def __init__(self, weight: Tensor, dtype: torch.dtype) -> None:
        super().__init__(weight, dtype)
        limit = torch.finfo(torch.float16).max
        # FBGEMM would clamp in silence.
        if not weight.abs().amax() <= limit:
            raise ValueError(f"largest weight is {weight.abs().amax():g}; float16 holds at most {limit:g}")
        self._multiply = _half_by_rows(weight) if _has_half_loops(self.in_features) else _half_by_fbgemm(weight)

    def __call__(self, x: Tensor) -> Tensor:
        return self._multiply(x)


def _half_by_rows(weight: Tensor) -> Product:
    kept = torch.empty(weight.shape, dtype=torch.float16).copy_(weight)
    multiply_half(torch.zeros(1, weight.shape[1]), kept[:1])  # compiles the loops now, so that no request waits for it
    return lambda x: multiply_half(x, kept)


def _half_by_fbgemm(weight: Tensor) -> Product:
    weight = weight.float().contiguous()
    return _half_direct(weight) if weight.numel() <= _DIRECT_ELEMENTS else _half_threaded(weight)


def _half_threaded(weight: Tensor) -> Product:
    packed = torch.ops.quantized.linear_prepack_fp16(weight, None)
    return lambda x: torch.ops.quantized.linear_dynamic_fp16(x, packed)


def _half_direct(weight: Tensor) -> Product:
    """The same kernel and the same result to the last bit, on the calling thread."""
    multiply = torch.fbgemm_linear_fp16_weight_fp32_activation
    with warnings.catch_warnings():
        # Each says once, at its first call, that a later release drops it.
        warnings.filterwarnings("ignore", message="fbgemm_", category=UserWarning)
        packed = torch.fbgemm_pack_gemm_matrix_fp16(weight)
        multiply(weight[:1], packed, None)
    return lambda x: multiply(x, packed, None)


class _Int8(PackedLinear):
    """Symmetric int8: one scale per row of W, and one per row of x instead of FBGEMM's one for all rows.

    A scale per row of x keeps the conditional row as precise as if it were alone, makes a row independent of its
    companions (integer sums are exact), and was measured to be no less precise.
    """

    kind: Kind = "int8"

    def __init__(self, weight: Tensor, dtype: torch.dtype) -> None:
        super().__init__(weight, dtype)
        weight = weight.float()
        scales = weight.abs().amax(dim=1).clamp_min_(_TINY).double() / 127
        zeros = torch.zeros(self.out_features, dtype=torch.long)
        with warnings.catch_warnings():
            # FBGEMM's packer takes nothing but torch's quantized tensors, which say that a later release drops them.
            warnings.filterwarnings("ignore", message="torch.quantize_per_tensor", category=UserWarning)
            quantized = torch.quantize_per_channel(weight, scales, zeros, 0, torch.qint8)
        self._packed = torch.ops.quantized.linear_prepack(quantized, None)
        self._levels = _activation_levels()

    def __call__(self, x: Tensor) -> Tensor:
        peak = x.abs().amax(dim=1, keepdim=True).clamp_min_(_TINY)  # [R, 1]
        product = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32
        return product(x / peak, 1 / self._levels, self._levels, self._packed).mul_(peak)


_CLASSES: dict[Kind, type[PackedLinear]] = {"plain": _Plain, "onednn": _OneDnn, "half": _Half, "int8": _Int8}


def pack(weight: Tensor, kind: Kind, dtype: torch.dtype) -> PackedLinear:
    """Copy weight [out, in] into the layout of `kind`; `plain` keeps `weight` itself if it has the dtype.

    dtype: of the activations, taken and returned; `half` and `int8` work on float32 activations only.
    Raises ValueError if this machine cannot run `kind` on such weights.
    """
    possible = available_kinds(weight.device, dtype)
    if kind not in possible:
        raise ValueError(f"{kind} with {dtype} activations on {weight.device}; possible here: {', '.join(possible)}")
    return _CLASSES[kind](weight.detach(), dtype)


def available_kinds(device: torch.device | str, dtype: torch.dtype) -> tuple[Kind, ...]:
    """The kinds that this machine runs on `device` with activations of `dtype`, in the order of the table above."""
    if torch.device(device).type != "cpu":
        return ("plain",)
    can_run = {"plain": True, "onednn": _has_onednn(dtype), "half": _has_fbgemm(dtype), "int8": _has_fbgemm(dtype)}
    return tuple(kind for kind in get_args(Kind) if can_run[kind])


def _has_onednn(dtype: torch.dtype) -> bool:
    if not torch.backends.mkldnn.is_available():
        return False
    # Without AVX-512 bfloat16 is emulated: correct and far slower than float32.
    return dtype == torch.float32 or (dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _has_fbgemm(dtype: torch.dtype) -> bool:
    # The engine in force is asked, not the ones built in: the pack operators follow it. x86 contains FBGEMM.
    return dtype == torch.float32 and torch.backends.quantized.engine in ("x86", "fbgemm")


def _has_half_loops(in_features: int) -> bool:
    return runs_here() and in_features % LANES == 0


def _activation_levels() -> int:
    """Steps of |x| in 0–1. Without VNNI, FBGEMM adds pairs of products in 16 bits: 2 · 127 · 127 fits, 2 · 254 · 127
    does not, so activations lose a bit there."""
    return 127 if torch.cpu._is_vnni_supported() else 63
