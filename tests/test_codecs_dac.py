"""The codec against transformers' DacModel, and pieces against the whole."""

import copy
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from codecs_fixtures import (
    HOP,
    REAL_STRIDES,
    SMALL_STRIDES,
    hf_dac,
    network_calls,
    random_audio,
    random_codes,
    save_dac,
)
from safetensors.torch import load, save_file

from models.codecs.code_stream import GROUP_PIECES
from models.codecs.dac import PIECE_FRAMES, DacCodec

ATOL = 2e-5  # float32: another order of additions, in 30 layers; the audio spreads by about 0.3
BOTH = [REAL_STRIDES, SMALL_STRIDES]


@pytest.fixture(scope="module")
def codecs(tmp_path_factory):
    """A codec for each way to hop 512."""
    return {strides: DacCodec.load(save_dac(tmp_path_factory.mktemp("dac"), strides), device="cpu") for strides in BOTH}


@pytest.fixture(scope="module")
def codec(codecs):
    return codecs[REAL_STRIDES]


def hf_decode(codes, strides=REAL_STRIDES):
    """[K, T] → [1, hop·T], whole, by transformers."""
    return hf_dac(strides).decode(audio_codes=codes[None]).audio_values


def hf_encode(audio, strides=REAL_STRIDES):
    """[1, hop·T] → latents [T, D] and codes [K, T], whole, by transformers."""
    model = hf_dac(strides)
    return model.encoder(audio[None])[0].T, model.encode(audio[None]).audio_codes[0]


def assert_same(audio, expected, atol=ATOL):
    torch.testing.assert_close(audio, expected, rtol=0, atol=atol)


@pytest.mark.parametrize("strides", BOTH)
@pytest.mark.parametrize("frames", [1, 2, 9, 10, 11, 40])
def test_decode_matches_transformers(codecs, strides, frames):
    codes = random_codes(frames)
    audio = codecs[strides].decode(codes)
    assert audio.shape == (1, HOP * frames)
    assert_same(audio, hf_decode(codes, strides))
    assert audio.std() > 0.02  # there is something to compare


@pytest.mark.parametrize("frames", [PIECE_FRAMES, PIECE_FRAMES + 1, 2 * PIECE_FRAMES + 7])
def test_decode_in_pieces_equals_transformers_whole(codecs, frames):
    codes = random_codes(frames)
    assert_same(codecs[REAL_STRIDES].decode(codes), hf_decode(codes))


def test_decode_in_pieces_equals_whole_in_float64_to_12_digits(tmp_path, codec):
    """What differs in float32 is rounding and nothing else."""
    precise = DacCodec.load(save_dac(tmp_path), device="cpu", dtype=torch.float64)
    codes = random_codes(30)
    stream = precise.stream()
    pieces = [stream.push(piece) for piece in codes.split([11, 1, 2, 16], dim=1)]
    assert_same(torch.cat([*pieces, stream.flush()], dim=1), precise.decode(codes), atol=1e-12)
    assert_same(precise.decode(codes).float(), codec.decode(codes))


def test_no_codes_are_no_samples(codec):
    assert codec.decode(random_codes(0)).shape == (1, 0)
    assert codec.decode_batch([]) == []


def test_audio_is_float32_the_callers_own_and_without_gradient(codec):
    audio = codec.decode(random_codes(3))
    assert (audio.dtype, audio.requires_grad) == (torch.float32, False)
    audio *= 0.5  # tensors of inference mode would refuse
    with torch.set_grad_enabled(True):
        assert not codec.encode(random_audio(HOP).requires_grad_()).requires_grad


@pytest.mark.parametrize("wrong", [-1, 32])
def test_codes_out_of_range_are_never_decoded(codec, wrong):
    codes = random_codes(4)
    codes[1, 2] = wrong
    with pytest.raises(AssertionError, match=str(wrong)):
        codec.decode(codes)


def test_a_batch_of_unequal_lengths_equals_each_alone(codec):
    batch = [random_codes(frames, seed=frames) for frames in (5, 100, 0, 5, 23, 100, 172)]
    for audio, codes in zip(codec.decode_batch(batch), batch, strict=True):
        assert_same(audio, codec.decode(codes))


