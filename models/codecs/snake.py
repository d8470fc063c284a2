"""Snake, DAC's activation: x + sin²(αx) / α. Works on values αx, whose α the layers around divide out of their weights.

Source: arXiv:2006.08195 equation 3, with an α for each channel as in arXiv:2306.06546.
"""

import torch
from torch import Tensor


def snake_(z: Tensor) -> Tensor:
    """z + sin² z, in place. With z = αx this is α·(x + sin²(αx) / α), DAC's activation times its α."""
    s = z.sin()
    return z.addcmul_(s, s)


class Snake:
    """x [B, L, C] → α·Snake(x), written into `out`; the weight behind it must be divided by alpha [C]."""

    def __init__(self, alpha: Tensor) -> None:
        self.alpha = alpha

    def __call__(self, x: Tensor, out: Tensor) -> Tensor:
        return snake_(torch.mul(x, self.alpha, out=out))
