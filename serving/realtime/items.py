"""Items of a conversation as clients send them: messages, and what a tool was asked and answered. GA dialect."""

from typing import Annotated, Literal

from pydantic import Field

from serving.realtime.fields import Frozen

LONGEST_ID = 64  # characters
LONGEST_TEXT = 1 << 20  # characters of one text
MOST_PARTS = 64  # of one message
LONGEST_AUDIO = (15 << 20) * 4 // 3  # characters of base64

Id = Annotated[str, Field(min_length=1, max_length=LONGEST_ID)]
Text = Annotated[str, Field(max_length=LONGEST_TEXT)]
Base64 = Annotated[str, Field(max_length=LONGEST_AUDIO)]
Status = Literal["completed", "incomplete", "in_progress"]


class InputText(Frozen):
    type: Literal["input_text"]
    text: Text


class InputAudio(Frozen):
    """audio: in the session's input format. transcript: what it says, if the client knows."""

    type: Literal["input_audio"]
    audio: Base64 | None = None
    transcript: Text | None = None


class OutputText(Frozen):
    type: Literal["output_text"]
    text: Text


class OutputAudio(Frozen):
    type: Literal["output_audio"]
    audio: Base64 | None = None
    transcript: Text | None = None


class _Item(Frozen):
    id: Id | None = None
    object: Literal["realtime.item"] = "realtime.item"
    status: Status = "completed"


class UserMessage(_Item):
    type: Literal["message"]
    role: Literal["user"]
    content: list[Annotated[InputText | InputAudio, Field(discriminator="type")]] = Field(max_length=MOST_PARTS)


class AssistantMessage(_Item):
    type: Literal["message"]
    role: Literal["assistant"]
    content: list[Annotated[OutputText | OutputAudio, Field(discriminator="type")]] = Field(max_length=MOST_PARTS)


class SystemMessage(_Item):
    type: Literal["message"]
    role: Literal["system"]
    content: list[InputText] = Field(max_length=MOST_PARTS)


class FunctionCall(_Item):
    type: Literal["function_call"]
    name: Text
    arguments: Text
    call_id: Id | None = None


class FunctionCallOutput(_Item):
    type: Literal["function_call_output"]
    call_id: Id
    output: Text


class ItemReference(Frozen):
    """In the input of a response: an item that the conversation has."""

    type: Literal["item_reference"]
    id: Id


Message = Annotated[UserMessage | AssistantMessage | SystemMessage, Field(discriminator="role")]
Item = Annotated[Message | FunctionCall | FunctionCallOutput, Field(discriminator="type")]
InputItem = Annotated[Message | FunctionCall | FunctionCallOutput | ItemReference, Field(discriminator="type")]
