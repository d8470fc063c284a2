"""A tune, and audiocraft's ChromaStemConditioner without its Demucs."""

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from audiocraft_fixtures import audiocraft

RATE = 32_000
TUNE = (60, 64, 67, 72, 71, 69, 65, 62)  # MIDI keys, one every 0.4 s; 60 is middle C


def tune(seconds: float, channels: int = 1) -> np.ndarray:
    """A melody of three harmonics a note: float32 [C, L]."""
    t = np.arange(round(seconds * RATE)) / RATE
    keys = np.array(TUNE)[(t / 0.4).astype(int) % len(TUNE)]
    phase = 2 * np.pi * np.cumsum(440 * 2 ** ((keys - 69) / 12)) / RATE
    wave = np.sin(phase) + 0.4 * np.sin(2 * phase) + 0.2 * np.sin(3 * phase)
    return np.stack([(0.3 + 0.1 * c) * wave for c in range(channels)]).astype(np.float32)


class Spectrogram(torch.nn.Module):
    """torchaudio's transform, after its documentation: a periodic Hann window, reflected ends, power over window²."""

    def __init__(
        self, n_fft: int, win_length: int, hop_length: int, power: int, center: bool, pad: int, normalized: bool
    ) -> None:
        super().__init__()
        assert (win_length, power, center, pad, normalized) == (n_fft, 2, True, 0, True)
        self.n_fft, self.hop_length = n_fft, hop_length

    def forward(self, wave: torch.Tensor) -> torch.Tensor:
        *lead, L = wave.shape
        window = torch.hann_window(self.n_fft)
        spectrum = torch.stft(wave.reshape(-1, L), self.n_fft, self.hop_length, window=window, return_complex=True)
        return (spectrum / window.pow(2).sum().sqrt()).abs().pow(2).unflatten(0, lead)


def chroma_conditioner(length: int, width: int) -> Any:
    """As MusicGen-melody has it, of `length` frames of chroma; channels are mixed where Demucs would mix its stems."""
    conditioners, extractor = audiocraft("modules.conditioners"), audiocraft("modules.chroma")
    made = conditioners.ChromaStemConditioner.__new__(conditioners.ChromaStemConditioner)
    conditioners.WaveformConditioner.__init__(made, 12, width, "cpu")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(extractor, "torchaudio", SimpleNamespace(transforms=SimpleNamespace(Spectrogram=Spectrogram)))
        made.chroma = extractor.ChromaExtractor(RATE, n_chroma=12, radix2_exp=14, argmax=True)
    made.chroma_len, made.match_len_on_eval, made._use_masking = length, True, False
    made.eval_wavs = made.cache = None
    made.autocast, made.sample_rate = nullcontext(), RATE
    made._get_stemmed_wav = lambda wav, sample_rate: wav.mean(1, keepdim=True)
    return made
