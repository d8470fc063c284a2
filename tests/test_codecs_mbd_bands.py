"""Mel bands: those of julius, which add up to the signal, in blocks that equal the whole."""

import pytest
import torch

from models.codecs import mbd_bands
from models.codecs.mbd_bands import BandSplit, low_pass_filters
from models.codecs.mbd_processor import equalise


def split(bands, sample_rate=8000):
    return BandSplit(low_pass_filters(bands, sample_rate))


@pytest.mark.parametrize("sample_rate", [8000, 16_000, 24_000, 32_000, 44_100])
@pytest.mark.parametrize("bands", [2, 4, 8, 32])
def test_filters_are_those_of_julius(sample_rate, bands):
    julius = pytest.importorskip("julius", reason="julius is not installed: requirements-audiocraft.txt has it")
    theirs = julius.SplitBands(sample_rate, n_bands=bands).lowpass.filters[:, 0]
    torch.testing.assert_close(low_pass_filters(bands, sample_rate), theirs, rtol=0, atol=1e-7)


@pytest.mark.parametrize("samples", [2, 160, 70_000])
@pytest.mark.parametrize("bands", [1, 2, 5, 32])
def test_mix_and_deviations_are_those_of_julius(samples, bands):
    julius = pytest.importorskip("julius", reason="julius is not installed: requirements-audiocraft.txt has it")
    audio = torch.randn(2, samples)
    theirs = julius.split_bands(audio, 8000, n_bands=bands)  # [bands, C, L]
    gains = 3 * torch.rand(2, bands)
    expected = (theirs * gains.T[:, :, None]).sum(dim=0)
    torch.testing.assert_close(split(bands).mix(audio, gains), expected, rtol=0, atol=5e-5)
    deviations = split(bands).deviations(audio).float()
    torch.testing.assert_close(deviations, theirs.std(dim=2).T, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("bands", [1, 7])
def test_bands_add_up_to_the_signal(bands):
    audio = torch.randn(2, 5000)
    torch.testing.assert_close(split(bands).mix(audio, torch.ones(bands)), audio, rtol=0, atol=1e-5)


def test_a_tone_is_in_its_band():
    seconds = torch.arange(16_000) / 8000
    low, high = (torch.sin(2 * torch.pi * hz * seconds)[None] for hz in (100, 3500))
    assert split(4).deviations(low)[0].argmax() == 0
    assert split(4).deviations(high)[0].argmax() == 3
    without_high = split(4).mix(low + high, torch.tensor([1.0, 1.0, 1.0, 0.0]))
    assert (without_high - low)[:, 1000:-1000].abs().max() < 0.01  # the ends are held, which is another sound


def test_blocks_equal_the_whole(monkeypatch):
    audio, gains = torch.randn(2, 20_001), torch.rand(2, 8)
    whole, deviations = split(8).mix(audio, gains), split(8).deviations(audio)
    monkeypatch.setattr(mbd_bands, "FFT_SIZE", 1)  # as short as the filters allow
    blocks = list(mbd_bands._blocks(audio, low_pass_filters(8, 8000).shape[1]))
    assert len(blocks) > 10
    torch.testing.assert_close(split(8).mix(audio, gains), whole, rtol=0, atol=1e-5)
    torch.testing.assert_close(split(8).deviations(audio), deviations, rtol=1e-5, atol=0)


def test_nothing_stays_nothing():
    nothing = torch.zeros(2, 0)
    assert split(8).mix(nothing, torch.ones(8)).shape == (2, 0)
    assert equalise(nothing, nothing, split(8)).shape == (2, 0)


def test_the_equaliser_gives_each_channel_the_levels_of_its_reference():
    audio, levels = torch.randn(2, 20_000), torch.tensor([[2.0, 1, 1, 0.5, 0.5, 1, 1, 2], [1, 1, 2, 2, 2, 1, 1, 0.5]])
    reference = split(8).mix(torch.randn(2, 20_000), levels)
    equal = equalise(audio, reference, split(8))
    found, wanted = split(8).deviations(equal), split(8).deviations(reference)
    assert (found / wanted - 1).abs().max() < 0.2  # filters overlap, so one pass does not settle it
    assert (split(8).deviations(audio) / wanted - 1).abs().max() > 0.4
    alone = equalise(audio[1:], reference[1:], split(8))
    torch.testing.assert_close(equal[1:], alone, rtol=0, atol=1e-4)


def test_silence_comes_out_of_the_equaliser_as_silence():
    """Where there is nothing to be louder audiocraft divides by 0, and the whole song is not a number."""
    sound, silence = torch.randn(1, 2000), torch.zeros(1, 2000)
    assert equalise(silence, sound, split(8)).abs().max() == 0
    assert equalise(sound, silence, split(8)).abs().max() == 0
