"""Streams of codes: every sample as soon as it is exact, and the whole when the pieces are put together."""

import pytest
import torch
from codecs_fixtures import CODEBOOKS, HOP, SMALL_STRIDES, network_calls, random_codes, save_dac
from hypothesis import given, settings
from hypothesis import strategies as st

from models.codecs.dac import PIECE_FRAMES, DacCodec

ATOL = 2e-5  # float32: another order of additions, in 30 layers; the audio spreads by about 0.3

sizes = st.lists(st.integers(0, 14), min_size=1, max_size=6)


@pytest.fixture(scope="module")
def codec(tmp_path_factory):
    return DacCodec.load(save_dac(tmp_path_factory.mktemp("dac")), device="cpu")


def collect(stream, pieces):
    return torch.cat([*(stream.push(piece) for piece in pieces), stream.flush()], dim=1)


def assert_same(audio, expected):
    torch.testing.assert_close(audio, expected, rtol=0, atol=ATOL)


@settings(max_examples=30, deadline=None)
@given(sizes=sizes)
def test_pieces_of_any_size_make_the_whole(codec, sizes):
    codes = random_codes(sum(sizes))
    assert_same(collect(codec.stream(), codes.split(sizes, dim=1)), codec.decode(codes))


def test_a_long_push_is_decoded_in_pieces(codec):
    codes = random_codes(2 * PIECE_FRAMES + 5)
    assert_same(collect(codec.stream(), [codes[:, :-1], codes[:, -1:]]), codec.decode(codes))


def test_each_sample_is_given_as_soon_as_it_is_exact(codec):
    """And not before: after N frames those that the next frame cannot change, which config.lookahead counts."""
    codes, stream, given = random_codes(20), codec.stream(), []
    for frames in range(1, 21):
        given.append(stream.push(codes[:, frames - 1 : frames]).shape[1])
        assert sum(given) == max(0, frames * HOP - codec.config.lookahead)
    assert sum(given[: codec.context_frames]) < HOP <= sum(given[: 1 + codec.context_frames])
    assert stream.flush().shape == (1, codec.config.lookahead)


def test_the_first_frame_comes_with_its_context_and_is_final(codec):
    codes = random_codes(30)
    first = codec.stream().push(codes[:, : 1 + codec.context_frames])
    assert first.shape[1] >= HOP
    assert_same(first, codec.decode(codes)[:, : first.shape[1]])


def test_a_stream_of_small_strides_waits_for_its_longer_context(tmp_path):
    codec = DacCodec.load(save_dac(tmp_path, SMALL_STRIDES), device="cpu")
    codes = random_codes(45)
    stream = codec.stream()
    assert stream.push(codes[:, :29]).shape[1] == 0
    audio = torch.cat([stream.push(codes[:, 29:31]), stream.push(codes[:, 31:]), stream.flush()], dim=1)
    assert_same(audio, codec.decode(codes))


@settings(max_examples=20, deadline=None)
@given(earlier=st.integers(0, 45), sizes=sizes)
def test_a_stream_with_left_context_continues_the_earlier_one(codec, earlier, sizes):
    one, two = random_codes(earlier, seed=1), random_codes(sum(sizes), seed=2)
    first = codec.stream()
    collect(first, [one])
    continued = collect(codec.stream(first.tail), two.split(sizes, dim=1))
    assert_same(continued, codec.decode(torch.cat([one, two], dim=1))[:, HOP * earlier :])


def test_left_context_alone_is_not_heard(codec):
    assert codec.stream(random_codes(15)).flush().shape == (1, 0)


def test_the_tail_is_the_newest_frames_left_context_included(codec):
    context, codes = random_codes(25, seed=1), random_codes(14, seed=2)
    stream = codec.stream(context)
    stream.push(codes[:, :13])
    stream.push(codes[:, 13:])
    assert torch.equal(stream.tail, torch.cat([context, codes], dim=1)[:, -2 * codec.context_frames :])
    assert codec.stream().tail.shape == (CODEBOOKS, 0)


def test_flush_ends_a_stream(codec):
    stream = codec.stream()
    stream.push(random_codes(12))
    stream.flush()
    assert stream.flush().shape == (1, 0)
    with pytest.raises(AssertionError, match="push after flush"):
        stream.push(random_codes(1))
    assert codec.stream().flush().shape == (1, 0)


def test_streams_pushed_together_get_what_each_gets_alone(codec):
    """Some equally long, some not, one silent, one with left context, each at another place of its stream."""
    plans = [[11, 5, 5, 7], [11, 5, 5, 7], [3, 20, 5, 0], [0, 0, 11, 5], [30, 5, 1, 1]]
    codes = [random_codes(sum(plan), seed=i).split(plan, dim=1) for i, plan in enumerate(plans)]
    contexts = [None, None, None, None, random_codes(20, seed=9)]
    alone = [collect(codec.stream(c), pieces) for c, pieces in zip(contexts, codes, strict=True)]
    streams = [codec.stream(c) for c in contexts]
    heard = [codec.push_many(streams, [pieces[i] for pieces in codes]) for i in range(4)]
    heard.append(codec.flush_many(streams))
    for i, expected in enumerate(alone):
        assert_same(torch.cat([audio[i] for audio in heard], dim=1), expected)


def test_streams_that_push_alike_share_a_call(codec, monkeypatch):
    calls = network_calls(codec, monkeypatch)
    streams = [codec.stream() for _ in range(3)]
    codec.push_many(streams, [random_codes(12)] * 3)
    codec.push_many(streams, [random_codes(n) for n in (2, 6, 2)])
    codec.flush_many(streams)
    assert calls == [(3, 12), (2, 2), (1, 6), (3, 0)]


def test_a_stream_twice_in_one_call_is_a_fault(codec):
    stream = codec.stream()
    with pytest.raises(AssertionError, match="twice"):
        codec.push_many([stream, stream], [random_codes(1)] * 2)


def test_what_a_stream_remembers_does_not_grow(codec):
    """Each layer keeps copies of its few rows, not views that hold the piece they were cut from."""
    stream, sizes = codec.stream(), set()
    for frames in (11, 60, 1, 86):
        stream.push(random_codes(frames))
        sizes.add(sum(rows.untyped_storage().nbytes() for rows in stream._memory))
    assert len(sizes) == 1
