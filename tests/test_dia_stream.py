"""How audio leaves: the same streamed and whole, early, and the same alone and in company."""

import dataclasses

import numpy as np
import pytest
import torch
from dia_fixtures import FRAMES, HOP, SAMPLING, audio_of, request

from models.decoding.sequence import CodeSequence
from models.dia.pipeline import DiaPipeline
from models.engine import Engine
from models.request import AudioChunk, SamplingParams


def test_streamed_audio_equals_whole_audio(engine: Engine) -> None:
    streamed = list(engine.stream(request(streaming=True)))
    whole = engine.generate(request(streaming=False))
    assert whole.audio.shape == (1, FRAMES * HOP)
    np.testing.assert_allclose(audio_of(streamed), whole.audio, atol=1e-4)


@pytest.mark.parametrize("frames", range(70, 80))
def test_no_frame_is_lost_that_comes_while_a_chunk_leaves(engine: Engine, frames: int) -> None:
    """The decoder steps on between a chunk and the next look at its sequence: with one frame left, it was done by then,
    and that frame and the codec's last samples never left."""
    limited = request(sampling_params=SamplingParams(max_new_tokens=frames, seed=11))
    assert engine.generate(limited).audio.shape == (1, frames * HOP)


def test_audio_is_the_codec_applied_to_the_codes(engine: Engine, admitted: list[CodeSequence]) -> None:
    audio = engine.generate(request()).audio
    codes = torch.from_numpy(admitted[0].codes(0, FRAMES))
    np.testing.assert_allclose(audio, engine.pipeline.codec.decode(codes).numpy(), atol=1e-4)


def test_first_audio_leaves_after_26_steps(noisy: DiaPipeline) -> None:
    """15 of delay, 10 frames of right context, and the frame itself."""
    job = noisy.speak(noisy.prepare(request(streaming=True)))
    item, steps = next(job), 0
    while not isinstance(item, AudioChunk):
        if steps == 0:
            noisy.decoder.admit(item.sequence)
        noisy.decoder.step()
        steps += 1
        if item.over:
            sequence, item = item.sequence, next(job)
    noisy.decoder.release(sequence)
    assert steps == 26
    assert item.audio.shape[1] >= HOP


def test_chunks_count_up_and_tell_progress(engine: Engine) -> None:
    chunks = list(engine.stream(request(streaming=True)))
    assert [c.index for c in chunks] == list(range(len(chunks)))
    assert len(chunks) > 4
    progress = [c.progress for c in chunks]
    assert progress == sorted(progress)
    assert progress[-1] == 1.0
    assert [c.is_done for c in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-1].steps_executed == FRAMES
    assert chunks[-1].sample_rate == 44_100


def test_whole_audio_still_tells_progress_on_the_way(engine: Engine) -> None:
    long = request(sampling_params=SamplingParams(max_new_tokens=300, seed=1))
    chunks = list(engine.stream(dataclasses.replace(long, streaming=False)))
    assert sum(1 for c in chunks if c.audio.size) == 1
    assert sum(1 for c in chunks if not c.audio.size) >= 3


# Seeds


def test_same_seed_gives_the_same_audio_and_is_reported(engine: Engine) -> None:
    a, b = engine.generate(request()), engine.generate(request())
    c = engine.generate(request(sampling_params=SAMPLING.with_seed(12)))
    np.testing.assert_array_equal(a.audio, b.audio)
    assert (a.seed, c.seed) == (11, 12)
    assert (a.audio != c.audio).any()


def test_requests_at_the_same_time_equal_requests_alone(engine: Engine) -> None:
    alone = [engine.generate(request(f"[S1] Number {n}.", sampling_params=SAMPLING.with_seed(n))) for n in range(5)]
    streams = [
        engine.stream(request(f"[S1] Number {n}.", sampling_params=SAMPLING.with_seed(n), request_id=f"r{n}"))
        for n in range(5)
    ]
    for stream, expected in zip(streams, alone, strict=True):
        np.testing.assert_allclose(audio_of(list(stream)), expected.audio, atol=1e-4)


def test_a_request_without_a_seed_gets_one_of_its_own() -> None:
    assert len({SamplingParams().seed for _ in range(20)}) == 20
