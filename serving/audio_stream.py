"""A prediction's audio as the bytes a listener asks for, while it is made or afterwards. Knows no route."""

import asyncio
import queue
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool

from models.audio.encode import AudioFormat, wav_header
from models.audio.pcm import PCM16_FULL_SCALE
from models.audio.read import read_audio
from models.errors import Cancelled, GenerationFailed, InvalidRequest
from models.request import Audio
from serving.rendering import Rendering
from serving.service import Service
from serving.storage.live import Piece, follow
from serving.storage.records import Prediction, Status

LONGEST_SECONDS = 24 * 3600.0  # of a file of our own
DECODE_SAMPLES = 1 << 16


class AudioStream:
    """One listener's view of one prediction. `open` waits for the first sound, or raises why there is none."""

    def __init__(
        self,
        service: Service,
        prediction: Prediction,
        output_format: AudioFormat,
        *,
        speed_factor: float = 1.0,
        sample_rate: int | None = None,
    ) -> None:
        """speed_factor and sample_rate: as Rendering's."""
        self._service, self._prediction = service, prediction
        self._rendering = Rendering(output_format, speed_factor, sample_rate)
        self._pieces: AsyncIterator[Piece | Prediction]
        self.sample_rate = 0  # Hz, of what is heard; known as soon as it is open

    async def open(self) -> AsyncIterator[bytes]:
        """The bytes to come. Raises InvalidRequest, GenerationFailed or Cancelled where there is nothing to hear."""
        self._pieces = follow(self._prediction, self._service.records, self._service.live, self._service.changes)
        first = await anext(self._pieces)
        if isinstance(first, Prediction):
            return await self._kept(first)
        self.sample_rate = self._rendering.heard_rate(first.sample_rate)
        if self._rendering.untouched(first.sample_rate):
            return self._raw(first)
        return self._encoded(first)

    async def _raw(self, first: Piece) -> AsyncIterator[bytes]:
        if self._rendering.output_format == "wav":
            yield wav_header(self.sample_rate, 1)
        yield first.pcm
        async for piece in self._rest():
            yield piece.pcm

    async def _encoded(self, first: Piece) -> AsyncIterator[bytes]:
        """The encoder runs in a thread; a task hands it what arrives."""
        waiting: queue.SimpleQueue[Audio | None] = queue.SimpleQueue()
        waiting.put(_samples(first.pcm))
        pump = asyncio.create_task(self._pump(waiting))
        try:
            async for encoded in iterate_in_threadpool(self._rendering.render(_until_none(waiting), first.sample_rate)):
                yield encoded
            await pump  # raises what ended the audio early
        finally:
            pump.cancel()
            pump.add_done_callback(_forget)
            waiting.put(None)

    async def _pump(self, waiting: "queue.SimpleQueue[Audio | None]") -> None:
        try:
            async for piece in self._rest():
                waiting.put(_samples(piece.pcm))
        finally:
            waiting.put(None)

    async def _rest(self) -> AsyncIterator[Piece]:
        """Raises where it did not end well: the answer then breaks off, and its reader knows that it is not whole."""
        async for piece in self._pieces:
            if isinstance(piece, Prediction):
                _raise_unless_good(piece)
                return
            yield piece

    async def _kept(self, ended: Prediction) -> AsyncIterator[bytes]:
        """From the file: what was on its way has been forgotten."""
        _raise_unless_good(ended)
        file = await run_in_threadpool(self._service.files.get, ended.output) if ended.output else None
        if file is None:
            raise GenerationFailed("The audio has been deleted: it is kept for a limited time. Make it again.")
        with tempfile.TemporaryDirectory(prefix="parley-") as folder:
            path = await run_in_threadpool(self._service.files.copy_to, file, Path(folder) / "output")
            rate = int(ended.metrics["sample_rate"])
            audio = await run_in_threadpool(_decoded, path, rate)
        self.sample_rate = self._rendering.heard_rate(rate)
        pieces = (audio[:, at : at + DECODE_SAMPLES] for at in range(0, audio.shape[1], DECODE_SAMPLES))
        return iterate_in_threadpool(self._rendering.render(pieces, rate))


def _forget(pump: asyncio.Task[None]) -> None:
    """What ended it, where nobody listens any more: asyncio logs what is never looked at."""
    if not pump.cancelled():
        pump.exception()


def _decoded(path: Path, sample_rate: int) -> Audio:
    audio = read_audio(path, field="output", sample_rate=sample_rate, max_seconds=LONGEST_SECONDS)
    return np.clip(audio, -1, 1)  # a lossy format may pass full scale by a little


def _raise_unless_good(ended: Prediction) -> None:
    if ended.problems:
        (name, text), *others = ended.problems
        raise InvalidRequest(name, text, tuple((n, t) for n, t in others))
    if ended.status is Status.FAILED:
        raise GenerationFailed(ended.error or "It failed.")
    if ended.status is not Status.SUCCEEDED:
        raise Cancelled(f"Prediction {ended.id} was {ended.status}.")


def _samples(pcm: bytes) -> Audio:
    return (np.frombuffer(pcm, "<i2").astype(np.float32) / PCM16_FULL_SCALE)[None].clip(-1, 1)


def _until_none(waiting: "queue.SimpleQueue[Audio | None]") -> Iterator[Audio]:
    while (audio := waiting.get()) is not None:
        yield audio
