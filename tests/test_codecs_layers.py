"""Layers over a stream against torch's modules, whole and in pieces."""

import pytest
import torch
from torch import nn

from models.codecs.lstm import FEW_ROWS, Lstm
from models.codecs.stream_layers import Convolution, Tape


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def run(layer, pieces):
    """What the layer gives for each piece of a stream."""
    memory, given = None, []
    for i, piece in enumerate(pieces):
        tape = Tape(memory, last=i == len(pieces) - 1)
        given.append(layer(piece, tape))
        memory = tape.future
    return torch.cat(given, dim=1)


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(1, 1, 1), (7, 1, 1), (3, 1, 4), (6, 3, 1), (2, 1, 1)])
@pytest.mark.parametrize("rows", [13, 90])
def test_a_convolution_is_that_of_torch_however_it_is_multiplied(batch, kernel, stride, dilation, rows):
    """13 rows give fewer outputs than there are channels, 90 more: the two have ways of their own."""
    weight, bias, x = random(24, 5, kernel), random(24), random(batch, rows, 5)
    expected = nn.functional.conv1d(x.transpose(1, 2), weight, bias, stride, dilation=dilation).transpose(1, 2)
    layer = Convolution(weight, bias, stride=stride, dilation=dilation)
    assert layer.rows(rows) == expected.shape[1]
    torch.testing.assert_close(layer(x), expected, rtol=1e-5, atol=1e-5)
    apart = torch.empty(batch, rows + 3, 9)[:, 3:, 2:7].copy_(x)  # no neighbours in memory
    torch.testing.assert_close(layer(apart), expected, rtol=1e-5, atol=1e-5)


def test_a_convolution_of_too_few_rows_gives_none():
    assert Convolution(random(4, 3, 7), random(4))(random(2, 6, 3)).shape == (2, 0, 4)


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("batch", [1, FEW_ROWS, FEW_ROWS + 1])
def test_an_lstm_is_that_of_torch_in_pieces_of_any_size(layers, batch):
    module, x = nn.LSTM(6, 6, layers, batch_first=True), random(batch, 20, 6)
    layer = Lstm([parameter.detach() for parameter in module.parameters()])
    with torch.no_grad():
        expected = x + module(x)[0]
    torch.testing.assert_close(run(layer, [x]), expected)
    torch.testing.assert_close(run(layer, x.split([1, 0, 12, 7], dim=1)), expected)
    torch.testing.assert_close(run(layer, [x[:, :0], x]), expected)


def test_an_lstms_two_ways_carry_the_same_state():
    """A stream may run alone now and beside others next."""
    layer = Lstm([parameter.detach() for parameter in nn.LSTM(6, 6, 2).parameters()])
    x, past = random(2, 9, 6), random(4, 2, 6, seed=1)
    for few, many in zip(layer._few(x, past), layer._many(x, past), strict=True):
        torch.testing.assert_close(few, many)
