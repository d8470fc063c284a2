"""The route of the socket: frames in and out, pings by the server, the end. What is said in them is the session's.

A session is heard in threads, one frame after the other: an append of 15 MiB takes a tenth of a second to read, and
minutes of speech in it take longer to listen to, while other sessions go on, and frames of this one still come in.
"""

import asyncio
import logging
import time
from contextlib import suppress
from functools import partial
from typing import NoReturn

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Response, WebSocket
from starlette.exceptions import HTTPException
from starlette.websockets import WebSocketDisconnect

from models.errors import Overloaded, ParleyError
from serving.realtime.chat import ChatServer
from serving.realtime.client_events import event_id_of, parse_json
from serving.realtime.client_secrets import Grant
from serving.realtime.faults import Fault, our_fault
from serving.realtime.fields import Json
from serving.realtime.inbox import WaitingFrames
from serving.realtime.local_workers import Background, LocalWorkers
from serving.realtime.opening import TRY_AGAIN, Opening, Refused, let_in, too_many
from serving.realtime.outbox import SlowReader, WaitingEvents, text_of
from serving.realtime.queued_speech import QueuedSpeech
from serving.realtime.server_events import Error, ErrorDetails
from serving.realtime.session import Session
from serving.service import Service
from serving.settings import Settings
from serving.storage.ids import new_id
from serving.web.gate import Gate

log = logging.getLogger("parley.realtime")

TICK_SECONDS = 0.1
STALLED_SECONDS = 30.0  # in which a client reads nothing of what it is sent
CLOSE_SECONDS = 5.0  # for it to take the close
NORMAL, ABNORMAL, TOO_SLOW = 1000, 1006, 1008
NO_TEXT = Fault("invalid_event", "Expected a text WebSocket message; binary frames are not supported.")
HEARING_THREADS = 40

router = APIRouter(prefix="/v1/realtime", tags=["realtime"])


class Realtime:
    """What all sockets of a process share. Made and closed with the application, in its loop."""

    def __init__(self, settings: Settings) -> None:
        self.background = Background()
        self.threads = CapacityLimiter(HEARING_THREADS)
        self.chat_server = ChatServer.of(settings)

    async def aclose(self) -> None:
        self.background.close()
        if self.chat_server is not None:
            await self.chat_server.close()


@router.websocket("")
async def connect(socket: WebSocket) -> None:
    """A session for as long as the client stays, an hour at most."""
    opening = Opening(socket.query_params, dict(socket.headers), socket.scope.get("subprotocols", []))
    await socket.accept(subprotocol=opening.accepted_subprotocol)
    gate: Gate = socket.app.state.gate
    started = time.monotonic()
    with suppress(WebSocketDisconnect):
        try:
            service: Service = socket.app.state.service
            grant = let_in(opening, gate, service.links.secret)
            with service.listeners.place(grant.owner):
                await _serve(socket, opening, grant)
        except Overloaded as error:
            await _refuse(socket, too_many(error))
        except Refused as refusal:
            await _refuse(socket, refusal)
        except ParleyError as error:  # what listens cannot be opened here
            await _refuse(socket, Refused(our_fault(error), TRY_AGAIN, "server_error"))
    log.info("a realtime session ended after %.1f s", time.monotonic() - started)


@router.api_route("", methods=["GET", "HEAD", "POST"], include_in_schema=False)
async def no_socket() -> Response:
    """Who comes without one: a look with curl, or a browser that wants WebRTC, which is not spoken here."""
    told = "Only a WebSocket is answered here: open it as ws://…/v1/realtime, or wss:// behind https."
    raise HTTPException(426, told, {"Upgrade": "websocket", "Connection": "Upgrade"})


async def _serve(socket: WebSocket, opening: Opening, grant: Grant) -> None:
    state = socket.app.state
    realtime: Realtime = state.realtime
    queued = QueuedSpeech(state.service, grant.owner, asyncio.get_running_loop())
    workers = LocalWorkers(
        state.service, grant.owner, realtime.background, state.gate.creations, queued, realtime.chat_server
    )
    inbox, outbox = WaitingFrames(), WaitingEvents()
    make = partial(Session, grant.settings, workers, outbox, time.time, opening.dialect, names_model=grant.names_model)
    session = await to_thread.run_sync(make, limiter=realtime.threads)
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_tell(socket, outbox))
            tasks.create_task(_tick(session, outbox, realtime.threads))
            tasks.create_task(_hear(inbox, session, realtime.threads))
            await _read(socket, inbox, outbox)
    except* (WebSocketDisconnect, SlowReader, _Ended) as ended:
        code, reason = (TOO_SLOW, "read too slowly") if ended.subgroup(SlowReader) else (NORMAL, "")
        with suppress(RuntimeError, WebSocketDisconnect, TimeoutError):  # it is closed already, or nobody reads
            async with asyncio.timeout(CLOSE_SECONDS):
                await socket.close(code, reason)
    finally:
        await to_thread.run_sync(session.close)  # which waits for the second of audio that is being heard


class _Ended(Exception):
    """The session is over."""


async def _read(socket: WebSocket, inbox: WaitingFrames, outbox: WaitingEvents) -> NoReturn:
    """Whatever is under way: who stops receiving hears no ping either."""
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", NORMAL))
        text = message.get("text")
        try:
            inbox.put(text)
        except Fault as fault:
            outbox.send(_told(fault, _event_id_in(text)))


async def _hear(inbox: WaitingFrames, session: Session, threads: CapacityLimiter) -> NoReturn:
    while True:
        text = await inbox.next()
        take = partial(session.receive, text) if text is not None else partial(session.refuse, NO_TEXT)
        await to_thread.run_sync(take, limiter=threads)


async def _tell(socket: WebSocket, outbox: WaitingEvents) -> None:
    """Pings cannot tell of a client that has stopped reading: they wait behind what it has not read."""
    while (text := await outbox.next()) is not None:
        try:
            async with asyncio.timeout(STALLED_SECONDS):
                await _send(socket, text)
        except TimeoutError as error:
            raise SlowReader from error
    raise _Ended


async def _send(socket: WebSocket, text: str) -> None:
    """Raises WebSocketDisconnect."""
    try:
        await socket.send_text(text)
    except RuntimeError as error:  # uvicorn has closed it, over a ping or a frame too long, and takes no more
        raise WebSocketDisconnect(ABNORMAL) from error


async def _tick(session: Session, outbox: WaitingEvents, threads: CapacityLimiter) -> None:
    while not session.over:
        await asyncio.sleep(TICK_SECONDS)
        outbox.check()
        if session.is_due:
            await to_thread.run_sync(session.tick, limiter=threads)
    outbox.end()


async def _refuse(socket: WebSocket, refusal: Refused) -> None:
    await _send(socket, text_of(_told(refusal.fault)))
    await socket.close(refusal.close_code, refusal.reason)


def _told(fault: Fault, event_id: str | None = None) -> Json:
    """What no session tells."""
    details = ErrorDetails(
        type=fault.kind, code=fault.code, message=fault.message, param=fault.param, event_id=event_id
    )
    return Error(error=details).to_json(f"event_{new_id()}")


def _event_id_in(text: str | None) -> str | None:
    with suppress(Fault):
        return event_id_of(parse_json(text or ""))
    return None
