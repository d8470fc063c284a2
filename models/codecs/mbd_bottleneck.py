"""What a diffusion U-Net may have between its two halves: a bidirectional LSTM, or a transformer. Knows no samples.

Rows are [B, C, N]: at 32 kHz with 4 levels of stride 4, 125 rows a second.

Source: audiocraft/models/unet.py (BLSTM) and audiocraft/modules/transformer.py (StreamingTransformer, not streamed).
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from models.codecs.mbd_config import TRANSFORMER_HEADS, UnetConfig
from models.decoding.checkpoint import TensorSource

LSTM_LAYERS = 2
TRANSFORMER_LAYERS = 6
FEED_FORWARD = 2048  # inner width of a transformer's layer
MAX_PERIOD = 10_000.0  # rows, of the slowest position wave

Bottleneck = Callable[[Tensor, Tensor | None], Tensor]  # rows [B, C, N] and what they attend to [B, C, T] → [B, C, N]


def load_bottleneck(config: UnetConfig, tensors: TensorSource) -> Bottleneck | None:
    """None where there is nothing, and only the skips reach the second half. Raises WeightsError."""
    if config.transformer:
        return Transformer(config, tensors)
    return BidirectionalLstm(config.widths[-1], tensors) if config.bilstm else None


class BidirectionalLstm:
    """Two layers as wide as the rows, and a projection of both directions back to that width."""

    def __init__(self, width: int, tensors: TensorSource) -> None:
        weights: dict[str, tuple[int, ...]] = {}
        for layer in range(LSTM_LAYERS):
            for end in ("", "_reverse"):
                inputs = 2 * width if layer else width
                weights[f"weight_ih_l{layer}{end}"] = (4 * width, inputs)
                weights[f"weight_hh_l{layer}{end}"] = (4 * width, width)
                weights[f"bias_ih_l{layer}{end}"] = (4 * width,)
                weights[f"bias_hh_l{layer}{end}"] = (4 * width,)
        taken = {name: tensors.take(f"bilstm.lstm.{name}", *shape) for name, shape in weights.items()}
        with torch.device("meta"):  # its own random weights would be made for nothing
            self._lstm = torch.nn.LSTM(width, width, LSTM_LAYERS, bidirectional=True, batch_first=True)
        self._lstm.load_state_dict(taken, assign=True)
        self._lstm.requires_grad_(False).flatten_parameters()
        self._weight = tensors.take("bilstm.linear.weight", width, 2 * width)
        self._bias = tensors.take("bilstm.linear.bias", width)

    def __call__(self, rows: Tensor, source: Tensor | None) -> Tensor:
        both, _ = self._lstm(rows.transpose(1, 2))
        return F.linear(both, self._weight, self._bias).transpose(1, 2)


class Transformer:
    """Layers that see every row, and the latents where the checkpoint's attend to them."""

    def __init__(self, config: UnetConfig, tensors: TensorSource) -> None:
        names = [f"transformer.layers.{i}" for i in range(TRANSFORMER_LAYERS)]
        self._layers = [_Layer(name, config.widths[-1], config.attends, tensors) for name in names]

    def __call__(self, rows: Tensor, source: Tensor | None) -> Tensor:
        x = _with_positions(rows)
        attended = None if source is None else _with_positions(source)
        for layer in self._layers:
            x = layer(x, attended)
        return x.transpose(1, 2)


class _Layer:
    """Attention, attention to the latents, feed-forward; each added to its input and normalised after that."""

    def __init__(self, name: str, width: int, cross: bool, tensors: TensorSource) -> None:
        self._attention = _Attention(f"{name}.self_attn", width, tensors)
        self._cross = _Attention(f"{name}.cross_attention", width, tensors) if cross else None
        self._inner = tensors.take(f"{name}.linear1.weight", FEED_FORWARD, width)
        self._outer = tensors.take(f"{name}.linear2.weight", width, FEED_FORWARD)
        self._norms = {
            norm: (tensors.take(f"{name}.{norm}.weight", width), tensors.take(f"{name}.{norm}.bias", width))
            for norm in ("norm1", *(["norm_cross"] if cross else []), "norm2")
        }

    def __call__(self, x: Tensor, source: Tensor | None) -> Tensor:
        """[B, N, C] and [B, T, C] → [B, N, C]."""
        y = self._normalised(x + self._attention(x, x), "norm1")
        if self._cross is not None:
            assert source is not None
            # Its queries are the layer's input, not what self-attention made of it: so audiocraft's post-norm layer has
            # it, and so the weights were trained.
            y = self._normalised(y + self._cross(x, source), "norm_cross")
        return self._normalised(y + F.linear(F.linear(y, self._inner).relu_(), self._outer), "norm2")

    def _normalised(self, x: Tensor, norm: str) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], *self._norms[norm])


class _Attention:
    """Of TRANSFORMER_HEADS heads, without biases."""

    def __init__(self, name: str, width: int, tensors: TensorSource) -> None:
        self._into = tensors.take(f"{name}.mha.in_proj_weight", 3 * width, width).view(3, width, width)
        self._out = tensors.take(f"{name}.mha.out_proj.weight", width, width)

    def __call__(self, x: Tensor, source: Tensor) -> Tensor:
        """Queries from x [B, N, C], keys and values from source [B, T, C] → [B, N, C]."""
        parts = zip((x, source, source), self._into, strict=True)
        queries, keys, values = (_split(F.linear(y, weight)) for y, weight in parts)
        attended = F.scaled_dot_product_attention(queries, keys, values)
        return F.linear(attended.transpose(1, 2).flatten(2), self._out)


def _split(x: Tensor) -> Tensor:
    """[B, N, C] → [B, H, N, C / H]."""
    return x.unflatten(2, (TRANSFORMER_HEADS, -1)).transpose(1, 2)


def _with_positions(rows: Tensor) -> Tensor:
    """[B, C, N] → [B, N, C], waves of rising periods added: C / 2 cosines, then as many sines."""
    _, C, N = rows.shape
    half = C // 2
    periods = MAX_PERIOD ** (torch.arange(half, device=rows.device, dtype=rows.dtype) / (half - 1))
    phases = torch.arange(N, device=rows.device, dtype=rows.dtype)[:, None] / periods
    return rows.transpose(1, 2) + torch.cat([phases.cos(), phases.sin()], dim=1)
