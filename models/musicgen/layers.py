"""The blocks of MusicGen's decoder as plain functions of tensors. Knows no cache policy, no sampling.

Facts (audiocraft/modules/transformer.py and its published configurations): pre-norm, LayerNorm with bias, GELU by erf,
no biases in projections, scores over the root of the head's width. Fused here: q, k and v in one matrix, the keys and
values of the text in another, and the scale of the scores in the rows that make queries.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from models.decoding.checkpoint import TensorSource
from models.decoding.elementwise import LayerNorm, gelu
from models.decoding.linear import Product
from models.decoding.runtime import Runtime
from models.musicgen.config import MusicgenConfig

NORM_EPS = 1e-5  # torch's own, which audiocraft writes out and transformers leaves as it is

Pack = Callable[[Tensor], Product]  # weight [out, in] → the product with it


@dataclass(frozen=True)
class Packs:
    """How matrices are kept, by what is done with them.

    step: multiplied with a few rows in every decoder step. text: with the rows of a text or a melody, once a request.
    """

    step: Pack
    text: Pack

    @classmethod
    def of(cls, runtime: Runtime) -> "Packs":
        return cls(runtime.pack_step, runtime.pack_precise)

    @classmethod
    def alike(cls, pack: Pack) -> "Packs":
        return cls(pack, pack)


def take_norm(source: TensorSource, name: str, width: int) -> LayerNorm:
    """A layer norm, its weights kept in float32."""
    weight, bias = (source.take(f"{name}.{part}", width, dtype=torch.float32) for part in ("weight", "bias"))
    return LayerNorm(weight, bias, NORM_EPS)


@dataclass(frozen=True)
class SelfAttention:
    """Norm and projections of self-attention. Queries come out with the scale of the scores in them."""

    norm: LayerNorm
    qkv: Product
    out: Product
    heads: int

    @classmethod
    def take(cls, source: TensorSource, layer: str, config: MusicgenConfig, packs: Packs) -> "SelfAttention":
        q, k, v, out = _take_attention(source, f"{layer}.self_attn", config)
        norm = take_norm(source, f"{layer}.self_attn_layer_norm", config.width)
        return cls(norm, packs.step(torch.cat((q, k, v))), packs.step(out), config.heads)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Rows x [R, D] → queries, keys and values [R, H, d]."""
        q, k, v = self.qkv(self.norm(x)).unflatten(-1, (3, self.heads, -1)).unbind(1)
        return q, k, v


@dataclass(frozen=True)
class CrossAttention:
    """Norm and projections of cross-attention.

    Only the conditional branch has any: the unconditional one attends to zeros, whose keys and values are zero because
    no projection has a bias, and so adds nothing.
    """

    norm: LayerNorm
    q: Product
    kv: Product
    out: Product
    heads: int

    @classmethod
    def take(cls, source: TensorSource, layer: str, config: MusicgenConfig, packs: Packs) -> "CrossAttention":
        q, k, v, out = _take_attention(source, f"{layer}.encoder_attn", config)
        norm = take_norm(source, f"{layer}.encoder_attn_layer_norm", config.width)
        return cls(norm, packs.step(q), packs.text(torch.cat((k, v))), packs.step(out), config.heads)

    def project_text(self, text: Tensor) -> tuple[Tensor, Tensor]:
        """Projected text [S, D] → keys and values [H, S, d]: once a request, whatever its length in frames."""
        k, v = self.kv(text).unflatten(-1, (2, self.heads, -1)).permute(1, 2, 0, 3)
        return k.contiguous(), v.contiguous()

    def queries(self, x: Tensor) -> Tensor:
        """Rows x [R, D] → [R, H, d]."""
        return self.q(self.norm(x)).unflatten(-1, (self.heads, -1))


def _take_attention(source: TensorSource, name: str, config: MusicgenConfig) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Matrices [D, D] of scaled queries, keys, values and output."""
    q, k, v, out = (source.take(f"{name}.{p}_proj.weight", config.width, config.width) for p in ("q", "k", "v", "out"))
    return q * config.head_dim**-0.5, k, v, out


@dataclass(frozen=True)
class MLP:
    """Norm, up, GELU, down."""

    norm: LayerNorm
    up: Product
    down: Product

    @classmethod
    def take(cls, source: TensorSource, layer: str, config: MusicgenConfig, pack: Pack) -> "MLP":
        up = source.take(f"{layer}.fc1.weight", config.ffn, config.width)
        down = source.take(f"{layer}.fc2.weight", config.width, config.ffn)
        return cls(take_norm(source, f"{layer}.final_layer_norm", config.width), pack(up), pack(down))

    def __call__(self, x: Tensor) -> Tensor:
        return self.down(gelu(self.up(self.norm(x))))


@dataclass(frozen=True)
class DecoderLayer:
    """Self-attention, cross-attention where the text is crossed with, and MLP; each is added to what it is given."""

    attention: SelfAttention
    cross: CrossAttention | None
    mlp: MLP

    @classmethod
    def take(cls, source: TensorSource, name: str, config: MusicgenConfig, packs: Packs) -> "DecoderLayer":
        return cls(
            SelfAttention.take(source, name, config, packs),
            None if config.melody else CrossAttention.take(source, name, config, packs),
            MLP.take(source, name, config, packs.step),
        )


@dataclass(frozen=True)
class Projection:
    """States of an encoder → the network's width. A row of zeros stays one: see models/musicgen/conditioning.py."""

    product: Product
    bias: Tensor

    @classmethod
    def take(cls, source: TensorSource, name: str, width: int, states: int, pack: Pack) -> "Projection":
        return cls(pack(source.take(f"{name}.weight", width, states)), source.take(f"{name}.bias", width))

    def __call__(self, states: Tensor) -> Tensor:
        """states [S, D_in] → [S, D]."""
        projected = self.product(states) + self.bias
        return projected * states.any(-1, keepdim=True)
