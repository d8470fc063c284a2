"""How a prediction becomes a file: by an engine in this process, or by a Cog container elsewhere. Knows no database."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from models.audio.encode import CONTENT_TYPES
from models.audio.finish import FinishOptions, finish_stream
from models.audio.pcm import pcm16_bytes
from models.audio.write import write_audio
from models.engine import Engine
from models.inputs import DialogueInputs, Inputs
from models.request import Audio, AudioChunk


@dataclass(frozen=True)
class MadeFile:
    """A finished file of ours."""

    path: Path
    name: str
    content_type: str
    metrics: dict[str, Any]


class Listener(Protocol):
    """Hears how far a prediction is. Each may raise Cancelled, which stops it."""

    def progress(self, share: float, seconds: float) -> None:
        """share: 0-1 of the expected length; seconds of audio made."""
        ...

    def log(self, line: str) -> None: ...

    def audio(self, pcm: bytes, sample_rate: int) -> None:
        """The next finished samples, 16-bit little-endian, mono."""
        ...


class Backend(Protocol):
    def make(self, attempt_id: str, inputs: Inputs, folder: Path, streaming: bool, listener: Listener) -> MadeFile:
        """Blocks until the file is there. Raises ParleyError, Cancelled among them.

        attempt_id: of one attempt at a prediction; an older one may still be on its way out beside it.
        """
        ...

    def cancel(self, attempt_id: str) -> None:
        """Stop it within one decoder step, if it is here."""
        ...


Backends = Mapping[str, Backend]  # by the model's full name


class EngineBackend:
    """A dialogue: engine → finisher → file, while the listener hears the same finished samples."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def cancel(self, attempt_id: str) -> None:
        self.engine.cancel(attempt_id)

    def make(self, attempt_id: str, inputs: Inputs, folder: Path, streaming: bool, listener: Listener) -> MadeFile:
        assert isinstance(inputs, DialogueInputs), inputs
        pipeline = self.engine.pipeline
        request = inputs.to_request(attempt_id, pipeline.name, streaming=streaming)
        options = FinishOptions(speed_factor=inputs.speed_factor, output_format=inputs.output_format)
        path = folder / f"output.{inputs.output_format}"
        heard = _Heard(listener, pipeline.sample_rate, pipeline.frame_rate)
        listener.log(f"seed: {request.sampling_params.seed}")
        with self.engine.stream(request) as stream:
            finished = finish_stream(heard.raw(stream), pipeline.sample_rate, options)
            write_audio(path, heard.finished(finished), pipeline.sample_rate, inputs.output_format)
        return MadeFile(path, f"dialogue.{inputs.output_format}", CONTENT_TYPES[inputs.output_format], heard.metrics())


class _Heard:
    """Tells the listener what passes by, and keeps count."""

    def __init__(self, listener: Listener, sample_rate: int, frame_rate: float) -> None:
        self._listener = listener
        self._rate, self._frame_rate = sample_rate, frame_rate
        self._started = time.perf_counter()
        self._first_audio: float | None = None
        self._samples = 0
        self._last: AudioChunk | None = None

    def raw(self, chunks: Iterator[AudioChunk]) -> Iterator[Audio]:
        for chunk in chunks:
            self._last = chunk
            for note in chunk.notes:
                self._listener.log(f"note: {note}")
            self._listener.progress(chunk.progress, chunk.steps_executed / self._frame_rate)
            yield chunk.audio

    def finished(self, pieces: Iterator[Audio]) -> Iterator[Audio]:
        for audio in pieces:
            if self._first_audio is None:
                self._first_audio = time.perf_counter() - self._started
            self._samples += audio.shape[1]
            self._listener.audio(pcm16_bytes(audio.mean(axis=0, keepdims=True)), self._rate)
            yield audio

    def metrics(self) -> dict[str, Any]:
        """Named as those of the container's predictions."""
        assert self._last is not None
        seconds = time.perf_counter() - self._started
        made = self._last.steps_executed / self._frame_rate
        return {
            "tokens": self._last.steps_executed,
            "audio_seconds": round(self._samples / self._rate, 3),
            "sample_rate": self._rate,
            "seed": self._last.seed,
            "time_to_first_audio": round(self._first_audio or 0.0, 3),
            "times_real_time": round(made / seconds, 3),
            "end": str(self._last.status),
        }
