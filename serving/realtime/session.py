"""A session: events in, events out. Knows no socket; the clock and whoever listens, transcribes and speaks are given.

One lock guards all that it has: events of the client, words and sounds from the background, and the clock come from
threads of their own, and each is heard to its end before the next. Only a long append lets the others in, after every
second of it; the client's next event waits until it is heard to its end.
"""

from collections.abc import Callable
from typing import Any

from serving.realtime import client_events as asked
from serving.realtime import server_events as say
from serving.realtime.audio_formats import Samples
from serving.realtime.beta import BetaDialect
from serving.realtime.buffer import Stretch, decoded
from serving.realtime.client_events import ClientEvent, ResponseParams, event_id_of, parse_event, parse_json
from serving.realtime.conversation import Conversation, Item, Part, item_of, new_item_id
from serving.realtime.ear import Ear, Turn
from serving.realtime.fair_lock import FairLock
from serving.realtime.faults import Fault, invalid_value, our_fault
from serving.realtime.fields import Json
from serving.realtime.response import Response
from serving.realtime.settings import RealtimeSettings, ServerVad, Settings, is_served
from serving.realtime.speaking import Speaking
from serving.realtime.transcribing import Transcribing
from serving.realtime.turns import Began
from serving.realtime.workers import Outbox, Workers
from serving.storage.ids import new_id

SESSION_SECONDS = 3600.0


