"""The speaking side of a session: its responses, begun, spoken in the background, cancelled. Knows no buffer.

One response at a time speaks in the conversation; out-of-band ones run beside it. What they say is the affair of
`answering`.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial

from models.errors import Cancelled, GenerationFailed, InvalidRequest, Overloaded, ParleyError
from serving.rate_limit import RateLimited
from serving.realtime import server_events as say
from serving.realtime.answering import Answering, Over
from serving.realtime.client_events import ResponseParams
from serving.realtime.conversation import Conversation, Item
from serving.realtime.faults import INVALID_REQUEST, RATE_LIMIT, RATE_LIMIT_EXCEEDED, SERVER_ERROR, Fault
from serving.realtime.fields import Json
from serving.realtime.reply import CutShort
from serving.realtime.response import Response, Status
from serving.realtime.script import text_to_say
from serving.realtime.settings import RealtimeSettings
from serving.realtime.transcribing import Transcribing
from serving.realtime.workers import Outbox, Workers

log = logging.getLogger("parley.realtime")

MOST_AT_ONCE = 4  # responses of one session


class Speaking:
    """Of one session. Its methods are called with `lock` held."""

    def __init__(
        self,
        workers: Workers,
        outbox: Outbox,
        send: Callable[[say.ServerEvent], None],
        lock: AbstractContextManager[object],
        transcribing: Transcribing,
        conversation: Conversation,
        when_done: Callable[[Response], None],
    ) -> None:
        """when_done: hears of each response that has ended, whichever way."""
        self._workers, self._outbox, self._send, self._lock = workers, outbox, send, lock
        self._conversation, self._when_done = conversation, when_done
        self._answering = Answering(workers, lock, transcribing, conversation)
        self._running: dict[str, Response] = {}

    @property
    def active(self) -> Response | None:
        """The one that speaks in the conversation."""
        return next((one for one in self._running.values() if one.conversation is not None), None)

    @property
    def has_spoken(self) -> bool:
        """Whether there is audio of the assistant's."""
        return self._answering.has_spoken

    def has_something_to_say(self) -> bool:
        """To the conversation as it is."""
        return self._workers.chats or text_to_say(None, list(self._conversation)) is not None

    def need_not_listen(self) -> bool:
        """Whether it is known what to say, whatever is being said."""
        return not self._workers.chats and isinstance(text_to_say(None, list(self._conversation)), str)

    def begin(self, params: ResponseParams, settings: RealtimeSettings, context: Sequence[Item]) -> None:
        """Raises Fault where there may be no other one, and nothing is begun."""
        in_band = params.conversation == "auto"
        if in_band and (active := self.active) is not None:
            raise Fault(
                "conversation_already_has_active_response",
                f"Conversation already has an active response in progress: {active.id}. Wait until the response is "
                "finished before creating a new one.",
            )
        if len(self._running) >= MOST_AT_ONCE:
            raise Fault("too_many_responses", f"{len(self._running)} responses are in progress, the most there may be.")
        try:
            self._workers.count_response()
        except (ParleyError, RateLimited) as error:
            raise Fault(RATE_LIMIT_EXCEEDED, str(error), kind=RATE_LIMIT) from error
        response = Response(params, settings, self._conversation if in_band else None, self._send)
        self._running[response.id] = response
        if self._workers.chats:
            answer = partial(self._answering.chat, response, settings, context)
        else:
            answer = partial(self._answering.say, response, text_to_say(params.instructions, context))
        self._workers.speak_in_background(partial(self._run, response, answer))

    def cancel(self, response_id: str | None = None, reason: str = "client_cancelled") -> bool:
        """The one of this id, or else the conversation's; False if there is none."""
        response = self.active if response_id is None else self._running.get(response_id)
        if response is None:
            return False
        self._outbox.drop_deltas(response.id)
        self._end(response, "cancelled", reason=reason)
        return True

    def close(self) -> None:
        """Whoever speaks in the background stops at the next piece, whoever writes at once."""
        for response in self._running.values():
            response.give_up()
        self._running.clear()

    def _run(self, response: Response, answer: Callable[[], CutShort | None]) -> None:
        """In the background, without the lock."""
        try:
            cut_short = answer()
            ended: tuple[Status, str | None, Json | None] = (
                "incomplete" if cut_short else "completed",
                cut_short,
                None,
            )
        except Over:
            return
        except Exception as error:
            if not isinstance(error, ParleyError):
                log.exception("a response failed")
                error = GenerationFailed("The response failed on our side. It is logged.")
            ended = ("failed", None, _told(error))
        with self._lock:
            if not response.over:
                self._end(response, *ended)

    def _end(self, response: Response, status: Status, reason: str | None = None, error: Json | None = None) -> None:
        del self._running[response.id]
        response.end(status, reason, error)
        self._send(say.RateLimits(rate_limits=self._workers.rate_limits()))
        self._when_done(response)


def _told(error: Exception) -> Json:
    match error:
        case InvalidRequest():
            kind, code = INVALID_REQUEST, "invalid_value"
        case Overloaded():
            kind, code = RATE_LIMIT, RATE_LIMIT_EXCEEDED
        case Cancelled():
            kind, code = SERVER_ERROR, "cancelled"
        case _:
            kind, code = SERVER_ERROR, SERVER_ERROR
    return {"type": kind, "code": code, "message": str(error)}
