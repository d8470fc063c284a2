"""A prediction's audio as bytes of any format, while it is made or afterwards. Knows no route."""

import asyncio
import queue
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool

from models.audio.encode import AudioFormat, encode_stream, wav_header
from models.audio.pcm import PCM16_FULL_SCALE
from models.audio.read import read_audio
from models.errors import Cancelled, GenerationFailed
from models.request import Audio
from serving.live import Piece, follow
from serving.records import Prediction, Status
from serving.service import Service

LONGEST_SECONDS = 24 * 3600.0  # of a file of our own
DECODE_SAMPLES = 1 << 16


class Listening:
    """One listener's view of one prediction. `open` waits for the first sound, or raises why there is none."""

    def __init__(self, service: Service, prediction: Prediction, output_format: AudioFormat) -> None:
        self._service, self._prediction, self._format = service, prediction, output_format
        self._pieces: AsyncIterator[Piece | Prediction]
        self.sample_rate = 0

    async def open(self) -> AsyncIterator[bytes]:
        """The bytes to come. Raises GenerationFailed or Cancelled where there is nothing to hear."""
        self._pieces = follow(self._prediction, self._service.records, self._service.live, self._service.changes)
        first = await anext(self._pieces)
        if isinstance(first, Prediction):
            return await self._kept(first)
        self.sample_rate = first.sample_rate
        if self._format in ("pcm", "wav"):
            return self._raw(first)
        return self._encoded(first)

    async def _raw(self, first: Piece) -> AsyncIterator[bytes]:
        if self._format == "wav":
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
            async for encoded in iterate_in_threadpool(
                encode_stream(_until_none(waiting), self.sample_rate, self._format)
            ):
                yield encoded
            await pump  # raises what ended the audio early
        finally:
            pump.cancel()
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
            rate = self.sample_rate = int(ended.metrics["sample_rate"])
            audio = await run_in_threadpool(_decoded, path, rate)
        pieces = (audio[:, at : at + DECODE_SAMPLES] for at in range(0, audio.shape[1], DECODE_SAMPLES))
        return iterate_in_threadpool(encode_stream(pieces, rate, self._format))


def _decoded(path: Path, sample_rate: int) -> Audio:
    audio = read_audio(path, field="output", sample_rate=sample_rate, max_seconds=LONGEST_SECONDS)
    return np.clip(audio, -1, 1)  # a lossy format may pass full scale by a little


def _raise_unless_good(ended: Prediction) -> None:
    if ended.status is Status.FAILED:
        raise GenerationFailed(ended.error or "It failed.")
    if ended.status is not Status.SUCCEEDED:
        raise Cancelled(f"Prediction {ended.id} was {ended.status}.")


def _samples(pcm: bytes) -> Audio:
    return (np.frombuffer(pcm, "<i2").astype(np.float32) / PCM16_FULL_SCALE)[None].clip(-1, 1)


def _until_none(waiting: "queue.SimpleQueue[Audio | None]") -> Iterator[Audio]:
    while (audio := waiting.get()) is not None:
        yield audio
