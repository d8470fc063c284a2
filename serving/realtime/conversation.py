"""A session's conversation: its items in order, what each says and sounds like. Knows no socket, no model, no event.

Memory is bounded: of the oldest items first the audio is forgotten, which from then on cannot be retrieved or spoken
with, then the items themselves.
"""

import base64
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from serving.realtime.audio_formats import Samples, WireFormat
from serving.realtime.faults import Fault, invalid_value
from serving.realtime.fields import Json
from serving.realtime.items import (
    AssistantMessage,
    FunctionCall,
    FunctionCallOutput,
    InputAudio,
    InputText,
    ItemReference,
    OutputAudio,
    OutputText,
    SystemMessage,
    UserMessage,
)
from serving.realtime.ledger import Ledger
from serving.storage.ids import new_id

MOST_ITEMS = 1000
MOST_AUDIO = 64 << 20  # bytes of 16-bit samples, of all items
MOST_TEXT = 8 << 20  # characters, of all items
ROOT = "root"  # stands for the place before the first item
_AUDIO_PARTS = ("input_audio", "output_audio")


@dataclass(eq=False)
class Part:
    """Of a message. text: what is written, or what the audio says as far as that is known.

    marks: of speech, how many characters of the text had been said by which sample. heard: what was left of the text
    when the audio was cut; about where, and so it is shown to no client. is_cut: what comes later is not of it.
    """

    type: str
    text: str | None
    samples: Samples | None = None
    wire: WireFormat | None = None
    marks: list[tuple[int, int]] = field(default_factory=list)
    heard: str | None = None
    is_cut: bool = False

    @property
    def is_audio(self) -> bool:
        return self.type in _AUDIO_PARTS

    @property
    def milliseconds(self) -> int:
        return 0 if self.samples is None or self.wire is None else 1000 * len(self.samples) // self.wire.rate

    @property
    def known(self) -> str | None:
        """What it says, for a language model to go on from."""
        return self.heard if self.text is None else self.text

    def grow(self, samples: Samples, letters: int) -> None:
        """All that has been said of it by now, and how much of the text that is."""
        if not self.is_cut:
            self.samples = samples
            self.marks.append((len(samples), letters))

    def cut(self, milliseconds: int) -> None:
        """To what was heard of it. Its words go, as nobody knows how far they went; `heard` has them to about there."""
        if self.samples is not None and self.wire is not None:
            end = self.wire.rate * milliseconds // 1000
            self.heard = self._said_by(end)
            self.samples = self.samples[:end].copy()
        elif milliseconds == 0:
            self.heard = ""
        self.text = None
        self.is_cut = True

    def _said_by(self, sample: int) -> str | None:
        """Whole words alone."""
        if (said := self.known) is None or self.samples is None:
            return None
        ends, letters = zip((0, 0), *(self.marks or [(len(self.samples), len(said))]), strict=True)
        end = min(len(said), int(np.interp(sample, ends, letters)))
        return said[:end] if end == len(said) else said[: said.rfind(" ", 0, end + 1) + 1]

    def to_json(self, *, with_audio: bool = False) -> Json:
        if not self.is_audio:
            return {"type": self.type, "text": self.text}
        shown: Json = {"type": self.type, "transcript": self.text}
        if with_audio and self.samples is not None and self.wire is not None:
            shown["audio"] = base64.b64encode(self.wire.encode(self.samples)).decode()
        return shown


@dataclass(eq=False)
class Item:
    """A message, or what a tool was asked or answered (`fields`). words: what its audio says, once that is known."""

    id: str
    type: str = "message"
    role: str = ""
    status: str = "completed"
    parts: list[Part] = field(default_factory=list)
    fields: Json = field(default_factory=dict)
    words: Future[str] | None = None
    silent: bool = False  # nobody speaks in its audio
    is_response: bool = False  # part of one of the session's own

    @property
    def audio(self) -> Part | None:
        """Its first part of audio that is still kept."""
        return next((part for part in self.parts if part.samples is not None), None)

    @property
    def written(self) -> str:
        """What is written in it, without what is only heard."""
        return "\n".join(part.text for part in self.parts if part.text and not part.is_audio)

    @property
    def heard(self) -> str:
        """What its audio says, as far as that is known."""
        return " ".join(part.text for part in self.parts if part.text and part.is_audio)

    @property
    def letters(self) -> int:
        return sum(len(part.text or "") for part in self.parts) + sum(len(str(value)) for value in self.fields.values())

    @property
    def audio_bytes(self) -> int:
        return sum(part.samples.nbytes for part in self.parts if part.samples is not None)

    def forget_audio(self) -> None:
        for part in self.parts:
            part.samples = None

    def to_json(self, *, with_audio: bool = False) -> Json:
        shown: Json = {"id": self.id, "object": "realtime.item", "type": self.type, "status": self.status}
        if self.type == "message":
            shown |= {"role": self.role, "content": [part.to_json(with_audio=with_audio) for part in self.parts]}
        return shown | self.fields


