"""Convolutional layers that run over a stream: each call takes the next rows and gives every row that is exact by then.

A layer remembers the few input rows that its next output rows still need, so a piece costs what its own length costs:
nothing is computed twice, nothing is trimmed, and the pieces together equal the whole up to float rounding. The first
call pads with zeros on the left and the last one on the right, exactly where the whole pass pads.

Rows are time: activations are [B, L, C], which oneDNN and cuDNN take as a channels-last image of height 1.
Weights are plain tensors that ask for no gradient. Knows no codec's shape and no file.
"""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

Memory = Sequence[Tensor]  # [B, rows, C] a layer, in the order in which the layers run


class Tape:
    """Hands each layer what it remembered from the piece before, and collects what it remembers for the next."""

    def __init__(self, past: Memory | None, *, last: bool) -> None:
        """`past` is None in the first call of a stream; `last` says that nothing follows."""
        self.first = past is None
        self.last = last
        self.future: list[Tensor] = []
        self._past: Iterator[Tensor] = iter(past or ())

    def recall(self, like: Tensor, padding: int) -> Tensor:
        """Rows that the layer kept, [B, rows, C]; in the first call `padding` rows of zeros."""
        B, _, C = like.shape
        return like.new_zeros(B, padding, C) if self.first else next(self._past)

    def keep(self, rows: Tensor) -> None:
        if not self.last:
            self.future.append(rows.clone())  # a view would keep the whole piece alive


def snake_(z: Tensor) -> Tensor:
    """z + sin² z, in place. With z = αx this is α·(x + sin²(αx) / α), DAC's activation times its α."""
    s = z.sin()
    return z.addcmul_(s, s)


class Convolution:
    """A 1-D convolution without padding: [B, L, C] → [B, M, D]. weight [D, C, k], bias [D]."""

    def __init__(self, weight: Tensor, bias: Tensor, *, stride: int = 1, dilation: int = 1) -> None:
        self.weight = weight.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        self.bias = bias
        self.stride = stride
        self.dilation = dilation
        self.span = dilation * (weight.shape[2] - 1) + 1  # input rows that one output row reads

    def __call__(self, x: Tensor) -> Tensor:
        if self.span == 1:  # on one CPU thread conv2d takes a slow path for kernels of 1
            return F.linear(x, self.weight[:, :, 0, 0], self.bias)
        image = x.transpose(1, 2).unsqueeze(2)  # [B, C, 1, L], channels last
        y = F.conv2d(image, self.weight, self.bias, stride=(1, self.stride), dilation=(1, self.dilation))
        return y.squeeze(2).transpose(1, 2).contiguous()


class StreamConvolution:
    """A 1-D convolution with `padding` zeros at both ends of the stream: [B, L, C] → [B, M, D].

    alpha [C] applies Snake to the input first; the weight must then be divided by alpha.
    """

    def __init__(self, convolution: Convolution, padding: int, alpha: Tensor | None = None) -> None:
        self.convolution = convolution
        self.padding = padding
        self.alpha = alpha

    def __call__(self, x: Tensor, tape: Tape) -> Tensor:
        window = self._window(x, tape)
        stride, span = self.convolution.stride, self.convolution.span
        M = (window.shape[1] - span) // stride + 1
        assert M > 0, (window.shape, span)
        tape.keep(window[:, M * stride :])
        return self.convolution(window)

    def _window(self, x: Tensor, tape: Tape) -> Tensor:
        """What was kept, the new rows (activated), and behind the end zeros."""
        B, L, C = x.shape
        kept = tape.recall(x, self.padding)
        start, end = kept.shape[1], kept.shape[1] + L
        window = x.new_empty(B, end + (self.padding if tape.last else 0), C)
        window[:, :start] = kept
        window[:, end:] = 0
        new = window[:, start:end]
        if self.alpha is None:
            new.copy_(x)
        else:
            snake_(torch.mul(x, self.alpha, out=new))
        return window


class ResidualUnit:
    """x + pointwise(snake(dilated(snake(x)))): [B, L, C] → [B, M, C]. The second Snake's α is folded into both."""

    def __init__(self, dilated: StreamConvolution, pointwise: Convolution) -> None:
        self.dilated = dilated
        self.pointwise = pointwise

    def __call__(self, x: Tensor, tape: Tape) -> Tensor:
        y = self.pointwise(snake_(self.dilated(x, tape)))
        M = y.shape[1]
        # The branch runs behind by its padding: rows of x that it has not yet reached wait.
        skip = torch.cat([tape.recall(x, 0), x], dim=1)
        tape.keep(skip[:, M:])
        return y.add_(skip[:, :M])


class Upsample:
    """Transposed convolution, kernel 2·stride, padding stride / 2: [B, L, C] → [B, ~stride·L, D].

    Each output row sums over two neighbouring inputs only, so this is a convolution of kernel 2 that gives `stride`
    rows of D channels at once.
    """

    def __init__(self, convolution: StreamConvolution, stride: int) -> None:
        self.convolution = convolution
        self.stride = stride

    def __call__(self, x: Tensor, tape: Tape) -> Tensor:
        blocks = self.convolution(x, tape)
        B, N, width = blocks.shape
        rows = blocks.view(B, N * self.stride, width // self.stride)
        cut = self.stride // 2  # of the padding: dropped at both ends of the stream
        return rows[:, cut if tape.first else 0 : rows.shape[1] - (cut if tape.last else 0)]
