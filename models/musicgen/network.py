"""MusicGen's decoder with its weights: conditions and rows of the grid → logits. Draws nothing, loops nothing.

Both branches of guidance run in one batch of rows. With cross-attention the unconditional branch has nothing to attend
to and skips it; a melody network has conditions in front of the rows instead, in both branches, and nothing to cross.
Tensors have the names of transformers' MusicgenForConditionalGeneration and MusicgenMelodyForConditionalGeneration.
"""

from collections.abc import Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from models.decoding.attention import attend_all, attend_each
from models.decoding.cache import CacheShape, KeyValuePool
from models.decoding.checkpoint import TensorSource
from models.decoding.linear import Product
from models.musicgen.conditioning import Conditioning
from models.musicgen.config import CHROMA_BINS, TEXT_POSITIONS, MusicgenConfig
from models.musicgen.layers import CrossAttention, DecoderLayer, Packs, Projection, take_norm

_LONGEST_PERIOD = 10_000.0  # of the positions' slowest wave over 2π

TextHeads = list[tuple[Tensor, Tensor]]  # [layer] → keys, values [H, S, d]


class MusicgenNetwork:
    """The decoder of one checkpoint, immutable after construction and free of any request's state."""

    def __init__(
        self, source: TensorSource, config: MusicgenConfig, dtype: torch.dtype, device: torch.device, packs: Packs
    ) -> None:
        c = config
        self.config, self.dtype, self.device = config, dtype, device
        # A row more than codes: the special one.
        books = [f"decoder.model.decoder.embed_tokens.{k}.weight" for k in range(c.codebooks)]
        self.embedding = torch.cat([source.take(book, c.vocabulary + 1, c.width) for book in books])
        self.offsets = torch.arange(c.codebooks, device=device) * (c.vocabulary + 1)
        self.places = _sinusoids(self.positions, c.width).to(device=device, dtype=dtype)
        self.layers = [
            DecoderLayer.take(source, f"decoder.model.decoder.layers.{i}", c, packs) for i in range(c.layers)
        ]
        self.norm = take_norm(source, "decoder.model.decoder.layer_norm", c.width)
        heads = [source.take(f"decoder.lm_heads.{k}.weight", c.vocabulary, c.width) for k in range(c.codebooks)]
        self.head: Product = packs.step(torch.cat(heads))
        project = partial(Projection.take, source, width=c.width, pack=packs.text)
        self.text = project("enc_to_dec_proj", states=c.text_width) if c.projects_text else None
        head = torch.zeros(1, 1, c.head_dim, dtype=dtype, device=device)
        attend_each(head[0], head, head)  # compiles its loops now, so that no request waits for it
        self.melody = project("audio_enc_to_dec_proj", states=CHROMA_BINS) if c.melody else None

    @classmethod
    def load(
        cls, source: TensorSource, config: MusicgenConfig, *, dtype: torch.dtype, device: torch.device, packs: Packs
    ) -> "MusicgenNetwork":
        """dtype: of activations, and of the tensors that `source` hands out. Raises WeightsError."""
        with torch.inference_mode():
            return cls(source, config, dtype, device, packs)

    @property
    def rows(self) -> int:
        """Rows of a grid, at most: the window's frames, the delays after them and the row before them."""
        return self.config.max_frames + self.config.max_delay + 1

    @property
    def positions(self) -> int:
        """Positions that self-attention sees, at most."""
        return self.config.prefix_positions + self.rows

    @property
    def cache_shape(self) -> CacheShape:
        c = self.config
        text_positions = 0 if c.melody else TEXT_POSITIONS
        return CacheShape(
            c.layers, c.heads, self.positions, c.head_dim, c.heads, text_positions, c.head_dim, self.dtype
        )

    def read_text(self, conditioning: Conditioning) -> TextHeads:
        """The keys and values that each layer's cross-attention sees; none in a melody network."""
        if self.melody is not None:
            return []
        text = self._project_text(conditioning)
        return [layer.cross.project_text(text) for layer in self.layers if layer.cross is not None]

    def read_prefix(self, conditioning: Conditioning) -> Tensor:
        """What stands before the rows: [2, P, D], unconditional first; P is 0 in a network with cross-attention.

        The unconditional branch has a melody that stays on the first pitch class, which is what audiocraft's chroma
        makes of silence, and zeros for a text.
        """
        if self.melody is None:
            return torch.empty(2, 0, self.config.width, dtype=self.dtype, device=self.device)
        silence = torch.zeros(self.config.chroma_length, CHROMA_BINS)
        silence[:, 0] = 1
        chroma = silence if conditioning.chroma is None else conditioning.chroma
        assert chroma.shape == silence.shape, (chroma.shape, silence.shape)
        text = self._project_text(conditioning)
        melodies = (self.melody(each.to(self.device, self.dtype)) for each in (silence, chroma))
        return torch.stack([torch.cat(pair) for pair in zip(melodies, (torch.zeros_like(text), text), strict=True)])

    def _project_text(self, conditioning: Conditioning) -> Tensor:
        S, width = conditioning.text.shape
        assert 1 <= S <= TEXT_POSITIONS, S
        assert width == self.config.text_width, (width, self.config.text_width)
        states = conditioning.text.to(self.device, self.dtype)
        return states if self.text is None else self.text(states)

    def embed(self, codes: Tensor) -> Tensor:
        """codes [..., K] → [..., D], the sum of one embedding a codebook."""
        return F.embedding(codes + self.offsets, self.embedding).sum(-2)

    def branches(self, codes: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """codes [B, K] at positions [B] → rows [2B, D], both branches by turns, and the conditional ones [B, D] among
        them: a view, so that what is added to it is added to the rows."""
        embedded = self.embed(codes) + self.places.index_select(0, positions)
        rows = torch.stack((embedded, embedded), dim=1)
        return rows.flatten(0, 1), rows[:, 1]

    def guided_pair(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x [2B, D], unconditional and conditional row by turns → conditional and unconditional logits, float32
        [B, K, V]."""
        logits = self.head(self.norm(x)).float().unflatten(-1, (self.config.codebooks, self.config.vocabulary))
        uncond, cond = logits.unflatten(0, (-1, 2)).unbind(1)
        return cond, uncond

    def step(
        self, codes: Tensor, pool: KeyValuePool, slots: Sequence[int], positions: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        """One row of each slot: codes [B, K] at `positions` → conditional and unconditional logits [B, K, V].

        Reads no more of the cache than each slot's own length, and writes the row's keys and values into it.
        """
        B, H = len(slots), self.config.heads
        x, cond = self.branches(codes, torch.tensor(positions, device=self.device))
        for i, layer in enumerate(self.layers):
            heads = layer.attention.project(x)
            q, k, v = (t.reshape(B, 2 * H, -1) for t in heads)  # by slot, both branches in one
            mixed = [attend_each(q[b], *pool.append(i, slots[b], positions[b], k[b], v[b])) for b in range(B)]
            x += layer.attention.out(_join(mixed, 2 * B))
            if layer.cross is not None:
                cond += self._cross(layer.cross, cond, [pool.text[slot][i] for slot in slots])
            x += layer.mlp(x)
        return self.guided_pair(x)

    def prefill(self, before: Tensor, codes: Tensor, pool: KeyValuePool, slot: int, start: int) -> None:
        """Write the keys and values of positions start …, in one causal pass: first those of `before` [2, P, D], a part
        of read_prefix, then those of known rows, codes [N, K]."""
        x = torch.cat((before, self.embed(codes).expand(2, -1, -1)), dim=1)
        N = x.shape[1]
        end = start + N
        x = (x + self.places[start:end]).flatten(0, 1)  # rows 0 … N-1 unconditional, N … 2N-1 conditional
        seen = torch.ones(N, end, dtype=torch.bool, device=self.device).tril(start)
        for i, layer in enumerate(self.layers):
            q, k, v = (t.unflatten(0, (2, N)) for t in layer.attention.project(x))
            pool.write(i, slot, start, k, v)
            past_k, past_v = (t.transpose(1, 2) for t in pool.past(i, slot, end))
            x = x + layer.attention.out(attend_all(q, past_k, past_v, seen).flatten(0, 1))
            if layer.cross is not None:
                text_k, text_v = (t.transpose(0, 1) for t in pool.text[slot][i])
                crossed = attend_all(layer.cross.queries(x[N:]), text_k, text_v, mask=None)
                x[N:] += layer.cross.out(crossed)
            x = x + layer.mlp(x)

    def _cross(self, cross: CrossAttention, x: Tensor, texts: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
        """What cross-attention adds to the conditional rows x [B, D], each with a text of its own → [B, D]."""
        q = cross.queries(x)
        mixed = [attend_each(q[b], *text) for b, text in enumerate(texts)]
        return cross.out(_join(mixed, len(texts)))


def _join(heads: list[Tensor], rows: int) -> Tensor:
    """What attention gave for each slot → [rows, H·d]."""
    return (heads[0] if len(heads) == 1 else torch.cat(heads)).view(rows, -1)


def _sinusoids(positions: int, width: int) -> Tensor:
    """What is added to every position: [positions, D], cosines and then sines.

    In float32, as audiocraft computes it (audiocraft/modules/transformer.py, create_sin_embedding): its rounding, up to
    1e-4 at position 1500, is what the networks were trained with.
    """
    half = width // 2
    periods = torch.tensor(_LONGEST_PERIOD) ** (torch.arange(half, dtype=torch.float32) / (half - 1))
    phase = torch.arange(positions, dtype=torch.float32)[:, None] / periods
    return torch.cat((phase.cos(), phase.sin()), dim=1)
