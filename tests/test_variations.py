"""Variations are made at once, each as it is alone; what stops one stops all, and leaves nothing behind."""

import threading

import numpy as np
import pytest
from engine_fixtures import ConstantPipeline, raise_in, until

from models.engine import Engine
from models.errors import Cancelled, InvalidRequest, Overloaded
from models.request import AudioChunk, AudioGenerationRequest, MusicOptions, SamplingParams
from models.variations import generate_together


def request(seed: int, prompt: str = "piano", seconds: float = 3.0) -> AudioGenerationRequest:
    options = MusicOptions(duration_seconds=seconds)
    return AudioGenerationRequest(
        f"r{seed}", "constant", prompt, sampling_params=SamplingParams(seed=seed), music=options
    )


def test_each_variation_is_what_it_is_alone_and_they_share_steps() -> None:
    pipeline = ConstantPipeline(slots=2)
    with Engine(pipeline) as engine:
        alone = [engine.generate(request(seed)) for seed in (3, 1, 2)]
        pipeline.decoder.most = 0
        pipeline.decoder.gate.clear()
        threading.Timer(0.05, pipeline.decoder.gate.set).start()
        together = generate_together(engine, [request(seed) for seed in (3, 1, 2)])  # one more than there are slots
    assert pipeline.decoder.most == 2
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_array_equal(one.audio, other.audio)
        assert one.seed == other.seed
        assert 0 < one.first_audio_seconds <= one.total_seconds


def test_every_chunk_is_heard_with_the_number_of_its_request() -> None:
    heard: list[tuple[int, int, int]] = []

    def hear(index: int, chunk: AudioChunk) -> None:
        heard.append((index, chunk.seed, chunk.steps_executed))

    with Engine(ConstantPipeline()) as engine:
        generate_together(engine, [request(5), request(6)], hear)
    for index, seed in enumerate((5, 6)):
        assert [(s, steps) for i, s, steps in heard if i == index][-1] == (seed, 30)


def test_a_refusal_of_one_leaves_none_on_its_way() -> None:
    with Engine(ConstantPipeline()) as engine:
        with pytest.raises(InvalidRequest, match="prompt"):
            generate_together(engine, [request(1), request(2, "refused")])
        until(lambda: engine.requests == 0)  # within one decoder step


def test_more_than_the_engine_holds_are_refused_together() -> None:
    with Engine(ConstantPipeline(), max_requests=2) as engine, pytest.raises(Overloaded):
        generate_together(engine, [request(seed) for seed in range(3)])


def test_a_failure_of_one_ends_the_others() -> None:
    pipeline = ConstantPipeline()
    with Engine(pipeline) as engine:
        with pytest.raises(ValueError, match="a string of the guitar"):
            generate_together(engine, [request(1, "endless"), request(2, "broken")])
        until(lambda: engine.requests == 0)
    assert sorted(pipeline.closed) == ["r1", "r2"]


def test_an_exception_raised_into_the_waiting_thread_cancels_all() -> None:
    """As Cog cancels a prediction: between two instructions of the thread that runs it."""

    class Stop(BaseException):
        pass

    heard: set[int] = set()

    def hear(index: int, chunk: AudioChunk) -> None:
        heard.add(index)
        if heard == {0, 1}:
            raise_in(threading.get_ident(), Stop)

    with Engine(ConstantPipeline()) as engine:
        with pytest.raises(Stop):
            generate_together(engine, [request(1, "endless"), request(2, "endless")], hear)
        until(lambda: engine.requests == 0)


def test_a_cancellation_from_elsewhere_is_raised() -> None:
    with Engine(ConstantPipeline()) as engine, pytest.raises(Cancelled):
        generate_together(engine, [request(1, "endless")], lambda index, chunk: engine.cancel("r1") and None)
