"""Every event that the service sends, in the GA dialect. What a client reads is `to_json`, with an id of its own.

Sessions, items and responses are JSON by the time they are in an event: what they are is said in settings,
conversation and response.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from serving.realtime.fields import Json


class ServerEvent(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Any  # a Literal in each

    def to_json(self, event_id: str) -> Json:
        return {"type": self.type, "event_id": event_id, **self.model_dump(exclude={"type"})}


# The session


class SessionCreated(ServerEvent):
    type: Literal["session.created"] = "session.created"
    session: Json


class SessionUpdated(ServerEvent):
    type: Literal["session.updated"] = "session.updated"
    session: Json


class ErrorDetails(BaseModel):
    """event_id: of the client's event that is wrong, where it had one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str
    code: str | None
    message: str
    param: str | None
    event_id: str | None = None


class Error(ServerEvent):
    type: Literal["error"] = "error"
    error: ErrorDetails


class RateLimits(ServerEvent):
    type: Literal["rate_limits.updated"] = "rate_limits.updated"
    rate_limits: list[Json]


# The input audio buffer. Positions count all audio written in the session.


class Committed(ServerEvent):
    type: Literal["input_audio_buffer.committed"] = "input_audio_buffer.committed"
    previous_item_id: str | None
    item_id: str


class Cleared(ServerEvent):
    type: Literal["input_audio_buffer.cleared"] = "input_audio_buffer.cleared"


class SpeechStarted(ServerEvent):
    type: Literal["input_audio_buffer.speech_started"] = "input_audio_buffer.speech_started"
    audio_start_ms: int
    item_id: str


class SpeechStopped(ServerEvent):
    type: Literal["input_audio_buffer.speech_stopped"] = "input_audio_buffer.speech_stopped"
    audio_end_ms: int
    item_id: str


class TimeoutTriggered(ServerEvent):
    type: Literal["input_audio_buffer.timeout_triggered"] = "input_audio_buffer.timeout_triggered"
    audio_start_ms: int
    audio_end_ms: int
    item_id: str


# The conversation


class ItemAdded(ServerEvent):
    type: Literal["conversation.item.added"] = "conversation.item.added"
    previous_item_id: str | None
    item: Json


class ItemDone(ServerEvent):
    type: Literal["conversation.item.done"] = "conversation.item.done"
    previous_item_id: str | None
    item: Json


class ItemRetrieved(ServerEvent):
    type: Literal["conversation.item.retrieved"] = "conversation.item.retrieved"
    item: Json


class ItemDeleted(ServerEvent):
    type: Literal["conversation.item.deleted"] = "conversation.item.deleted"
    item_id: str


class ItemTruncated(ServerEvent):
    type: Literal["conversation.item.truncated"] = "conversation.item.truncated"
    item_id: str
    content_index: int
    audio_end_ms: int


class Logprob(BaseModel):
    """Of a token of a transcript. bytes: of UTF-8; token: the same as text, as far as they are whole characters."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    token: str
    bytes: list[int]
    logprob: float


Logprobs = Annotated[list[Logprob] | None, Field(exclude_if=lambda value: value is None)]  # where they are asked for


class TranscriptionDelta(ServerEvent):
    type: Literal["conversation.item.input_audio_transcription.delta"] = (
        "conversation.item.input_audio_transcription.delta"
    )
    item_id: str
    content_index: int = 0
    delta: str
    logprobs: Logprobs = None


class TranscriptionSegment(ServerEvent):
    """Seconds from the start of the item's audio. speaker: empty, for nobody here tells speakers apart."""

    type: Literal["conversation.item.input_audio_transcription.segment"] = (
        "conversation.item.input_audio_transcription.segment"
    )
    item_id: str
    content_index: int = 0
    id: str
    text: str
    speaker: str = ""
    start: float
    end: float


class TranscriptionCompleted(ServerEvent):
    type: Literal["conversation.item.input_audio_transcription.completed"] = (
        "conversation.item.input_audio_transcription.completed"
    )
    item_id: str
    content_index: int = 0
    transcript: str
    usage: Json
    logprobs: Logprobs = None


class TranscriptionFailed(ServerEvent):
    type: Literal["conversation.item.input_audio_transcription.failed"] = (
        "conversation.item.input_audio_transcription.failed"
    )
    item_id: str
    content_index: int = 0
    error: Json


# Responses


class ResponseCreated(ServerEvent):
    type: Literal["response.created"] = "response.created"
    response: Json


class ResponseDone(ServerEvent):
    type: Literal["response.done"] = "response.done"
    response: Json


class _OfResponse(ServerEvent):
    response_id: str
    output_index: int = 0


class OutputItemAdded(_OfResponse):
    type: Literal["response.output_item.added"] = "response.output_item.added"
    item: Json


class OutputItemDone(_OfResponse):
    type: Literal["response.output_item.done"] = "response.output_item.done"
    item: Json


class _OfPart(_OfResponse):
    is_delta: ClassVar[bool] = False  # whether it may be dropped when its response is cut short
    item_id: str
    content_index: int = 0


class PartAdded(_OfPart):
    type: Literal["response.content_part.added"] = "response.content_part.added"
    part: Json


class PartDone(_OfPart):
    type: Literal["response.content_part.done"] = "response.content_part.done"
    part: Json


class AudioDelta(_OfPart):
    is_delta: ClassVar[bool] = True
    type: Literal["response.output_audio.delta"] = "response.output_audio.delta"
    delta: str  # base64 of the output format


class AudioDone(_OfPart):
    type: Literal["response.output_audio.done"] = "response.output_audio.done"


class TranscriptDelta(_OfPart):
    type: Literal["response.output_audio_transcript.delta"] = "response.output_audio_transcript.delta"
    delta: str


class TranscriptDone(_OfPart):
    type: Literal["response.output_audio_transcript.done"] = "response.output_audio_transcript.done"
    transcript: str


class TextDelta(_OfPart):
    type: Literal["response.output_text.delta"] = "response.output_text.delta"
    delta: str


class TextDone(_OfPart):
    type: Literal["response.output_text.done"] = "response.output_text.done"
    text: str


class ArgumentsDelta(_OfResponse):
    type: Literal["response.function_call_arguments.delta"] = "response.function_call_arguments.delta"
    item_id: str
    call_id: str
    delta: str


class ArgumentsDone(_OfResponse):
    type: Literal["response.function_call_arguments.done"] = "response.function_call_arguments.done"
    item_id: str
    call_id: str
    name: str
    arguments: str
