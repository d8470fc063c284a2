"""Codes of one piece → samples, as they come or all at the end. Knows no network and no other piece.

The codec's decoder gives every sample as soon as it is exact; multi-band diffusion hears the whole piece before it
begins. Both are closed with `finish`, a generator, because that may take long and others want to go on meanwhile.
"""

from collections.abc import Generator
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from models.codecs.codec import Codec
from models.request import Audio


class Diffusion(Protocol):
    """What is asked of models/codecs/mbd.py."""

    def decode_steps(self, codes: Tensor, generator: torch.Generator) -> Generator[float, None, Tensor]:
        """[K, T] → [C, L]; yields the share of the work that is done."""
        ...


class Renderer(Protocol):
    """One piece on its way from codes to samples."""

    share: float  # of the whole work that is done before `finish`, for the progress told

    def push(self, codes: np.ndarray) -> Audio:
        """[K, t] → [C, L]: the samples that are exact by now; L may be 0."""
        ...

    def finish(self) -> Generator[float, None, Audio]:
        """The samples left over, [C, L]; yields the share of this work that is done."""
        ...


class CodecRenderer:
    """By the codec's own decoder, as codes come. left_context [K, N]: codes that the first sample continues."""

    share = 1.0

    def __init__(self, codec: Codec, left_context: np.ndarray | None) -> None:
        self._stream = codec.stream(None if left_context is None else torch.from_numpy(left_context))

    def push(self, codes: np.ndarray) -> Audio:
        return self._stream.push(torch.from_numpy(codes)).cpu().numpy()

    def finish(self) -> Generator[float, None, Audio]:
        yield from ()  # all but a few frames are there already
        return self._stream.flush().cpu().numpy()


class DiffusionRenderer:
    """By multi-band diffusion, once all codes are there. Its noise is drawn from `seed`."""

    share = 0.5

    def __init__(
        self, diffusion: Diffusion, channels: int, hop_length: int, left_context: np.ndarray | None, seed: int
    ) -> None:
        self._diffusion = diffusion
        self._codes = [] if left_context is None else [left_context]
        self._unheard = 0 if left_context is None else left_context.shape[1] * hop_length
        self._nothing = np.zeros((channels, 0), np.float32)
        self._generator = torch.Generator().manual_seed(seed)

    def push(self, codes: np.ndarray) -> Audio:
        self._codes.append(codes)
        return self._nothing

    def finish(self) -> Generator[float, None, Audio]:
        codes = torch.from_numpy(np.concatenate(self._codes, axis=1))
        audio = yield from self._diffusion.decode_steps(codes, self._generator)
        return audio[:, self._unheard :].cpu().numpy()
