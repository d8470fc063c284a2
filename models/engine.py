"""Many requests, one model: a thread that lets every request's job run until it waits, then steps the decoder.

Knows no torch, no family and no door. A *job* is a generator that a pipeline makes of a request: it yields audio, or a
`Wait` for frames of a sequence; the engine admits the sequence as soon as the decoder has a slot and resumes the job
when the frames are there. So every family shares its steps among its requests, and a request can leave at any step.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Generator
from typing import Any, Protocol, Self

from models.decoding.sequence import CodeSequence, Wait
from models.errors import Cancelled, EngineClosed, GenerationFailed, InvalidRequest, Overloaded
from models.request import AudioChunk, AudioGenerationRequest, Collector, Generated
from models.threads import start_thread

log = logging.getLogger("parley.engine")

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
    sample_rate: int  # Hz
    frame_rate: float  # steps a second of audio
    channels: int
    draws_voices: bool  # a new one for each text that comes without a recording
    decoder: Decoder

    def prepare(self, request: AudioGenerationRequest) -> Any:
        """Everything that can be refused is refused here, in the caller's thread and before any model work."""
        ...

    def speak(self, plan: Any) -> Generator[Wait | AudioChunk, None, None]:
        """The job of a prepared request. Runs in the engine's thread."""
        ...


class AudioStream:
    """The chunks of one request, as they are made. Closing it, or dropping it, cancels the request."""

    def __init__(self, job: "_Job", engine: "Engine", started: float) -> None:
        self._job = job
        self._engine = engine
        self.started = started  # time.perf_counter() when it was asked for

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> AudioChunk:
        while not self._job.read_to_end:
            if (chunk := self.read(_POLL_SECONDS)) is not None:
                return chunk
        raise StopIteration

    def read(self, seconds: float) -> AudioChunk | None:
        """The next chunk, or None if there is none within `seconds`, or ever. Raises what ended the request."""
        job = self._job
        if job.read_to_end:
            return None
        if job.cancelled and job.outbox.empty() and not self._engine.is_running(job):
            raise Cancelled(f"Request {job.request.request_id} was cancelled.")
        try:
            item = job.outbox.get(timeout=seconds) if seconds > 0 else job.outbox.get_nowait()
        except queue.Empty:
            if not self._engine.alive and job.outbox.empty():
                raise EngineClosed("The engine ended before the request was done.") from None
            return None
        if isinstance(item, BaseException):
            job.read_to_end = True
            raise item
        job.read_to_end = item.is_done
        return item

    @property
    def read_to_end(self) -> bool:
        """Whether its last chunk has been given, or what ended it raised."""
        return self._job.read_to_end

    def collect(self, on_chunk: Callable[[AudioChunk], None] = lambda chunk: None) -> Generated:
        """All of it. `on_chunk` sees every chunk, those without audio too."""
        collected = Collector(self.started)
        for chunk in self:
            collected.add(chunk)
            on_chunk(chunk)
        return collected.generated()

    def close(self) -> None:
        self._engine.cancel_job(self._job)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