class Session:
    """One client's. clock: seconds since 1970. beta: the dialect it speaks, if it is not GA's."""

    def __init__(
        self,
        settings: Settings,
        workers: Workers,
        outbox: Outbox,
        clock: Callable[[], float],
        beta: BetaDialect | None = None,
        *,
        names_model: bool = True,
    ) -> None:
        """names_model: whether the client has chosen the model; else its first update may."""
        self.id = f"sess_{new_id()}"
        self.settings = settings
        self._outbox, self._clock, self._beta, self._names_model = outbox, clock, beta, names_model
        self._lock = FairLock()
        self._conversation = Conversation(lambda item_id: self._send(say.ItemDeleted(item_id=item_id)))
        self._transcribing = Transcribing(workers, self._send, self._lock, self._conversation)
        self._speaking = Speaking(
            workers, outbox, self._send, self._lock, self._transcribing, self._conversation, self._response_done
        )
        self._ear = Ear(workers, settings.audio.input)
        self._is_hearing = False  # an append, whose other half is still to come
        self._turn_id: str | None = None  # of the item that is being spoken
        self._idle_at: float | None = None  # when nobody has said anything for too long
        self._expires_at = clock() + SESSION_SECONDS
        self.over = False
        self._send(say.SessionCreated(session=self._shown()))

    def receive(self, text: str) -> None:
        """One frame of the client's, once the one before is heard. What is wrong with it is answered; all goes on."""
        with self._lock:
            if self.over:
                return
            event: Json = {}
            try:
                event = parse_json(text)
                self._take(parse_event(self._beta.read(event) if self._beta else event))
            except Fault as fault:
                self._tell(fault, event_id_of(event))
            except Exception as error:
                self._tell(our_fault(error), event_id_of(event))

    def refuse(self, fault: Fault) -> None:
        """Tell the client of what was no event at all."""
        with self._lock:
            self._tell(fault, None)

    @property
    def is_due(self) -> bool:
        """Whether `tick` may have something to do: a look without the lock, for which it might wait."""
        idle_at = self._idle_at
        return self._clock() >= (self._expires_at if idle_at is None else min(idle_at, self._expires_at))

    def tick(self) -> None:
        """To be called now and then, ten times a second for one: what the clock alone brings about."""
        with self._lock:
            now = self._clock()
            if self.over:
                return
            if now >= self._expires_at:
                self._tell(Fault("session_expired", "Your session hit the maximum duration of 60 minutes."), None)
                self.close()
            elif self._is_hearing:
                return  # somebody may speak in what is still to be heard
            elif self._idle_at is not None and now >= self._idle_at and self._speaking.active is None:
                self._idle()

    def close(self) -> None:
        """Nothing is sent any more, and what runs in the background stops soon."""
        with self._lock:
            self.over = True
            self._speaking.close()
            self._transcribing.close()

    def _take(self, event: ClientEvent) -> None:
        match event:
            case asked.Append():
                self._append(event)
            case asked.Commit():
                self._commit()
            case asked.Clear():
                self._ear.clear()
                self._turn_id = None
                self._send(say.Cleared())
            case asked.SessionUpdate():
                self._update(event.session)
            case asked.ItemCreate():
                self._create(event)
            case asked.ItemRetrieve():
                item = self._conversation.retrieve(event.item_id)
                self._send(say.ItemRetrieved(item=item.to_json(with_audio=True)))
            case asked.ItemDelete():
                self._conversation.delete(event.item_id)
                self._send(say.ItemDeleted(item_id=event.item_id))
            case asked.ItemTruncate():
                self._conversation.truncate(event.item_id, event.content_index, event.audio_end_ms)
                self._send(say.ItemTruncated(**event.model_dump(exclude={"type", "event_id"})))
            case asked.ResponseCreate():
                self._respond(event.response)
            case asked.ResponseCancel():
                if not self._speaking.cancel(event.response_id):
                    raise Fault("response_cancel_not_active", "Cancellation failed: no active response found")

    # What is heard

    def _append(self, event: asked.Append) -> None:
        try:
            for samples in self._ear.accept(event.audio):
                self._is_hearing = True
                for heard in self._ear.hear(samples):
                    self._heard(heard)
                self._lock.let_others()
                if self.over:
                    return
        finally:
            self._is_hearing = False

    def _heard(self, heard: Began | Turn) -> None:
        if isinstance(heard, Began):
            self._began(heard)
        else:
            self._ended(heard)

    def _began(self, began: Began) -> None:
        self._await_nobody()
        self._turn_id = new_item_id()
        self._send(say.SpeechStarted(audio_start_ms=self._ear.buffer.ms(began.position), item_id=self._turn_id))
        if self._turn_detection.interrupt_response:
            self._speaking.cancel(reason="turn_detected")

    def _ended(self, turn: Turn) -> None:
        item_id = self._turn_id or new_item_id()
        self._send(say.SpeechStopped(audio_end_ms=self._ear.buffer.ms(turn.stretch.end), item_id=item_id))
        self._answer(self._commit_item(turn.stretch, item_id))

    def _commit(self) -> None:
        silent = self._ear.detects and not self._ear.speaking
        self._commit_item(self._ear.commit(), self._turn_id or new_item_id(), silent=silent)

    def _idle(self) -> None:
        """Nobody has spoken since the last response: an item of that silence, and another response."""
        self._idle_at = None
        if self._ear.speaking or not self._ear.detects:
            return  # whoever speaks will end
        stretch, item_id, ms = self._ear.take_silence(), new_item_id(), self._ear.buffer.ms
        self._send(
            say.TimeoutTriggered(audio_start_ms=ms(stretch.start), audio_end_ms=ms(stretch.end), item_id=item_id)
        )
        self._commit_item(stretch, item_id, silent=True)
        self._respond_if_there_is_something()

    def _commit_item(self, stretch: Stretch, item_id: str, *, silent: bool = False) -> Item:
        self._turn_id = None
        part = Part("input_audio", None, stretch.samples, stretch.wire)
        item = Item(item_id, role="user", parts=[part], silent=silent)
        before = self._conversation.last_id
        self._send(say.Committed(previous_item_id=before, item_id=item_id))
        self._add(item, None)
        wanted = self.settings.audio.input.transcription
        if wanted is not None:
            self._transcribing.words_of(item, wanted, told=True, with_logprobs=bool(self.settings.include))
        return item

    def _answer(self, item: Item) -> None:
        """A turn that was heard to its end: at once where there is something to say, else when it is understood."""
        if not isinstance(self.settings, RealtimeSettings) or not self._turn_detection.create_response:
            return
        if self._speaking.need_not_listen():
            self._respond_if_there_is_something()
            return
        self._transcribing.words_of(item).add_done_callback(self._understood)

    def _understood(self, words: Any) -> None:
        """In the background."""
        with self._lock:
            if words.exception() is None and words.result().strip() and not self._ear.speaking:
                self._respond_if_there_is_something()

    # What is kept, and said

    def _create(self, event: asked.ItemCreate) -> None:
        self._add(item_of(event.item, self._ear.buffer.wire, self._decoded), event.previous_item_id)

    def _add(self, item: Item, after: str | None) -> None:
        before = self._conversation.add(item, after)
        self._send(say.ItemAdded(previous_item_id=before, item=item.to_json()))
        self._send(say.ItemDone(previous_item_id=before, item=item.to_json()))

    def _respond(self, params: ResponseParams) -> None:
        if not isinstance(self.settings, RealtimeSettings):
            raise invalid_value("type", "A transcription session has no responses.")
        self._await_nobody()
        self._speaking.begin(params, self.settings, self._context(params))

    def _respond_if_there_is_something(self) -> None:
        """Of the session's own accord: where it cannot be, nobody has asked for it."""
        if self.over or self._speaking.active is not None or not self._speaking.has_something_to_say():
            return
        try:
            self._respond(ResponseParams())
        except Fault as fault:
            self._tell(fault, None)

    def _context(self, params: ResponseParams) -> list[Item]:
        if params.input is None:
            return list(self._conversation)
        return self._conversation.context(params.input, self._ear.buffer.wire, self._decoded)

    def _response_done(self, response: Response) -> None:
        """The time in which somebody ought to speak begins when the client has played it all."""
        detection = self.settings.audio.input.turn_detection
        if response.conversation is None or self.over or not isinstance(detection, ServerVad):
            return
        if detection.idle_timeout_ms is not None and response.completed:
            self._idle_at = self._clock() + response.seconds + detection.idle_timeout_ms / 1000
            self._ear.keep_from = self._ear.buffer.end

    def _await_nobody(self) -> None:
        """Silence is silence again, and not kept."""
        self._idle_at = self._ear.keep_from = None

    # The session itself

    def _update(self, given: Any) -> None:
        settings = self.settings.updated(given)
        if isinstance(settings, RealtimeSettings) and isinstance(self.settings, RealtimeSettings):
            if settings.model != self.settings.model and (self._names_model or not is_served(settings.model)):
                raise invalid_value("session.model", f"The model of a session stays {self.settings.model!r}.")
            self._names_model |= settings.model != self.settings.model
            if settings.audio.output.voice != self.settings.audio.output.voice and self._speaking.has_spoken:
                raise Fault(
                    "cannot_update_voice",
                    "Cannot update a conversation's voice if assistant audio is present.",
                    "session.audio.output.voice",
                )
        if settings.audio.input != self.settings.audio.input:
            for heard in self._ear.release(settings.audio.input):
                self._heard(heard)
            self._ear.configure(settings.audio.input)
        self.settings = settings
        if getattr(self._turn_detection, "idle_timeout_ms", None) is None:
            self._await_nobody()
        self._send(say.SessionUpdated(session=self._shown()))

    def _shown(self) -> Json:
        return self.settings.to_json() | {"id": self.id, "expires_at": int(self._expires_at)}

    @property
    def _turn_detection(self) -> Any:
        return self.settings.audio.input.turn_detection

    def _decoded(self, audio: str, param: str) -> Samples:
        """Of an item: whole samples alone."""
        wire = self._ear.buffer.wire
        data = decoded(audio, wire, param)
        if len(data) % wire.sample_bytes:
            raise invalid_value(param, f"Invalid '{param}'. Its last sample is not whole.")
        return wire.decode(data)

    def _tell(self, fault: Fault, event_id: str | None) -> None:
        told = self._beta.translate(fault) if self._beta else fault
        details = say.ErrorDetails(
            type=told.kind, code=told.code, message=told.message, param=told.param, event_id=event_id
        )
        self._send(say.Error(error=details))

    def _send(self, event: say.ServerEvent) -> None:
        if self.over:
            return
        sent = event.to_json(f"event_{new_id()}")
        if (told := self._beta.write(sent) if self._beta else sent) is not None:
            self._outbox.send(told)
