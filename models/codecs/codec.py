"""What every codec here does: codes [K, T] ↔ audio [C, L] within ±1, chunked equal to whole. Knows no network.

Of stereo, the codes of both channels are interleaved: L0 R0 L1 R1 … Nothing is kept between calls, so one codec serves
any number of threads; a CodeStream belongs to one at a time.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from models.codecs.code_stream import CodeStream, StreamDecoder


class Codec(ABC):
    """Encodes and decodes; made by its subclasses' `load`."""

    def __init__(self, sample_rate: int, decoder: StreamDecoder) -> None:
        self.sample_rate = sample_rate  # Hz
        self.layout = decoder.layout
        self.device = decoder.device
        self._decoder = decoder

    @property
    def channels(self) -> int:
        """C, of the audio."""
        return self.layout.channels

    @property
    def hop_length(self) -> int:
        """Samples a frame."""
        return self.layout.hop_length

    @property
    def frame_rate(self) -> float:
        """Frames a second."""
        return self.sample_rate / self.hop_length

    @property
    def codebooks(self) -> int:
        """K, those of all channels."""
        return self.layout.codebooks

    @property
    def codebook_size(self) -> int:
        """Codes are 0 to this, exclusive."""
        return self.layout.codebook_size

    @property
    def context_frames(self) -> int:
        """Later frames that the samples of one frame depend on: a stream runs behind by as many."""
        return self.layout.context_frames

    def decode(self, codes: Tensor) -> Tensor:
        """[K, T] → [C, hop·T]. In pieces of a second, so that memory does not grow with T."""
        return self.decode_batch([codes])[0]

    def latents(self, codes: Tensor) -> Tensor:
        """[K, T] → [C, D, T]: what the codes of each channel stand for, for another decoder than its own."""
        return self._decoder.latents(codes)

    def decode_batch(self, codes: Sequence[Tensor]) -> list[Tensor]:
        """`decode` of each [K, T]; lengths may differ, pieces of equal length run together."""
        return self._decoder.decode_many(codes)

    def stream(self, left_context: Tensor | None = None) -> CodeStream:
        """A stream to push codes into. `left_context` [K, N] is the `tail` of an earlier stream, to continue it: out
        comes decode([left_context, codes]) without the samples of left_context."""
        return CodeStream(self._decoder, left_context)

    def push_many(self, streams: Sequence[CodeStream], codes: Sequence[Tensor]) -> list[Tensor]:
        """`push` of each stream with its [K, t]; those that push equally many frames run together."""
        return self._decoder.push_many(streams, codes)

    def flush_many(self, streams: Sequence[CodeStream]) -> list[Tensor]:
        """`flush` of each stream."""
        return self._decoder.flush_many(streams)

    def encode(self, audio: np.ndarray | Tensor) -> Tensor:
        """float32 [C, L] at `sample_rate` → codes [K, ⌈L / hop⌉].

        In pieces whose latents equal those of the whole up to float rounding (about 1e-6 of their size). A code can
        differ from the whole's only where two entries of its codebook are as near as that.
        """
        nothing = torch.zeros(self.codebooks, 0, dtype=torch.long, device=self.device)
        return torch.cat([nothing, *self.encode_pieces(audio)], dim=1)

    @abstractmethod
    def encode_pieces(self, audio: np.ndarray | Tensor) -> Iterator[Tensor]:
        """`encode` a second or so at a time, [K, t] each, for a caller who has other things to do in between."""

    def _placed(self, audio: np.ndarray | Tensor) -> Tensor:
        """[C, L] on the codec's device, without gradient."""
        if isinstance(audio, np.ndarray):
            audio = torch.from_numpy(audio.copy())  # a view of an array that its owner made read-only draws a warning
        assert audio.dim() == 2, audio.shape
        assert audio.shape[0] == self.channels, (audio.shape, self.channels)
        return audio.detach().to(self.device)
