"""A prediction's audio as the bytes a listener asks for, while it is made or afterwards. Knows no route.

It is mono, also where the file that is made will be stereo.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import ExitStack, aclosing

from starlette.concurrency import run_in_threadpool

from models.audio.encode import AudioFormat, wav_header
from serving.hand_over import HandOver
from serving.kept_audio import kept_pieces, raise_unless_good, samples_of
from serving.rendering import Rendering
from serving.service import Service
from serving.storage.live import Piece, follow
from serving.storage.prediction import Prediction


class AudioStream:
    """One listener's view of one prediction. `open` waits for the first sound, or raises why there is none.

    Whoever opens it has a place among the service's listeners, and closes it, from any thread.
    """

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
        self._leaving = ExitStack()
        self.sample_rate = 0  # Hz, of what is heard; known as soon as it is open

    async def open(self) -> AsyncGenerator[bytes]:
        """The bytes to come. Raises InvalidRequest, GenerationFailed or Cancelled where there is nothing to hear."""
        self._pieces = follow(self._prediction, self._service.records, self._service.live, self._service.changes)
        first = await anext(self._pieces)
        if isinstance(first, Prediction):
            return await self._kept(first)
        self.sample_rate = self._rendering.heard_rate(first.sample_rate)
        if self._rendering.untouched(first.sample_rate):
            return self._raw(first)
        return self._encoded(first)

    def close(self) -> None:
        """Nobody listens any more: what waits for more, be it a thread, ends."""
        self._leaving.close()

    async def _raw(self, first: Piece) -> AsyncGenerator[bytes]:
        if self._rendering.output_format == "wav":
            yield wav_header(self.sample_rate, 1)
        yield first.pcm
        async for piece in self._rest():
            yield piece.pcm

    async def _encoded(self, first: Piece) -> AsyncGenerator[bytes]:
        """The encoder runs in a thread; a task hands it what arrives, as soon as there is room for it."""
        way = HandOver()
        self._leaving.callback(way.close)
        pump = asyncio.create_task(self._pump(first, way))
        rendered = self._rendering.render(map(samples_of, way), first.sample_rate)
        try:
            async with aclosing(self._service.listeners.each(rendered)) as encoded:
                async for piece in encoded:
                    yield piece
            await pump  # raises what ended the audio early
        finally:
            way.close()
            pump.cancel()
            pump.add_done_callback(_forget)

    async def _pump(self, first: Piece, way: HandOver) -> None:
        try:
            await way.put(first.pcm)
            async for piece in self._rest():
                await way.put(piece.pcm)
        finally:
            way.end()

    async def _rest(self) -> AsyncIterator[Piece]:
        """Raises where it did not end well: the answer then breaks off, and its reader knows that it is not whole."""
        async for piece in self._pieces:
            if isinstance(piece, Prediction):
                raise_unless_good(piece)
                return
            yield piece

    async def _kept(self, ended: Prediction) -> AsyncGenerator[bytes]:
        """From the file: what was on its way has been forgotten."""
        kept = kept_pieces(ended, self._service.files, mono=True)
        pieces, rate = await run_in_threadpool(self._leaving.enter_context, kept)
        self.sample_rate = self._rendering.heard_rate(rate)
        return self._service.listeners.each(self._rendering.render(pieces, rate))


def _forget(pump: asyncio.Task[None]) -> None:
    """What ended it, where nobody listens any more: asyncio logs what is never looked at."""
    if not pump.cancelled():
        pump.exception()
