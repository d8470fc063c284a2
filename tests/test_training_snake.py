"""Our Snake is transformers', its gradients too."""

import pytest
import torch
from transformers import DacConfig
from transformers.models.dac.modeling_dac import DacDecoder, Snake1d

from training.codec.snake import Snake, use_own_snakes


def snakes() -> tuple[Snake, Snake1d]:
    alpha = torch.linspace(-2, 3, 6).view(1, 6, 1)
    pair = Snake(6), Snake1d(6)
    for snake in pair:
        snake.alpha.data.copy_(alpha)
    return pair


@pytest.mark.parametrize("loudness", [0.1, 10.0])
def test_values_and_gradients_are_those_of_transformers(loudness: float) -> None:
    ours, theirs = snakes()
    x = torch.randn(3, 6, 50, generator=torch.Generator().manual_seed(0)).mul_(loudness).requires_grad_()
    slope = torch.randn(3, 6, 50, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(ours(x), theirs(x))
    own, other = (torch.autograd.grad(snake(x), (x, snake.alpha), slope) for snake in (ours, theirs))
    torch.testing.assert_close(own, other, rtol=1e-4, atol=1e-4)


def test_a_decoder_keeps_its_parameters_and_what_it_says() -> None:
    sizes = {"hidden_size": 8, "decoder_hidden_size": 16, "upsampling_ratios": [2, 2], "downsampling_ratios": [2, 2]}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        decoder = DacDecoder(DacConfig(**sizes))
        codes = torch.randn(2, 8, 5)
    names, before = list(decoder.state_dict()), decoder(codes)
    use_own_snakes(decoder)
    assert list(decoder.state_dict()) == names
    assert sum(isinstance(module, Snake) for module in decoder.modules()) == sum("alpha" in name for name in names)
    torch.testing.assert_close(decoder(codes), before)
