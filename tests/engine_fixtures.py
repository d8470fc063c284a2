"""A pipeline of a few lines, for what stands around an engine: it plays a constant for as long as music is asked to."""

import ctypes
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np

from models.decoding.sequence import CodeSequence, Wait
from models.errors import InvalidRequest
from models.request import AudioChunk, AudioGenerationRequest, GenerationStatus

RATE, FRAME_RATE = 100, 10  # samples and frames a second


def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.002)


def raise_in(thread: int, exception: type[BaseException]) -> None:
    """Raise in another thread, between two of its instructions, as Cog's server cancels a prediction."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(exception))


class ConstantDecoder:
    """A step gives each sequence that is admitted one frame. It holds while `gate` is closed."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.gate = threading.Event()
        self.gate.set()
        self.most = 0  # sequences in one step
        self._admitted: list[CodeSequence] = []

    @property
    def free_slots(self) -> int:
        return self.slots - len(self._admitted)

    def admit(self, sequence: CodeSequence) -> None:
        self._admitted.append(sequence)

    def release(self, sequence: CodeSequence) -> None:
        self._admitted.remove(sequence)

    def step(self) -> None:
        self.gate.wait(10)
        self.most = max(self.most, len(self._admitted))
        for sequence in self._admitted:
            row = sequence._known
            sequence.add_row(np.zeros(1, np.int64), end=row if row >= sequence.limit_row else None)


class ConstantPipeline:
    """Plays its seed, as hundredths of full scale.

    Refuses what is called "refused", fails for "broken", and comes to no end of what is called "endless".
    """

    sample_rate, frame_rate, channels = RATE, float(FRAME_RATE), 1

    def __init__(self, name: str = "constant", slots: int = 2) -> None:
        self.name = name
        self.decoder = ConstantDecoder(slots)
        self.closed: list[str] = []

    def prepare(self, request: AudioGenerationRequest) -> AudioGenerationRequest:
        if request.input == "refused":
            raise InvalidRequest("prompt", "is 'refused'; ask for something else.")
        return request

    def speak(self, plan: AudioGenerationRequest) -> Iterator[Wait | AudioChunk]:
        frames = round(plan.music.total_seconds * FRAME_RATE)
        sequence = CodeSequence((1,), np.zeros((1, 0), np.int64), plan.sampling_params, frames, (0,))
        try:
            sent = 0
            while plan.input == "endless":
                time.sleep(0.005)
                yield self._chunk(plan, 0, 0, frames)
            while sent < frames:
                yield Wait(sequence, min(sent + 5, frames))
                if plan.input == "broken":
                    raise ValueError("a string of the guitar")
                fresh, sent = sequence.frames - sent, sequence.frames
                yield self._chunk(plan, fresh, sent, frames)
        finally:
            self.closed.append(plan.request_id)

    def _chunk(self, plan: AudioGenerationRequest, fresh: int, sent: int, frames: int) -> AudioChunk:
        seed = plan.sampling_params.seed
        audio = np.full((1, fresh * RATE // FRAME_RATE), seed / 100, np.float32)
        status = GenerationStatus.MAXIMUM_LENGTH if sent == frames else GenerationStatus.ACTIVE
        return AudioChunk(audio, RATE, 0, status, sent, sent / frames, seed, np.zeros((0, 1), np.int64), ("a note",))
