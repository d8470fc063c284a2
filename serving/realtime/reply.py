"""What a language model is asked for a response, and the pieces of what it answers. Knows no server and no session."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from serving.realtime.fields import Json

CutShort = Literal["max_output_tokens", "content_filter"]


@dataclass(frozen=True)
class ChatOrder:
    """In the words of OpenAI's chat completions. most_tokens: of the answer's text; None: as many as the model likes.

    tool_choice: as that API has it; parallel_tool_calls, reasoning_effort: None where nobody has asked for any.
    """

    messages: list[Json]
    tools: list[Json]
    tool_choice: Any = "auto"
    parallel_tool_calls: bool | None = None
    reasoning_effort: str | None = None
    most_tokens: int | None = None


@dataclass(frozen=True)
class Words:
    """The next piece of the text."""

    text: str


@dataclass(frozen=True)
class CallPart:
    """The next piece of a call of a function: of its arguments, JSON when they are whole. number: which call it is."""

    number: int
    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True)
class ReplyEnd:
    """The last piece. cut_short: why it is not whole; tokens: as the model's server counts them, 0 if it does not."""

    cut_short: CutShort | None = None
    input_tokens: int = 0
    output_tokens: int = 0


Piece = Words | CallPart | ReplyEnd


class Reply(Protocol):
    """Being written: begun when it is made, whether anybody reads it or not."""

    def __iter__(self) -> Iterator[Piece]:
        """Blocks for each; ends where it is stopped. Raises ParleyError."""
        ...

    def stop(self) -> None:
        """Nobody wants more of it. From any thread, and as often as one likes."""
        ...
