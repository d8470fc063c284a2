"""Convolutional layers that run over a stream: each call takes the next rows and gives every row that is exact by then.

A layer remembers the few input rows that its next output rows still need, so a piece costs what its own length costs:
nothing is computed twice, nothing is trimmed, and the pieces together equal the whole up to float rounding. The first
call pads on the left and the last one on the right, exactly where the whole pass pads.

Rows are time: activations are [B, L, C], which oneDNN and cuDNN take as a channels-last image of height 1.
Weights are plain tensors that ask for no gradient. Knows no codec's shape and no file.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

Memory = Sequence[Tensor]  # [B, rows, C] a layer, in the order in which the layers run
Activation = Callable[[Tensor, Tensor], object]  # writes the first tensor, activated, into the second


class Tape:
    """Hands each layer what it remembered from the piece before, and collects what it remembers for the next."""

    def __init__(self, past: Memory | None, *, last: bool) -> None:
        """`past` is None in the first call of a stream; `last` says that nothing follows."""
        self.first = past is None
        self.last = last
        self.future: list[Tensor] = []
        self._past: Iterator[Tensor] = iter(past or ())

    def recall(self) -> Tensor | None:
        """Rows that the layer kept, [B, rows, C]; None in the first call."""
        return None if self.first else next(self._past)

    def keep(self, rows: Tensor) -> None:
        if not self.last:
            self.future.append(rows.clone())  # a view would keep the whole piece alive


Layer = Callable[[Tensor, Tape], Tensor]


class Network:
    """Layers in a row, over a stream: [B, L, C] → [B, M, D]."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.layers = tuple(layers)

    def __call__(self, x: Tensor, memory: Memory | None, *, last: bool) -> tuple[Tensor, Memory]:
        """The rows that are exact now, and what the next call needs; `memory` is None in the first call.

        A first call that is not the last must be long enough for every layer to give a row.
        """
        tape = Tape(memory, last=last)
        for layer in self.layers:
            x = layer(x, tape)
        return x, tape.future


