"""Weights in float16: our own loops and FBGEMM's, which stand in for them on other processors."""

import pytest
import torch
from torch import Tensor

from models.decoding import linear
from models.decoding.half_product import multiply_half
from models.decoding.lanes import LANES
from models.decoding.linear import available_kinds, pack
from models.decoding.machine_code import runs_here

SHAPES = [(64, 64), (96, 80), (40, 48), (257, 128), (512, 2048)]  # out, in; the last one has two ways through FBGEMM
own_loops = pytest.mark.skipif(not runs_here(), reason="no AVX-512 here, or no OpenMP of GNU's")
fbgemm = pytest.mark.skipif("half" not in available_kinds("cpu", torch.float32), reason="no FBGEMM here")


@pytest.fixture(autouse=True)
def _same_threads_afterwards():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def without_loops(monkeypatch):
    monkeypatch.setattr(linear, "runs_here", lambda: False)


def weights(out: int, width: int) -> Tensor:
    return torch.randn(out, width, generator=torch.Generator().manual_seed(0)) / width**0.5


def rows(R: int, width: int) -> Tensor:
    return torch.randn(R, width, generator=torch.Generator().manual_seed(1))


@own_loops
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("R", [*range(1, 14), 64])
@pytest.mark.parametrize("shape", [(1, LANES), (7, 48), (8, 2 * LANES), (131, 1040)])
def test_own_loops_lose_nothing_but_what_sums_in_float32_do(shape, R, threads):
    """Every count of rows left over by a tile, and more threads than there is work for."""
    torch.set_num_threads(threads)
    weight, x = weights(*shape).half(), rows(R, shape[1])
    want = x.double() @ weight.double().t()
    torch.testing.assert_close(multiply_half(x, weight).double(), want, atol=2e-6, rtol=2e-6)


@own_loops
def test_own_loops_take_a_view_of_rows_that_are_not_side_by_side():
    weight, x = weights(24, 32).half(), rows(32, 10)
    assert torch.equal(multiply_half(x.t(), weight), multiply_half(x.t().contiguous(), weight))


@own_loops
def test_own_loops_keep_what_no_number_can_be():
    weight, x = weights(24, 32).half(), rows(2, 32)
    x[1, 5] = torch.nan
    y = multiply_half(x, weight)
    assert y[0].isfinite().all()
    assert y[1].isnan().all()


@own_loops
def test_weights_that_are_in_float16_already_are_copied():
    weight = weights(64, 64).half()
    layer, x = pack(weight, "half", torch.float32), rows(2, 64)
    want = layer(x)
    weight.zero_()
    assert torch.equal(layer(x), want)


@fbgemm
@pytest.mark.parametrize("R", [1, 2, 7])
@pytest.mark.parametrize("shape", SHAPES)
def test_fbgemm_gives_the_same_but_for_the_order_of_sums(without_loops, shape, R):
    weight, x = weights(*shape), rows(R, shape[1])
    found = pack(weight, "half", torch.float32)(x)
    torch.testing.assert_close(found.double(), x.double() @ weight.half().double().t(), atol=2e-5, rtol=2e-6)


@fbgemm
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("R", [1, 2, 7, 64])
@pytest.mark.parametrize("shape", SHAPES)
def test_fbgemm_on_the_calling_thread_equals_fbgemm_on_all_threads(without_loops, monkeypatch, shape, R, threads):
    weight, x = weights(*shape), rows(R, shape[1])
    direct = pack(weight, "half", torch.float32)(x)
    monkeypatch.setattr(linear, "_DIRECT_ELEMENTS", 0)
    torch.set_num_threads(threads)
    assert torch.equal(direct, pack(weight, "half", torch.float32)(x))


@fbgemm
@pytest.mark.parametrize("shape", SHAPES)
def test_a_row_through_fbgemm_is_the_same_whatever_the_batch_and_the_threads(without_loops, shape):
    layer, x = pack(weights(*shape), "half", torch.float32), rows(64, shape[1])
    torch.set_num_threads(1)
    want = torch.cat([layer(x[r : r + 2]) for r in range(0, 64, 2)])
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        for R in (1, 2, 3, 8, 11, 32, 64):
            for start in (0, 64 - R):
                assert torch.equal(layer(x[start : start + R]), want[start : start + R]), (threads, R, start)


@fbgemm
def test_rows_that_are_no_whole_registers_go_through_fbgemm():
    weight, x = weights(24, LANES + 8), rows(3, LANES + 8)
    found = pack(weight, "half", torch.float32)(x)
    torch.testing.assert_close(found.double(), x.double() @ weight.half().double().t(), atol=2e-6, rtol=2e-6)
