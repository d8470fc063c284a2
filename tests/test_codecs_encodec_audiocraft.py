"""EnCodec against audiocraft's own, from the same cfg and weights; and against what that gave once, frozen."""

from functools import cache
from pathlib import Path

import pytest
import torch
from audiocraft_fixtures import audiocraft, old_weight_norm
from encodec_audiocraft_fixtures import SAME_WEIGHTS, VARIANTS, cfg_of, ours, sound
from encodec_fixtures import fill
from safetensors.torch import load_file

GOLDEN = Path(__file__).parent / "golden" / "encodec.safetensors"  # made by tests/encodec_golden.py
ATOL = 1e-5  # float32: another order of additions; the audio spreads by about 0.3
LENGTHS = (1, 2, 3, 5, 6, 7, 11, 12, 13, 29, 60, 101, 400)  # the hop is 6, in one variant 20


@cache
def theirs(name):
    """Random weights, the same for those of SAME_WEIGHTS."""
    builders = audiocraft("models.builders")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = builders.get_compression_model(audiocraft("models.builders").omegaconf.OmegaConf.create(cfg_of(name)))
        fill(model.eval().requires_grad_(False))
    return model


@pytest.fixture(params=VARIANTS)
def name(request):
    return request.param


@old_weight_norm
@pytest.mark.parametrize("samples", LENGTHS)
def test_encode_and_decode_match_audiocraft(name, samples):
    codec, audio = ours(name, theirs(name).state_dict()), sound(samples)
    codes = theirs(name).encode(audio[None])[0][0]
    assert torch.equal(codec.encode(audio), codes)
    expected = theirs(name).decode(codes[None])[0]
    torch.testing.assert_close(codec.decode(codes), expected, rtol=0, atol=ATOL)
    assert (codec.hop_length, codec.codebooks, codec.codebook_size) == (expected.shape[1] // codes.shape[1], 2, 16)
    assert codec.frame_rate == theirs(name).frame_rate


@old_weight_norm
@pytest.mark.parametrize("samples", [1, 59, 300])
def test_stereo_matches_audiocraft(name, samples):
    stereo = audiocraft("models.encodec").InterleaveStereoCompressionModel(theirs(name))
    codec, audio = ours(name, theirs(name).state_dict(), channels=2), sound(samples, channels=2)
    codes = stereo.encode(audio[None])[0][0]
    assert torch.equal(codec.encode(audio), codes)
    torch.testing.assert_close(codec.decode(codes), stereo.decode(codes[None])[0], rtol=0, atol=ATOL)
    assert codec.codebooks == stereo.num_codebooks


@old_weight_norm
def test_the_pad_mode_is_heard():
    """A codec with the wrong one would load without a word."""
    state, audio = theirs("reflect").state_dict(), sound(100)
    constant, reflect = ours("constant", state), ours("reflect", state)
    codes = reflect.encode(audio)
    assert not torch.equal(constant.encode(audio), codes)
    assert (constant.decode(codes) - reflect.decode(codes)).abs().max() > 0.01


@pytest.mark.parametrize("name", SAME_WEIGHTS)
@pytest.mark.parametrize("channels", [1, 2])
def test_codes_and_audio_are_still_those_that_audiocraft_gave(name, channels):
    golden = load_file(GOLDEN)
    state = {key.removeprefix("state."): value for key, value in golden.items() if key.startswith("state.")}
    codec = ours(name, state, channels=channels)
    audio, codes = golden[f"audio.{channels}"], golden[f"{name}.codes.{channels}"].long()
    assert torch.equal(codec.encode(audio), codes)
    torch.testing.assert_close(codec.decode(codes), golden[f"{name}.audio.{channels}"], rtol=0, atol=ATOL)
