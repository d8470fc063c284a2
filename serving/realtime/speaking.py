"""The speaking side of a session: its responses, begun, spoken in the background, cancelled. Knows no buffer.

One response at a time speaks in the conversation; out-of-band ones run beside it.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing

from models.errors import Cancelled, GenerationFailed, InvalidRequest, ParleyError
from models.request import Codes
from serving.rate_limit import RateLimited
from serving.realtime import server_events as say
from serving.realtime.client_events import ResponseParams
from serving.realtime.conversation import Conversation, Item
from serving.realtime.faults import INVALID_REQUEST, SERVER_ERROR, Fault
from serving.realtime.fields import Json
from serving.realtime.response import Response, Status
from serving.realtime.script import items_named, text_to_say, voice_of_items, with_speaker
from serving.realtime.settings import RealtimeSettings
from serving.realtime.transcribing import Transcribing
from serving.realtime.workers import NamedVoice, Outbox, SpeechOrder, Workers

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
        self._transcribing, self._conversation, self._when_done = transcribing, conversation, when_done
        self._running: dict[str, Response] = {}
        self._continues: tuple[str, Codes] | None = None  # of the last response: its voice, and what it handed on
        self.has_spoken = False  # whether there is audio of the assistant's

    @property
    def active(self) -> Response | None:
        """The one that speaks in the conversation."""
        return next((one for one in self._running.values() if one.conversation is not None), None)

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
            raise Fault("rate_limit_exceeded", str(error), kind="rate_limit_error") from error
        response = Response(params, settings, self._conversation if in_band else None, self._send)
        self._running[response.id] = response
        wanted = text_to_say(params.instructions, context)
        self._workers.speak_in_background(lambda: self._run(response, wanted))

    def cancel(self, response_id: str | None = None, reason: str = "client_cancelled") -> bool:
        """The one of this id, or else the conversation's; False if there is none."""
        response = self.active if response_id is None else self._running.get(response_id)
        if response is None:
            return False
        self._outbox.drop_deltas(response.id)
        self._end(response, "cancelled", reason=reason)
        return True

    def close(self) -> None:
        """Whoever speaks in the background stops at the next piece."""
        for response in self._running.values():
            response.over = True
        self._running.clear()

    def _run(self, response: Response, wanted: str | Item | None) -> None:
        """In the background, without the lock."""
        try:
            text = self._text(wanted)
            if response.is_spoken:
                self._speak(response, text)
            else:
                self._write(response, text)
        except Exception as error:
            if not isinstance(error, ParleyError):
                log.exception("a response failed")
                error = GenerationFailed("The response failed on our side. It is logged.")
            with self._lock:
                if not response.over:
                    self._end(response, "failed", error=_told(error))

    def _text(self, wanted: str | Item | None) -> str:
        if isinstance(wanted, Item):
            with self._lock:
                words = self._transcribing.words_of(wanted)
            wanted = words.result()
        if not wanted or not wanted.strip():
            raise InvalidRequest(
                "response", "has nothing to say: give it instructions, or add an item with text, or one that speaks."
            )
        return wanted.strip()

    def _write(self, response: Response, text: str) -> None:
        with self._lock:
            if not response.over:
                response.text = text
                response.write()
                self._end(response, "completed")

    def _speak(self, response: Response, text: str) -> None:
        voice = self._voice(response)
        with self._lock:
            response.text, response.input_tokens = text, len(text.encode())
            order = self._order(response, with_speaker(text, voice.speaker), voice)
        cut_short = False
        with closing(self._workers.speak(order)) as pieces:
            for spoken in pieces:
                with self._lock:
                    if response.over:
                        return
                    response.take(spoken)
                    self.has_spoken |= len(spoken.samples) > 0
                    if spoken.continues is not None and response.conversation is not None:
                        self._continues = (str(response.voice), spoken.continues)
                    cut_short = spoken.cut_short
        with self._lock:
            if not response.over:
                if cut_short and response.most_tokens != "inf":
                    self._end(response, "incomplete", reason="max_output_tokens")
                else:
                    self._end(response, "completed")

    def _voice(self, response: Response) -> NamedVoice:
        """May wait for what an item says."""
        with self._lock:
            items = items_named(response.voice, self._conversation)
            words = [self._transcribing.words_of(item) for item in items]
        if items:
            return voice_of_items(items, [future.result() for future in words])
        return self._workers.voice(response.voice if isinstance(response.voice, str) else response.voice.id)

    def _order(self, response: Response, text: str, voice: NamedVoice) -> SpeechOrder:
        """In the same voice it goes on where the response before it ended, without a seam."""
        voice_before, codes = self._continues or ("", None)
        continues = codes if response.conversation is not None and voice_before == str(response.voice) else None
        most = response.most_tokens if isinstance(response.most_tokens, int) else None
        return SpeechOrder(response.id, text, voice.prompt, response.wire, response.speed, most, continues)

    def _end(self, response: Response, status: Status, reason: str | None = None, error: Json | None = None) -> None:
        del self._running[response.id]
        response.end(status, reason, error)
        self._send(say.RateLimits(rate_limits=self._workers.rate_limits()))
        self._when_done(response)


def _told(error: Exception) -> Json:
    kind = INVALID_REQUEST if isinstance(error, InvalidRequest) else SERVER_ERROR
    code = "cancelled" if isinstance(error, Cancelled) else "invalid_value" if kind == INVALID_REQUEST else kind
    return {"type": kind, "code": code, "message": str(error)}
