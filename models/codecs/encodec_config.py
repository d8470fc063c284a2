"""The shape of an EnCodec, and what follows from it: hop length, padding, receptive field. Knows no tensors.

Widths and strides of a SEANet encoder and decoder with an LSTM between convolutions and codes. Where the numbers come
from: models/codecs/encodec_settings.py.
"""

from dataclasses import dataclass
from itertools import count
from math import ceil, prod


@dataclass(frozen=True)
class EncodecConfig:
    """`strides` are the decoder's, in rows, as both sources of such configs have them; the encoder's are reversed.

    The network is mono. With two channels it runs on each alone, and their codes are interleaved.
    """

    sample_rate: int  # Hz
    channels: int  # of the audio: 1 or 2
    strides: tuple[int, ...]
    filters: int  # channels after the encoder's first convolution; doubled by each stride
    latent_width: int
    codebooks_per_channel: int
    codebook_size: int
    kernel: int  # of the first convolution of encoder and decoder
    last_kernel: int
    residual_kernel: int
    residual_layers: int  # units at each stride; unit i has dilation dilation_base ** i
    dilation_base: int
    compress: int  # by how much a residual unit is narrower inside
    lstm_layers: int
    causal: bool  # pad on the left only
    trim_right_ratio: float  # share of a causal transposed convolution's surplus that is cut on the right
    mirrored: bool  # pad_mode "reflect"; else "constant", which is zeros
    conv_shortcut: bool  # a 1×1 convolution on the way around a residual unit

    @property
    def codebooks(self) -> int:
        """K, those of all channels."""
        return self.channels * self.codebooks_per_channel

    @property
    def hop_length(self) -> int:
        """Samples a frame."""
        return prod(self.strides)

    @property
    def widest(self) -> int:
        """Channels at the frame rate, where the LSTM is."""
        return self.filters * 2 ** len(self.strides)

    @property
    def dilations(self) -> tuple[int, ...]:
        return tuple(self.dilation_base**i for i in range(self.residual_layers))

    def padding(self, kernel: int, *, stride: int = 1, dilation: int = 1) -> tuple[int, int]:
        """(left, right) rows; the odd one is on the left (audiocraft modules/conv.py, StreamableConv1d)."""
        total = (kernel - 1) * dilation + 1 - stride
        right = 0 if self.causal else total // 2
        return total - right, right

    def cut_left(self, stride: int) -> int:
        """Rows dropped where a transposed convolution begins; stride less that where it ends (ditto)."""
        return stride - (ceil(stride * self.trim_right_ratio) if self.causal else stride // 2)

    def exact_samples(self, frames: int) -> int:
        """Samples that no later frame can change, of a stream that began with so many frames; 0 if it cannot."""
        rows = self._rows(frames, self.kernel)
        for stride in self.strides:
            rows = rows * stride - self.cut_left(stride)
            for dilation in self.dilations:
                rows = self._rows(rows, self.residual_kernel, dilation=dilation)
        return self._rows(rows, self.last_kernel)

    @property
    def first_frames(self) -> int:
        """Fewest frames from which the decoder can give a sample that is exact."""
        return next(frames for frames in count(1) if self.exact_samples(frames))

    @property
    def lookahead(self) -> int:
        """Samples by which the decoder's exact output runs behind its frames."""
        return self.first_frames * self.hop_length - self.exact_samples(self.first_frames)

    @property
    def context_frames(self) -> int:
        """Later frames that the samples of one frame depend on: 4 for the 32 kHz codec. Earlier ones: all."""
        return -(-self.lookahead // self.hop_length)

    @property
    def encoder_first_samples(self) -> int:
        """Fewest samples, whole frames of them, with which every piece of a stream can be encoded exactly."""
        return next(samples for samples in count(self.hop_length, self.hop_length) if self._frames(samples))

    def _frames(self, samples: int) -> int:
        """Latents that no later sample can change, of a stream that began with so many samples; 0 if it cannot."""
        rows = self._rows(samples, self.kernel)
        for stride in reversed(self.strides):
            for dilation in self.dilations:
                rows = self._rows(rows, self.residual_kernel, dilation=dilation)
            rows = self._rows(rows, 2 * stride, stride=stride)
        return self._rows(rows, self.last_kernel)

    def _rows(self, rows: int, kernel: int, *, stride: int = 1, dilation: int = 1) -> int:
        """Rows that a convolution gives of the first ones of a stream; 0 if there are too few to begin with."""
        left, right = self.padding(kernel, stride=stride, dilation=dilation)
        # Rows are mirrored at the ends; at the right one, the last window is filled up too.
        needed = max(left, right + stride - 1) + 1 if self.mirrored else 1
        return max(0, (rows - right) // stride) if rows >= needed else 0
