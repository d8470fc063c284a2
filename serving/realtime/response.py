"""One response: what it has said so far, and its events in the order that clients rely on. Knows no model.

created → output_item.added → item.added → content_part.added → deltas → audio.done → transcript.done →
content_part.done → item.done → output_item.done → done. Its item begins with its first sound, so that what fails
before leaves none behind; once it has begun every `done` follows, also where it is cancelled.
"""

import base64
import math
from collections.abc import Callable
from typing import Literal

import numpy as np

from serving.realtime import server_events as say
from serving.realtime.audio_formats import Samples, WireFormat
from serving.realtime.client_events import ResponseParams
from serving.realtime.conversation import Conversation, Item, Part, new_item_id
from serving.realtime.fields import Json
from serving.realtime.settings import RealtimeSettings, VoiceId, wire_of
from serving.realtime.workers import Spoken, pieces_of
from serving.storage.ids import new_id

DELTA_SECONDS = 0.2  # of audio in one event: 9,600 bytes of PCM

Status = Literal["completed", "cancelled", "failed", "incomplete"]


class Response:
    """In progress until `end`. `conversation`: the one it becomes a part of; None: it is out of band."""

    def __init__(
        self,
        params: ResponseParams,
        settings: RealtimeSettings,
        conversation: Conversation | None,
        send: Callable[[say.ServerEvent], None],
    ) -> None:
        output = params.audio.output
        self.id = f"resp_{new_id()}"
        self.params = params
        self.conversation = conversation
        self.wire: WireFormat = wire_of(output.format or settings.audio.output.format)
        self.voice: str | VoiceId = output.voice or settings.audio.output.voice
        self.speed = settings.audio.output.speed
        self.modalities = params.output_modalities or settings.output_modalities
        self.most_tokens = params.max_output_tokens or settings.max_output_tokens
        self.text = ""  # what it says; known before its first sound
        self.input_tokens = 0
        self.item: Item | None = None
        self.over = False
        self.tokens = 0
        self._said = 0  # characters of the transcript that have been sent
        self._pieces: list[Samples] = []
        self._status = "in_progress"
        self._details: Json | None = None
        self._usage: Json | None = None
        self._send = send
        send(say.ResponseCreated(response=self.to_json()))

    @property
    def is_spoken(self) -> bool:
        return "audio" in self.modalities

    @property
    def completed(self) -> bool:
        return self._status == "completed"

    @property
    def seconds(self) -> float:
        """Of audio that it has sent."""
        return sum(map(len, self._pieces)) / self.wire.rate

    def to_json(self) -> Json:
        return {
            "object": "realtime.response",
            "id": self.id,
            "status": self._status,
            "status_details": self._details,
            "output": [self.item.to_json()] if self.item is not None and self.over else [],
            "conversation_id": self.conversation.id if self.conversation is not None else None,
            "output_modalities": self.modalities,
            "max_output_tokens": self.most_tokens,
            "audio": {"output": {"format": self.wire.to_json(), "voice": self._voice_shown}},
            "usage": self._usage,
            "metadata": self.params.metadata,
        }

    def write(self) -> None:
        """All of its text at once, where nobody is to hear it."""
        self._begin()
        self._send_text(len(self.text))

    def take(self, spoken: Spoken) -> None:
        """The next piece of its sound, as events of at most 200 ms, the words that go with it in front."""
        self.tokens = spoken.tokens
        if not len(spoken.samples):
            return
        self._begin()
        self._send_text(math.ceil(spoken.progress * len(self.text)))
        for piece in pieces_of(spoken.samples, int(DELTA_SECONDS * self.wire.rate)):
            self._pieces.append(piece)
            delta = base64.b64encode(self.wire.encode(piece)).decode()
            self._send(say.AudioDelta(**self._place, delta=delta))

    def end(self, status: Status, reason: str | None = None, error: Json | None = None) -> None:
        """Exactly once. reason: of a response that is cancelled or incomplete; error: of one that failed."""
        assert not self.over, self.id
        self.over = True
        self._status = status
        if status != "completed":
            told = {"reason": reason} if reason else {"error": error} if error else {}
            self._details = {"type": status, **told}
        if self.item is not None:
            if status == "completed":
                self._send_text(len(self.text))
            self._end_item(self.item)
        self._usage = self._used()
        self._send(say.ResponseDone(response=self.to_json()))

    def _begin(self) -> None:
        if self.item is not None:
            return
        kind = "output_audio" if self.is_spoken else "output_text"
        self.item = item = Item(new_item_id(), role="assistant", status="in_progress")
        before = self.conversation.add(item) if self.conversation is not None else None
        self._send(say.OutputItemAdded(response_id=self.id, item=item.to_json()))
        if self.conversation is not None:
            self._send(say.ItemAdded(previous_item_id=before, item=item.to_json()))
        self._before = before
        item.parts.append(Part(kind, "", wire=self.wire))
        self._send(say.PartAdded(**self._place, part=self._part("")))

    def _end_item(self, item: Item) -> None:
        part, said = item.parts[0], self.text[: self._said]
        if part.is_audio:
            part.samples = np.concatenate(self._pieces) if self._pieces else None
            self._send(say.AudioDone(**self._place))
            self._send(say.TranscriptDone(**self._place, transcript=said))
        else:
            self._send(say.TextDone(**self._place, text=said))
        item.status = "completed" if self._status == "completed" else "incomplete"
        self._send(say.PartDone(**self._place, part=self._part(said)))
        if self.conversation is not None:
            self._send(say.ItemDone(previous_item_id=self._before, item=item.to_json()))
        self._send(say.OutputItemDone(response_id=self.id, item=item.to_json()))

    def _send_text(self, until: int) -> None:
        """Whole words only, unless it is the end."""
        if until < len(self.text):
            until = self.text.rfind(" ", 0, until + 1) + 1
        if until <= self._said:
            return
        delta, self._said = self.text[self._said : until], until
        assert self.item is not None
        self.item.parts[0].text = self.text[:until]
        event = say.TranscriptDelta if self.is_spoken else say.TextDelta
        self._send(event(**self._place, delta=delta))

    @property
    def _place(self) -> Json:
        assert self.item is not None
        return {"response_id": self.id, "item_id": self.item.id}

    def _part(self, said: str) -> Json:
        return {"type": "audio", "transcript": said} if self.is_spoken else {"type": "text", "text": said}

    @property
    def _voice_shown(self) -> str:
        """Clients know no object here."""
        return self.voice.id if isinstance(self.voice, VoiceId) else self.voice

    def _used(self) -> Json:
        output_text = self._said if not self.is_spoken else 0
        return {
            "total_tokens": self.input_tokens + self.tokens + output_text,
            "input_tokens": self.input_tokens,
            "output_tokens": self.tokens + output_text,
            "input_token_details": {"text_tokens": self.input_tokens, "audio_tokens": 0, "cached_tokens": 0},
            "output_token_details": {"text_tokens": output_text, "audio_tokens": self.tokens},
        }
