"""Streams of EnCodec's codes: every sample as soon as it is exact, and the whole when the pieces are put together."""

import pytest
import torch
from codecs_fixtures import network_calls
from encodec_fixtures import CODEBOOKS, VARIANTS, codec_of, hf_encodec, random_codes
from hypothesis import given, settings
from hypothesis import strategies as st

ATOL = 1e-5  # float32: another order of additions, in 20 layers and an LSTM; the audio spreads by about 0.3

sizes = st.lists(st.integers(0, 14), min_size=1, max_size=6)


@pytest.fixture(scope="module")
def codecs():
    """Mono of every kind, and stereo."""
    return {name: codec_of(name) for name in VARIANTS} | {"stereo": codec_of(channels=2)}


@pytest.fixture(scope="module")
def codec(codecs):
    return codecs["reflect"]


def collect(stream, pieces):
    return torch.cat([*(stream.push(piece) for piece in pieces), stream.flush()], dim=1)


def assert_same(audio, expected):
    torch.testing.assert_close(audio, expected, rtol=0, atol=ATOL)


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from(sorted([*VARIANTS, "stereo"])), sizes=sizes)
def test_pieces_of_any_size_make_the_whole(codecs, name, sizes):
    codes = random_codes(sum(sizes), channels=codecs[name].channels)
    assert_same(collect(codecs[name].stream(), codes.split(sizes, dim=1)), codecs[name].decode(codes))


@pytest.mark.parametrize("name", VARIANTS)
def test_each_sample_is_given_as_soon_as_it_is_exact(codecs, name):
    """And not before: a frame that is not a number makes every sample that hears it not a number, however faintly."""
    codec, config, model = codecs[name], codecs[name].config, hf_encodec(name)
    latents = torch.zeros(1, config.latent_width, 24)
    latents[..., 20] = torch.nan
    exact = int(torch.nonzero(model.decoder(latents)[0, 0].isnan()).min())
    assert exact == 20 * codec.hop_length - config.lookahead == config.exact_samples(20)
    codes, stream, given = random_codes(20), codec.stream(), 0
    for frames in range(1, 21):
        given += stream.push(codes[:, frames - 1 : frames]).shape[1]
        assert given == config.exact_samples(frames)
    assert stream.flush().shape == (1, config.lookahead)


@pytest.mark.parametrize("name", [name for name in VARIANTS if "causal" not in name])
def test_a_stream_begins_as_soon_as_one_frame_has_its_context(codecs, name):
    assert codecs[name].stream().push(random_codes(codecs[name].context_frames + 1)).shape[1] >= codecs[name].hop_length


@settings(max_examples=25, deadline=None)
@given(name=st.sampled_from(["reflect", "causal constant", "stereo"]), earlier=st.integers(0, 60), sizes=sizes)
def test_a_stream_with_left_context_continues_the_earlier_one(codecs, name, earlier, sizes):
    """With all of it: an LSTM forgets nothing for certain."""
    codec = codecs[name]
    one = random_codes(earlier, seed=1, channels=codec.channels)
    two = random_codes(sum(sizes), seed=2, channels=codec.channels)
    first = codec.stream()
    collect(first, [one])
    assert torch.equal(first.tail, one)
    continued = collect(codec.stream(first.tail), two.split(sizes, dim=1))
    assert_same(continued, codec.decode(torch.cat([one, two], dim=1))[:, codec.hop_length * earlier :])


def test_the_first_frame_is_heard_in_the_last(codec):
    """So a shorter left context would not do."""
    codes = random_codes(40)
    other = codes.clone()
    other[:, 0] = (codes[:, 0] + 1) % 32
    last = slice(-codec.hop_length, None)
    assert (codec.decode(codes)[:, last] - codec.decode(other)[:, last]).abs().max() > 0


def test_a_caller_may_push_from_one_buffer_again_and_again(codec):
    codes, buffer, stream = random_codes(12), torch.zeros(CODEBOOKS, 1, dtype=torch.long), codec.stream()
    given = []
    for frame in codes.split(1, dim=1):
        given.append(stream.push(buffer.copy_(frame)))
    assert torch.equal(stream.tail, codes)
    assert_same(torch.cat([*given, stream.flush()], dim=1), codec.decode(codes))


def test_left_context_alone_is_not_heard(codec):
    assert codec.stream(random_codes(15)).flush().shape == (1, 0)


def test_flush_ends_a_stream(codec):
    stream = codec.stream()
    stream.push(random_codes(12))
    stream.flush()
    assert stream.flush().shape == (1, 0)
    with pytest.raises(AssertionError, match="push after flush"):
        stream.push(random_codes(1))
    assert codec.stream().flush().shape == (1, 0)


@pytest.mark.parametrize("name", ["constant", "causal reflect", "stereo"])
def test_streams_pushed_together_get_what_each_gets_alone(codecs, name):
    """Some equally long, some not, one silent, one with left context, each at another place of its stream."""
    codec = codecs[name]
    plans = [[11, 5, 5, 7], [11, 5, 5, 7], [3, 20, 5, 0], [0, 0, 11, 5], [30, 5, 1, 1]]
    codes = [random_codes(sum(p), seed=i, channels=codec.channels).split(p, dim=1) for i, p in enumerate(plans)]
    contexts = [None, None, None, None, random_codes(20, seed=9, channels=codec.channels)]
    alone = [collect(codec.stream(c), pieces) for c, pieces in zip(contexts, codes, strict=True)]
    streams = [codec.stream(c) for c in contexts]
    heard = [codec.push_many(streams, [pieces[i] for pieces in codes]) for i in range(4)]
    heard.append(codec.flush_many(streams))
    for i, expected in enumerate(alone):
        assert_same(torch.cat([audio[i] for audio in heard], dim=1), expected)


def test_streams_that_push_alike_share_a_call(codecs, monkeypatch):
    codec = codecs["stereo"]
    calls = network_calls(codec, monkeypatch)
    streams = [codec.stream() for _ in range(3)]
    codec.push_many(streams, [random_codes(12, channels=2)] * 3)
    codec.push_many(streams, [random_codes(n, channels=2) for n in (2, 6, 2)])
    codec.flush_many(streams)
    assert calls == [(6, 12), (4, 2), (2, 6), (6, 0)]  # both channels of each stream


def test_what_a_stream_remembers_does_not_grow(codec):
    """Each layer keeps copies of its few rows, not views that hold the piece they were cut from."""
    stream, sizes = codec.stream(), set()
    for frames in (11, 40, 1, 50):
        stream.push(random_codes(frames))
        sizes.add(sum(rows.untyped_storage().nbytes() for rows in stream._memory))
    assert len(sizes) == 1
    assert stream.tail.shape == (CODEBOOKS, 102)
