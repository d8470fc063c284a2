"""From the tensors of transformers' DacModel to layers: asked for by name and shape, Snake's α folded into weights.

The names are those for which descript/dac_44khz is stored: 223 tensors, weight norm already removed. Knows the layers
of DAC one by one, not how they follow each other.
"""

import torch
from torch import Tensor

from models.codecs.dac_config import DILATIONS, RESIDUAL_KERNEL
from models.codecs.snake import Snake, snake_
from models.codecs.stream_layers import (
    Convolution,
    Padding,
    ResidualUnit,
    StreamConvolution,
    Upsample,
    upsampling_taps,
)
from models.decoding.checkpoint import Checkpoint

SMALLEST_ALPHA = 1e-6  # α divides the weights behind a Snake; a smaller one is x + αx², which is x itself in float32


class Builder:
    """Makes layers on one device and in one dtype."""

    def __init__(self, tensors: Checkpoint, device: torch.device, dtype: torch.dtype) -> None:
        self.tensors = tensors
        self.device = device
        self.dtype = dtype

    def placed(self, tensor: Tensor) -> Tensor:
        return tensor.to(device=self.device, dtype=self.dtype).contiguous()

    def weights(self, name: str, outputs: int, inputs: int, kernel: int) -> tuple[Tensor, Tensor]:
        """Weight [outputs, inputs, kernel] and bias [outputs]."""
        weight = self.tensors.take(f"{name}.weight", outputs, inputs, kernel)
        return weight, self.tensors.take(f"{name}.bias", outputs)

    def alpha(self, name: str, channels: int) -> Tensor:
        """[channels], never 0."""
        alpha = self.tensors.take(f"{name}.alpha", 1, channels, 1).flatten()
        return alpha.where(alpha.abs() > SMALLEST_ALPHA, SMALLEST_ALPHA)

    def stream_convolution(
        self, name: str, outputs: int, inputs: int, kernel: int, padding: int, *, stride: int = 1, snake: str = ""
    ) -> StreamConvolution:
        """The convolution `name`, behind the Snake called `snake` if there is one."""
        weight, bias = self.weights(name, outputs, inputs, kernel)
        around = Padding(padding, padding)
        if not snake:
            return StreamConvolution(self._convolution(weight, bias, stride=stride), around)
        alpha = self.alpha(snake, inputs)
        convolution = self._convolution(weight / alpha[:, None], bias, stride=stride)
        return StreamConvolution(convolution, around, Snake(self.placed(alpha)))

    def residual_units(self, block: str, channels: int) -> list[ResidualUnit]:
        return [self._residual_unit(f"{block}.res_unit{i + 1}", channels, d) for i, d in enumerate(DILATIONS)]

    def upsample(self, block: str, outputs: int, inputs: int, stride: int) -> Upsample:
        """A Snake and a transposed convolution of kernel 2·stride."""
        weight = self.tensors.take(f"{block}.conv_t1.weight", inputs, outputs, 2 * stride)
        bias = self.tensors.take(f"{block}.conv_t1.bias", outputs)
        alpha = self.alpha(f"{block}.snake1", inputs)
        convolution = self._convolution(upsampling_taps(weight / alpha[:, None, None]), bias.repeat(stride))
        return Upsample(StreamConvolution(convolution, Padding(1, 1), Snake(self.placed(alpha))), stride, stride // 2)

    def _residual_unit(self, name: str, channels: int, dilation: int) -> ResidualUnit:
        first, second = self.alpha(f"{name}.snake1", channels), self.alpha(f"{name}.snake2", channels)
        weight, bias = self.weights(f"{name}.conv1", channels, channels, RESIDUAL_KERNEL)
        weight = weight * (second[:, None, None] / first[:, None])
        dilated = self._convolution(weight, bias * second, dilation=dilation)
        weight, bias = self.weights(f"{name}.conv2", channels, channels, 1)
        pointwise = self._convolution(weight / second[:, None], bias)
        reach = dilation * (RESIDUAL_KERNEL // 2)
        stream = StreamConvolution(dilated, Padding(reach, reach), Snake(self.placed(first)))
        return ResidualUnit(stream, snake_, pointwise)

    def _convolution(self, weight: Tensor, bias: Tensor, *, stride: int = 1, dilation: int = 1) -> Convolution:
        return Convolution(self.placed(weight), self.placed(bias), stride=stride, dilation=dilation)
