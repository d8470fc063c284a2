"""The blocks of Dia's encoder and decoder as plain functions of tensors. Knows no cache policy, no sampling.

Facts that differ from the common transformer (nari-labs/dia, dia/layers.py at 876125e): attention is not scaled by
1/sqrt(head_dim); RoPE is split-half, in float32, and absent from cross-attention; norms run in float32; no biases.
Fused here: q, k and v in one matrix; gate and up are one already; the keys and values of the text in one.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from models.decoding.attention import attend_all
from models.decoding.checkpoint import Checkpoint
from models.decoding.elementwise import RmsNorm, side_by_side, silu_gate, turn_pairs
from models.decoding.linear import Product
from models.decoding.runtime import Runtime
from models.dia.config import DecoderConfig, EncoderConfig

Pack = Callable[[Tensor], Product]  # weight [out, in] → the product with it


@dataclass(frozen=True)
class Packs:
    """How matrices are kept, by what is done with them.

    step: multiplied with a few rows in every decoder step. text: with hundreds of rows, once a request. text_scores:
    likewise, and what comes out goes into a softmax without a scale, which magnifies every rounding.
    """

    step: Pack
    text: Pack
    text_scores: Pack

    @classmethod
    def of(cls, runtime: Runtime) -> "Packs":
        return cls(runtime.pack_step, runtime.pack_text, runtime.pack_precise)

    @classmethod
    def alike(cls, pack: Pack) -> "Packs":
        return cls(pack, pack, pack)


def take_norm(file: Checkpoint, name: str, width: int, eps: float) -> RmsNorm:
    """An RMS norm, its weight kept in float32."""
    return RmsNorm(file.take(f"{name}.weight", width, dtype=torch.float32), eps)


@dataclass(frozen=True)
class SelfAttention:
    """Projections of self-attention; grouped queries share a key head."""

    qkv: Product
    out: Product
    heads: int
    kv_heads: int
    head_dim: int

    @classmethod
    def take(
        cls, file: Checkpoint, name: str, config: EncoderConfig | DecoderConfig, pack_qkv: Pack, pack_out: Pack
    ) -> "SelfAttention":
        H, G, D, width = config.heads, config.kv_heads, config.head_dim, config.width
        q, k, v = (file.take(f"{name}.{p}_proj.weight", h * D, width) for p, h in (("q", H), ("k", G), ("v", G)))
        qkv = torch.cat((side_by_side(q, D), side_by_side(k, D), v))
        out = file.take(f"{name}.o_proj.weight", width, H * D)
        return cls(pack_qkv(qkv), pack_out(out), H, G, D)

    def project(self, x: Tensor, turns: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Rows x [R, D] → rotated queries [R, H, d], rotated keys and values [R, G, d]; turns [R, 1, d / 2]."""
        H, G = self.heads, self.kv_heads
        heads = self.qkv(x).view(-1, H + 2 * G, self.head_dim)
        turn_pairs(heads[:, : H + G], turns)
        return heads[:, :H], heads[:, H : H + G], heads[:, H + G :]


@dataclass(frozen=True)
class CrossAttention:
    """Projections of cross-attention, and what it comes to where the text is empty: see `unconditional`."""

    q: Product
    kv: Product
    out: Product
    heads: int
    head_dim: int

    @classmethod
    def take(
        cls, file: Checkpoint, name: str, config: DecoderConfig, text_width: int, packs: Packs
    ) -> "CrossAttention":
        H, D = config.cross_heads, config.cross_head_dim
        q = file.take(f"{name}.q_proj.weight", H * D, config.width)
        out = file.take(f"{name}.o_proj.weight", config.width, H * D)
        kv = torch.cat([file.take(f"{name}.{p}_proj.weight", H * D, text_width) for p in ("k", "v")])
        return cls(packs.step(q), packs.text(kv), packs.step(out), H, D)

    def project_text(self, text: Tensor) -> tuple[Tensor, Tensor]:
        """Encoded text [S, D] → keys and values [H, S, d]: once a request, whatever its length in frames."""
        k, v = self.kv(text).unflatten(-1, (2, self.heads, self.head_dim)).permute(1, 2, 0, 3)
        return k.contiguous(), v.contiguous()

    def unconditional(self, text: Tensor) -> Tensor:
        """What this layer adds [D] when every text position holds the same vector, text [1, D].

        All values are equal then, so their softmax-weighted mean is that value whatever the queries are.
        """
        values = self.kv(text).unflatten(-1, (2, self.heads * self.head_dim))[:, 1]
        return self.out(values)[0]


@dataclass(frozen=True)
class GatedMLP:
    """silu(gate) · up, then down."""

    gate_up: Product
    down: Product

    @classmethod
    def take(cls, file: Checkpoint, name: str, width: int, ffn: int, pack: Pack) -> "GatedMLP":
        gate_up = file.take(f"{name}.gate_up_proj.weight", 2 * ffn, width)
        return cls(pack(gate_up), pack(file.take(f"{name}.down_proj.weight", width, ffn)))

    def __call__(self, x: Tensor) -> Tensor:
        return self.down(silu_gate(self.gate_up(x)))


@dataclass(frozen=True)
class EncoderLayer:
    """Pre-norm self-attention and MLP over the whole text, both directions."""

    attention_norm: RmsNorm
    attention: SelfAttention
    mlp_norm: RmsNorm
    mlp: GatedMLP

    @classmethod
    def take(cls, file: Checkpoint, name: str, config: EncoderConfig, packs: Packs) -> "EncoderLayer":
        return cls(
            take_norm(file, f"{name}.pre_sa_norm", config.width, config.norm_eps),
            SelfAttention.take(file, f"{name}.self_attention", config, packs.text_scores, packs.text),
            take_norm(file, f"{name}.post_sa_norm", config.width, config.norm_eps),
            GatedMLP.take(file, f"{name}.mlp", config.width, config.ffn, packs.text),
        )

    def __call__(self, x: Tensor, turns: Tensor) -> Tensor:
        """x [S, D] → [S, D]; turns [S, 1, d / 2]."""
        q, k, v = self.attention.project(self.attention_norm(x), turns)
        mixed = attend_all(q, k, v, mask=None)
        x = x + self.attention.out(mixed)
        return x + self.mlp(self.mlp_norm(x))


@dataclass(frozen=True)
class DecoderLayer:
    """Pre-norm self-attention, cross-attention and MLP. `uncond_cross` is the empty text's constant [D]."""

    attention_norm: RmsNorm
    attention: SelfAttention
    cross_norm: RmsNorm
    cross: CrossAttention
    mlp_norm: RmsNorm
    mlp: GatedMLP
    uncond_cross: Tensor

    @classmethod
    def take(
        cls,
        file: Checkpoint,
        name: str,
        config: DecoderConfig,
        uncond_text: Tensor,
        packs: Packs,
    ) -> "DecoderLayer":
        width = uncond_text.shape[-1]
        cross = CrossAttention.take(file, f"{name}.cross_attention", config, width, packs)
        return cls(
            take_norm(file, f"{name}.pre_sa_norm", config.width, config.norm_eps),
            SelfAttention.take(file, f"{name}.self_attention", config, packs.step, packs.step),
            take_norm(file, f"{name}.pre_ca_norm", config.width, config.norm_eps),
            cross,
            take_norm(file, f"{name}.pre_mlp_norm", config.width, config.norm_eps),
            GatedMLP.take(file, f"{name}.mlp", config.width, config.ffn, packs.step),
            cross.unconditional(uncond_text),
        )
