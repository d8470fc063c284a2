"""Packed weights: right products, and the same row whatever the batch and the threads are."""

import pytest
import torch
from torch import Tensor, nn

from models.decoding import linear
from models.decoding.linear import ONEDNN_ROWS, Kind, PackedLinear, available_kinds, pack

F32, BF16 = torch.float32, torch.bfloat16
ON_THIS_CPU = {dtype: available_kinds("cpu", dtype) for dtype in (F32, BF16)}
SHAPES = [(64, 64), (96, 80), (40, 48), (257, 128), (512, 2048)]  # out, in; the last one is wide enough to be blocked


@pytest.fixture(autouse=True)
def _same_threads_afterwards():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def _packed(weight: Tensor, kind: Kind, dtype: torch.dtype = F32) -> PackedLinear:
    if kind not in ON_THIS_CPU[dtype]:
        pytest.skip(f"this CPU cannot run {kind} with {dtype}; it runs {ON_THIS_CPU[dtype]}")
    return pack(weight, kind, dtype)


def _weight(out: int, inside: int) -> Tensor:
    return torch.randn(out, inside, generator=torch.Generator().manual_seed(0)) / inside**0.5


def _rows(R: int, inside: int) -> Tensor:
    return torch.randn(R, inside, generator=torch.Generator().manual_seed(1))


def _error(got: Tensor, x: Tensor, weight: Tensor) -> float:
    want = x.double() @ weight.double().t()
    return ((got.double() - want).norm() / want.norm()).item()


# relative rms; each bound is about twice what the roundings of weights, activations and result give
@pytest.mark.parametrize(
    ("kind", "dtype", "bound"),
    [
        ("plain", F32, 1e-6),
        ("plain", BF16, 8e-3),
        ("onednn", F32, 2e-6),
        ("onednn", BF16, 8e-3),
        ("half", F32, 5e-4),
        ("int8", F32, 2.5e-2),
    ],
)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("R", [1, 2, 7])
def test_product_equals_float64(kind, dtype, bound, shape, R):
    weight, x = _weight(*shape), _rows(R, shape[1])
    got = _packed(weight, kind, dtype)(x.to(dtype))
    assert got.shape == (R, shape[0])
    assert got.dtype == dtype
    assert _error(got, x, weight) < bound


@pytest.mark.parametrize(("kind", "dtype"), [("onednn", F32), ("onednn", BF16), ("half", F32), ("int8", F32)])
@pytest.mark.parametrize("shape", SHAPES)
def test_row_is_the_same_whatever_the_batch_and_the_threads(kind, dtype, shape):
    """The reason for not using F.linear in float32: MKL answers differently for every number of rows."""
    layer = _packed(_weight(*shape), kind, dtype)
    x = _rows(64, shape[1]).to(dtype)
    torch.set_num_threads(1)
    want = torch.cat([layer(x[r : r + 2]) for r in range(0, 64, 2)])
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        for R in (1, 2, 3, 4, 6, 8, 11, 16, 32, 64):
            for start in (0, 64 - R):
                got = layer(x[start : start + R])
                assert torch.equal(got, want[start : start + R]), (threads, R, start)


def test_int8_row_keeps_its_precision_beside_a_loud_one():
    """One scale for the whole batch would leave the quiet row a single step."""
    weight, x = _weight(64, 128), _rows(2, 128) * torch.tensor([[1.0], [200.0]])
    got = _packed(weight, "int8")(x)
    assert _error(got[:1], x[:1], weight) < 2.5e-2


@pytest.mark.parametrize("kind", ["onednn", "half", "int8"])
def test_zero_row_gives_zeros(kind):
    layer = _packed(_weight(64, 64), kind)
    assert torch.equal(layer(torch.zeros(2, 64)), torch.zeros(2, 64))


def test_zero_weight_row_gives_zeros_in_int8():
    weight = _weight(64, 64)
    weight[5] = 0
    out = _packed(weight, "int8")(_rows(2, 64))
    assert out.isfinite().all()
    assert torch.equal(out[:, 5], torch.zeros(2))


def test_int8_without_vnni_uses_one_bit_less(monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: False)
    weight, x = _weight(64, 128), _rows(2, 128)
    assert _error(_packed(weight, "int8")(x), x, weight) < 5e-2


@pytest.mark.parametrize("bad", [1e5, float("inf"), float("nan")])
def test_half_refuses_weights_that_float16_cannot_hold(bad):
    weight = _weight(64, 64)
    weight[3, 3] = bad
    with pytest.raises(ValueError, match="float16 holds at most 65504"):
        _packed(weight, "half")


@pytest.mark.parametrize("kind", ["onednn", "half", "int8"])
def test_packing_copies_the_weight_and_leaves_it_as_it_is(kind):
    weight = _weight(64, 64)
    before, x = weight.clone(), _rows(4, 64)
    layer = _packed(weight, kind)
    assert torch.equal(weight, before)
    want = layer(x)
    weight.zero_()
    assert torch.equal(layer(x), want)


def test_plain_shares_the_memory_of_the_weight():
    """1.6 B weights in 16 bits are 3.2 GB; a GPU should hold them once."""
    weight = _weight(64, 64)
    assert pack(weight, "plain", F32).weight.data_ptr() == weight.data_ptr()


@pytest.mark.parametrize("kind", ON_THIS_CPU[F32])
def test_packing_takes_a_transposed_bfloat16_parameter(kind):
    weight = nn.Parameter(_weight(64, 96).t().bfloat16())  # [96, 64]
    x = _rows(4, 64)
    with torch.no_grad():
        out = pack(weight, kind, F32)(x)
    assert not out.requires_grad
    assert _error(out, x, weight.detach()) < 2.5e-2


def test_packed_layer_describes_itself():
    layer = pack(_weight(96, 64), "plain", F32)
    assert "64 → 96, plain" in repr(layer)
    assert (layer.in_features, layer.out_features, layer.activation_dtype) == (64, 96, F32)


def test_kind_that_the_machine_lacks_is_refused_with_what_it_has(monkeypatch):
    monkeypatch.setattr(linear, "_has_fbgemm", lambda dtype: False)
    assert "int8" not in available_kinds("cpu", F32)
    with pytest.raises(ValueError, match="possible here: plain"):
        pack(_weight(8, 8), "int8", F32)


def test_kinds_follow_device_and_dtype():
    assert available_kinds("cuda", BF16) == ("plain",)
    assert "half" not in available_kinds("cpu", BF16)
    assert available_kinds("cpu", torch.float64) == ("plain",)


def test_onednn_pads_few_rows_to_the_fast_kernel(monkeypatch):
    layer = _packed(_weight(64, 64), "onednn")
    rows: list[int] = []
    multiply = layer._multiply
    monkeypatch.setattr(layer, "_multiply", lambda x: (rows.append(x.shape[0]), multiply(x))[1])
    for R in (1, 2, 5):
        assert layer(_rows(R, 64)).shape == (R, 64)
    assert rows == [ONEDNN_ROWS, ONEDNN_ROWS, 5]
