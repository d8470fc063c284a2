"""One query a head: right mixes, and the same ones whatever is beside them."""

import pytest
import torch
from torch import Tensor

from models.decoding.attention import attend, attend_each
from models.decoding.head_attention import attend_heads
from models.decoding.machine_code import runs_here

own_loops = pytest.mark.skipif(not runs_here(), reason="no AVX-512 here, or no OpenMP of GNU's")


@pytest.fixture(autouse=True)
def _same_threads_afterwards():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def heads(N: int, P: int, D: int, capacity: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """q [N, D], and k and v [N, P, D] as slices of a cache; scores are spread by 3 or so."""
    random = torch.Generator().manual_seed(0)
    k, v = (torch.randn(N, max(P, capacity), D, generator=random)[:, :P] for _ in range(2))
    return 3 * torch.randn(N, D, generator=random) / D**0.5, k, v


def exactly(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    weights = torch.einsum("nd,npd->np", q.double(), k.double()).softmax(-1)
    return torch.einsum("np,npd->nd", weights, v.double())


@pytest.mark.parametrize("D", [16, 48, 64, 20])
@pytest.mark.parametrize("P", [1, 2, 15, 16, 17, 100])
def test_each_query_mixes_the_values_of_its_own_head(D, P):
    q, k, v = heads(6, P, D, capacity=120)
    torch.testing.assert_close(attend_each(q, k, v).double(), exactly(q, k, v), atol=3e-6, rtol=0)


def test_each_query_in_bfloat16_is_near_float32():
    q, k, v = (each.bfloat16() for each in heads(6, 20, 32))
    torch.testing.assert_close(attend_each(q, k, v).double(), exactly(q, k, v), atol=3e-2, rtol=0)


@own_loops
@pytest.mark.parametrize("D", [16, 64])
@pytest.mark.parametrize("P", [1, 40, 700])
def test_own_loops_are_exact_for_any_threads_companions_and_capacity(D, P):
    q, k, v = heads(7, P, D, capacity=P + 5)
    want = attend_heads(q[2:4], k[2:4].clone(), v[2:4].clone())
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        assert torch.equal(attend_heads(q, k, v)[2:4], want), threads


@own_loops
def test_own_loops_read_nothing_after_the_last_position():
    q, k, v = heads(4, 30, 32, capacity=40)
    want = attend_heads(q, k.clone(), v.clone())
    for cache in (k, v):
        torch.as_strided(cache, (4, 40, 32), cache.stride())[:, 30:] = torch.nan
    assert torch.equal(attend_heads(q, k, v), want)


@own_loops
def test_own_loops_hold_scores_that_are_far_apart():
    """The exponential of all but one is 0 in float32, and torch's say the same."""
    q, k, v = heads(4, 50, 16)
    far = 300 * q
    torch.testing.assert_close(
        attend_heads(far, k, v), attend(far[:, None], k, v, streamed=False)[:, 0], atol=1e-5, rtol=1e-4
    )


@own_loops
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_own_loops_do_not_hide_what_is_no_number(bad):
    q, k, v = heads(3, 20, 16)
    k[1, 7] = bad
    mixed = attend_heads(q, k, v)
    assert mixed[1].isnan().all()
    assert mixed[[0, 2]].isfinite().all()


@pytest.mark.parametrize("D", [16, 20])
def test_a_single_position_may_lie_in_memory_as_it_likes(D):
    """What is left of a text of one token: the stride of its only position means nothing."""
    q, k, v = heads(4, 1, D)
    odd = k[:, 0].clone().as_strided((4, 1, D), (D, 3, 1))
    torch.testing.assert_close(attend_each(q, odd, v).double(), exactly(q, k, v), atol=3e-6, rtol=0)
