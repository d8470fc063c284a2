"""The decoder and the encoder of DAC: which layers follow each other. Knows of pieces only that a Tape joins them.

Source: arXiv:2306.06546; order of layers and padding are those of transformers' DacModel.
"""

import torch
from torch import Tensor

from models.codecs.dac_builder import Builder
from models.codecs.dac_config import EDGE_REACH, RESIDUAL_KERNEL, DacConfig
from models.codecs.stream_layers import Layer, Network, Tape
from models.decoding.checkpoint import Checkpoint


def build_decoder(config: DacConfig, tensors: Checkpoint, device: torch.device, dtype: torch.dtype) -> Network:
    """Latents [B, T, D] → samples [B, hop·T, 1] within ±1, float32 or wider."""
    build = Builder(tensors, device, dtype)
    precise = Builder(tensors, device, torch.promote_types(dtype, torch.float32))
    width = config.decoder_width
    layers: list[Layer] = [
        _cast(dtype),
        build.stream_convolution("decoder.conv1", width, config.latent_width, RESIDUAL_KERNEL, EDGE_REACH),
    ]
    for i, stride in enumerate(reversed(config.strides)):
        block, width = f"decoder.block.{i}", width // 2
        layers.append(build.upsample(block, width, 2 * width, stride))
        layers.extend(build.residual_units(block, width))
    # The last one is 0.04 % of the work; in bfloat16 it would round loud samples to 8 bits.
    layers.append(_cast(precise.dtype))
    layers.append(
        precise.stream_convolution("decoder.conv2", 1, width, RESIDUAL_KERNEL, EDGE_REACH, snake="decoder.snake1")
    )
    layers.append(_tanh)
    return Network(layers)


def build_encoder(config: DacConfig, tensors: Checkpoint, device: torch.device, dtype: torch.dtype) -> Network:
    """Samples [B, hop·T, 1] → latents [B, T, D]."""
    build = Builder(tensors, device, dtype)
    width = config.encoder_width
    layers: list[Layer] = [
        _cast(dtype),
        build.stream_convolution("encoder.conv1", width, 1, RESIDUAL_KERNEL, EDGE_REACH),
    ]
    for i, stride in enumerate(config.strides):
        block = f"encoder.block.{i}"
        layers.extend(build.residual_units(block, width))
        width *= 2
        layers.append(
            build.stream_convolution(
                f"{block}.conv1", width, width // 2, 2 * stride, stride // 2, stride=stride, snake=f"{block}.snake1"
            )
        )
    layers.append(build.stream_convolution("encoder.conv2", config.latent_width, width, 3, 1, snake="encoder.snake1"))
    return Network(layers)


def _cast(dtype: torch.dtype) -> Layer:
    return lambda x, tape: x.to(dtype)


def _tanh(x: Tensor, tape: Tape) -> Tensor:
    return x.tanh()
