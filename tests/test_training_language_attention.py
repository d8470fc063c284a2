"""Attention by large products is torch's fused attention, its gradients too."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from training.language.attention import ROWS_AT_ONCE, attend

SHAPES = [
    pytest.param(5, 1, 7, id="one key head, one piece"),
    pytest.param(4, 4, ROWS_AT_ONCE, id="a key head each, a whole piece"),
    pytest.param(4, 2, 2 * ROWS_AT_ONCE + 3, id="shared by two, a piece left over"),
]


def drawn(heads: int, key_heads: int, rows: int) -> tuple[Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(0)
    shapes = ((2, count, rows, 8) for count in (heads, key_heads, key_heads))
    q, k, v = (torch.randn(shape, generator=random, requires_grad=True) for shape in shapes)
    return q, k, v


def fused(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    k, v = (t.repeat_interleave(q.shape[1] // t.shape[1], dim=1) for t in (k, v))
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None, scale=1.0)


@pytest.mark.parametrize(("heads", "key_heads", "rows"), SHAPES)
@pytest.mark.parametrize("causal", [True, False])
def test_attention_and_gradients_equal_the_fused_ones(heads: int, key_heads: int, rows: int, causal: bool) -> None:
    inputs = drawn(heads, key_heads, rows)
    mask = (
        None if causal else torch.arange(rows)[None, None, None] < torch.tensor([rows, rows // 2])[:, None, None, None]
    )
    slope = torch.randn(inputs[0].shape, generator=torch.Generator().manual_seed(1))
    ours, theirs = attend(*inputs, mask), fused(*inputs, mask)
    torch.testing.assert_close(ours, theirs)
    for own, other in zip(
        torch.autograd.grad(ours, inputs, slope), torch.autograd.grad(theirs, inputs, slope), strict=True
    ):
        torch.testing.assert_close(own, other, atol=1e-4, rtol=1e-4)


def test_the_dtype_stays() -> None:
    q, k, v = (t.detach().bfloat16().requires_grad_() for t in drawn(5, 1, 9))
    mixed = attend(q, k, v, None)
    assert mixed.dtype == torch.bfloat16
    assert {t.dtype for t in torch.autograd.grad(mixed.float().sum(), (q, k, v))} == {torch.bfloat16}
