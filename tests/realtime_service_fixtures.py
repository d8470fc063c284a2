"""A service whose model sounds a tone for what it is to say, on a real engine, for clients of the Realtime socket.

Whatever is said to it, it hears `HEARD`.
"""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from serving_fixtures import Running, running

from models.engine import Engine
from models.listening.transcribe import Segment
from models.request import AudioChunk, AudioGenerationRequest, GenerationStatus
from serving.realtime import local_workers
from serving.work.backend import EngineBackend

RATE = 8000  # Hz
PATIENCE = 120  # seconds; a busy machine is no failure
HEARD = ("Good", "morning.")  # segments
MANY = 1000  # letters of what is not to be heard to its end, and hundredths of a second until that


class Hearing:
    """A transcriber for which everybody says the same."""

    def transcribe(self, samples: np.ndarray, *hints: Any, **options: Any) -> Iterator[Segment]:
        return (Segment(text, number, number + 1) for number, text in enumerate(HEARD))


class _NoDecoder:
    """Of a model that steps nothing."""

    free_slots = 1

    def admit(self, sequence: Any) -> None: ...

    def release(self, sequence: Any) -> None: ...

    def step(self) -> None: ...


class TonePipeline:
    """A tenth of a second of a tone for each letter of a text, and the requests it had. A "~" is drawn out."""

    name = "tone"
    sample_rate = RATE
    frame_rate = 10.0
    channels = 1
    draws_voices = False

    def __init__(self) -> None:
        self.decoder = _NoDecoder()
        self.requests: list[AudioGenerationRequest] = []

    def prepare(self, request: AudioGenerationRequest) -> AudioGenerationRequest:
        self.requests.append(request)
        return request

    def speak(self, plan: AudioGenerationRequest) -> Iterator[AudioChunk]:
        text = plan.input or ""
        letters = MANY if "~" in text else len(text)
        for number in range(letters + 1):
            time.sleep(0.01 if "~" in text else 0)
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
    with (
        pytest.MonkeyPatch.context() as patch,
        Engine(pipeline) as engine,
        running(folder, EngineBackend(engine), **settings) as here,  # type: ignore[arg-type]
    ):
        patch.setattr(local_workers, "shared_transcriber", lambda model: Hearing())
        yield here, pipeline


def run(*command: str | Path, folder: Path | None = None, **environment: str) -> list[dict[str, Any]]:
    """A client in a process of its own → the JSON that it prints, line by line."""
    ran = subprocess.run(
        command, cwd=folder, env=os.environ | environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    return [json.loads(line) for line in ran.stdout.splitlines()]