class Conversation:
    """Items in order. Raises Fault, and stays as it was, for what cannot be done.

    forgotten: is told the id of each item that goes because there are too many.
    """

    def __init__(self, forgotten: Callable[[str], None] = lambda item_id: None) -> None:
        self.id = f"conv_{new_id()}"
        self._forgotten = forgotten
        self._items: dict[str, Item] = {}  # in order
        self._ledger = Ledger[Item]()

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items.values())

    def __reversed__(self) -> Iterator[Item]:
        return reversed(self._items.values())

    def __len__(self) -> int:
        return len(self._items)

    def get(self, item_id: str) -> Item | None:
        return self._items.get(item_id)

    @property
    def last_id(self) -> str | None:
        return next(reversed(self._items), None)

    def add(self, item: Item, after: str | None = None) -> str | None:
        """Behind the item of the id `after`; "root": in front; None: at the end → the id of the one before it."""
        if item.id in self._items:
            raise invalid_value("item.id", f"Error adding item: an item with id '{item.id}' already exists.")
        if after in (None, self.last_id):
            before = self.last_id
            self._items[item.id] = item
        else:
            before = None if after == ROOT else after
            if before is not None and before not in self._items:
                raise invalid_value(
                    "previous_item_id", f"Error adding item: the previous item with id '{before}' does not exist."
                )
            order = list(self._items.values())
            order.insert(0 if before is None else 1 + list(self._items).index(before), item)
            self._items = {each.id: each for each in order}
        self._ledger.weigh(item)
        self._forget(item)
        return before

    def weigh(self, item: Item) -> None:
        """To be called where it may have grown; what is too much then goes with the next one that is added."""
        if self.get(item.id) is item:
            self._ledger.weigh(item)

    def retrieve(self, item_id: str) -> Item:
        return self._found(item_id, "retrieve", "retrieving")

    def context(self, given: Sequence[Any], wire: WireFormat, decode: Callable[[str, str], Samples]) -> list[Item]:
        """A response's own input: references to items of this conversation, and items that are not added to it."""
        items = []
        for number, sent in enumerate(given):
            path = f"response.input[{number}]"
            item = self.get(sent.id) if isinstance(sent, ItemReference) else item_of(sent, wire, decode, path)
            if item is None:
                told = f"Error referencing item: the item with id '{sent.id}' does not exist."
                raise invalid_value(f"{path}.id", told)
            items.append(item)
        return items

    def delete(self, item_id: str) -> None:
        """Its audio too: whoever still waits to transcribe it has none to hear."""
        self._drop(self._found(item_id, "delete", "deleting"))

    def truncate(self, item_id: str, content_index: int, audio_end_ms: int) -> None:
        """Cut what an assistant said to what was heard of it; its transcript goes."""
        item = self._found(item_id, "truncate", "truncating")
        if item.role != "assistant" or not any(part.is_audio for part in item.parts):
            raise invalid_value("item_id", "Error truncating item: only audio of the assistant can be truncated.")
        if content_index >= len(item.parts) or not item.parts[content_index].is_audio:
            raise invalid_value("content_index", f"Error truncating item: part {content_index} of it is no audio.")
        part = item.parts[content_index]
        if audio_end_ms > part.milliseconds:
            raise invalid_value(
                "audio_end_ms", f"Audio content of {part.milliseconds}ms is already shorter than {audio_end_ms}ms"
            )
        part.cut(audio_end_ms)
        item.words = None  # what was understood of it is of the whole
        self._ledger.weigh(item)

    def _found(self, item_id: str, verb: str, doing: str) -> Item:
        item = self._items.get(item_id)
        if item is None:
            code = f"item_{verb}_invalid_item_id"
            raise Fault(code, f"Error {doing} item: the item with id '{item_id[:64]}' does not exist.")
        return item

    def _forget(self, newest: Item) -> None:
        """What is too much, of the oldest; never anything of the newest item."""
        while self._ledger.audio > MOST_AUDIO and (item := self._ledger.first_heard(besides=newest)) is not None:
            item.forget_audio()
            self._ledger.weigh(item)
        while len(self) > 1 and (len(self) > MOST_ITEMS or self._ledger.letters > MOST_TEXT):
            oldest = next(item for item in self if item is not newest)
            self._drop(oldest)
            self._forgotten(oldest.id)

    def _drop(self, item: Item) -> None:
        del self._items[item.id]
        self._ledger.drop(item)
        item.forget_audio()


def new_item_id() -> str:
    return f"item_{new_id()}"


def item_of(sent: Any, wire: WireFormat, decode: Callable[[str, str], Samples], path: str = "item") -> Item:
    """A client's item (items.py) as one of ours. decode: base64 of audio, and its path → samples. Raises Fault."""
    item_id = sent.id or new_item_id()
    match sent:
        case FunctionCall():
            fields = {"name": sent.name, "arguments": sent.arguments, "call_id": sent.call_id or f"call_{new_id()}"}
            return Item(item_id, sent.type, status=sent.status, fields=fields)
        case FunctionCallOutput():
            return Item(item_id, sent.type, status=sent.status, fields={"call_id": sent.call_id, "output": sent.output})
        case UserMessage() | AssistantMessage() | SystemMessage():
            parts = [_part_of(part, f"{path}.content[{n}]", wire, decode) for n, part in enumerate(sent.content)]
            return Item(item_id, role=sent.role, status=sent.status, parts=parts)
    raise AssertionError(sent)


def _part_of(part: Any, path: str, wire: WireFormat, decode: Callable[[str, str], Samples]) -> Part:
    match part:
        case InputText() | OutputText():
            return Part(part.type, part.text)
        case InputAudio() | OutputAudio():
            samples = None if part.audio is None else decode(part.audio, f"{path}.audio")
            return Part(part.type, part.transcript, samples, wire)
    raise AssertionError(part)
