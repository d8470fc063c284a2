"""DAC: codes ↔ waveform, chunked equal to whole. Knows no language model and no delay pattern.

The published codec is descript/dac_44khz: 44.1 kHz, hop 512, 9 codebooks of 1024, 86.13 frames a second. Any DAC of
transformers' DacModel with even strides is read. Codes are [K, T], audio is [1, L] within ±1.

Weights ask for no gradient, options live in no global, and nothing is kept between calls, so one codec serves any
number of threads; a DacStream belongs to one at a time.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.codecs.dac_config import DacConfig
from models.codecs.dac_network import Network, build_decoder, build_encoder
from models.codecs.dac_quantiser import Quantiser
from models.codecs.dac_stream import PIECE_FRAMES, DacDecoder, DacStream
from models.decoding.checkpoint import Checkpoint


class DacCodec:
    """A loaded codec. See `load`."""

    def __init__(self, config: DacConfig, encoder: Network, decoder: DacDecoder, quantiser: Quantiser) -> None:
        self.config = config
        self.device = decoder.device
        self._encoder = encoder
        self._decoder = decoder
        self._quantiser = quantiser

    @classmethod
    def load(cls, directory: Path, *, device: torch.device | str, dtype: torch.dtype = torch.float32) -> Self:
        """Read directory/config.json and directory/model.safetensors; raises WeightsError.

        dtype is the decoder's. bfloat16 halves its time on a CPU that multiplies it natively and adds noise 31 to 37 dB
        below the audio (random weights at true size). Encoder, quantiser and audio are float32 whatever it is, so
        codes do not depend on it.
        """
        config = DacConfig.from_file(directory / "config.json")
        device, precise = torch.device(device), torch.promote_types(dtype, torch.float32)
        with Checkpoint(directory, torch.float32, torch.device("cpu")) as tensors:
            quantiser = Quantiser(config, tensors, device, precise)
            encoder = build_encoder(config, tensors, device, precise)
            decoder = DacDecoder(config, build_decoder(config, tensors, device, dtype), quantiser, device)
        return cls(config, encoder, decoder, quantiser)

    @property
    def sample_rate(self) -> int:
        """Hz."""
        return self.config.sample_rate

    @property
    def hop_length(self) -> int:
        """Samples a frame."""
        return self.config.hop_length

    @property
    def frame_rate(self) -> float:
        """Frames a second."""
        return self.config.frame_rate

    @property
    def codebooks(self) -> int:
        return self.config.codebooks

    @property
    def codebook_size(self) -> int:
        """Codes are 0 to this, exclusive."""
        return self.config.codebook_size

    @property
    def context_frames(self) -> int:
        """Frames on each side that the samples of one frame depend on."""
        return self.config.context_frames

    def decode(self, codes: Tensor) -> Tensor:
        """[K, T] → [1, hop·T]. In pieces of a second, so that memory does not grow with T."""
        return self.decode_batch([codes])[0]

    def decode_batch(self, codes: Sequence[Tensor]) -> list[Tensor]:
        """`decode` of each [K, T]; lengths may differ, pieces of equal length run together."""
        return self._decoder.decode_many(codes)

    def stream(self, left_context: Tensor | None = None) -> DacStream:
        """A stream to push codes into. `left_context` [K, N] is the `tail` of an earlier stream, to continue it: out
        comes decode([left_context, codes]) without the samples of left_context."""
        return DacStream(self._decoder, left_context)

    def push_many(self, streams: Sequence[DacStream], codes: Sequence[Tensor]) -> list[Tensor]:
        """`push` of each stream with its [K, t]; those that push equally many frames run together."""
        return self._decoder.push_many(streams, codes)

    def flush_many(self, streams: Sequence[DacStream]) -> list[Tensor]:
        """`flush` of each stream."""
        return self._decoder.flush_many(streams)

    def encode(self, audio: np.ndarray | Tensor) -> Tensor:
        """float32 [1, L] at `sample_rate` → codes [K, ceil(L / hop)], the last frame filled up with zeros.

        In pieces whose latents equal those of the whole up to float rounding (about 1e-6 of their size). A code can
        differ from the whole's only where two entries of its codebook are as near as that.
        """
        nothing = torch.zeros(self.codebooks, 0, dtype=torch.long, device=self.device)
        return torch.cat([nothing, *self.encode_pieces(audio)], dim=1)

    def encode_pieces(self, audio: np.ndarray | Tensor) -> Iterator[Tensor]:
        """`encode` a second or so at a time, [K, t] each, for a caller who has other things to do in between."""
        for latents in self._latents(audio):
            yield self._quantiser.codes(latents)

    def _latents(self, audio: np.ndarray | Tensor) -> Iterator[Tensor]:
        """[1, L] → pieces [t, D]."""
        if isinstance(audio, np.ndarray):
            audio = torch.from_numpy(audio.copy())  # a view of an array that its owner made read-only draws a warning
        C, L = audio.shape
        assert C == 1, audio.shape
        hop, memory = self.hop_length, None
        frames = -(-L // hop)
        samples = F.pad(audio.detach().to(self.device), (0, frames * hop - L))[:, :, None]
        size = max(PIECE_FRAMES, self.config.encoder_first_frames)
        for start in range(0, frames, size):
            end = min(start + size, frames)
            latents, memory = self._encoder(samples[:, start * hop : end * hop], memory, last=end == frames)
            yield latents[0]
