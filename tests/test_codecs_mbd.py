"""Multi-Band Diffusion as its callers know it: seeds, stereo, lengths, windows, progress. Against its own slow twins;
against audiocraft: test_codecs_mbd_parity.py."""

from pathlib import Path

import encodec_fixtures
import pytest
import torch
import torch.nn.functional as F
from mbd_fixtures import CODEBOOKS, HOP, LATENT, REDUCTION, SAMPLE_RATE, TinyCodec, band, random_codes, save_mbd, seeded
from safetensors.torch import load_file
from torch import Tensor

from models.codecs import mbd
from models.codecs.mbd import MultiBandDiffusion
from models.codecs.mbd_random import write_random_diffusion
from models.errors import GenerationFailed

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return save_mbd(tmp_path_factory.mktemp("mbd"))


@pytest.fixture(scope="module")
def decoder(path):
    return MultiBandDiffusion.load(path, TinyCodec(), device="cpu")


def assert_same(ours: Tensor, expected: Tensor) -> None:
    """Up to rounding, which 20 steps hand on."""
    assert ours.shape == expected.shape
    assert expected.std() > 0.01
    assert (ours - expected).abs().max() <= 1e-4 * expected.abs().max()


def test_a_seed_repeats_and_another_differs(decoder):
    codes = random_codes(6)
    audio = decoder.decode(codes, seeded(1))
    assert audio.shape == (1, 6 * HOP)
    assert audio.dtype == torch.float32
    assert torch.equal(decoder.decode(codes, seeded(1)), audio)
    assert (decoder.decode(codes, seeded(2)) - audio).abs().max() > 0.01


def test_the_codes_are_heard(decoder):
    assert (
        decoder.decode(random_codes(6, seed=1), seeded(1)) - decoder.decode(random_codes(6), seeded(1))
    ).std() > 0.01


def test_no_other_randomness_is_used_or_moved(decoder):
    codes = random_codes(2)
    state = torch.random.get_rng_state()
    first = decoder.decode(codes, seeded(1))
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(9)
    assert torch.equal(decoder.decode(codes, seeded(1)), first)


@pytest.mark.parametrize("frames", [1, 7])
def test_stereo_equals_two_monos(path, decoder, frames):
    stereo = MultiBandDiffusion.load(path, TinyCodec(channels=2), device="cpu")
    codes = random_codes(frames, channels=2)
    both = stereo.decode(codes, seeded(3))
    assert both.shape == (2, frames * HOP)
    for side in (0, 1):
        assert_same(both[side : side + 1], decoder.decode(codes[side::2], seeded(3)))


def test_a_sound_in_the_middle_stays_in_the_middle(path):
    stereo = MultiBandDiffusion.load(path, TinyCodec(channels=2), device="cpu")
    left, right = stereo.decode(random_codes(5).repeat_interleave(2, dim=0), seeded(3))
    assert_same(left, right)


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_very_short_audio_is_decoded(decoder, frames):
    """Shorter than a row of the bottleneck's context and than the equaliser's filters."""
    audio = decoder.decode(random_codes(frames), seeded(0))
    assert audio.shape == (1, frames * HOP)
    assert audio.isfinite().all()


def test_no_codes_are_no_audio_and_take_no_noise(decoder):
    generator = seeded(0)
    state = generator.get_state()
    assert decoder.decode(random_codes(0), generator).shape == (1, 0)
    assert torch.equal(generator.get_state(), state)


def test_silence_stays_silence(path):
    codec = TinyCodec()
    codec.waves.zero_()
    decoder = MultiBandDiffusion.load(path, codec, device="cpu")
    assert decoder.decode(random_codes(4), seeded(0)).abs().max() == 0


def test_samples_that_are_not_numbers_are_an_error(path):
    codec = TinyCodec()
    codec.table[:, :, 0] = torch.inf
    decoder = MultiBandDiffusion.load(path, codec, device="cpu")
    with pytest.raises(GenerationFailed, match="not numbers"):
        decoder.decode(random_codes(4), seeded(0))


def network_calls(decoder, monkeypatch) -> list[tuple[int, int]]:
    """(channels, samples) of every call of the first band's network from now on."""
    calls = []
    process = decoder._processes[0]
    unet = process.unet

    class Spy:
        def __getattr__(self, name):
            return getattr(unet, name)

        def __call__(self, samples, index, condition):
            calls.append((samples.shape[0], samples.shape[2]))
            return unet(samples, index, condition)

    monkeypatch.setattr(process, "unet", Spy())
    return calls


@pytest.fixture
def short_windows(monkeypatch):
    """Of 3 s, which a tiny network needs less time for."""
    monkeypatch.setattr(mbd, "WINDOW_SECONDS", 3)
    monkeypatch.setattr(mbd, "OVERLAP_SECONDS", 1)


def test_windows_bound_what_a_network_sees(decoder, short_windows, monkeypatch):
    calls = network_calls(decoder, monkeypatch)
    frames = 7 * SAMPLE_RATE // HOP  # 7 s: three windows of 3 s that overlap by 1 s
    audio = decoder.decode(random_codes(frames), seeded(0))
    assert audio.shape == (1, frames * HOP)
    assert len(calls) == 3 * 20
    assert max(samples for _, samples in calls) <= 3 * SAMPLE_RATE


