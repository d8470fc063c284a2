"""From the tensors of transformers' EncodecModel to layers: asked for by name and shape, weight norm multiplied out.

The names are those of transformers 5: weight norm is torch's parametrization. Knows the layers of EnCodec one by one,
not how they follow each other.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from models.codecs.encodec_config import EncodecConfig
from models.codecs.lstm import Lstm
from models.codecs.stream_layers import (
    Activation,
    Convolution,
    Padding,
    ResidualUnit,
    StreamConvolution,
    Upsample,
    unchanged,
    upsampling_taps,
)
from models.decoding.checkpoint import TensorSource


def elu(x: Tensor, out: Tensor) -> Tensor:
    """ELU with α = 1, x where it is positive and eˣ - 1 elsewhere, written into `out`."""
    return torch.ops.aten.elu.out(x, out=out)


class Builder:
    """Makes layers on one device and in one dtype."""

    def __init__(self, config: EncodecConfig, tensors: TensorSource, device: torch.device, dtype: torch.dtype) -> None:
        self.config = config
        self.tensors = tensors
        self.device = device
        self.dtype = dtype

    def take(self, name: str, *shape: int) -> Tensor:
        return self.tensors.take(name, *shape, dtype=self.dtype)

    def placed(self, tensor: Tensor) -> Tensor:
        return tensor.to(self.device).contiguous()

    def stream_convolution(
        self,
        name: str,
        outputs: int,
        inputs: int,
        kernel: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        activation: Activation = elu,
    ) -> StreamConvolution:
        """The convolution `name` behind an activation, padded as the config says."""
        convolution = self._convolution(name, outputs, inputs, kernel, stride=stride, dilation=dilation)
        return StreamConvolution(convolution, self._padding(kernel, stride=stride, dilation=dilation), activation)

    def first_convolution(self, name: str, outputs: int, inputs: int) -> StreamConvolution:
        """The one that begins an encoder or a decoder."""
        return self.stream_convolution(name, outputs, inputs, self.config.kernel, activation=unchanged)

    def residual_unit(self, name: str, channels: int, dilation: int) -> ResidualUnit:
        narrow = channels // self.config.compress
        kernel = self.config.residual_kernel
        dilated = self.stream_convolution(f"{name}.block.1", narrow, channels, kernel, dilation=dilation)
        pointwise = self._convolution(f"{name}.block.3", channels, narrow, 1)
        shortcut = self._convolution(f"{name}.shortcut", channels, channels, 1) if self.config.conv_shortcut else None
        return ResidualUnit(dilated, F.elu_, pointwise, shortcut)

    def upsample(self, name: str, outputs: int, inputs: int, stride: int) -> Upsample:
        """A transposed convolution of kernel 2·stride behind an ELU."""
        weight = self._weight(f"{name}.conv", inputs, outputs, 2 * stride)
        bias = self.take(f"{name}.conv.bias", outputs)
        convolution = Convolution(self.placed(upsampling_taps(weight)), self.placed(bias.repeat(stride)))
        return Upsample(StreamConvolution(convolution, Padding(1, 1), elu), stride, self.config.cut_left(stride))

    def lstm(self, name: str, width: int) -> Lstm:
        """All layers of the LSTM `name`."""
        parameters = []
        for i in range(self.config.lstm_layers):
            parameters += [self.take(f"{name}.lstm.weight_{kind}_l{i}", 4 * width, width) for kind in ("ih", "hh")]
            parameters += [self.take(f"{name}.lstm.bias_{kind}_l{i}", 4 * width) for kind in ("ih", "hh")]
        return Lstm([self.placed(parameter) for parameter in parameters])

    def _convolution(
        self, name: str, outputs: int, inputs: int, kernel: int, *, stride: int = 1, dilation: int = 1
    ) -> Convolution:
        weight = self._weight(f"{name}.conv", outputs, inputs, kernel)
        bias = self.take(f"{name}.conv.bias", outputs)
        return Convolution(self.placed(weight), self.placed(bias), stride=stride, dilation=dilation)

    def _padding(self, kernel: int, *, stride: int, dilation: int) -> Padding:
        left, right = self.config.padding(kernel, stride=stride, dilation=dilation)
        return Padding(left, right, self.config.mirrored)

    def _weight(self, name: str, *shape: int) -> Tensor:
        """[*shape] = g · v / |v|, where |v| is that of each slice along the first axis."""
        g = self.take(f"{name}.parametrizations.weight.original0", shape[0], 1, 1)
        v = self.take(f"{name}.parametrizations.weight.original1", *shape)
        return v * (g / v.norm(dim=(1, 2), keepdim=True))
