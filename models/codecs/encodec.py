"""EnCodec: codes ↔ waveform, mono, or stereo as two mono channels. Knows no language model and no delay pattern.

The published codecs, both with 4 codebooks of 2048 a channel and 50 frames a second (2.2 kbit/s), not causal:
- facebook/encodec_32khz, MusicGen's: 32 kHz, hop 640 = 8·5·4·4 (audiocraft config/solver/compression/
  encodec_musicgen_32khz.yaml and config/model/encodec/encodec_large_nq4_s640.yaml);
- the one in facebook/audiogen-medium: 16 kHz, hop 320 = 8·5·4·2 (…/encodec_audiogen_16khz.yaml, …_nq4_s320.yaml).
Of stereo, both channels go through the same mono codec, and their codes are interleaved, L0 R0 L1 R1 …: 8 codebooks
(audiocraft models/encodec.py, InterleaveStereoCompressionModel).
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Self

import numpy as np
import torch
from torch import Tensor

from models.codecs.code_stream import StreamDecoder, StreamLayout
from models.codecs.codec import Codec
from models.codecs.encodec_builder import Builder
from models.codecs.encodec_config import EncodecConfig
from models.codecs.encodec_network import build_decoder, build_encoder
from models.codecs.encodec_quantiser import Quantiser
from models.codecs.stream_layers import Network
from models.decoding.checkpoint import TensorSource

PIECE_FRAMES = 50  # 1 s in one call; half as many take a tenth longer on a CPU, twice as many save nothing to speak of


class EncodecCodec(Codec):
    """A loaded codec. See `load`."""

    def __init__(self, config: EncodecConfig, encoder: Network, decoder: StreamDecoder, quantiser: Quantiser) -> None:
        super().__init__(config.sample_rate, decoder)
        self.config = config
        self._encoder = encoder
        self._quantiser = quantiser

    @classmethod
    def load(
        cls,
        tensors: TensorSource,
        config: EncodecConfig,
        device: torch.device | str,
        *,
        dtype: torch.dtype = torch.float32,
    ) -> Self:
        """From the tensors of transformers' EncodecModel, without what only training reads; raises WeightsError.

        dtype is that of the weights and of the audio; float64 is for measuring what float32 rounds away.
        """
        build = Builder(config, tensors, torch.device(device), dtype)
        encoder, quantiser = build_encoder(build), Quantiser(build)
        return cls(config, encoder, StreamDecoder(_layout(config), quantiser.table, build_decoder(build)), quantiser)

    def encode_pieces(self, audio: np.ndarray | Tensor) -> Iterator[Tensor]:
        """See Codec; the last frame is padded as pad_mode says, layer by layer."""
        for latents in self._latents(audio):
            C, T, D = latents.shape
            codes = self._quantiser.codes(latents.reshape(C * T, D))  # [k, C·T]
            yield codes.view(-1, T)  # [k·C, T]: interleaved

    def _latents(self, audio: np.ndarray | Tensor) -> Iterator[Tensor]:
        """[C, L] → pieces [C, t, D]."""
        samples, memory = self._placed(audio)[:, :, None].to(self._quantiser.table.rows.dtype), None
        L, fewest = samples.shape[1], self.config.encoder_first_samples
        size = max(PIECE_FRAMES * self.hop_length, fewest)
        # The last piece takes with it what would be too short for a piece of its own.
        starts = range(0, max(1, L - fewest + 1), size) if L else ()
        for start, end in pairwise([*starts, L]):
            latents, memory = self._encoder(samples[:, start:end], memory, last=end == L)
            yield latents


def _layout(config: EncodecConfig) -> StreamLayout:
    return StreamLayout(
        channels=config.channels,
        codebooks=config.codebooks,
        codebook_size=config.codebook_size,
        hop_length=config.hop_length,
        context_frames=config.context_frames,
        heard_frames=None,
        first_frames=config.first_frames,
        piece_frames=max(PIECE_FRAMES, config.first_frames),
    )
