"""The small operations between matrix products: normalisation, rotation, gate. All compute in float32.

Row i of a result is the same bit for bit whatever the other rows are and however many threads run (float32, CPU).
Knows no model and keeps no state.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

# torch divides an elementwise operation among threads above this many elements (ATen/Parallel.h, GRAIN_SIZE), at
# places that need not be multiples of a vector; the rest of a piece then goes through a scalar exp that differs in the
# last bit. Work in blocks below it stays in one piece.
_SERIAL_ELEMENTS = 32_768


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """x [..., D] over its root mean square, times weight [D] float32. Computed in float32, returned in x.dtype."""
    return F.rms_norm(x.float(), x.shape[-1:], weight, eps).to(x.dtype)


def rope_table(positions: int, head_dim: int, theta: float) -> tuple[Tensor, Tensor]:
    """cos and signed sin of the split-half rotation, each [positions, head_dim] float32, for `apply_rope`.

    Angle i of a position p is p / theta^(2i / head_dim), computed in float64: in float32 the angle of position 3000
    would be off by 1e-4. The first half of sin is negated, which saves `apply_rope` an operation.
    """
    exponents = torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim
    angles = torch.arange(positions, dtype=torch.float64)[:, None] / theta**exponents  # [positions, head_dim / 2]
    cos, sin = angles.cos(), angles.sin()
    return torch.cat((cos, cos), dim=1).float(), torch.cat((-sin, sin), dim=1).float()


def apply_rope(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate heads x [..., D] by rows of `rope_table` that broadcast to it; float32 inside, x.dtype outside."""
    heads = x.float()
    return (heads * cos).add_(heads.roll(x.shape[-1] // 2, dims=-1) * sin).to(x.dtype)


def silu_gate(gate_up: Tensor) -> Tensor:
    """silu(gate) · up of gate_up [R, 2F], gate first → [R, F]. Computed in float32, returned in its dtype."""
    width = gate_up.shape[-1] // 2
    if gate_up.device.type != "cpu" or gate_up.shape[0] * width <= _SERIAL_ELEMENTS:
        return _silu_gate(gate_up)
    rows = max(1, _SERIAL_ELEMENTS // width)
    return torch.cat([_silu_gate(block) for block in gate_up.split(rows)])


def _silu_gate(gate_up: Tensor) -> Tensor:
    gate, up = gate_up.float().chunk(2, dim=-1)
    return F.silu(gate).mul_(up).to(gate_up.dtype)
