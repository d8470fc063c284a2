"""The shape of a DAC codec, read from config.json, and what follows from it: hop length and receptive field.

Knows no tensors. The fields are those that transformers writes for its DacModel (published: descript/dac_44khz).
"""

import json
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Self

from models.errors import WeightsError

DILATIONS = (1, 3, 9)  # of the three residual units of a block
RESIDUAL_KERNEL = 7  # also of the decoder's first and last convolution and of the encoder's first
BLOCK_REACH = sum(d * (RESIDUAL_KERNEL // 2) for d in DILATIONS)  # samples each side, at the rate of the block: 39
EDGE_REACH = RESIDUAL_KERNEL // 2  # of the first and last convolution


@dataclass(frozen=True)
class DacConfig:
    """Widths and strides. `strides` are the encoder's, in samples; the decoder runs them backwards."""

    sample_rate: int  # Hz
    strides: tuple[int, ...]
    encoder_width: int  # channels after the encoder's first convolution; doubled by each block
    decoder_width: int  # channels after the decoder's first convolution; halved by each block
    codebooks: int
    codebook_size: int
    codebook_width: int

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Read config.json; raises WeightsError that names the file and the field."""
        fields = _read_json(path)
        if fields.get("model_type") != "dac":
            raise WeightsError(
                f"{path.name}: model_type is {fields.get('model_type')!r}, not 'dac'. Fetch a DAC codec."
            )
        ints = {ours: _positive(path, theirs, fields.get(theirs)) for ours, theirs in _FIELDS.items()}
        ratios = fields.get("downsampling_ratios")
        if not isinstance(ratios, list) or not ratios:
            raise WeightsError(f"{path.name}: downsampling_ratios is {ratios!r}; it must be a list of strides.")
        config = cls(strides=tuple(_positive(path, "downsampling_ratios", r) for r in ratios), **ints)
        config._check(path)
        return config

    def _check(self, path: Path) -> None:
        odd = [s for s in self.strides if s % 2]
        if odd:  # their transposed convolution gives one sample too few, so that frames and samples drift apart
            raise WeightsError(f"{path.name}: stride {odd[0]} is odd; this decoder runs even strides only.")
        if self.decoder_width % 2 ** len(self.strides):
            raise WeightsError(
                f"{path.name}: decoder_hidden_size {self.decoder_width} cannot be halved {len(self.strides)} times."
            )

    @property
    def hop_length(self) -> int:
        """Samples a frame."""
        return prod(self.strides)

    @property
    def latent_width(self) -> int:
        return self.encoder_width * 2 ** len(self.strides)

    @property
    def frame_rate(self) -> float:
        """Frames a second."""
        return self.sample_rate / self.hop_length

    @property
    def lookahead(self) -> int:
        """Samples by which the decoder's exact output runs behind its frames; as many on the left are the context.

        Followed from layer to layer: a transposed convolution of stride s multiplies the rows by s and reaches s / 2
        further (kernel 2·s, padding s / 2), a residual unit reaches (kernel - 1) / 2 · dilation rows.
        """
        rows = EDGE_REACH
        for stride in reversed(self.strides):
            rows = rows * stride + stride // 2 + BLOCK_REACH
        return rows + EDGE_REACH

    @property
    def context_frames(self) -> int:
        """Latent frames on each side that the samples of one frame depend on: 10 for the 44.1 kHz codec."""
        return -(-self.lookahead // self.hop_length)

    @property
    def first_frames(self) -> int:
        """Fewest frames from which the decoder can give a sample that is exact."""
        return self.lookahead // self.hop_length + 1

    @property
    def encoder_context(self) -> int:
        """Samples before and after its own hop that a frame of the encoder depends on, by the same rules."""
        samples, row = EDGE_REACH, 1  # row: samples that a row of the layer stands for
        for stride in self.strides:
            samples += (BLOCK_REACH + stride // 2) * row
            row *= stride
        return samples + row  # the last convolution has kernel 3

    @property
    def encoder_first_frames(self) -> int:
        """Fewest frames of samples from which the encoder can give a frame that is exact."""
        return 1 - (-self.encoder_context // self.hop_length)


_FIELDS = {
    "sample_rate": "sampling_rate",
    "encoder_width": "encoder_hidden_size",
    "decoder_width": "decoder_hidden_size",
    "codebooks": "n_codebooks",
    "codebook_size": "codebook_size",
    "codebook_width": "codebook_dim",
}


def _read_json(path: Path) -> dict[str, Any]:
    try:
        fields = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path.name} of the codec cannot be read ({error}). Fetch the codec again.") from error
    if not isinstance(fields, dict):
        raise WeightsError(f"{path.name} of the codec holds a {type(fields).__name__}, not an object.")
    return fields


def _positive(path: Path, name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise WeightsError(f"{path.name}: {name} is {value!r}; it must be a whole number above 0.")
    return value
