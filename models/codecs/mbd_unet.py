"""The network of Multi-Band Diffusion: noisy samples, the diffusion step and the codec's latents → the noise in them.

A U-Net over samples: levels of convolutions with group norm and ReLU, each `stride` times shorter than the one before,
a bottleneck where the latents come in, and the same levels back with skips. Group norm takes its mean and deviation
over the whole length, so a network sees everything it is given at once and a piece is not exactly what it is in the
whole. The published networks take 48 bytes a sample for one activation, at every level, and 1 kB in all (on a CPU).

Knows no schedule and no band. Source: arXiv:2308.02560; audiocraft/models/unet.py.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from models.codecs.mbd_bottleneck import load_bottleneck
from models.codecs.mbd_config import TRAINED_STEPS, UnetConfig
from models.decoding.checkpoint import TensorSource

RESIDUAL_KERNEL = 3  # of the convolutions in a residual block; its dilation doubles from block to block


class DiffusionUnet:
    """A loaded network; holds nothing between calls."""

    def __init__(self, config: UnetConfig, tensors: TensorSource) -> None:
        """Raises WeightsError."""
        levels = list(zip((1, *config.widths), config.widths, strict=False))  # channels in and out of each level
        self.config = config
        self._encoders = [
            _EncoderLevel(f"encoders.{i}", config, inputs, width, tensors) for i, (inputs, width) in enumerate(levels)
        ]
        self._decoders = [
            _DecoderLevel(f"decoders.{i}", config, width, outputs, tensors)
            for i, (outputs, width) in enumerate(reversed(levels))
        ]
        names = ["embedding", *(f"embeddings.{i}" for i in range(config.depth - 1) if config.emb_all_layers)]
        self._embeddings = [
            tensors.take(f"{name}.weight", TRAINED_STEPS, width)
            for name, width in zip(names, config.widths, strict=False)
        ]
        self._codec = tensors.take("conv_codec.weight", config.widths[-1], config.codec_dim, 1)
        self._codec_bias = tensors.take("conv_codec.bias", config.widths[-1])
        self._bottleneck = load_bottleneck(config, tensors)

    @property
    def device(self) -> torch.device:
        return self._codec.device

    def condition(self, latents: Tensor) -> Tensor:
        """Latents [B, D, T] of the codes → what every step is told of them, [B, C, T]."""
        return F.conv1d(latents, self._codec, self._codec_bias)

    def rows(self, samples: int) -> int:
        """Rows of the bottleneck, N, for so many samples."""
        for _ in range(self.config.depth):
            samples = -(-samples // self.config.stride)
        return samples

    def frame_of_row(self, frames: int, samples: int) -> Tensor:
        """[N]: for each row of the bottleneck the frame whose condition is added there."""
        # Not quite at the same time where the rows do not come out even: N rows are spread over T frames.
        indices = torch.arange(frames, dtype=torch.float32, device=self.device)
        return F.interpolate(indices[None, None], self.rows(samples))[0, 0].long()

    def __call__(self, samples: Tensor, index: int, condition: Tensor) -> Tensor:
        """samples [B, 1, L], all at step `index` of training → the estimated noise in them [B, 1, L]. L is at least 1.

        `condition` is of the same time: [B, C, N], of each row's frame, or [B, C, T] where it is attended to.
        """
        z = samples
        skips = []
        for level, encoder in enumerate(self._encoders):
            z = encoder(z)
            if level < len(self._embeddings):
                z += self._embeddings[level][index][:, None]
            skips.append(z)
        z = self._between(z, condition)
        for decoder in self._decoders:
            skip = skips.pop()
            z = decoder(z[:, :, : skip.shape[2]] + skip)
        return z[:, :, : samples.shape[2]]

    def _between(self, z: Tensor, condition: Tensor) -> Tensor:
        """What comes out of the bottleneck: nothing where there is none."""
        if self.config.attends:
            assert self._bottleneck is not None
            return self._bottleneck(z, condition)
        # Into z itself, which is the last skip too: without a bottleneck the latents reach the second half by it alone.
        z += condition
        return torch.zeros_like(z) if self._bottleneck is None else self._bottleneck(z, None)


class _EncoderLevel:
    """[B, C, L] → [B, D, ceil(L / stride)]."""

    def __init__(self, name: str, config: UnetConfig, inputs: int, width: int, tensors: TensorSource) -> None:
        self._weight = tensors.take(f"{name}.conv.weight", width, inputs, config.kernel)
        self._norm = _Norm(f"{name}.norm", width, config.norm_groups, tensors)
        self._blocks = _residual_blocks(name, width, config, tensors)
        self._stride = config.stride
        self._padding = (config.kernel - config.stride) // 2

    def __call__(self, x: Tensor) -> Tensor:
        x = F.pad(x, (0, -x.shape[2] % self._stride))
        x = self._norm(F.conv1d(x, self._weight, stride=self._stride, padding=self._padding))
        for block in self._blocks:
            x = block(x)
        return x


class _DecoderLevel:
    """[B, D, L] → [B, C, stride · L]."""

    def __init__(self, name: str, config: UnetConfig, width: int, outputs: int, tensors: TensorSource) -> None:
        self._blocks = _residual_blocks(name, width, config, tensors)
        self._norm = _Norm(f"{name}.norm", width, config.norm_groups, tensors)
        self._weight = tensors.take(f"{name}.convtr.weight", width, outputs, config.kernel)
        self._stride = config.stride
        self._padding = (config.kernel - config.stride) // 2

    def __call__(self, x: Tensor) -> Tensor:
        for block in self._blocks:
            x = block(x)
        return F.conv_transpose1d(self._norm(x), self._weight, stride=self._stride, padding=self._padding)


@dataclass(frozen=True)
class _Convolution:
    """Of RESIDUAL_KERNEL, as long out as in: [B, C, L] → [B, C, L]."""

    weight: Tensor
    bias: Tensor
    dilation: int

    def __call__(self, x: Tensor) -> Tensor:
        padding = self.dilation * (RESIDUAL_KERNEL - 1) // 2
        return F.conv1d(x, self.weight, self.bias, padding=padding, dilation=self.dilation)


class _ResidualBlock:
    """x + convolution(norm(convolution(norm(x)))): [B, C, L] → [B, C, L]."""

    def __init__(self, name: str, width: int, groups: int, dilation: int, tensors: TensorSource) -> None:
        self._norms = [_Norm(f"{name}.norm{i}", width, groups, tensors) for i in (1, 2)]
        self._convolutions = [
            _Convolution(
                tensors.take(f"{name}.conv{i}.weight", width, width, RESIDUAL_KERNEL),
                tensors.take(f"{name}.conv{i}.bias", width),
                dilation,
            )
            for i in (1, 2)
        ]

    def __call__(self, x: Tensor) -> Tensor:
        h = x
        for norm, convolution in zip(self._norms, self._convolutions, strict=True):
            h = convolution(norm(h))
        return h.add_(x)


class _Norm:
    """Group norm over channels and time, then ReLU."""

    def __init__(self, name: str, width: int, groups: int, tensors: TensorSource) -> None:
        self._groups = groups
        self._weight = tensors.take(f"{name}.weight", width)
        self._bias = tensors.take(f"{name}.bias", width)

    def __call__(self, x: Tensor) -> Tensor:
        return F.group_norm(x, self._groups, self._weight, self._bias).relu_()


def _residual_blocks(level: str, width: int, config: UnetConfig, tensors: TensorSource) -> list[_ResidualBlock]:
    return [
        _ResidualBlock(f"{level}.res_blocks.{i}", width, config.norm_groups, 2**i, tensors)
        for i in range(config.res_blocks)
    ]
