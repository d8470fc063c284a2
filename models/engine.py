"""Many requests, one model: a thread that lets every request's job run until it waits, then steps the decoder.

Knows no torch, no family and no door. A *job* is a generator that a pipeline makes of a request: it yields audio, or a
`Wait` for frames of a sequence; the engine admits the sequence as soon as the decoder has a slot and resumes the job
when the frames are there. So every family shares its steps among its requests, and a request can leave at any step.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol, Self

import numpy as np

from models.decoding.sequence import CodeSequence, Wait
from models.errors import Cancelled, EngineClosed, GenerationFailed, Overloaded
from models.request import AudioChunk, AudioGenerationRequest, Generated

_POLL_SECONDS = 0.05  # a reader wakes this often, so that an exception raised into its thread is heard


class Decoder(Protocol):
    """What steps all sequences of a model together."""

    @property
    def free_slots(self) -> int: ...
    def admit(self, sequence: CodeSequence) -> None: ...
    def release(self, sequence: CodeSequence) -> None: ...
    def step(self) -> None: ...


class Pipeline(Protocol):
    """A model family, ready to speak."""

    name: str
    sample_rate: int
    channels: int
    decoder: Decoder

    def prepare(self, request: AudioGenerationRequest) -> Any:
        """Everything that can be refused is refused here, in the caller's thread and before any model work."""
        ...

    def speak(self, plan: Any) -> Iterator[Wait | AudioChunk]:
        """The job of a prepared request. Runs in the engine's thread."""
        ...


class AudioStream:
    """The chunks of one request, as they are made. Closing it cancels the request."""

    def __init__(self, job: "_Job", cancel: Callable[[str], bool]) -> None:
        self._job = job
        self._cancel = cancel

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> AudioChunk:
        if self._job.read_to_end:
            raise StopIteration
        while True:
            try:
                item = self._job.outbox.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue
            if isinstance(item, BaseException):
                self._job.read_to_end = True
                raise item
            self._job.read_to_end = item.is_done
            return item

    def close(self) -> None:
        self._job.read_to_end = True
        self._cancel(self._job.request.request_id)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Job:
    """A request on its way."""

    def __init__(self, request: AudioGenerationRequest, generator: Iterator[Wait | AudioChunk]) -> None:
        self.request = request
        self.generator = generator
        self.outbox: queue.SimpleQueue[AudioChunk | BaseException] = queue.SimpleQueue()
        self.read_to_end = False
        self.cancelled = False
        self.wait: Wait | None = None
        self.admitted: CodeSequence | None = None


class Engine:
    """Runs requests against one pipeline. Thread-safe.

    max_requests: how many may be on their way or waiting for a slot; one more is refused with Overloaded.
    """

    def __init__(self, pipeline: Pipeline, *, max_requests: int = 256) -> None:
        self.pipeline = pipeline
        self.max_requests = max_requests
        self._jobs: dict[str, _Job] = {}
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    def stream(self, request: AudioGenerationRequest) -> AudioStream:
        """Start a request; its chunks come as they are made. Raises InvalidRequest, Overloaded or EngineClosed."""
        plan = self.pipeline.prepare(request)
        job = _Job(request, self.pipeline.speak(plan))
        with self._changed:
            if self._closing:
                raise EngineClosed("The engine is closed; start a new one.")
            if request.request_id in self._jobs:
                raise ValueError(f"request_id {request.request_id!r} is on its way already; give each request its own")
            if len(self._jobs) >= self.max_requests:
                raise Overloaded(
                    f"{len(self._jobs)} requests are on their way, the most there may be. Try again later."
                )
            self._jobs[request.request_id] = job
            self._changed.notify()
        return AudioStream(job, self.cancel)

    def generate(
        self, request: AudioGenerationRequest, on_chunk: Callable[[AudioChunk], None] = lambda chunk: None
    ) -> Generated:
        """The stream of a request, collected. `on_chunk` sees every chunk, those without audio too."""
        started = time.perf_counter()
        first_audio = None
        pieces = []
        with self.stream(request) as stream:
            for chunk in stream:
                if first_audio is None and chunk.audio.size:
                    first_audio = time.perf_counter() - started
                pieces.append(chunk)
                on_chunk(chunk)
        last = pieces[-1]
        return Generated(
            audio=np.concatenate([p.audio for p in pieces], axis=1),
            sample_rate=last.sample_rate,
            status=last.status,
            steps_executed=last.steps_executed,
            seed=last.seed,
            buffer_speech_tokens=last.buffer_speech_tokens,
            notes=tuple(note for p in pieces for note in p.notes),
            first_audio_seconds=first_audio or 0.0,
            total_seconds=time.perf_counter() - started,
        )

    def cancel(self, request_id: str) -> bool:
        """Stop a request, waiting or running, within one decoder step. False if there is none of this id."""
        with self._changed:
            job = self._jobs.get(request_id)
            if job is None:
                return False
            job.cancelled = True
            self._changed.notify()
            return True

    @property
    def requests(self) -> int:
        """Requests on their way or waiting."""
        return len(self._jobs)

    def close(self) -> None:
        """Stop every request with EngineClosed and end the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._jobs or self._closing)
                jobs, closing = list(self._jobs.values()), self._closing
            if closing:
                for job in jobs:
                    self._finish(job, EngineClosed("The engine was closed before the request was done."))
                return
            for job in jobs:
                self._serve(job)
            if any(job.admitted for job in jobs):
                self._step(jobs)

    def _serve(self, job: _Job) -> None:
        """Let the job run until it has to wait for frames that are not there."""
        if job.cancelled:
            self._finish(job, Cancelled(f"Request {job.request.request_id} was cancelled."))
            return
        try:
            while job.wait is None or job.wait.over:
                self._resume(job)
                if job.wait is None:  # it gave audio: others may go first before it goes on
                    return
            self._admit(job, job.wait.sequence)
        except StopIteration:
            self._finish(job, GenerationFailed("The request ended without a last chunk."))
        except Exception as error:
            self._finish(job, error)

    def _admit(self, job: _Job, sequence: CodeSequence) -> None:
        """Give the sequence a slot if it has none and one is free. Jobs are served in the order they came."""
        if job.admitted is not sequence:
            self._release(job)
            if self.pipeline.decoder.free_slots:
                self.pipeline.decoder.admit(sequence)
                job.admitted = sequence

    def _resume(self, job: _Job) -> None:
        if job.wait is not None and job.wait.sequence.done:
            self._release(job)
        item = next(job.generator)
        if isinstance(item, Wait):
            job.wait = item
            return
        job.wait = None
        job.outbox.put(item)
        if item.is_done:
            self._finish(job, None)

    def _step(self, jobs: list[_Job]) -> None:
        try:
            self.pipeline.decoder.step()
        except Exception as error:  # one tensor program for all of them: nobody's state can be trusted after it
            for job in filter(lambda job: job.admitted, jobs):
                failed = GenerationFailed(f"The decoder step failed: {error}")
                failed.__cause__ = error
                self._finish(job, failed)

    def _release(self, job: _Job) -> None:
        if job.admitted is not None:
            self.pipeline.decoder.release(job.admitted)
            job.admitted = None

    def _finish(self, job: _Job, error: Exception | None) -> None:
        """Take the job off the books; give its reader the error, if it had not been given the last chunk."""
        self._release(job)
        close = getattr(job.generator, "close", None)
        if close is not None:
            close()
        with self._changed:
            self._jobs.pop(job.request.request_id, None)
        if error is not None:
            job.outbox.put(error)
