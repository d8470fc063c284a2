"""What a piece is to follow, as it comes from the text and melody encoders. Knows no network.

A row of zeros stands for nothing: a masked token, or no text at all. Audiocraft masks after its projection, so that
such a row is zero there too, bias or not (audiocraft/modules/conditioners.py, T5Conditioner.forward).
"""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Conditioning:
    """text: states of the text encoder, float32 [S, D] with S from 1 to 512; zeros where masked, and all of it where
    the text is empty. chroma: the melody, float32 [chroma_length, 12], or none; only for a network that takes one."""

    text: Tensor
    chroma: Tensor | None = None
