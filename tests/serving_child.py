"""A process of the service with a maker that needs no model, for tests that kill it or ask it to end.

python serving_child.py ROLE      one process, here; ROLE as JSON: {"web": true, "work": true, …settings} and, of the
                                  maker, "pause" and "loading" (seconds) and "broken"
python serving_child.py           for each such line of stdin a process of its own, whose id is printed: quick to start,
                                  as everything is imported already
"""

import json
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from serving_fixtures import PIECE, RATE, ToneMaker

from models.audio.encode import AudioFormat
from models.audio.pcm import pcm16_bytes
from models.audio.write import write_audio
from models.inputs import DialogueInputs
from serving.catalog import DIA
from serving.making import Listener, Makers
from serving.processes import leave, serve, work
from serving.settings import Settings


@dataclass
class SeededMaker(ToneMaker):
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

    def load() -> Makers:
        time.sleep(loading)
        if broken:
            raise OSError("no weights here")
        return {DIA.full_name: SeededMaker(pause=pause)}

    given = Settings(data=data, workers=int(works), allow_private=True, **settings)
    leave(serve(given, load) if web else work(given, load))


def nursery() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead are not waited for
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            run(json.loads(line))
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        run(json.loads(sys.argv[1]))
    nursery()
