import pytest
import torch

from models.decoding import runtime
from models.decoding.runtime import Runtime
from models.errors import InvalidRequest

ON_CPU = {"PARLEY_DEVICE": "cpu"}


def test_float32_is_always_possible() -> None:
    chosen = Runtime.from_environ({**ON_CPU, "PARLEY_WEIGHTS": "float32"})
    assert chosen.dtype == torch.float32


def test_the_default_keeps_16_bit_weights_where_the_processor_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "available_kinds", lambda device, dtype: ("plain", "onednn", "half", "int8"))
    assert Runtime.from_environ(ON_CPU).kind == "half"
    monkeypatch.setattr(runtime, "available_kinds", lambda device, dtype: ("plain", "onednn"))
    assert Runtime.from_environ(ON_CPU).dtype == torch.bfloat16
    monkeypatch.setattr(runtime, "available_kinds", lambda device, dtype: ("plain",))
    plain = Runtime.from_environ(ON_CPU)
    assert (plain.kind, plain.dtype) == ("plain", torch.float32)


def test_int8_is_never_the_default_but_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "available_kinds", lambda device, dtype: ("plain", "int8"))
    assert Runtime.from_environ(ON_CPU).kind == "plain"
    assert Runtime.from_environ({**ON_CPU, "PARLEY_WEIGHTS": "int8"}).kind == "int8"


@pytest.mark.parametrize(
    ("setting", "value", "way_out"),
    [
        ("PARLEY_WEIGHTS", "int4", "float32"),
        ("PARLEY_CACHE_GIB", "much", "positive number"),
        ("PARLEY_CACHE_GIB", "-1", "positive number"),
        ("PARLEY_CACHE_GIB", "nan", "positive number"),
        ("PARLEY_DEVICE", "abacus", "cpu"),
    ],
)
def test_a_setting_that_cannot_be_honoured_is_refused_by_name(setting: str, value: str, way_out: str) -> None:
    with pytest.raises(InvalidRequest, match=f"{setting}: is '{value}'.*{way_out}"):
        Runtime.from_environ({**ON_CPU, setting: value})


def test_cache_budget_is_in_gibibytes() -> None:
    assert Runtime.from_environ({**ON_CPU, "PARLEY_CACHE_GIB": "0.5"}).cache_budget() == 2**29


def test_a_thread_count_from_the_environment_is_left_alone() -> None:
    assert Runtime.from_environ({**ON_CPU, "OMP_NUM_THREADS": "2"}).thread_counts == ()
    assert Runtime.from_environ(ON_CPU).thread_counts[0] == 1


@pytest.mark.parametrize("weights", ["float16", "int8"])
def test_a_text_goes_through_large_matrices_in_bfloat16_and_through_small_ones_precisely(weights: str) -> None:
    try:
        chosen = Runtime.from_environ({**ON_CPU, "PARLEY_WEIGHTS": weights})
    except InvalidRequest as error:
        pytest.skip(str(error))
    x = torch.randn(4, 1024, generator=torch.Generator().manual_seed(0))
    has_bfloat16 = "onednn" in runtime.available_kinds("cpu", torch.bfloat16)
    for rows, coarse in ((1024, False), (1056, has_bfloat16)):
        weight = torch.randn(rows, 1024, generator=torch.Generator().manual_seed(1)) / 32
        want = x.double() @ weight.double().t()
        error = (chosen.pack_text(weight)(x).double() - want).norm() / want.norm()
        assert (error > 1e-3) == (coarse or (weights == "int8" and rows > 1024))
