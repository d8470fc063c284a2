"""One response: what it has put out so far, and its events in the order that clients rely on. Knows no model.

created → of each output (outputs) what is told of it → done. An output begins with its first sound, so that what fails
before leaves none behind; once it has begun every `done` follows, also where the response is cancelled.
"""

from collections.abc import Callable
from typing import Literal

from models.errors import GenerationFailed
from serving.realtime import server_events as say
from serving.realtime.audio_formats import WireFormat
from serving.realtime.client_events import ResponseParams
from serving.realtime.conversation import Conversation
from serving.realtime.fields import Json
from serving.realtime.outputs import AnyOutput, CallOutput, MessageOutput, Place
from serving.realtime.reply import CallPart
from serving.realtime.settings import RealtimeSettings, VoiceId, wire_of
from serving.realtime.workers import HandedOn, Spoken
from serving.storage.ids import new_id

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
        self.input_tokens = 0
        self.text_tokens: int | None = None  # of the answer's words, where somebody has counted them
        self.over = False
        self.tokens = 0  # of speech
        self.passages = 0  # that have been begun
        self.handed_on: HandedOn | None = None  # by the last of them, for the next to go on without a seam
        self._stops: list[Callable[[], object]] = []  # for whoever works for it
        self._tokens_before = 0  # those of the passages before the one that is being spoken
        self._outputs: list[AnyOutput] = []  # the last may still be going on
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
        return sum(output.seconds for output in self._outputs if isinstance(output, MessageOutput))

    def to_json(self) -> Json:
        return {
            "object": "realtime.response",
            "id": self.id,
            "status": self._status,
            "status_details": self._details,
            "output": [output.item.to_json() for output in self._outputs if output.is_begun and self.over],
            "conversation_id": self.conversation.id if self.conversation is not None else None,
            "output_modalities": self.modalities,
            "max_output_tokens": self.most_tokens,
            "audio": {"output": {"format": self.wire.to_json(), "voice": self._voice_shown}},
            "usage": self._usage,
            "metadata": self.params.metadata,
        }

    @property
    def tokens_left(self) -> int | None:
        """Of speech, until the limit; None: there is none."""
        return self.most_tokens - self.tokens if isinstance(self.most_tokens, int) else None

    def write(self, text: str) -> None:
        """More of its text, where nobody is to hear it."""
        self._message().write(text)

    def begin_passage(self, text: str) -> None:
        """More of its text, whose sound comes next."""
        self.passages += 1
        self._tokens_before = self.tokens
        self._message().begin_passage(text)

    def take(self, spoken: Spoken) -> None:
        """The next piece of the passage's sound."""
        self.tokens = self._tokens_before + spoken.tokens
        if len(spoken.samples):
            self._message().take(spoken.samples, spoken.progress)

    def call(self, part: CallPart) -> None:
        """The next piece of a call. Raises GenerationFailed for one of a call that is over."""
        last = self._outputs[-1] if self._outputs else None
        if not isinstance(last, CallOutput) or last.number != part.number:
            if any(isinstance(output, CallOutput) and output.number == part.number for output in self._outputs):
                raise GenerationFailed("The chat server went on with a call that it had left.")
            self._end_last(is_whole=True)
            last = CallOutput(self._next_place, part)
            self._outputs.append(last)
        last.take(part.arguments)

    def end(self, status: Status, reason: str | None = None, error: Json | None = None) -> None:
        """Exactly once. reason: of a response that is cancelled or incomplete; error: of one that failed."""
        assert not self.over, self.id
        self.give_up()
        self._status = status
        if status != "completed":
            told = {"reason": reason} if reason else {"error": error} if error else {}
            self._details = {"type": status, **told}
        self._end_last(is_whole=status == "completed")
        self._usage = self._used()
        self._send(say.ResponseDone(response=self.to_json()))

    def give_up(self) -> None:
        """It is over, and nobody is told."""
        self.over = True
        for stop in self._stops:
            stop()

    def when_over(self, stop: Callable[[], object]) -> None:
        """To be called as soon as it is, whichever way; at once where it is already."""
        if self.over:
            stop()
        else:
            self._stops.append(stop)

    def _message(self) -> MessageOutput:
        """The one that is going on, or the next."""
        if self._outputs and isinstance(last := self._outputs[-1], MessageOutput):
            return last
        self._end_last(is_whole=True)
        message = MessageOutput(self._next_place, self.wire if self.is_spoken else None)
        self._outputs.append(message)
        return message

    def _end_last(self, *, is_whole: bool) -> None:
        if self._outputs:
            self._outputs[-1].end(is_whole=is_whole)

    @property
    def _next_place(self) -> Place:
        number = sum(output.is_begun for output in self._outputs)
        return Place(self.id, number, self.conversation, self._send)

    @property
    def _voice_shown(self) -> str:
        """Clients know no object here."""
        return self.voice.id if isinstance(self.voice, VoiceId) else self.voice

    def _used(self) -> Json:
        output_text = self._text_tokens
        return {
            "total_tokens": self.input_tokens + self.tokens + output_text,
            "input_tokens": self.input_tokens,
            "output_tokens": self.tokens + output_text,
            "input_token_details": {"text_tokens": self.input_tokens, "audio_tokens": 0, "cached_tokens": 0},
            "output_token_details": {"text_tokens": output_text, "audio_tokens": self.tokens},
        }

    @property
    def _text_tokens(self) -> int:
        """Where nobody has counted them, a written character is one."""
        if self.text_tokens is not None or self.is_spoken:
            return self.text_tokens or 0
        return sum(output.said for output in self._outputs if isinstance(output, MessageOutput))
