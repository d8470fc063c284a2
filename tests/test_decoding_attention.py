"""Attention over a cache and the small operations around it, each against a slow literal twin."""

import pytest
import torch
from torch import Tensor

from models.decoding.attention import attend, attend_padded, seen_mask
from models.decoding.elementwise import (
    LayerNorm,
    RmsNorm,
    apply_rope,
    gelu,
    rope_table,
    rope_turns,
    side_by_side,
    silu_gate,
    turn_pairs,
)


@pytest.fixture(autouse=True)
def _same_threads_afterwards():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def _normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _qkv(R: int, Hq: int, H: int, P: int, D: int) -> tuple[Tensor, Tensor, Tensor]:
    return 0.4 * _normal(R, Hq, D, seed=1), 0.4 * _normal(R, H, P, D, seed=2), _normal(R, H, P, D, seed=3)


def attend_slowly(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """One query head of one row after the other, in float64."""
    out = torch.zeros_like(q, dtype=torch.float64)
    group = q.shape[1] // k.shape[1]
    for r in range(q.shape[0]):
        for h in range(q.shape[1]):
            keys, values = k[r, h // group].double(), v[r, h // group].double()
            out[r, h] = torch.softmax(keys @ q[r, h].double(), dim=0) @ values
    return out


def attend_rows(q: Tensor, k: Tensor, v: Tensor, streamed: bool = False) -> Tensor:
    """`attend` for q [R, Hq, D] and the caches k, v [R, H, P, D] of R rows → [R, Hq, D]."""
    R, Hq, D = q.shape
    H = k.shape[1]
    return attend(q.reshape(R * H, Hq // H, D), k.flatten(0, 1), v.flatten(0, 1), streamed=streamed).view(R, Hq, D)


HEADS = [(4, 4), (4, 1), (6, 3), (16, 4)]


@pytest.mark.parametrize(("Hq", "H"), HEADS)
@pytest.mark.parametrize("P", [1, 2, 7, 65])
@pytest.mark.parametrize("streamed", [False, True])
def test_attend_equals_head_by_head(Hq, H, P, streamed):
    q, k, v = _qkv(2, Hq, H, P, 16)
    torch.testing.assert_close(attend_rows(q, k, v, streamed).double(), attend_slowly(q, k, v), atol=2e-6, rtol=0)


def test_attend_in_bfloat16_is_near_float32():
    q, k, v = (tensor.bfloat16() for tensor in _qkv(2, 4, 2, 40, 32))
    out = attend_rows(q, k, v)
    assert out.dtype == torch.bfloat16
    # bfloat16 scores and weights: 8 bits
    torch.testing.assert_close(out.double(), attend_slowly(q, k, v), atol=2e-2, rtol=0)


def test_attend_reads_a_slice_of_the_cache_without_a_copy():
    q, k, v = _qkv(2, 4, 2, 64, 16)
    part = k[:, :, :5].flatten(0, 1)
    assert part.data_ptr() == k.data_ptr()
    k[:, :, 5:], v[:, :, 5:] = torch.nan, torch.nan
    assert attend_rows(q, k[:, :, :5], v[:, :, :5]).isfinite().all()


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("D", [16, 128])
@pytest.mark.parametrize("P", [1, 3, 17, 50])
def test_attend_is_exact_for_any_threads_companions_and_capacity(D, P, streamed):
    q, k, v = _qkv(6, 8, 2, 64, D)
    torch.set_num_threads(1)
    want = attend_rows(q[2:4], k[2:4, :, :P].clone(), v[2:4, :, :P].clone(), streamed)
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        assert torch.equal(attend_rows(q, k[:, :, :P], v[:, :, :P], streamed)[2:4], want), threads


@pytest.mark.parametrize("streamed", [False, True])
def test_attend_of_one_query_per_key_head_is_exact_for_any_threads(streamed):
    q, k, v = _qkv(1, 16, 16, 200, 128)
    torch.set_num_threads(1)
    want = attend_rows(q, k, v, streamed)
    torch.set_num_threads(2)
    assert torch.equal(attend_rows(q, k, v, streamed), want)


@pytest.mark.parametrize(("Hq", "H"), HEADS)
def test_attend_padded_equals_attend_of_each_row(Hq, H):
    q, k, v = _qkv(4, Hq, H, 24, 16)
    lengths = torch.tensor([1, 24, 7, 23])
    out = attend_padded(q, k, v, seen_mask(lengths, k.shape[2]))
    for r, length in enumerate(lengths.tolist()):
        want = attend_slowly(q[r : r + 1], k[r : r + 1, :, :length], v[r : r + 1, :, :length])
        torch.testing.assert_close(out[r : r + 1].double(), want, atol=2e-6, rtol=0)


def test_attend_padded_ignores_what_lies_beyond_a_length():
    q, k, v = _qkv(2, 4, 2, 24, 16)
    lengths = torch.tensor([5, 9])
    before = attend_padded(q, k, v, seen_mask(lengths, k.shape[2]))
    k[0, :, 5:], v[0, :, 5:] = 1e4, -1e4
    assert torch.equal(attend_padded(q, k, v, seen_mask(lengths, k.shape[2])), before)


def test_rms_norm_equals_its_formula():
    x, weight = 3 * _normal(3, 64), _normal(64, seed=1)
    want = torch.stack([row / (row.square().mean() + 1e-5).sqrt() * weight.double() for row in x.double()])
    torch.testing.assert_close(RmsNorm(weight, 1e-5)(x).double(), want, atol=1e-6, rtol=1e-6)


def test_rms_norm_of_bfloat16_is_computed_in_float32():
    x, weight = _normal(3, 64).bfloat16(), _normal(64, seed=1)
    assert torch.equal(RmsNorm(weight, 1e-5)(x), RmsNorm(weight, 1e-5)(x.float()).bfloat16())


def rotate_slowly(x: Tensor, position: int, theta: float) -> Tensor:
    """Pairs (i, i + D/2) turned by position / theta^(2i/D)."""
    out, half = torch.empty_like(x, dtype=torch.float64), x.shape[-1] // 2
    for i in range(half):
        angle = torch.tensor(position / theta ** (2 * i / x.shape[-1]), dtype=torch.float64)
        a, b = x[..., i].double(), x[..., i + half].double()
        out[..., i] = a * angle.cos() - b * angle.sin()
        out[..., i + half] = b * angle.cos() + a * angle.sin()
    return out


@pytest.mark.parametrize("position", [0, 1, 500, 3071])
def test_rope_turns_the_pairs_of_split_halves(position):
    cos, sin = rope_table(3072, 16, 10_000.0)
    x = _normal(2, 5, 16)
    got = apply_rope(x, cos[position], sin[position])
    torch.testing.assert_close(got.double(), rotate_slowly(x, position, 10_000.0), atol=1e-6, rtol=0)


def test_rope_takes_a_position_of_its_own_for_each_row():
    cos, sin = rope_table(32, 16, 10_000.0)
    x, positions = _normal(3, 5, 16), torch.tensor([4, 0, 31])
    got = apply_rope(x, cos[positions, None], sin[positions, None])
    for r, position in enumerate(positions):
        assert torch.equal(got[r], apply_rope(x[r], cos[position], sin[position]))


def test_rope_keeps_bfloat16_and_rotates_in_float32():
    cos, sin = rope_table(8, 16, 10_000.0)
    x = _normal(2, 5, 16).bfloat16()
    assert torch.equal(apply_rope(x, cos[7], sin[7]), apply_rope(x.float(), cos[7], sin[7]).bfloat16())


@pytest.mark.parametrize("position", [0, 1, 500, 3071])
def test_pairs_side_by_side_are_turned_as_split_halves_are_rotated(position):
    """Seen as both models see it: rows of a projection reordered, and the products of queries and keys."""
    cos, sin = rope_table(3072, 16, 10_000.0)
    turns = rope_turns(3072, 16, 10_000.0)[position].expand(2, 1, -1)
    weight, x = _normal(5 * 16, 24), _normal(2, 24, seed=1)
    halves = apply_rope((x @ weight.t()).view(2, 5, 16), cos[position], sin[position])
    pairs = (x @ side_by_side(weight, 16).t()).view(2, 5, 16)
    turn_pairs(pairs, turns)
    torch.testing.assert_close(pairs.unflatten(-1, (8, 2)).transpose(-1, -2).flatten(-2), halves, atol=2e-5, rtol=0)


def test_turning_keeps_bfloat16_and_the_heads_beside():
    turns = rope_turns(8, 16, 10_000.0)[7].expand(2, 1, -1)
    heads = _normal(2, 5, 16).bfloat16()
    want, beside = heads[:, :3].float(), heads[:, 3:].clone()
    turn_pairs(want, turns)
    turn_pairs(heads[:, :3], turns)
    assert torch.equal(heads[:, :3], want.bfloat16())
    assert torch.equal(heads[:, 3:], beside)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_silu_gate_equals_its_formula(dtype):
    gate_up = _normal(3, 2 * 40).to(dtype)
    gate, up = gate_up[:, :40].double(), gate_up[:, 40:].double()
    # float32 to its last bits; bfloat16 rounded once
    tolerance = {"atol": 1e-6, "rtol": 1e-6} if dtype == torch.float32 else {"atol": 0, "rtol": 2**-8}
    torch.testing.assert_close(silu_gate(gate_up).double(), gate / (1 + (-gate).exp()) * up, **tolerance)


def test_layer_norm_equals_its_formula():
    x, weight, bias = 3 * _normal(3, 64), _normal(64, seed=1), _normal(64, seed=2)
    centred = x.double() - x.double().mean(-1, keepdim=True)
    want = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * weight.double() + bias.double()
    torch.testing.assert_close(LayerNorm(weight, bias, 1e-5)(x).double(), want, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("R", [2, 40])  # in one piece, and in blocks
def test_gelu_equals_its_formula(R):
    x = 3 * _normal(R, 1024)
    want = x.double() * (1 + torch.erf(x.double() / 2**0.5)) / 2
    torch.testing.assert_close(gelu(x).double(), want, atol=3e-6, rtol=1e-6)


def test_layer_norm_and_gelu_of_bfloat16_are_computed_in_float32():
    x, weight = _normal(3, 64).bfloat16(), _normal(64, seed=1)
    assert torch.equal(LayerNorm(weight, weight, 1e-5)(x), LayerNorm(weight, weight, 1e-5)(x.float()).bfloat16())
    assert torch.equal(gelu(x), gelu(x.float()).bfloat16())


def turned(heads: Tensor, turns: Tensor) -> Tensor:
    copy = heads.clone()
    turn_pairs(copy, turns)
    return copy


# 33 rows of 4096 divide into uneven pieces among 5 threads, where torch's own silu differs from one thread.
@pytest.mark.parametrize("threads", [1, 2, 3, 5])
@pytest.mark.parametrize("R", [1, 4, 33])
def test_small_operations_are_exact_for_any_threads_and_companions(threads, R):
    x, weight = _normal(33, 8192), _normal(8192, seed=1)
    cos, sin = rope_table(8, 8192, 10_000.0)
    turns = rope_turns(8, 128, 10_000.0)[7:]
    operations = {
        "rms_norm": lambda rows: RmsNorm(weight, 1e-5)(rows),
        "apply_rope": lambda rows: apply_rope(rows, cos[7], sin[7]),
        "silu_gate": silu_gate,
        "layer_norm": lambda rows: LayerNorm(weight, weight, 1e-5)(rows),
        "gelu": gelu,
        "turn_pairs": lambda rows: turned(rows.view(-1, 64, 128), turns[:, None].expand(len(rows), 1, -1)),
    }
    for name, operation in operations.items():
        torch.set_num_threads(1)
        want = torch.cat([operation(x[r : r + 1]) for r in range(R)])
        torch.set_num_threads(threads)
        assert torch.equal(operation(x[:R]), want), name
