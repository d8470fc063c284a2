"""A dict as a source of tensors: each is taken once, as a copy, and what does not fit is named."""

import pytest
import torch

from models.decoding.checkpoint import TensorSource
from models.decoding.state_dict import StateDict
from models.errors import WeightsError


def source(**tensors):
    return StateDict(tensors, "tiny.th")


def test_a_tensor_is_copied_and_converted():
    weight = torch.ones(2, 3, dtype=torch.float64, requires_grad=True)
    tensors: TensorSource = source(weight=weight)
    taken = tensors.take("weight", 2, 3)
    assert taken.dtype == torch.float32
    assert not taken.requires_grad
    taken.zero_()
    assert weight.sum() == 6
    assert source(weight=weight).take("weight", 2, 3, dtype=torch.bfloat16).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({}, "tiny.th has no tensor weight"),
        ({"weight": torch.zeros(3, 2)}, r"weight is \[3, 2\]; its settings ask for \[2, 3\]"),
        ({"weight": "text"}, "weight is a str, not a tensor"),
    ],
)
def test_what_does_not_fit_is_named(tensors, said):
    with pytest.raises(WeightsError, match=said):
        source(**tensors).take("weight", 2, 3)


def test_a_tensor_is_taken_once():
    tensors = source(weight=torch.zeros(1))
    tensors.take("weight", 1)
    with pytest.raises(WeightsError, match="has no tensor weight"):
        tensors.take("weight", 1)


def test_a_tensor_left_over_is_named_unless_something_else_failed():
    with pytest.raises(WeightsError, match=r"holds 2 tensors .* a among them"), source(a=torch.zeros(1), b=None):
        pass
    with pytest.raises(ZeroDivisionError), source(a=torch.zeros(1)):
        _ = 1 / 0