class Convolution:
    """A 1-D convolution without padding: [B, L, C] → [B, M, D]. weight [D, C, k], bias [D]."""

    def __init__(self, weight: Tensor, bias: Tensor, *, stride: int = 1, dilation: int = 1) -> None:
        self.weight = weight.unsqueeze(2).contiguous(memory_format=torch.channels_last)  # in memory [D, k, C]
        self.bias = bias
        self.stride = stride
        self.dilation = dilation
        self.span = dilation * (weight.shape[2] - 1) + 1  # input rows that one output row reads

    def rows(self, length: int) -> int:
        """M for L = length."""
        return max(0, (length - self.span) // self.stride + 1)

    def __call__(self, x: Tensor) -> Tensor:
        B, L, C = x.shape
        D, _, _, k = self.weight.shape
        M = self.rows(L)
        # On the CPU conv2d copies the weight into an order of its own at each call. Where the windows are smaller than
        # the weight, copying those is cheaper; and on one thread conv2d takes a slow path for kernels of 1.
        if B * M <= D or self.span == 1:
            step, channel = x.stride(1), x.stride(2)
            windows = x.as_strided((B, M, k, C), (x.stride(0), self.stride * step, self.dilation * step, channel))
            return F.linear(windows.reshape(B, M, k * C), self.weight.permute(0, 2, 3, 1).view(D, k * C), self.bias)
        image = x.transpose(1, 2).unsqueeze(2)  # [B, C, 1, L], channels last
        y = F.conv2d(image, self.weight, self.bias, stride=(1, self.stride), dilation=(1, self.dilation))
        return y.squeeze(2).transpose(1, 2).contiguous()


@dataclass(frozen=True)
class Padding:
    """Rows around a stream: zeros, or the rows nearest to its end in reverse order (torch's mode `reflect`)."""

    left: int
    right: int
    mirrored: bool = False


def unchanged(x: Tensor, out: Tensor) -> object:
    """The activation of a layer that has none."""
    return out.copy_(x)


class StreamConvolution:
    """A 1-D convolution over a padded stream: [B, L, C] → [B, M, D].

    With span - stride rows of padding, L rows give ⌈L / stride⌉ in all: where L is no multiple of the stride, more is
    added on the right until the last window is full.
    """

    def __init__(self, convolution: Convolution, padding: Padding, activation: Activation = unchanged) -> None:
        """`activation` goes over the input, before it is padded."""
        self.convolution = convolution
        self.padding = padding
        self.activation = activation

    def __call__(self, x: Tensor, tape: Tape) -> Tensor:
        window = self._window(x, tape)
        M = self.convolution.rows(window.shape[1])
        assert M or not tape.first, (window.shape, self.convolution.span)
        tape.keep(window[:, M * self.convolution.stride :])
        return self.convolution(window)

    def _window(self, x: Tensor, tape: Tape) -> Tensor:
        """What was kept, the new rows (activated), and the padding where the stream begins or ends."""
        B, L, C = x.shape
        kept = tape.recall()
        head = self.padding.left if kept is None else kept.shape[1]
        tail = self.padding.right + (self.padding.left - head - L) % self.convolution.stride if tape.last else 0
        whole = kept is None and tape.last
        # A whole stream too short to be mirrored is made longer by zeros first, and cut at the end by as many rows.
        zeros = max(0, max(head, tail) + 1 - L) if whole and self.padding.mirrored else 0
        end = head + L + zeros
        window = x.new_empty(B, end + tail, C)
        self.activation(x, window[:, head : head + L])
        window[:, head + L : end] = 0
        if kept is None:
            self._pad(window[:, :head], window[:, head + 1 : 2 * head + 1])
        else:
            window[:, :head] = kept
        self._pad(window[:, end:], window[:, end - 1 - tail : end - 1])
        return window[:, : end + tail - zeros]

    def _pad(self, rows: Tensor, mirror: Tensor) -> None:
        """Fill the rows at one end of the stream. `mirror`: as many, behind the one that they are mirrored at."""
        if not self.padding.mirrored:
            rows.zero_()
            return
        assert rows.shape == mirror.shape, (rows.shape, mirror.shape)
        rows.copy_(mirror.flip(1))


class ResidualUnit:
    """shortcut(x) + pointwise(activation(dilated(x))): [B, L, C] → [B, M, C]. Without a shortcut, x itself.

    `activation` works in place; the one in front of `dilated` is its own.
    """

    def __init__(
        self,
        dilated: StreamConvolution,
        activation: Callable[[Tensor], Tensor],
        pointwise: Convolution,
        shortcut: Convolution | None = None,
    ) -> None:
        self.dilated = dilated
        self.activation = activation
        self.pointwise = pointwise
        self.shortcut = shortcut

    def __call__(self, x: Tensor, tape: Tape) -> Tensor:
        y = self.pointwise(self.activation(self.dilated(x, tape)))
        M = y.shape[1]
        # The branch runs behind by its padding: rows of x that it has not yet reached wait.
        kept = tape.recall()
        skip = x if kept is None else torch.cat([kept, x], dim=1)
        tape.keep(skip[:, M:])
        skip = skip[:, :M]
        return y.add_(skip if self.shortcut is None else self.shortcut(skip))


def upsampling_taps(weight: Tensor) -> Tensor:
    """A transposed convolution's weight [C, D, 2·stride] → [stride·D, C, 2], that of the convolution in Upsample."""
    C, D, span = weight.shape
    stride = span // 2
    # Row r of a block is x[i] · weight[r] + x[i - 1] · weight[stride + r]: two taps, the older input first.
    return weight.view(C, D, 2, stride).flip(2).permute(3, 1, 0, 2).reshape(stride * D, C, 2)


class Upsample:
    """Transposed convolution, kernel 2·stride: [B, L, C] → [B, ~stride·L, D]; L rows give stride·L in all.

    Each output row sums over two neighbouring inputs only, so this is a convolution of kernel 2 that gives `stride`
    rows of D channels at once. `cut_left` rows are dropped where the stream begins, stride - cut_left where it ends.
    """

    def __init__(self, convolution: StreamConvolution, stride: int, cut_left: int) -> None:
        self.convolution = convolution
        self.stride = stride
        self.cut_left = cut_left

    def __call__(self, x: Tensor, tape: Tape) -> Tensor:
        blocks = self.convolution(x, tape)
        B, N, width = blocks.shape
        rows = blocks.view(B, N * self.stride, width // self.stride)
        end = rows.shape[1] - (self.stride - self.cut_left if tape.last else 0)
        return rows[:, self.cut_left if tape.first else 0 : end]
