"""Predictions made by Cog containers elsewhere, instead of by an engine in this process. Knows no model's insides.

    PARLEY_COG_URLS=http://10.0.0.5:5000,http://10.0.0.6:5000,musicgen=http://10.0.0.7:5000 python -m serving

Each container makes one prediction at a time; one whose address is given twice makes two. A container gives the file at
its end, so a listener hears all of it at once then; passages are always checked, as if nobody listened.
"""

import asyncio
import logging
import ssl
import threading
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from models.audio.encode import CONTENT_TYPES
from models.errors import Cancelled, EngineClosed, GenerationFailed
from models.inputs import Inputs
from serving.cog.attempt import Attempt, Job
from serving.cog.container import ALIVE, Container, Died, Document, NotTaken, open_client
from serving.cog.fleet import Fleet, Place, Turn
from serving.cog.order import order_of
from serving.sound import Sound
from serving.work.backend import Listener, MadeFile
from serving.work.runner import MOST_ATTEMPTS

log = logging.getLogger("parley.cog")

TICK_SECONDS = 0.05
READY_SECONDS = 1.0  # between two questions whether they are ready


@dataclass(frozen=True)
class Patience:
    """Seconds."""

    silent: float = 60.0  # in which a container must know of what it was given, or answer
    lost: float = 600.0  # in which one must live; a container that starts again loads its model first
    told: float = 30.0  # between two lines of the log that say so


class CogBackend:
    def __init__(self, urls: Sequence[str], patience: Patience | None = None) -> None:
        self._fleet = Fleet([Container(url.rstrip("/")) for url in urls])
        self._patience = patience or Patience()
        self._tls = ssl.create_default_context()
        self._cancelled: dict[str, threading.Event] = {}

    def wait_until_ready(self) -> None:
        """Until a container lives. The log tells what they are at."""
        asyncio.run(self._wait_until_ready())

    def cancel(self, attempt_id: str) -> None:
        if cancelled := self._cancelled.get(attempt_id):
            cancelled.set()

    def make(self, attempt_id: str, inputs: Inputs, folder: Path, streaming: bool, listener: Listener) -> MadeFile:
        """Begun anew where a container dies. Raises EngineClosed where none lives for as long as our patience lasts."""
        order = order_of(inputs)
        path = folder / f"output.{order.output_format}"
        job = Job(attempt_id, order.body, listener)
        cancelled = self._cancelled[attempt_id] = threading.Event()
        try:
            answer = asyncio.run(_unless(cancelled, self._answer(job, path)))
        finally:
            del self._cancelled[attempt_id]
        sound = Sound(path)
        for pcm in sound.pieces():
            listener.audio(pcm, sound.sample_rate)
        metrics = {"seed": order.seed, **_metrics(answer, sound)}
        return MadeFile(path, f"{order.kind}.{order.output_format}", CONTENT_TYPES[order.output_format], metrics)

    async def _answer(self, job: Job, path: Path) -> Document:
        """Of the container that made it; its file lies at `path`."""
        deaths = 0
        async with open_client(self._tls) as client:
            with self._fleet.turn() as turn:
                while deaths < MOST_ATTEMPTS:
                    place = await self._place(turn)
                    try:
                        return await self._made(job, place, turn, client, path)
                    except NotTaken:
                        continue
                    except Died as error:
                        deaths += 1
                        log.warning("attempt %s broke off at %s: %s", job.id, place.container, error)
                        job.listener.log("note: the container broke off.")
        raise GenerationFailed(f"{deaths} containers broke off while they made it.")

    async def _place(self, turn: Turn) -> Place:
        while (place := self._fleet.take(turn)) is None:
            if self._fleet.unseen_seconds(turn) > self._patience.lost:
                raise EngineClosed(f"No Cog container has answered for {self._patience.lost:g} s.")
            await asyncio.sleep(TICK_SECONDS)
        return place

    async def _made(self, job: Job, place: Place, turn: Turn, client: httpx.AsyncClient, path: Path) -> Document:
        with self._fleet.lent(place, turn) as container:
            return await Attempt(job, container, client, self._fleet.seen, self._patience.silent).make(path)

    async def _wait_until_ready(self) -> None:
        told_at = 0.0
        async with open_client(self._tls) as client:
            while True:
                statuses = await asyncio.gather(*(c.status(client) for c in self._fleet.containers))
                told = ", ".join(f"{c} is {status}" for c, status in zip(self._fleet.containers, statuses, strict=True))
                if any(status in ALIVE for status in statuses):
                    log.info("Cog containers: %s", told)
                    return
                if time.monotonic() - told_at >= self._patience.told:
                    told_at = time.monotonic()
                    log.warning("no Cog container is ready: %s", told)
                await asyncio.sleep(READY_SECONDS)


async def _unless(cancelled: threading.Event, work: Coroutine[Any, Any, Document]) -> Document:
    """What the work gives. Raises Cancelled, the work stopped, as soon as another thread sets the event."""
    task = asyncio.create_task(work)
    while not task.done():
        await asyncio.wait((task,), timeout=TICK_SECONDS)
        if cancelled.is_set():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            raise Cancelled("It was cancelled.")
    return task.result()


def _metrics(answer: Document, sound: Sound) -> dict[str, Any]:
    """The container's, and what an engine of ours says besides, under the same names."""
    told = dict(answer.get("metrics") or {})
    if "status" in told:
        told["end"] = told.pop("status")
    if isinstance(output := answer.get("output"), dict) and "model" in output:  # of music: the checkpoint that played
        told["model"] = output["model"]
    return {**told, "audio_seconds": round(sound.seconds, 3), "sample_rate": sound.sample_rate}