def test_audio_of_one_window_is_seen_whole(decoder, short_windows, monkeypatch):
    calls = network_calls(decoder, monkeypatch)
    decoder.decode(random_codes(3 * SAMPLE_RATE // HOP), seeded(0))
    assert calls == [(1, 3 * SAMPLE_RATE)] * 20


def test_windows_equal_the_whole_but_for_the_norms(path, monkeypatch):
    """With norms that do not average over time, windows are exact: noise, steps, borders and conditions agree, and the
    context covers what convolutions reach."""
    monkeypatch.setattr(F, "group_norm", lambda x, groups, weight, bias: x * weight[:, None] + bias[:, None])
    decoder = MultiBandDiffusion.load(path, TinyCodec(), device="cpu")
    codes = random_codes(5 * SAMPLE_RATE // HOP + 1)
    whole = decoder.decode(codes, seeded(0))
    monkeypatch.setattr(mbd, "WINDOW_SECONDS", 3)
    monkeypatch.setattr(mbd, "OVERLAP_SECONDS", 1)
    assert_same(decoder.decode(codes, seeded(0)), whole)


def test_nothing_jumps_where_windows_meet(decoder, short_windows):
    """With norms as they are: samples next to each other differ where windows meet as much as elsewhere."""
    audio = decoder.decode(random_codes(5 * SAMPLE_RATE // HOP), seeded(0))[0]
    steps = audio.diff().abs()
    meeting = slice(2 * SAMPLE_RATE, 3 * SAMPLE_RATE)
    assert steps[meeting].max() < 1.2 * torch.cat([steps[: meeting.start], steps[meeting.stop :]]).max()
    assert 0.8 < audio[meeting].std() / audio[: meeting.start].std() < 1.25


def test_every_window_begins_where_a_row_of_the_bottleneck_does(decoder):
    windows, overlap = decoder._windows(decoder._processes[0], 20_000)
    assert len(windows) > 2
    assert all(window.start * HOP % REDUCTION == 0 for window in windows)
    assert overlap * HOP == 2 * SAMPLE_RATE


def test_progress_rises_to_one_in_as_many_steps_as_networks_are_called(decoder):
    steps = list(decoder.decode_steps(random_codes(2), seeded(0)))
    assert steps == pytest.approx([i / 40 for i in range(1, 41)])  # two bands of 20 steps


def test_closing_stops_before_the_next_call_of_a_network(decoder, monkeypatch):
    calls = network_calls(decoder, monkeypatch)
    decoding = decoder.decode_steps(random_codes(2), seeded(0))
    next(decoding)
    next(decoding)
    decoding.close()
    assert len(calls) == 2


def test_two_decodings_take_turns_without_touching_each_other(decoder):
    codes = random_codes(3)
    expected = decoder.decode(codes, seeded(1)), decoder.decode(codes, seeded(2))
    pair = [decoder.decode_steps(codes, seeded(seed)) for seed in (1, 2)]
    for _ in range(40):
        for decoding in pair:
            next(decoding)
    for decoding, audio in zip(pair, expected, strict=True):
        with pytest.raises(StopIteration) as end:
            next(decoding)
        assert torch.equal(end.value.value, audio)


def test_a_random_checkpoint_is_one_like_the_published_and_its_seed_repeats(tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        write_random_diffusion(tmp_path / name, sample_rate=SAMPLE_RATE, latent_width=LATENT, seed=seed)
    audio = [
        MultiBandDiffusion.load(tmp_path / name, TinyCodec(), device="cpu").decode(random_codes(4), seeded(0))
        for name in "abc"
    ]
    assert torch.equal(audio[0], audio[1])
    assert (audio[0] - audio[2]).std() > 0.01


def test_encodec_s_own_codes_are_decoded(tmp_path):
    """The codec of models/codecs/encodec.py in the place of the tests' own, mono and stereo."""
    bands = [band(seed, processor__use=False) for seed in (1, 2)]
    contents = {"sample_rate": 2000, "n_bands": 2, **dict(enumerate(bands))}
    path = save_mbd(tmp_path, contents)
    codes = encodec_fixtures.random_codes(30, channels=2)
    both = MultiBandDiffusion.load(path, encodec_fixtures.codec_of(channels=2), device="cpu").decode(codes, seeded(1))
    mono = MultiBandDiffusion.load(path, encodec_fixtures.codec_of(), device="cpu")
    for side in (0, 1):
        assert_same(both[side : side + 1], mono.decode(codes[side::2], seeded(1)))
    reference = mono.codec.decode(codes[0::2])
    assert 0.9 < both[0].std() / reference.std() < 1.1  # its levels are those of the codec's decoder


def test_golden_vectors_of_audiocraft():
    """golden/mbd.th holds pickled OmegaConf settings and weights, golden/mbd.safetensors what audiocraft 1.4.0a2 makes
    of them (written by `python tests/golden/make_mbd.py`), so that the check needs neither."""
    vectors = load_file(GOLDEN / "mbd.safetensors")
    codes = vectors["codes"].long()
    for channels in (1, 2):
        decoder = MultiBandDiffusion.load(GOLDEN / "mbd.th", TinyCodec(channels), device="cpu")
        assert codes.shape[0] == 2 * CODEBOOKS
        audio = decoder.decode(codes[: channels * CODEBOOKS], seeded(5))
        assert_same(audio, vectors[f"audio_{channels}"])
