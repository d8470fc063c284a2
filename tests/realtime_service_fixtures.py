"""A service whose model sounds a tone for what it is to say, on a real engine, for clients of the Realtime socket."""

import base64
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from realtime_fixtures import judge, kinds
from serving_fixtures import Running, running

from models.engine import Engine
from models.request import AudioChunk, AudioGenerationRequest, GenerationStatus
from serving.work.backend import EngineBackend

RATE = 8000  # Hz
PATIENCE = 60  # seconds; a busy machine is no failure


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


def run(command: list[str], **environment: str) -> str:
    """A client in a process of its own → what it printed."""
    ran = subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE, env=os.environ | environment, check=False
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    return ran.stdout


def check_hello(events: list[dict[str, Any]]) -> None:
    """All that was heard by a client that asked for "Hello.", a tenth of a second a letter with "[S2] " in front."""
    for event in events:
        judge(event)
    audio = b"".join(base64.b64decode(e["delta"]) for e in events if e["type"] == "response.output_audio.delta")
    assert len(audio) / 48_000 == pytest.approx(1.1, abs=0.001)
    assert "response.done" in kinds(events)
