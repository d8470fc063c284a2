"""The engine with a fake model: scheduling, cancellation and failure without torch's arithmetic."""

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from models.decoding.sequence import CodeSequence, Wait
from models.engine import Engine
from models.errors import Cancelled, EngineClosed, GenerationFailed, InvalidRequest, Overloaded
from models.request import AudioChunk, AudioGenerationRequest, GenerationStatus, SamplingParams


class FakeDecoder:
    """Adds one row a step to every admitted sequence. `gate` holds it before each step."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.running: list[CodeSequence] = []
        self.batches: list[int] = []
        self.gate = threading.Event()
        self.gate.set()
        self.fails = False

    @property
    def free_slots(self) -> int:
        return self.slots - len(self.running)

    def admit(self, sequence: CodeSequence) -> None:
        assert self.free_slots
        self.running.append(sequence)

    def release(self, sequence: CodeSequence) -> None:
        self.running.remove(sequence)

    def step(self) -> None:
        self.gate.wait(5)
        if self.fails:
            raise RuntimeError("out of memory")
        self.batches.append(len(self.running))
        for sequence in self.running:
            row = sequence._known
            sequence.add_row(np.zeros(1, np.int64), end=row if row >= sequence.limit_row else None)


class FakePipeline:
    """Speaks max_new_tokens samples in pieces of ten."""

    name, sample_rate, frame_rate, channels = "fake", 10, 10.0, 1

    def __init__(self, slots: int = 2) -> None:
        self.decoder = FakeDecoder(slots)
        self.closed: list[str] = []

    def prepare(self, request: AudioGenerationRequest) -> AudioGenerationRequest:
        if request.model != self.name:
            raise InvalidRequest("model", "is another one")
        return request

    def speak(self, plan: AudioGenerationRequest) -> Iterator[Wait | AudioChunk]:
        if plan.input == "fail":
            raise ValueError("no voice")
        sequence = CodeSequence(
            (1,), np.zeros((1, 0), np.int64), plan.sampling_params, plan.sampling_params.max_new_tokens, (0,)
        )
        try:
            sent = index = 0
            while True:
                yield Wait(sequence, sent + 10)
                fresh, sent = sequence.frames - sent, sequence.frames
                yield self.chunk(index, fresh, sequence)
                if sequence.done:
                    return
                index += 1
        finally:
            self.closed.append(plan.request_id)

    def chunk(self, index: int, samples: int, sequence: CodeSequence) -> AudioChunk:
        status = GenerationStatus.END_OF_SEQUENCE if sequence.done else GenerationStatus.ACTIVE
        audio = np.full((1, samples), index, np.float32)
        notes = ("first",) if index == 0 else ()
        return AudioChunk(audio, 10, index, status, sequence.frames, 0.5, 1, np.zeros((0, 1), np.int64), notes)


def request(number: int, frames: int = 25, text: str = "hello") -> AudioGenerationRequest:
    return AudioGenerationRequest(
        f"r{number}", "fake", text, sampling_params=SamplingParams(max_new_tokens=frames, seed=1)
    )


@pytest.fixture
def pipeline() -> FakePipeline:
    return FakePipeline()


@pytest.fixture
def engine(pipeline: FakePipeline) -> Iterator[Engine]:
    with Engine(pipeline, max_requests=6) as running:
        yield running
        pipeline.decoder.gate.set()


def until(condition: object, seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.002)


def test_generate_is_the_stream_collected(engine: Engine) -> None:
    chunks = list(engine.stream(request(1)))
    whole = engine.generate(request(1))
    np.testing.assert_array_equal(whole.audio, np.concatenate([c.audio for c in chunks], axis=1))
    assert whole.steps_executed == 25
    assert whole.notes == ("first",)
    assert [c.is_done for c in chunks] == [False, False, True]
    assert 0 < whole.first_audio_seconds <= whole.total_seconds


def test_requests_share_steps_and_one_waits_where_the_slots_are_full(engine: Engine, pipeline: FakePipeline) -> None:
    pipeline.decoder.gate.clear()
    streams = [engine.stream(request(n)) for n in range(3)]
    pipeline.decoder.gate.set()
    lengths = [sum(c.audio.shape[1] for c in s) for s in streams]
    assert lengths == [25, 25, 25]
    assert max(pipeline.decoder.batches) == 2
    assert sum(pipeline.decoder.batches) == 3 * (25 + 1)  # each frame once, and the row of each end
    assert pipeline.decoder.running == []


def test_cancelling_a_running_request_frees_its_slot_within_one_step(engine: Engine, pipeline: FakePipeline) -> None:
    stream = engine.stream(request(1, frames=10**6))
    next(stream)
    pipeline.decoder.gate.clear()
    steps = len(pipeline.decoder.batches)
    assert engine.cancel("r1")
    pipeline.decoder.gate.set()
    until(lambda: engine.requests == 0)
    assert len(pipeline.decoder.batches) <= steps + 2  # the step in flight, and one that had begun to be counted
    assert pipeline.decoder.running == []
    assert pipeline.closed == ["r1"]
    with pytest.raises(Cancelled):
        list(stream)


def test_cancelling_a_waiting_request_takes_no_slot(engine: Engine, pipeline: FakePipeline) -> None:
    running = [engine.stream(request(n, frames=10**6)) for n in (1, 2)]
    for stream in running:
        next(stream)
    waiting = engine.stream(request(3))
    assert engine.cancel("r3")
    with pytest.raises(Cancelled):
        next(waiting)
    assert engine.requests == 2


def test_leaving_a_stream_early_cancels_it(engine: Engine, pipeline: FakePipeline) -> None:
    with engine.stream(request(1, frames=10**6)) as stream:
        next(stream)
    until(lambda: engine.requests == 0)
    assert pipeline.decoder.running == []


def test_cancelling_an_unknown_or_finished_request_says_so(engine: Engine) -> None:
    engine.generate(request(1))
    until(lambda: engine.requests == 0)
    assert not engine.cancel("r1")


def test_an_invalid_request_is_refused_before_the_engine_sees_it(engine: Engine, pipeline: FakePipeline) -> None:
    with pytest.raises(InvalidRequest):
        engine.stream(AudioGenerationRequest("x", "other", "hello"))
    assert engine.requests == 0
    assert pipeline.decoder.batches == []


def test_a_failing_request_fails_alone(engine: Engine) -> None:
    good = engine.stream(request(1))
    with pytest.raises(ValueError, match="no voice"):
        list(engine.stream(request(2, text="fail")))
    assert sum(c.audio.shape[1] for c in good) == 25


def test_a_failing_step_fails_its_requests_and_leaves_the_engine_running(
    engine: Engine, pipeline: FakePipeline
) -> None:
    pipeline.decoder.gate.clear()
    streams = [engine.stream(request(n)) for n in (1, 2)]
    pipeline.decoder.fails = True
    pipeline.decoder.gate.set()
    for stream in streams:
        with pytest.raises(GenerationFailed, match="decoder step failed"):
            list(stream)
    pipeline.decoder.fails = False
    assert engine.generate(request(3)).steps_executed == 25


def test_more_requests_than_it_may_hold_are_refused(engine: Engine, pipeline: FakePipeline) -> None:
    streams = [engine.stream(request(n, frames=10**6)) for n in range(6)]
    with pytest.raises(Overloaded, match="6 requests"):
        engine.stream(request(7))
    assert len(streams) == engine.requests == 6


def test_a_request_id_on_its_way_is_not_taken_twice(engine: Engine) -> None:
    with engine.stream(request(1, frames=10**6)), pytest.raises(InvalidRequest, match="request_id: 'r1'"):
        engine.stream(request(1))
    until(lambda: engine.requests == 0)


def test_closing_ends_every_request_and_refuses_new_ones(pipeline: FakePipeline) -> None:
    engine = Engine(pipeline)
    stream = engine.stream(request(1, frames=10**6))
    next(stream)
    engine.close()
    with pytest.raises(EngineClosed):
        list(stream)
    with pytest.raises(EngineClosed):
        engine.stream(request(2))
    assert pipeline.decoder.running == []


def test_a_thousand_requests_leave_nothing_behind(engine: Engine, pipeline: FakePipeline) -> None:
    for n in range(1000):
        engine.generate(request(n, frames=1))
    until(lambda: engine.requests == 0)
    assert pipeline.decoder.running == []
    assert len(pipeline.closed) == 1000


def test_an_id_is_free_again_when_its_last_chunk_is_heard(engine: Engine) -> None:
    for _ in range(200):
        engine.generate(request(1, frames=1))


def test_closing_a_stream_that_has_ended_leaves_a_newer_request_of_the_same_id_alone(engine: Engine) -> None:
    old = engine.stream(request(1))
    list(old)
    with engine.stream(request(1, frames=10**6)) as new:
        old.close()
        assert [next(new).index for _ in range(3)] == [0, 1, 2]


def test_a_stream_closed_elsewhere_does_not_look_finished(engine: Engine) -> None:
    stream = engine.stream(request(1, frames=10**6))
    next(stream)
    stream.close()
    with pytest.raises(Cancelled):
        list(stream)


def test_a_stream_that_nobody_holds_any_more_is_cancelled(engine: Engine, pipeline: FakePipeline) -> None:
    next(engine.stream(request(1, frames=10**6)))
    until(lambda: engine.requests == 0)
    assert pipeline.decoder.running == []


def test_newcomers_do_not_overtake_a_request_between_its_passages(pipeline: FakePipeline) -> None:
    pipeline.decoder.slots = 1
    order: list[str] = []
    admit = pipeline.decoder.admit
    pipeline.decoder.admit = lambda s: (order.append(f"{s.sampling.seed}"), admit(s))[1]  # type: ignore[method-assign]

    def speak(plan: AudioGenerationRequest) -> Iterator[Wait | AudioChunk]:
        for passage in range(3):
            sequence = CodeSequence((1,), np.zeros((1, 0), np.int64), plan.sampling_params, 5, (0,))
            yield Wait(sequence, 5)
            yield pipeline.chunk(passage, 5, CodeSequence((1,), sequence.prompt, plan.sampling_params, 5, (0,)))
        while not sequence.done:
            yield Wait(sequence, 6)
        yield pipeline.chunk(3, 0, sequence)

    pipeline.speak = speak  # type: ignore[method-assign]
    with Engine(pipeline) as engine:
        pipeline.decoder.gate.clear()
        streams = []
        for n in range(4):
            made = AudioGenerationRequest(
                f"r{n}", "fake", "x", sampling_params=SamplingParams(max_new_tokens=5, seed=n)
            )
            streams.append(engine.stream(made))
        pipeline.decoder.gate.set()
        for stream in streams:
            list(stream)
    assert order == ["0"] * 3 + ["1"] * 3 + ["2"] * 3 + ["3"] * 3


def test_a_request_whose_sequence_cannot_be_admitted_fails_alone(engine: Engine, pipeline: FakePipeline) -> None:
    admit = pipeline.decoder.admit

    def fail_once(sequence: CodeSequence) -> None:
        pipeline.decoder.admit = admit  # type: ignore[method-assign]
        raise MemoryError("no room for the text")

    pipeline.decoder.admit = fail_once  # type: ignore[method-assign]
    with pytest.raises(MemoryError):
        engine.generate(request(1))
    assert engine.generate(request(2)).steps_executed == 25


def test_readers_hear_it_when_the_engine_itself_breaks(pipeline: FakePipeline) -> None:
    with Engine(pipeline) as engine:
        stream = engine.stream(request(1, frames=10**6))
        next(stream)
        pipeline.decoder.slots = "none"  # type: ignore[assignment]
        with pytest.raises(EngineClosed, match="broke"):
            list(stream)
        with pytest.raises(EngineClosed):
            engine.stream(request(2))


def test_a_cleanup_that_fails_is_told_and_leaves_the_engine_running(engine: Engine, pipeline: FakePipeline) -> None:
    stream = engine.stream(request(1, frames=10**6))
    next(stream)
    release = pipeline.decoder.release

    def fail_once(sequence: CodeSequence) -> None:
        pipeline.decoder.release = release  # type: ignore[method-assign]
        release(sequence)
        raise RuntimeError("could not clean up")

    pipeline.decoder.release = fail_once  # type: ignore[method-assign]
    assert engine.cancel("r1")
    with pytest.raises(Cancelled):
        list(stream)
    assert engine.generate(request(2)).steps_executed == 25
