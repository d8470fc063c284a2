"""How far two waveforms are apart: to the ear, by magnitudes at several resolutions; by phase; and discriminators."""

from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from training.codec.features import mel_bank
from training.frames import SAMPLE_RATE

RESOLUTIONS = ((2048, 512, 96), (1024, 256, 80), (512, 128, 48), (256, 64, 24), (128, 32, 12))  # window, hop, bands
JUDGED = ((2048, 512), (1024, 256), (512, 128))  # window, hop of the discriminators
PHASED = ((2048, 512), (1024, 256), (512, 128))  # window, hop where phases are compared too
PHASED_BELOW = 1200.0  # Hz; above, a step of a phase is too much of a period
FLOOR = 1e-4  # of magnitude, full scale being 1
SHARE_HEARD = 0.54  # of the bins: the teachers speak up to 12 kHz


def spectral_loss(made: Tensor, real: Tensor) -> Tensor:
    """[B, samples] twice → a mean over resolutions of linear, logarithmic and mel distance.

    What is made above the heard share is counted whatever is real there: the teachers leave it empty.
    """
    total = made.new_zeros(())
    for window, hop, bands in RESOLUTIONS:
        ours, theirs = _magnitude(made, window, hop), _magnitude(real, window, hop)
        heard = round(ours.shape[1] * SHARE_HEARD)
        above = ours[:, heard:].mean() * 30
        ours, theirs = ours[:, :heard], theirs[:, :heard]
        linear = (ours - theirs).norm() / (theirs.norm() + 1e-3)
        log = ((ours + FLOOR).log() - (theirs + FLOOR).log()).abs().mean()
        bank = _bank(window, bands)[:, :heard]
        mel = ((bank @ ours + FLOOR).log() - (bank @ theirs + FLOOR).log()).abs().mean()
        total = total + 0.5 * linear + log + mel + above
    return total / len(RESOLUTIONS)


def phase_loss(made: Tensor, real: Tensor) -> Tensor:
    """[B, samples] twice → a mean over resolutions of the distance of complex spectra, 1 for silence.

    The codes say where in its period a voice is. Magnitudes alone do not ask a vocoder to listen to that.
    """
    total = made.new_zeros(())
    for window, hop in PHASED:
        bins = round(PHASED_BELOW * window / SAMPLE_RATE)
        ours, theirs = (_compressed(_spectrum(audio, window, hop)[:, :bins]) for audio in (made, real))
        total = total + (ours - theirs).abs().mean() / (theirs.abs().mean() + 1e-3)
    return total / len(PHASED)


def _compressed(spectrum: Tensor) -> Tensor:
    """Phases as they are, magnitudes to the power of a half: quiet partials count too."""
    return spectrum * (spectrum.abs().square() + FLOOR**2).pow(-0.25)


def _magnitude(audio: Tensor, window: int, hop: int) -> Tensor:
    return _spectrum(audio, window, hop).abs().clamp(min=1e-7)


def _spectrum(audio: Tensor, window: int, hop: int) -> Tensor:
    shape = torch.hann_window(window)
    return torch.stft(audio, window, hop, window=shape * (2 / shape.sum()), center=False, return_complex=True)


@cache
def _bank(window: int, bands: int) -> Tensor:
    return torch.from_numpy(mel_bank(window, bands))


class SpectrumJudge(nn.Module):
    """One discriminator: tells real from made by the complex spectrum at one resolution, compressed in level.

    Its layers compute in bfloat16, which takes little more than half the time.
    """

    def __init__(self, window: int, hop: int, width: int = 16) -> None:
        super().__init__()
        self.window, self.hop = window, hop
        shapes = ((2, width, (2, 1)), (width, 2 * width, (2, 1)), (2 * width, 2 * width, (2, 2)))  # in, out, stride
        self.layers = nn.ModuleList(weight_norm(nn.Conv2d(a, b, (9, 3), stride, (4, 1))) for a, b, stride in shapes)
        self.layers.append(weight_norm(nn.Conv2d(2 * width, 2 * width, 3, 1, 1)))
        self.verdict = weight_norm(nn.Conv2d(2 * width, 1, 3, 1, 1))

    def forward(self, audio: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The verdicts over the plane and what every layer saw."""
        spectrum = _spectrum(audio, self.window, self.hop)
        spectrum = spectrum[:, : round(spectrum.shape[1] * SHARE_HEARD)]
        level = spectrum.abs().clamp(min=1e-5)
        x = torch.stack([spectrum.real, spectrum.imag], 1) * level.pow(-0.7)[:, None]
        seen = []
        with torch.autocast("cpu", torch.bfloat16):
            for layer in self.layers:
                x = functional.leaky_relu(layer(x), 0.1)
                seen.append(x)
            return self.verdict(x).float(), seen


class Judges(nn.Module):
    """All discriminators."""

    def __init__(self) -> None:
        super().__init__()
        self.judges = nn.ModuleList(SpectrumJudge(window, hop) for window, hop in JUDGED)

    def own_loss(self, made: Tensor, real: Tensor) -> Tensor:
        """What the judges learn from: real above 1, made below -1 (hinge)."""
        total = made.new_zeros(())
        for judge in self.judges:
            total = total + functional.relu(1 - judge(real)[0]).mean() + functional.relu(1 + judge(made)[0]).mean()
        return total / len(self.judges)

    def vocoder_losses(self, made: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """What the vocoder learns from: being taken for real, and being seen alike in every layer."""
        fooled, alike = made.new_zeros(()), made.new_zeros(())
        for judge in self.judges:
            with torch.no_grad():
                _, theirs = judge(real)
            verdict, ours = judge(made)
            fooled = fooled - verdict.mean()
            apart = [_size(a - b) / (_size(b) + 1e-3) for a, b in zip(ours, theirs, strict=True)]
            alike = alike + torch.stack(apart).mean()
        return fooled / len(self.judges), alike / len(self.judges)


def _size(x: Tensor) -> Tensor:
    return x.abs().mean(dtype=torch.float32)