def test_a_batch_runs_pieces_of_equal_length_together_up_to_a_limit(codec, monkeypatch):
    calls = network_calls(codec, monkeypatch)
    codec.decode_batch([random_codes(PIECE_FRAMES + 4)] * 2 + [random_codes(4)] * 3)
    assert calls == [(2, PIECE_FRAMES), (3, 4), (2, 4)]
    calls.clear()
    codec.decode_batch([random_codes(PIECE_FRAMES)] * 9)
    assert calls == [(8, PIECE_FRAMES), (1, PIECE_FRAMES)]
    assert max(B * n for B, n in calls) <= GROUP_PIECES * PIECE_FRAMES


@pytest.mark.parametrize("strides", BOTH)
@pytest.mark.parametrize("frames", [1, 3, 30])
def test_encode_matches_transformers(codecs, strides, frames):
    audio = random_audio(HOP * frames)
    codes = codecs[strides].encode(audio)
    assert codes.shape == (3, frames)
    assert torch.equal(codes, hf_encode(audio, strides)[1])
    assert len(codes.unique()) > min(frames, 10)  # there is something to compare


@pytest.mark.parametrize("strides", BOTH)
@pytest.mark.parametrize("frames", [PIECE_FRAMES, PIECE_FRAMES + 1, 2 * PIECE_FRAMES + 7])
def test_encode_in_pieces_equals_transformers_whole(codecs, strides, frames):
    """The latents to rounding; the codes exactly, because no entry of these codebooks is as near as that to another."""
    audio = random_audio(HOP * frames)
    latents, codes = hf_encode(audio, strides)
    assert_same(torch.cat(list(codecs[strides]._latents(audio))), latents)
    assert torch.equal(codecs[strides].encode(audio), codes)


def test_encode_fills_the_last_frame_with_zeros(codec):
    audio = random_audio(3 * HOP + 1)
    filled = torch.nn.functional.pad(audio, (0, HOP - 1))
    assert torch.equal(codec.encode(audio), codec.encode(filled))
    assert codec.encode(audio).shape == (3, 4)
    assert codec.encode(audio[:, :0]).shape == (3, 0)


def test_encode_takes_numpy_arrays_that_nobody_may_write(codec):
    audio = random_audio(2 * HOP).numpy()
    audio.flags.writeable = False
    assert torch.equal(codec.encode(audio), codec.encode(np.array(audio)))


def test_a_codec_may_be_used_by_many_threads(codec):
    batch = [random_codes(30, seed=i) for i in range(8)]
    alone = [codec.decode(codes) for codes in batch]
    with ThreadPoolExecutor(4) as pool:
        for audio, expected in zip(pool.map(codec.decode, batch), alone, strict=True):
            assert_same(audio, expected)


def test_bfloat16_adds_noise_30_db_below_the_audio_and_leaves_the_codes(codec, tmp_path):
    coarse = DacCodec.load(save_dac(tmp_path), device="cpu", dtype=torch.bfloat16)
    codes, audio = random_codes(40), random_audio(20 * HOP)
    exact, rough = codec.decode(codes), coarse.decode(codes)
    assert rough.dtype == torch.float32
    noise_db = 10 * torch.log10((rough - exact).square().mean() / exact.square().mean())
    assert -60 < noise_db < -30
    assert torch.equal(coarse.encode(audio), codec.encode(audio))


def test_a_snake_of_alpha_zero_passes_its_input(tmp_path):
    """It divides by α; transformers adds 1e-9 first, which at α = 0 gives x as well."""
    path = save_dac(tmp_path) / "model.safetensors"
    tensors = load(path.read_bytes())
    for name in ("decoder.block.0.snake1.alpha", "decoder.block.2.res_unit2.snake2.alpha", "decoder.snake1.alpha"):
        tensors[name][:, :2] = 0
    save_file(tensors, path)
    model = copy.deepcopy(hf_dac())
    model.load_state_dict(tensors)
    codes = random_codes(12)
    expected = model.decode(audio_codes=codes[None]).audio_values
    assert_same(DacCodec.load(tmp_path, device="cpu").decode(codes), expected)
