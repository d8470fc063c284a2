"""Processes of the service with a backend that needs no model, for tests that kill them or ask them to end.

Reads lines of JSON. An object is a role: {"web": true, "work": true, …settings} and, of the backend, "pause" and
"loading" (seconds) and "broken"; its process is forked, quickly as everything is imported already, and its id printed.
A number is the id of such a process: it is waited for, and its exit status printed.
"""

import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from serving_fixtures import PIECE, RATE, ToneBackend

from models.audio.encode import AudioFormat
from models.audio.pcm import pcm16_bytes
from models.audio.write import write_audio
from models.inputs import DialogueInputs
from serving.catalog import DIA
from serving.processes import leave, serve, work
from serving.settings import Settings
from serving.work.backend import Backends, Listener


@dataclass
class SeededBackend(ToneBackend):
    """Noise that is the seed's: a tenth of a second for each letter."""

    def _pieces(self, prediction_id: str, inputs: DialogueInputs, listener: Listener) -> Iterator[np.ndarray]:
        assert inputs.seed is not None
        for number in range(len(inputs.text)):
            self._wait(prediction_id)
            piece = noise(inputs.seed, number)
            listener.audio(pcm16_bytes(piece), RATE)
            listener.progress((number + 1) / len(inputs.text), (number + 1) * PIECE / RATE)
            yield piece


def noise(seed: int, number: int) -> np.ndarray:
    """[1, PIECE], the same for the same numbers."""
    drawn = np.random.default_rng((seed, number)).uniform(-0.5, 0.5, PIECE)
    return drawn.astype(np.float32)[None]


def write_spoken(path: Path, text: str, seed: int, output_format: AudioFormat = "wav") -> None:
    """The file that a prediction must become, however often it was begun."""
    write_audio(path, [noise(seed, number) for number in range(len(text))], RATE, output_format)


def run(role: dict[str, Any]) -> NoReturn:
    settings = dict(role)
    web, works = settings.pop("web", False), settings.pop("work", False)
    pause, loading = settings.pop("pause", 0.0), settings.pop("loading", 0.0)
    broken = settings.pop("broken", False)
    data = Path(settings.pop("data"))
    data.mkdir(exist_ok=True)
    logging.basicConfig(
        filename=data / "child.log", level=logging.INFO, format=f"%(asctime)s {os.getpid()} %(message)s"
    )

    def load() -> Backends:
        time.sleep(loading)
        if broken:
            raise OSError("no weights here")
        return {DIA.full_name: SeededBackend(pause=pause)}

    given = Settings(data=data, http_only=not works, allow_private=True, **settings)
    leave(serve(given, load) if web else work(given, load))


def answer(asked: dict[str, Any] | int) -> int:
    if isinstance(asked, int):
        return os.waitstatus_to_exitcode(os.waitpid(asked, 0)[1])
    pid = os.fork()
    return pid if pid else run(asked)


if __name__ == "__main__":
    for line in sys.stdin:
        sys.stdout.write(f"{answer(json.loads(line))}\n")
        sys.stdout.flush()
