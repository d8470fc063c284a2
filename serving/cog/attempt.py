"""One prediction at one container: begun, looked at while it runs, ended or stopped. Knows no other container."""

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import httpx

from serving.cog.container import ALIVE, READY, Container, Died, Document, NotTaken, failure
from serving.cog.logs import Logs
from serving.cog.output import save
from serving.work.backend import Listener

LOOK_SECONDS = 0.5  # between two looks at what was printed
LOOK_SHARE = 20  # and this many times as long as a look took: each brings all inputs back
CANCELS = 3  # coglet 0.23.1 may lose one that comes before the predictor has begun
CANCEL_SECONDS = 0.7  # until it is said again


@dataclass(frozen=True)
class Job:
    """What is to be made. body: of the request, the same for every container."""

    id: str
    body: bytes
    listener: Listener


class Attempt:
    def __init__(
        self, job: Job, container: Container, client: httpx.AsyncClient, seen: Callable[[], None], silent: float
    ) -> None:
        """seen: hears that the container lives. silent: seconds in which it must know of the prediction, or answer."""
        self._job, self._container, self._client = job, container, client
        self._seen, self._silent = seen, silent
        self._logs = Logs(job.listener)
        # A name of its own: what an attempt before this one left behind may still run there.
        self._name = f"{job.id}-{secrets.token_hex(4)}"

    async def make(self, path: Path) -> Document:
        """The container's answer, its file at `path`. Stopped where this is cancelled, or the listener raises.

        Raises NotTaken, Died, and what is the matter with the inputs or was with the prediction.
        """
        if await self._status() != READY:
            raise NotTaken
        answer = await self._ended()
        if answer.get("status") == "succeeded":
            self._logs.hear(str(answer.get("logs", "")), ended=True)
            await save(answer.get("output"), path, self._client)
            return answer
        if answer.get("status") == "canceled":
            raise Died("it was cancelled there")
        error = failure(answer)
        # A container whose predictor crashed says only that this one failed, and takes no other ever after.
        if await self._status() not in ALIVE:
            raise Died(str(error)) from error
        raise error

    async def _status(self) -> str:
        status = await self._container.status(self._client)
        if status in ALIVE:
            self._seen()
        return status

    async def _ended(self) -> Document:
        predicting = asyncio.create_task(self._container.predict(self._client, self._name, self._job.body))
        looking = asyncio.create_task(self._look())
        try:
            await asyncio.wait((predicting, looking), return_when=asyncio.FIRST_COMPLETED)
            return predicting.result() if predicting.done() else looking.result()
        finally:
            looking.cancel()
            await self._stop(predicting)
            await asyncio.gather(predicting, looking, return_exceptions=True)

    async def _look(self) -> NoReturn:
        """Tell the listener how far it is. Raises Died for a container that has forgotten it, or fell silent."""
        heard, pause = time.monotonic(), LOOK_SECONDS
        while True:
            await asyncio.sleep(pause)
            began = time.monotonic()
            printed = await self._container.logs(self._client, self._name)
            now = time.monotonic()
            pause = max(LOOK_SECONDS, LOOK_SHARE * (now - began))
            if printed is not None:
                heard = now
                self._seen()
                self._logs.hear(printed)
            elif now - heard > self._silent:
                raise Died(f"it fell silent for {self._silent:g} s")

    async def _stop(self, predicting: "asyncio.Task[Document]") -> None:
        """So that the container is free soon. To hang up cancels too, if nothing between us keeps the connection."""
        for _ in range(CANCELS):
            if predicting.done() or not await self._container.cancel(self._client, self._name):
                break
            await asyncio.wait((predicting,), timeout=CANCEL_SECONDS)
        predicting.cancel()
