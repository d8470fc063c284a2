"""EnCodec against transformers' EncodecModel, pieces against the whole, stereo against mono."""

import numpy as np
import pytest
import torch
from encodec_fixtures import (
    CODEBOOK_SIZE,
    CODEBOOKS,
    VARIANTS,
    codec_of,
    hf_decode,
    hf_encode,
    hf_encodec,
    random_audio,
    random_codes,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from models.codecs.encodec import PIECE_FRAMES

RTOL = 1e-5  # of the audio's standard deviation. float32: another order of additions, in 20 layers and an LSTM


@pytest.fixture(scope="module")
def codecs():
    return {name: codec_of(name) for name in VARIANTS}


@pytest.fixture(scope="module")
def codec(codecs):
    return codecs["reflect"]


@pytest.fixture(scope="module")
def stereo():
    return codec_of(channels=2)


def assert_same(audio, expected):
    assert audio.shape == expected.shape
    spread = expected.std() if expected.numel() > 1 else 1
    torch.testing.assert_close(audio / spread, expected / spread, rtol=0, atol=RTOL)


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("frames", [1, 2, 4, 7, 30, PIECE_FRAMES + 1, 2 * PIECE_FRAMES + 9])
def test_decode_matches_transformers_whole(codecs, name, frames):
    codes = random_codes(frames)
    audio = codecs[name].decode(codes)
    assert audio.shape == (1, codecs[name].hop_length * frames)
    assert_same(audio, hf_decode(codes, name))
    assert 0.05 < audio.std() < 2  # there is something to compare


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("frames", [0.004, 0.3, 1, 1.2, 2, 4.99, 6, 30.5, PIECE_FRAMES + 1, 2 * PIECE_FRAMES + 7.3])
def test_encode_matches_transformers_whole(codecs, name, frames):
    """Also of lengths that are no multiple of a frame or of any stride, and too short to be mirrored."""
    samples = max(1, round(frames * codecs[name].hop_length))
    audio = random_audio(samples)
    codes = codecs[name].encode(audio)
    assert torch.equal(codes, hf_encode(audio, name))
    assert codes.shape == (CODEBOOKS, np.ceil(samples / codecs[name].hop_length))
    assert frames < 30 or len(codes.unique()) > CODEBOOK_SIZE / 2  # there is something to compare


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(sorted(VARIANTS)),
    frames=st.sampled_from([0, 1, 2, 5, 8, PIECE_FRAMES, PIECE_FRAMES + 4, PIECE_FRAMES + 11, 2 * PIECE_FRAMES + 5]),
    more=st.integers(1, 1280),
)
def test_latents_match_transformers_at_every_length(codecs, name, frames, more):
    """Not the codes: sooner or later one of them is a close call."""
    hop = codecs[name].hop_length
    audio = random_audio(frames * hop + 1 + more % hop)
    latents = torch.cat(list(codecs[name]._latents(audio)), dim=1)[0]
    assert_same(latents, hf_encodec(name).encoder(audio[None])[0].T)


@pytest.mark.parametrize("name", VARIANTS)
def test_pieces_equal_the_whole_in_float64_to_12_digits(name):
    """What differs in float32 is rounding and nothing else."""
    precise = codec_of(name, dtype=torch.float64)
    hop, codes = precise.hop_length, random_codes(40)
    stream = precise.stream()
    pieces = [stream.push(piece) for piece in codes.split([12, 1, 2, 25], dim=1)]
    whole = hf_encodec(name).double().decode(codes[None, None], [None]).audio_values[0]
    audio = random_audio((PIECE_FRAMES + 8) * hop + 5).double()
    latents = hf_encodec(name).encoder(audio[None])[0].T
    hf_encodec(name).float()
    torch.testing.assert_close(torch.cat([*pieces, stream.flush()], dim=1), whole, rtol=0, atol=1e-12)
    torch.testing.assert_close(torch.cat(list(precise._latents(audio)), dim=1)[0], latents, rtol=0, atol=1e-12)


@pytest.mark.parametrize("frames", [1, 20, PIECE_FRAMES + 20])
def test_stereo_is_the_mono_codec_on_both_channels_with_codes_interleaved(stereo, codec, frames):
    codes = random_codes(frames, channels=2)
    expected = torch.cat([codec.decode(codes[0::2]), codec.decode(codes[1::2])])
    assert_same(stereo.decode(codes), expected)
    audio = random_audio(frames * codec.hop_length - 3, channels=2)
    encoded = stereo.encode(audio)
    assert encoded.shape == (2 * CODEBOOKS, frames)
    assert torch.equal(encoded[0::2], codec.encode(audio[:1]))
    assert torch.equal(encoded[1::2], codec.encode(audio[1:]))


@pytest.mark.parametrize("frames", [0, 1, 9])
def test_latents_are_those_of_transformers_by_channel(stereo, codec, frames):
    codes = random_codes(frames, channels=2)
    expected = [hf_encodec().quantizer.decode(codes[side::2, None])[0] for side in (0, 1)]  # [D, T]
    assert_same(stereo.latents(codes), torch.stack(expected))
    assert_same(codec.latents(codes[1::2]), expected[1][None])


def test_a_codec_says_what_its_codes_are(codec, stereo):
    assert (codec.sample_rate, codec.hop_length, codec.frame_rate, codec.channels) == (2000, 40, 50, 1)
    assert (codec.codebooks, codec.codebook_size, stereo.codebooks, stereo.channels) == (3, CODEBOOK_SIZE, 6, 2)
    assert codec.context_frames == stereo.context_frames == 5


def test_no_codes_are_no_samples_and_no_samples_no_codes(codec, stereo):
    assert codec.decode(random_codes(0)).shape == (1, 0)
    assert stereo.decode(random_codes(0, channels=2)).shape == (2, 0)
    assert stereo.encode(random_audio(0, channels=2)).shape == (6, 0)
    assert codec.decode_batch([]) == []


def test_audio_is_float32_the_callers_own_and_without_gradient(codec):
    audio = codec.decode(random_codes(3))
    assert (audio.dtype, audio.requires_grad) == (torch.float32, False)
    audio *= 0.5  # tensors of inference mode would refuse
    with torch.set_grad_enabled(True):
        assert not codec.encode(random_audio(40).requires_grad_()).requires_grad


def test_encode_takes_numpy_arrays_that_nobody_may_write(codec):
    audio = random_audio(90).numpy()
    audio.flags.writeable = False
    assert torch.equal(codec.encode(audio), codec.encode(np.array(audio)))


@pytest.mark.parametrize("channels", [1, 2])
def test_audio_of_another_number_of_channels_is_never_encoded(codec, stereo, channels):
    with pytest.raises(AssertionError):
        (stereo if channels == 1 else codec).encode(random_audio(80, channels=channels))


@pytest.mark.parametrize("wrong", [-1, CODEBOOK_SIZE])
def test_codes_out_of_range_are_never_decoded(codec, wrong):
    codes = random_codes(4)
    codes[1, 2] = wrong
    with pytest.raises(AssertionError, match=str(wrong)):
        codec.decode(codes)


def test_a_batch_of_unequal_lengths_equals_each_alone(stereo):
    batch = [random_codes(frames, seed=frames, channels=2) for frames in (5, 70, 0, 5, 23, 70, 101)]
    for audio, codes in zip(stereo.decode_batch(batch), batch, strict=True):
        assert_same(audio, stereo.decode(codes))
