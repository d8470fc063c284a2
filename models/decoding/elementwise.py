"""The small operations between matrix products: normalisation, rotation, gate. All compute in float32.

Row i of a result is the same bit for bit whatever the other rows are and however many threads run (float32, CPU).
Knows no model and keeps no state.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

# torch divides an elementwise operation among threads above this many elements (ATen/Parallel.h, GRAIN_SIZE), at
# places that need not be multiples of a vector; the rest of a piece then goes through a scalar exp, or a fused complex
# product, that differs in the last bit. Work in blocks below it stays in one piece.
_SERIAL_ELEMENTS = 32_768


class RmsNorm:
    """x [..., D] over its root mean square, times weight [D]. Computed in float32, returned in x.dtype.

    torch's own is one operation on CUDA and eight on a CPU. There x / sqrt(mean(x²) + eps) · w is computed as
    x / sqrt(|x|² + D·eps) · (sqrt(D)·w), which are four.
    """

    def __init__(self, weight: Tensor, eps: float) -> None:
        (D,) = weight.shape
        self.weight, self.eps = weight.float(), eps
        self.scaled = self.weight * D**0.5
        self.floor = torch.tensor((D * eps) ** 0.5, device=weight.device)

    def __call__(self, x: Tensor) -> Tensor:
        rows = x.float()
        if not x.is_cpu:
            return F.rms_norm(rows, self.weight.shape, self.weight, self.eps).to(x.dtype)
        length = torch.hypot(torch.linalg.vector_norm(rows, dim=-1, keepdim=True), self.floor)
        return as_dtype(x.dtype, (rows / length).mul_(self.scaled))


class LayerNorm:
    """x [..., D] less its mean, over its deviation, times weight [D], plus bias [D]. Computed in float32, returned in
    x.dtype."""

    def __init__(self, weight: Tensor, bias: Tensor, eps: float) -> None:
        self.weight, self.bias, self.eps = weight.float(), bias.float(), eps

    def __call__(self, x: Tensor) -> Tensor:
        rows = as_dtype(torch.float32, x)
        return as_dtype(x.dtype, F.layer_norm(rows, self.weight.shape, self.weight, self.bias, self.eps))


def rope_table(positions: int, head_dim: int, theta: float) -> tuple[Tensor, Tensor]:
    """cos and signed sin of the split-half rotation, each [positions, head_dim] float32, for `apply_rope`.

    The first half of sin is negated, which saves `apply_rope` an operation.
    """
    angles = _angles(positions, head_dim, theta)
    cos, sin = angles.cos(), angles.sin()
    return torch.cat((cos, cos), dim=1).float(), torch.cat((-sin, sin), dim=1).float()


def apply_rope(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate heads x [..., D] by rows of `rope_table` that broadcast to it; float32 inside, x.dtype outside."""
    heads = x.float()
    return (heads * cos).add_(heads.roll(x.shape[-1] // 2, dims=-1) * sin).to(x.dtype)


def rope_turns(positions: int, head_dim: int, theta: float) -> Tensor:
    """The same rotation as complex numbers of length 1, complex64 [positions, head_dim / 2], for `turn_pairs`."""
    angles = _angles(positions, head_dim, theta)
    return torch.polar(torch.ones_like(angles), angles).to(torch.complex64)


def side_by_side(weight: Tensor, head_dim: int) -> Tensor:
    """Rows [H·D, in] of a projection to heads, reordered so that `turn_pairs` rotates what `apply_rope` would.

    Element i of the second half of a head goes beside element i of the first. Attention does not mind, where queries
    and keys are reordered alike.
    """
    return weight.view(-1, 2, head_dim // 2, weight.shape[1]).transpose(1, 2).reshape(weight.shape)


def turn_pairs(heads: Tensor, turns: Tensor) -> None:
    """Rotate heads [R, H, D] in place by rows of `rope_turns` [R, 1, D / 2]; computed in float32.

    One operation where the split halves of `apply_rope` take four.
    """
    rows = heads.float()
    pairs = torch.view_as_complex(rows.view(*heads.shape[:-1], -1, 2))
    if pairs.numel() <= _SERIAL_ELEMENTS or heads.device.type != "cpu":
        pairs.mul_(turns)
    else:
        R = max(1, _SERIAL_ELEMENTS // pairs[0].numel())
        for block, turn in zip(pairs.split(R), turns.split(R), strict=True):
            block.mul_(turn)
    if rows is not heads:
        heads.copy_(rows)


def _angles(positions: int, head_dim: int, theta: float) -> Tensor:
    """Angle i of position p is p / theta^(2i / head_dim): float64 [positions, head_dim / 2].

    In float32 that of position 3000 would be off by 1e-4.
    """
    exponents = torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim
    return torch.arange(positions, dtype=torch.float64)[:, None] / theta**exponents


def silu_gate(gate_up: Tensor) -> Tensor:
    """silu(gate) · up of gate_up [R, 2F], gate first → [R, F]. Computed in float32, returned in its dtype."""
    width = gate_up.shape[-1] // 2
    if gate_up.shape[0] * width <= _SERIAL_ELEMENTS or gate_up.device.type != "cpu":
        return _silu_gate(gate_up)
    rows = max(1, _SERIAL_ELEMENTS // width)
    return torch.cat([_silu_gate(block) for block in gate_up.split(rows)])


def _silu_gate(gate_up: Tensor) -> Tensor:
    gate, up = gate_up.float().chunk(2, dim=-1)
    return as_dtype(gate_up.dtype, F.silu(gate).mul_(up))


def gelu(x: Tensor) -> Tensor:
    """x · Φ(x) of x [R, F], by erf. Computed in float32, returned in its dtype."""
    rows = as_dtype(torch.float32, x)
    if rows.numel() <= _SERIAL_ELEMENTS or not x.is_cpu:
        return as_dtype(x.dtype, F.gelu(rows))
    R = max(1, _SERIAL_ELEMENTS // rows.shape[-1])
    return as_dtype(x.dtype, torch.cat([F.gelu(block) for block in rows.split(R)]))


def as_dtype(dtype: torch.dtype, x: Tensor) -> Tensor:
    """x in this dtype. Tensor.to takes 1 µs to find that there is nothing to do, as long as an addition."""
    return x if x.dtype == dtype else x.to(dtype)
