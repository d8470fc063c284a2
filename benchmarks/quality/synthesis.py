"""Lines → audio files, through the declaration, the engine and the finisher, as a prediction does. Judges nothing."""

import secrets
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.quality.lines import Line
from benchmarks.quality.progress import Report
from models.audio.finish import FinishOptions, finish_to_file
from models.engine import Engine
from models.errors import ParleyError
from models.inputs import DialogueInputs
from models.request import AudioGenerationRequest, GenerationStatus


@dataclass(frozen=True)
class Take:
    """One line, spoken. Where `failure` says why there is none, `path` is None."""

    line: Line
    path: Path | None
    ended: bool | None = None  # by the model itself; None where nobody knows
    audio_seconds: float = 0.0  # before the time-stretch
    wall_seconds: float = 0.0  # from the raw inputs to the closed file
    notes: tuple[str, ...] = ()
    failure: str | None = None


@dataclass(frozen=True)
class Prompt:
    """A recording for a line to be spoken after, and what it says."""

    path: Path
    script: str


class Studio:
    """Speaks lines with one engine, one set of options and one base seed; files go to `folder`."""

    def __init__(self, engine: Engine, folder: Path, options: Mapping[str, Any], seed: int) -> None:
        self.engine = engine
        self.folder = folder
        self.options = dict(options)  # fields of DialogueInputs; those left out have their defaults
        self.seed = seed

    def speak(self, line: Line, prompt: Prompt | None = None) -> Take:
        """A take of the line as folder/NAME.wav, and its script beside it."""
        path = self.folder / f"{line.name}.wav"
        started = time.perf_counter()
        try:
            inputs = self._inputs(line, prompt)
            generated = self.engine.generate(self._request(inputs, streaming=False))
            finish_to_file([generated.audio], path, generated.sample_rate, FinishOptions(inputs.speed_factor))
        except ParleyError as error:
            return Take(line, None, failure=str(error))
        wall = time.perf_counter() - started
        path.with_suffix(".txt").write_text(line.script + "\n", encoding="utf-8")
        ended = generated.status is GenerationStatus.END_OF_SEQUENCE
        return Take(line, path, ended, generated.audio_seconds, wall, generated.notes)

    def speak_all(self, lines: Iterable[Line], jobs: int, report: Report) -> list[Take]:
        """Takes in the order of the lines; `jobs` requests are on their way at a time."""
        with ThreadPoolExecutor(jobs) as pool:
            return list(report.over(pool.map(self.speak, lines)))

    def first_audio_seconds(self, line: Line) -> float | None:
        """From the raw inputs to the first samples of a stream, which is then given up; None if there are none."""
        started = time.perf_counter()
        try:
            with self.engine.stream(self._request(self._inputs(line, None), streaming=True)) as stream:
                heard = any(chunk.audio.size for chunk in stream)
        except ParleyError:
            return None
        return time.perf_counter() - started if heard else None

    def _inputs(self, line: Line, prompt: Prompt | None) -> DialogueInputs:
        voice = {"audio_prompt": prompt.path, "audio_prompt_text": prompt.script} if prompt else {}
        return DialogueInputs.parse(**{"text": line.script, "seed": line.seed(self.seed), **voice, **self.options})

    def _request(self, inputs: DialogueInputs, *, streaming: bool) -> AudioGenerationRequest:
        return inputs.to_request(secrets.token_hex(8), self.engine.pipeline.name, streaming=streaming)
