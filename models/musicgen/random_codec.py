"""The tensors of a tiny EnCodec with random weights. Knows names, shapes and loudness, no network."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Shapes = Iterator[tuple[str, tuple[int, ...]]]  # (name of a tensor, its shape)

OUTPUT_GAIN = 0.1  # of the decoder's last convolution: noise at a bearable level
RESIDUAL_GAIN = 0.3  # of the last convolution of a residual unit
INNER_GAIN = 1.5  # of the others: ELU takes away about half of the power
_NORM, _DIRECTION = "parametrizations.weight.original0", "parametrizations.weight.original1"


def codec_shapes(prefix: str, config: dict[str, Any], codebooks: int) -> Shapes:
    """Tensors of transformers' EncodecModel for this configuration, weight norm as two tensors."""
    width, ratios = config["num_filters"], config["upsampling_ratios"]
    yield from _encoder(f"{prefix}encoder.layers", config, width, ratios[::-1])
    for book in range(codebooks):
        name, codes = f"{prefix}quantizer.layers.{book}.codebook", config["codebook_size"]
        yield f"{name}.embed", (codes, config["codebook_dim"])
        # What training with moving averages left behind. Nothing reads it, but published files have it.
        yield f"{name}.embed_avg", (codes, config["codebook_dim"])
        yield f"{name}.cluster_size", (codes,)
        yield f"{name}.inited", (1,)
    yield from _decoder(f"{prefix}decoder.layers", config, width * 2 ** len(ratios), ratios)


def codec_gain(name: str, shape: tuple[int, ...], noise: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """A tensor's values from noise of its shape: each layer hands on about the variance that it gets."""
    if ".codebook." in name:
        return np.ones(shape, np.float32) if name.endswith((".inited", ".cluster_size")) else noise
    if ".lstm." in name:
        return noise * np.float32(0.5 / math.sqrt(shape[0] // 4))  # four gates
    if name.endswith(_NORM):
        return np.full(shape, _gain(name, shape), np.float32)
    return noise if name.endswith(_DIRECTION) else 0.05 * noise


def _gain(name: str, shape: tuple[int, ...]) -> float:
    """The length of the weights of one channel."""
    if shape[0] == 1:  # the sound itself
        return OUTPUT_GAIN
    return RESIDUAL_GAIN if ".block.3." in name else INNER_GAIN


def _encoder(name: str, config: dict[str, Any], width: int, ratios: list[int]) -> Shapes:
    yield from _conv(f"{name}.0", width, 1, config["kernel_size"])
    index = 1
    for ratio in ratios:
        yield from _residual(f"{name}.{index}", width, config)
        yield from _conv(f"{name}.{index + 2}", 2 * width, width, 2 * ratio)  # index + 1 is an activation
        width, index = 2 * width, index + 3
    yield from _lstm(f"{name}.{index}", width, config["num_lstm_layers"])
    yield from _conv(f"{name}.{index + 2}", config["hidden_size"], width, config["last_kernel_size"])


def _decoder(name: str, config: dict[str, Any], width: int, ratios: list[int]) -> Shapes:
    yield from _conv(f"{name}.0", width, config["hidden_size"], config["kernel_size"])
    yield from _lstm(f"{name}.1", width, config["num_lstm_layers"])
    index = 3
    for ratio in ratios:
        yield f"{name}.{index}.conv.{_NORM}", (width, 1, 1)  # a transposed convolution: its first axis is what comes in
        yield f"{name}.{index}.conv.{_DIRECTION}", (width, width // 2, 2 * ratio)
        yield f"{name}.{index}.conv.bias", (width // 2,)
        width //= 2
        yield from _residual(f"{name}.{index + 1}", width, config)
        index += 3
    yield from _conv(f"{name}.{index}", 1, width, config["last_kernel_size"])


def _residual(name: str, width: int, config: dict[str, Any]) -> Shapes:
    inner = width // config["compress"]
    yield from _conv(f"{name}.block.1", inner, width, config["residual_kernel_size"])
    yield from _conv(f"{name}.block.3", width, inner, 1)


def _lstm(name: str, width: int, layers: int) -> Shapes:
    for layer in range(layers):
        yield f"{name}.lstm.weight_ih_l{layer}", (4 * width, width)
        yield f"{name}.lstm.weight_hh_l{layer}", (4 * width, width)
        yield f"{name}.lstm.bias_ih_l{layer}", (4 * width,)
        yield f"{name}.lstm.bias_hh_l{layer}", (4 * width,)


def _conv(name: str, width_out: int, width_in: int, taps: int) -> Shapes:
    yield f"{name}.conv.{_NORM}", (width_out, 1, 1)
    yield f"{name}.conv.{_DIRECTION}", (width_out, width_in, taps)
    yield f"{name}.conv.bias", (width_out,)
