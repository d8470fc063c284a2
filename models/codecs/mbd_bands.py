"""Splits a signal into bands that are evenly spaced in mel, and mixes them with a gain each. Knows no network.

A band is the difference of two neighbouring low-pass filters (sinc under a Hann window, 8 zero crossings each side at
the lowest cutoff), the last one what is left of the signal: the bands add up to it. Beyond its ends the signal is
taken to hold its first and last sample. So a mix is one filter, whatever the number of bands; and everything runs in
blocks of about 2 s of samples, so that memory does not grow with bands times length.

Source: julius.SplitBands 0.2.8, the filters that Multi-Band Diffusion was trained with; equal to it up to rounding.
"""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

ZERO_CROSSINGS = 8.0  # kept of the sinc, together on both sides of its middle, at the lowest cutoff
FFT_SIZE = 2**16  # samples of one block, its overlap with the next included


def low_pass_filters(bands: int, sample_rate: int) -> Tensor:
    """Impulse responses [bands - 1, N], N odd, float32, of the cutoffs between `bands` bands."""
    if bands == 1:
        return torch.zeros(0, 1)
    cutoffs = _cutoffs(bands, sample_rate)
    half = int(ZERO_CROSSINGS / cutoffs[0] / 2)
    window = torch.hann_window(2 * half + 1, periodic=False)
    time = torch.arange(-half, half + 1)
    phases = 2 * cutoffs[:, None] * math.pi * time
    sinc = (phases.sin() / phases).where(time != 0, 1.0)
    filters = 2 * cutoffs[:, None] * window * sinc
    return filters / filters.sum(dim=1, keepdim=True)  # so that a constant passes as it is


def _cutoffs(bands: int, sample_rate: int) -> Tensor:
    """[bands - 1], as fractions of the sample rate."""
    # In float32, as the original: the lowest one decides the number of taps, and the published files hold that many.
    highest = 2595 * torch.log10(1 + torch.tensor(sample_rate / 2) / 700)
    mels = torch.linspace(0, highest.item(), bands + 1)
    return (700 * (10 ** (mels / 2595) - 1))[1:-1] / sample_rate


class BandSplit:
    """A bank of low-pass filters [bands - 1, N], used as the bands between them."""

    def __init__(self, low_passes: Tensor) -> None:
        self._low_passes = low_passes

    @property
    def bands(self) -> int:
        return len(self._low_passes) + 1

    def mix(self, audio: Tensor, gains: Tensor) -> Tensor:
        """The sum of the bands of audio [C, L], each times its gain: [bands], or [C, bands] for gains per channel."""
        gains = gains.expand(len(audio), self.bands).to(self._low_passes)
        # Σ g[i] (low[i] - low[i - 1]) + g[last] (signal - low[last]), sorted by low-pass filter.
        filters = (gains[:, :-1] - gains[:, 1:]) @ self._low_passes  # [C, N]
        filters[:, filters.shape[1] // 2] += gains[:, -1]
        mixed = [self._filtered(block, filters[:, None])[:, 0] for block in _blocks(audio, filters.shape[1])]
        return torch.cat([audio[:, :0], *mixed], dim=1)

    def deviations(self, audio: Tensor) -> Tensor:
        """Standard deviation of each band of audio [C, L], by channel: float64 [C, bands]. L at least 2."""
        C, L = audio.shape
        total = torch.zeros(2, C, self.bands, dtype=torch.float64, device=audio.device)
        for block in _blocks(audio, self._low_passes.shape[1]):
            for part, bands in zip(total, self._moments(block), strict=True):
                part += bands
        mean = total[0] / L
        return ((total[1] / L - mean.square()).clamp(min=0) * (L / (L - 1))).sqrt()

    def _moments(self, block: Tensor) -> tuple[Tensor, Tensor]:
        """Sum and sum of squares of each band over a block: float64 [C, bands] each."""
        margin = self._low_passes.shape[1] // 2
        whole = block[:, None, margin : block.shape[1] - margin]
        lows = self._filtered(block, self._low_passes) if self.bands > 1 else whole[:, :0]
        bands = torch.diff(torch.cat([torch.zeros_like(whole), lows, whole], dim=1), dim=1).double()
        return bands.sum(dim=2), bands.square().sum(dim=2)

    @staticmethod
    def _filtered(block: Tensor, filters: Tensor) -> Tensor:
        """Block [C, n + N - 1] through filters [F, N] or [C, F, N], where it covers them: [C, F, n]."""
        taps, length = filters.shape[-1], block.shape[-1]
        size = 1 << (length - 1).bit_length()  # what wraps around falls on samples that are cut off below
        # The filters are symmetric, so that convolution and correlation are the same.
        spectrum = torch.fft.rfft(block, size)[:, None] * torch.fft.rfft(filters, size)
        return torch.fft.irfft(spectrum, size)[..., taps - 1 : length]


def _blocks(audio: Tensor, taps: int) -> Iterator[Tensor]:
    """Pieces [C, n + taps - 1] of audio [C, L] with the samples around them that their n outputs reach."""
    L = audio.shape[1]
    if L == 0:
        return
    margin = taps // 2
    step = max(FFT_SIZE, 4 * taps) - 2 * margin
    padded = F.pad(audio[None], (margin, margin), mode="replicate")[0]
    for start in range(0, L, step):
        yield padded[:, start : min(start + step, L) + 2 * margin]
