"""What a response puts out, one after the other: a message, spoken or written, or the call of a function.

Each begins with the first that there is of it, and is told as clients rely on it: output_item.added → item.added →
(content_part.added) → deltas → their done → (content_part.done) → item.done → output_item.done. Knows no model.
"""

import base64
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from serving.realtime import server_events as say
from serving.realtime.audio_formats import Samples, WireFormat
from serving.realtime.conversation import Conversation, Item, Part, new_item_id
from serving.realtime.fields import Json
from serving.realtime.reply import CallPart
from serving.realtime.workers import pieces_of

DELTA_SECONDS = 0.2  # of audio in one event: 9,600 bytes of PCM


@dataclass(frozen=True)
class Place:
    """Where it stands: in which response, as which of its outputs, in which conversation (None: out of band)."""

    response_id: str
    number: int
    conversation: Conversation | None
    send: Callable[[say.ServerEvent], None]


class _Output:
    def __init__(self, place: Place, item: Item) -> None:
        self.item = item
        self.is_begun = False  # then it has been told of, and `end` is to be called
        self._place, self._send = place, place.send
        self._before: str | None = None
        self._of_response: Json = {"response_id": place.response_id, "output_index": place.number}
        self._of_item: Json = {**self._of_response, "item_id": item.id}

    def _begin(self) -> None:
        self.is_begun = True
        if self._place.conversation is not None:
            self._before = self._place.conversation.add(self.item)
        self._send(say.OutputItemAdded(**self._of_response, item=self.item.to_json()))
        if self._place.conversation is not None:
            self._send(say.ItemAdded(previous_item_id=self._before, item=self.item.to_json()))

    def _end(self) -> None:
        if self._place.conversation is not None:
            self._place.conversation.weigh(self.item)
            self._send(say.ItemDone(previous_item_id=self._before, item=self.item.to_json()))
        self._send(say.OutputItemDone(**self._of_response, item=self.item.to_json()))


class MessageOutput(_Output):
    """text: all that it is to say, as far as that is written. It begins with its first sound, or written word."""

    def __init__(self, place: Place, wire: WireFormat | None) -> None:
        """wire: of its sound; None: it is only written."""
        super().__init__(place, Item(new_item_id(), role="assistant", status="in_progress", is_response=True))
        self._part = Part("output_text" if wire is None else "output_audio", "", wire=wire)
        self._sound = _Sound()
        self._passage = 0  # where the text begins that is being spoken
        self.text = ""
        self.said = 0  # characters that have been sent

    @property
    def seconds(self) -> float:
        """Of audio that it has sent."""
        return 0.0 if self._part.wire is None else self._sound.length / self._part.wire.rate

    def write(self, text: str) -> None:
        """More text that nobody is to hear."""
        self.text += text
        self._begin_once()
        self._send_text(len(self.text))

    def begin_passage(self, text: str) -> None:
        """More text, whose sound comes next."""
        self._passage = len(self.text)
        self.text += text

    def take(self, samples: Samples, progress: float) -> None:
        """The next piece of the passage's sound, as events of at most 200 ms, the words that go with it in front.

        progress: 0–1 of the passage.
        """
        assert self._part.wire is not None
        self._begin_once()
        until = self._passage + math.ceil(progress * (len(self.text) - self._passage))
        self._send_text(until)
        for piece in pieces_of(samples, int(DELTA_SECONDS * self._part.wire.rate)):
            delta = base64.b64encode(self._part.wire.encode(piece)).decode()
            self._send(say.AudioDelta(**self._of_item, delta=delta))
        self._sound.add(samples)
        self._part.grow(self._sound.so_far, until)

    def end(self, *, is_whole: bool) -> None:
        """is_whole: all of its text has been said, or was nothing that can be."""
        if is_whole and self.text.strip():
            self._begin_once()
            self._send_text(len(self.text))
        if not self.is_begun:
            return
        said = self.text[: self.said]
        if self._part.is_audio:
            self.item.words = None  # what was understood meanwhile is of a part of it
            if self._part.samples is not None:
                self._part.samples = self._part.samples.copy()  # without the room that it had to grow
            self._send(say.AudioDone(**self._of_item))
            self._send(say.TranscriptDone(**self._of_item, transcript=said))
        else:
            self._send(say.TextDone(**self._of_item, text=said))
        self.item.status = "completed" if is_whole else "incomplete"
        self._send(say.PartDone(**self._of_item, part=self._shown(said)))
        self._end()

    def _begin_once(self) -> None:
        if self.is_begun:
            return
        self._begin()
        self.item.parts.append(self._part)
        self._send(say.PartAdded(**self._of_item, part=self._shown("")))

    def _send_text(self, until: int) -> None:
        """Whole words only, unless it is the end."""
        if until < len(self.text):
            until = self.text.rfind(" ", 0, until + 1) + 1
        if until <= self.said:
            return
        delta, self.said = self.text[self.said : until], until
        if not self._part.is_cut:
            self._part.text = self.text[:until]
        event = say.TranscriptDelta if self._part.is_audio else say.TextDelta
        self._send(event(**self._of_item, delta=delta))

    def _shown(self, said: str) -> Json:
        return {"type": "audio", "transcript": said} if self._part.is_audio else {"type": "text", "text": said}


class _Sound:
    """Samples that grow by shares of what there is, so that adding costs what is added."""

    def __init__(self) -> None:
        self._held: Samples = np.zeros(0, np.int16)
        self.length = 0

    @property
    def so_far(self) -> Samples:
        """It stays as it is when more is added."""
        return self._held[: self.length]

    def add(self, samples: Samples) -> None:
        end = self.length + len(samples)
        if end > len(self._held):
            self._held = np.concatenate([self.so_far, np.zeros(end, np.int16)])
        self._held[self.length : end] = samples
        self.length = end


class CallOutput(_Output):
    """The call of a function, whose answer is the client's affair."""

    def __init__(self, place: Place, first: CallPart) -> None:
        fields = {"name": first.name, "arguments": "", "call_id": first.call_id}
        super().__init__(place, Item(new_item_id(), "function_call", status="in_progress", fields=fields))
        self.number = first.number
        self._of_call: Json = {**self._of_item, "call_id": first.call_id}
        self._begin()

    def take(self, arguments: str) -> None:
        if arguments:
            self.item.fields["arguments"] += arguments
            self._send(say.ArgumentsDelta(**self._of_call, delta=arguments))

    def end(self, *, is_whole: bool) -> None:
        self.item.status = "completed" if is_whole else "incomplete"
        fields = self.item.fields
        self._send(say.ArgumentsDone(**self._of_call, name=fields["name"], arguments=fields["arguments"]))
        self._end()


AnyOutput = MessageOutput | CallOutput
