"""DAC: codes ↔ waveform. Knows no language model and no delay pattern.

The published codec is descript/dac_44khz: 44.1 kHz, hop 512, 9 codebooks of 1024, 86.13 frames a second. Any mono DAC
of transformers' DacModel with even strides is read.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.codecs.code_stream import StreamDecoder, StreamLayout
from models.codecs.codec import Codec
from models.codecs.dac_config import DacConfig
from models.codecs.dac_network import build_decoder, build_encoder
from models.codecs.dac_quantiser import Quantiser
from models.codecs.stream_layers import Network
from models.decoding.checkpoint import Checkpoint

PIECE_FRAMES = 86  # 1 s in one call; on a CPU longer pieces are slower (cache), and memory grows with them


class DacCodec(Codec):
    """A loaded codec. See `load`."""

    def __init__(self, config: DacConfig, encoder: Network, decoder: StreamDecoder, quantiser: Quantiser) -> None:
        super().__init__(config.sample_rate, decoder)
        self.config = config
        self._encoder = encoder
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
            network = build_decoder(config, tensors, device, dtype)
        return cls(config, encoder, StreamDecoder(_layout(config), quantiser.table, network), quantiser)

    def encode_pieces(self, audio: np.ndarray | Tensor) -> Iterator[Tensor]:
        """See Codec; the last frame is filled up with zeros."""
        for latents in self._latents(audio):
            yield self._quantiser.codes(latents)

    def _latents(self, audio: np.ndarray | Tensor) -> Iterator[Tensor]:
        """[1, L] → pieces [t, D]."""
        audio, hop, memory = self._placed(audio), self.hop_length, None
        L = audio.shape[1]
        frames = -(-L // hop)
        samples = F.pad(audio, (0, frames * hop - L))[:, :, None]
        size = max(PIECE_FRAMES, self.config.encoder_first_frames)
        for start in range(0, frames, size):
            end = min(start + size, frames)
            latents, memory = self._encoder(samples[:, start * hop : end * hop], memory, last=end == frames)
            yield latents[0]


def _layout(config: DacConfig) -> StreamLayout:
    return StreamLayout(
        channels=1,
        codebooks=config.codebooks,
        codebook_size=config.codebook_size,
        hop_length=config.hop_length,
        context_frames=config.context_frames,
        heard_frames=config.context_frames,
        first_frames=config.first_frames,
        piece_frames=max(PIECE_FRAMES, config.first_frames),
    )
