"""Waveform → codes while it is being trained: DAC's encoder, taught to find the codes that are already fixed.

DAC looks a code up by the cosine between a projection of what is left to say and the rows of a table. The tables are
the vocoder's and stay as they are; the network learns to point at the right row. It is trained with the right codes
taken away at each book (teacher forcing), as if the ones before had been found.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import DacConfig
from transformers.models.dac.modeling_dac import DacEncoder

from training.codec.codebooks import BOOKS
from training.codec.snake import use_own_snakes
from training.codec.vocoder import CODE_WIDTH, Vocoder

RESIDUAL_SCALE = 0.3  # of what a residual unit adds
MISSED = 6.0  # weight, beside the mean cross-entropy
SHARPNESS = 16.0  # of the softmax over cosines; only the training needs it


@dataclass(frozen=True)
class Told:
    logits: list[Tensor]  # one [B, frames, BOOK_SIZE] per book
    missed: Tensor  # scalar: how far the encoder's output is from the sum of the right rows, Huber's loss in deviations


class Listener(nn.Module):
    """audio [B, frames * 512] and the right codes [B, BOOKS, frames] → what is `Told` of them."""

    def __init__(self, vocoder: Vocoder) -> None:
        super().__init__()
        self.encoder = DacEncoder(DacConfig(**vocoder.config))
        use_own_snakes(self.encoder)
        self.in_proj = nn.ModuleList(nn.Linear(vocoder.latent_width, CODE_WIDTH) for _ in range(BOOKS))
        self._vocoder = [vocoder.requires_grad_(False)]  # in a list: not a part of what is trained

    def forward(self, audio: Tensor, codes: Tensor) -> Told:
        rest = self.encoder(audio[:, None]).transpose(1, 2)
        parts = self._vocoder[0].parts(codes)
        right = parts.sum(0)
        missed = functional.smooth_l1_loss(rest / right.std(), right / right.std())
        logits = []
        for book, table in enumerate(self._vocoder[0].tables):
            pointed = functional.normalize(self.in_proj[book](rest), dim=-1)
            logits.append(SHARPNESS * pointed @ functional.normalize(table, dim=-1).T)
            rest = rest - parts[book]
        return Told(logits, missed)

    @torch.no_grad()
    def balance(self, audio: Tensor) -> None:
        """Before the first step: scale every convolution so that what it puts out for `audio` is of unit variance.

        Speech is so quiet that the usual first weights would pass on a whisper, and learning would take for ever.
        What a residual unit adds is scaled to RESIDUAL_SCALE. Biases are measured but not scaled, so the first layer,
        where they outweigh the speech, puts out less.
        """
        layers = {name: m for name, m in self.encoder.named_modules() if isinstance(m, nn.Conv1d)}
        adding = {m for name, m in layers.items() if "res_unit" in name and name.endswith("conv2")}

        def scale(layer: nn.Conv1d, _: tuple[Tensor], out: Tensor) -> Tensor:
            """Of the layer and of what it has just put out, so that the layers after it see it scaled."""
            factor = (RESIDUAL_SCALE if layer in adding else 1.0) / out.std().clamp(min=1e-4)
            layer.weight.mul_(factor)
            bias = 0.0 if layer.bias is None else layer.bias[:, None]
            return factor * (out - bias) + bias

        hooks = [layer.register_forward_hook(scale) for layer in layers.values()]
        try:
            self.encoder(audio[:, None])
        finally:
            for hook in hooks:
                hook.remove()

    def tensors(self) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """What the export writes: the encoder's tensors and each book's projection."""
        return self.encoder.state_dict(), [dict(layer.named_parameters()) for layer in self.in_proj]


def listening_loss(told: Told, codes: Tensor) -> tuple[Tensor, Tensor]:
    """What is learned from, and the share of right codes of each book [BOOKS].

    Part of it is the distance to the rows' sum: it tells a beginner far more than which of 512 rows is the nearest.
    """
    pairs = list(zip(told.logits, codes.unbind(1), strict=True))
    losses = torch.stack([functional.cross_entropy(x.flatten(0, 1), y.flatten()) for x, y in pairs])
    with torch.no_grad():
        right = torch.stack([(x.argmax(-1) == y).float().mean() for x, y in pairs])
    return losses.mean() + MISSED * told.missed, right
