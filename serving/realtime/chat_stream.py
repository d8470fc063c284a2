"""The bytes of a streamed chat completion → pieces of a reply. Knows no address, no message and no deadline.

Server-sent events, each a JSON object with what is new in the first choice, the last one "[DONE]". Servers differ: one
leaves out the numbers or the ids of calls, one sends a call whole, one ends without "[DONE]".
Source: OpenAI's API reference, "chat/completions/streaming".
"""

import json
from collections.abc import AsyncGenerator, AsyncIterable, Iterator
from typing import Any

from models.errors import GenerationFailed, printable
from serving.realtime.fields import Json
from serving.realtime.reply import CallPart, CutShort, Piece, ReplyEnd, Words
from serving.storage.ids import new_id

LONGEST_LINE = 1 << 20  # bytes of one event
LONGEST_TEXT = 1 << 16  # characters of an answer: an hour of speech
LONGEST_ARGUMENTS = 1 << 20  # characters, of all its calls
MOST_CALLS = 128
LONGEST_SHOWN = 500  # characters of a server's own words
DONE = "[DONE]"
_CUT_SHORT: dict[str, CutShort] = {"length": "max_output_tokens", "content_filter": "content_filter"}


async def data_of(chunks: AsyncIterable[bytes]) -> AsyncGenerator[str]:
    """What stands behind each "data:", however the bytes are cut. Raises GenerationFailed for a line without an end."""
    held = b""
    async for chunk in chunks:
        *lines, held = (held + chunk).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                yield line.removeprefix(b"data:").strip().decode(errors="replace")
        if len(held) > LONGEST_LINE:
            raise GenerationFailed(f"The chat server sent an event of more than {LONGEST_LINE} bytes.")


class ReplyReader:
    """Of one answer: the data of an event → the pieces in it, until it is `done`; then its `end`.

    Raises GenerationFailed for what is no event of an answer, and with the server's own words where it tells of an
    error.
    """

    def __init__(self) -> None:
        self.done = False
        self._finish: str | None = None
        self._usage: Json = {}
        self._letters = self._argument_letters = 0
        self._calls: list[tuple[Any, str, str]] = []  # the server's number, the id, the name

    @property
    def has_ended(self) -> bool:
        """Whether the text and the calls are whole."""
        return self._finish is not None

    def read(self, data: str) -> Iterator[Piece]:
        if data == DONE:
            self.done = True
            return
        try:
            event = json.loads(data)
            if told := error_of(event):
                raise GenerationFailed(f"The chat server broke off: {told}")
            yield from self._pieces(event)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise GenerationFailed(f"The chat server sent no event of an answer: {printable(data)!r}.") from error

    def end(self) -> ReplyEnd:
        """Raises GenerationFailed where it has broken off."""
        if self._finish is None and not self.done:
            raise GenerationFailed("The chat server's answer broke off.")
        counts = [self._usage.get(name) for name in ("prompt_tokens", "completion_tokens")]
        read, written = (count if isinstance(count, int) else 0 for count in counts)
        return ReplyEnd(_CUT_SHORT.get(self._finish or ""), read, written)

    def _pieces(self, event: Json) -> Iterator[Piece]:
        self._usage = event.get("usage") or self._usage
        for choice in event["choices"][:1]:
            delta = choice.get("delta") or {}
            for text in (delta.get("content"), delta.get("refusal")):
                if text:
                    yield self._words(text)
            for call in delta.get("tool_calls") or []:
                yield self._call_part(call)
            self._finish = choice.get("finish_reason") or self._finish

    def _words(self, text: Any) -> Words:
        if not isinstance(text, str):
            raise TypeError(text)
        self._letters += len(text)
        if self._letters > LONGEST_TEXT:
            raise GenerationFailed(f"The chat server's answer has more than {LONGEST_TEXT} characters.")
        return Words(text)

    def _call_part(self, call: Json) -> CallPart:
        function = call.get("function") or {}
        place = self._place(call, str(function.get("name") or ""))
        arguments = str(function.get("arguments") or "")
        self._argument_letters += len(arguments)
        if self._argument_letters > LONGEST_ARGUMENTS:
            raise GenerationFailed(f"The chat server's calls have more than {LONGEST_ARGUMENTS} characters.")
        _, call_id, name = self._calls[place]
        return CallPart(place, call_id, name, arguments)

    def _place(self, call: Json, name: str) -> int:
        """Which call this is a piece of: the one of its number, unless it is a new one under an old number."""
        number, call_id = call.get("index"), call.get("id")
        for place, (known, known_id, _) in reversed([*enumerate(self._calls)]):
            if number == known and (not call_id or call_id == known_id) and not (number is None and name):
                return place
        if not name:
            raise KeyError("name")
        if len(self._calls) >= MOST_CALLS:
            raise GenerationFailed(f"The chat server's answer calls more than {MOST_CALLS} functions.")
        self._calls.append((number, str(call_id or f"call_{new_id()}"), name))
        return len(self._calls) - 1


def error_of(answer: Any) -> str:
    """What a server says went wrong, shortened; "" where it says nothing. Both OpenAI's form and plainer ones."""
    error = answer.get("error") if isinstance(answer, dict) else None
    words = error.get("message") if isinstance(error, dict) else error
    return printable(str(words), LONGEST_SHOWN) if words else ""