class _Job:
    """A request on its way."""

    def __init__(self, request: AudioGenerationRequest, generator: Generator[Wait | AudioChunk, None, None]) -> None:
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
        self._lock = threading.RLock()  # entered itself, not by its condition: models/threads.py says why
        self._changed = threading.Condition(self._lock)
        self._closing = False
        self._thread = start_thread(self._run, "engine")

    def stream(self, request: AudioGenerationRequest) -> AudioStream:
        """Start a request; its chunks come as they are made. Raises InvalidRequest, Overloaded or EngineClosed."""
        started = time.perf_counter()
        with self._lock:
            self._refuse(request)  # before the work of preparing it, and again after it
        job = _Job(request, self.pipeline.speak(self.pipeline.prepare(request)))
        stream = AudioStream(job, self, started)  # cancels the job if this thread is stopped before it returns
        with self._lock:
            self._refuse(request)
            self._jobs[request.request_id] = job
            self._changed.notify()
        return stream

    def generate(
        self, request: AudioGenerationRequest, on_chunk: Callable[[AudioChunk], None] = lambda chunk: None
    ) -> Generated:
        """The stream of a request, collected. `on_chunk` sees every chunk, those without audio too."""
        with self.stream(request) as stream:
            return stream.collect(on_chunk)

    def cancel(self, request_id: str) -> bool:
        """Stop a request, waiting or running, within one decoder step. False if there is none of this id."""
        job = self._jobs.get(request_id)
        return job is not None and self.cancel_job(job)

    def cancel_job(self, job: "_Job") -> bool:
        """`cancel`, for the owner of a stream: a newer request of the same id is another job."""
        with self._lock:
            if not self.is_running(job):
                return False
            job.cancelled = True
            self._changed.notify()
            return True

    def is_running(self, job: "_Job") -> bool:
        return self._jobs.get(job.request.request_id) is job

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def requests(self) -> int:
        """Requests on their way or waiting."""
        return len(self._jobs)

    def close(self) -> None:
        """Stop every request with EngineClosed and end the thread."""
        with self._lock:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _refuse(self, request: AudioGenerationRequest) -> None:
        if self._closing or not self.alive:
            raise EngineClosed("The engine is closed; start a new one.")
        if request.request_id in self._jobs:
            raise InvalidRequest("request_id", f"{request.request_id!r} is on its way; give each request its own.")
        if len(self._jobs) >= self.max_requests:
            raise Overloaded(f"{len(self._jobs)} requests are on their way, the most there may be. Try again later.")

    def _run(self) -> None:
        ended = EngineClosed("The engine was closed before the request was done.")
        try:
            while not self._closing:
                self._turn()
        except Exception as error:  # a fault of ours: nobody may be left waiting for an answer
            ended = EngineClosed(f"The engine broke: {error}")
            ended.__cause__ = error
        with self._lock:
            self._closing = True
        for job in list(self._jobs.values()):
            self._finish(job, ended)

    def _turn(self) -> None:
        """Let every job go on that can, fill the free slots, take one step."""
        with self._lock:
            self._changed.wait_for(lambda: self._jobs or self._closing)
            jobs = list(self._jobs.values()) if not self._closing else []
        for job in jobs:
            self._serve(job)
        self._admit(jobs)
        if any(job.admitted for job in jobs):
            self._step(jobs)

    def _serve(self, job: _Job) -> None:
        """Let the job run until it has to wait for frames that are not there, or gives audio: others may go first."""
        if job.cancelled:
            self._finish(job, Cancelled(f"Request {job.request.request_id} was cancelled."))
            return
        try:
            while job.wait is None or job.wait.over:
                item = self._resume(job)
                if isinstance(item, Wait):
                    continue
                if item.is_done:
                    self._finish(job, item)
                else:
                    job.outbox.put(item)
                return
        except StopIteration:
            self._finish(job, GenerationFailed("The request ended without a last chunk."))
        except Exception as error:
            self._finish(job, error)

    def _resume(self, job: _Job) -> Wait | AudioChunk:
        if job.wait is not None and job.wait.sequence.done:
            self._release(job)
        item = next(job.generator)
        job.wait = item if isinstance(item, Wait) else None
        return item

    def _admit(self, jobs: list[_Job]) -> None:
        """Give slots to jobs in the order they came.

        A job without a slot keeps one free for itself also while it is busy between two sequences, so that newcomers
        cannot overtake it from passage to passage.
        """
        free = self.pipeline.decoder.free_slots
        for job in filter(self.is_running, jobs):
            if job.wait is not None and job.admitted not in (None, job.wait.sequence):
                self._release(job)
                free += 1
            if job.admitted is not None:
                continue
            if free == 0:
                return
            free -= 1
            if job.wait is not None and not job.wait.over:
                try:
                    self.pipeline.decoder.admit(job.wait.sequence)
                    job.admitted = job.wait.sequence
                except Exception as error:
                    self._finish(job, error)

    def _step(self, jobs: list[_Job]) -> None:
        try:
            self.pipeline.decoder.step()
        except Exception as error:  # one tensor program for all of them: nobody's state can be trusted after it
            log.exception("a decoder step failed")
            for job in filter(lambda job: job.admitted, jobs):
                failed = GenerationFailed("The decoder step failed. The log of this server says why.")
                failed.__cause__ = error
                self._finish(job, failed)

    def _release(self, job: _Job) -> None:
        if job.admitted is not None:
            self.pipeline.decoder.release(job.admitted)
            job.admitted = None

    def _finish(self, job: _Job, last: AudioChunk | Exception) -> None:
        """Take the job off the books, then give its reader the last thing it hears: its id is free by then."""
        try:
            self._release(job)
            job.generator.close()
        except Exception as error:  # its own cleanup failed: the reader hears that, unless there is worse to hear
            last = last if isinstance(last, Exception) else error
        with self._lock:
            if self.is_running(job):
                del self._jobs[job.request.request_id]
        job.outbox.put(last)
