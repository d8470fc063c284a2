"""A melody as the network reads it: which of the twelve pitch classes is the loudest, about eight times a second.

Knows audio and pitch classes (0 is C, 9 is A); no network, no text, no file. Drums and bass ought to be gone from the
audio by then, see models/musicgen/stems.py.
Source: MusicGen (arXiv:2306.05284) section 2.3; audiocraft/modules/chroma.py, `ChromaStemConditioner` of
audiocraft/modules/conditioners.py and config/conditioner/chroma2music.yaml; the tiling is `MusicGen._generate_tokens`.
"""

import numpy as np
import torch
import torch.nn.functional as F
from librosa.filters import chroma as chroma_filters
from torch import Tensor

from models.request import Audio

PITCH_CLASSES = 12
FFT = 16_384  # samples: 2 Hz a bin at 32 kHz, enough to tell semitones apart from the third octave on
HOP = FFT // 4


def chroma(audio: Audio, sample_rate: int, length: int) -> Tensor:
    """The loudest pitch class of each frame: float32 [C, L] → one-hot float32 [length, 12].

    Channels are mixed to their mean. Audio of fewer frames is repeated, frame for frame; of longer audio the beginning
    is taken. Silence is pitch class 0, as without a melody. L is at least 1.
    """
    heard = max(FFT, (length - 1) * HOP + FFT // 2)  # samples; the last frame asked for depends on none behind these
    mono = torch.from_numpy(audio[:, :heard].mean(axis=0))
    missing = max(0, FFT - len(mono))
    mono = F.pad(mono, (missing // 2, missing - missing // 2))
    spectrum = torch.stft(mono, FFT, HOP, window=torch.hann_window(FFT), return_complex=True)
    filters = torch.from_numpy(chroma_filters(sr=sample_rate, n_fft=FFT, tuning=0, n_chroma=PITCH_CLASSES))
    loudest = (filters @ spectrum.abs().square()).argmax(0)  # the scale of a frame does not matter to it
    repeated = loudest.repeat(-(-length // len(loudest)))[:length]
    return F.one_hot(repeated, PITCH_CLASSES).float()


def tile(audio: Audio, start: int, samples: int) -> Audio:
    """`samples` of endlessly repeated audio [C, L], from `start` on: [C, samples]."""
    return audio[:, np.arange(start, start + samples) % audio.shape[1]]
