"""A service whose model sounds a tone for what it is to say, on a real engine, for clients of the Realtime socket."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from serving_fixtures import Running, running

from models.engine import Engine
from models.request import AudioChunk, AudioGenerationRequest, GenerationStatus
from serving.work.backend import EngineBackend

RATE = 8000  # Hz


class _NoDecoder:
    """Of a model that steps nothing."""

    free_slots = 1

    def admit(self, sequence: Any) -> None: ...

    def release(self, sequence: Any) -> None: ...

    def step(self) -> None: ...


class TonePipeline:
    """A tenth of a second of a tone for each letter of a text, and the requests it had."""

    name = "tone"
    sample_rate = RATE
    frame_rate = 10.0
    channels = 1

    def __init__(self) -> None:
        self.decoder = _NoDecoder()
        self.requests: list[AudioGenerationRequest] = []

    def prepare(self, request: AudioGenerationRequest) -> AudioGenerationRequest:
        self.requests.append(request)
        return request

    def speak(self, plan: AudioGenerationRequest) -> Iterator[AudioChunk]:
        letters = len(plan.input or "")
        for number in range(letters + 1):
            samples = RATE // 10 if number < letters else 0
            times = (np.arange(samples) + number * RATE // 10) / RATE
            yield AudioChunk(
                audio=0.5 * np.sin(2 * np.pi * 440 * times, dtype=np.float32)[None].astype(np.float32),
                sample_rate=RATE,
                index=number,
                status=GenerationStatus.END_OF_SEQUENCE if number == letters else GenerationStatus.ACTIVE,
                steps_executed=min(number + 1, letters),
                progress=min(1.0, (number + 1) / letters),
                seed=0,
                buffer_speech_tokens=np.full((1, 9), number),
            )


@contextmanager
def speaking(folder: Path, **settings: Any) -> Iterator[tuple[Running, TonePipeline]]:
    pipeline = TonePipeline()
    with Engine(pipeline) as engine, running(folder, EngineBackend(engine), **settings) as here:  # type: ignore[arg-type]
        yield here, pipeline
