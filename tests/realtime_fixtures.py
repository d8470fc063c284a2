"""What the tests of the Realtime socket share: the openai package's own classes as judges of every event."""

from __future__ import annotations

import base64
import importlib
import json
import typing
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from pydantic import BaseModel

from models.errors import InvalidRequest, ParleyError
from models.listening.token_scores import Token
from serving.realtime.audio_formats import PCM, Sound, WireFormat
from serving.realtime.beta import BetaDialect
from serving.realtime.reply import ChatOrder, Piece
from serving.realtime.session import Session
from serving.realtime.settings import RealtimeSettings, Settings, Transcription
from serving.realtime.workers import HandedOn, NamedVoice, SpeechOrder, Spoken


@cache
def openai_classes(package: str) -> dict[str, type[BaseModel]]:
    """The class of each server event by its type, in "openai.types.realtime" or "openai.types.beta.realtime"."""
    module = importlib.import_module(f"{package}.realtime_server_event")
    union = typing.get_args(module.RealtimeServerEvent)[0]
    found = {}
    for event in typing.get_args(union):
        for name in typing.get_args(event.model_fields["type"].annotation):
            found[name] = event
    return found


def judge(event: dict[str, Any], *, beta: bool = False) -> None:
    """Raises where clients of OpenAI's, which check nothing themselves, would be given what they were not promised."""
    if event["type"].startswith("transcription_session."):
        # The client has no class for "created", and wants a secret, which by its docstring no socket sends.
        secret = {"client_secret": {"value": "ek_1", "expires_at": 1}}
        assert secret.keys().isdisjoint(event["session"])
        event = event | {"type": "transcription_session.updated", "session": event["session"] | secret}
    package = "openai.types.beta.realtime" if beta else "openai.types.realtime"
    known = openai_classes(package)
    assert event["type"] in known, f"{package} knows no {event['type']}"
    known[event["type"]].model_validate(event, strict=True)
    extras = event.keys() - known[event["type"]].model_fields.keys()
    assert not extras, f"{event['type']} has {extras}"


# A session without a socket


@dataclass
class Words:
    """A segment of a transcript, a second long, as one token."""

    text: str
    number: int = 0
    scored: bool = False

    @property
    def start(self) -> float:
        return float(self.number)

    @property
    def end(self) -> float:
        return self.number + 1.0

    @property
    def tokens(self) -> list[Token] | None:
        return [Token(f" {self.text}".encode(), -0.5 * (self.number + 1))] if self.scored else None


class Loudness:
    """A detector of speech for which all that is not silent is speech; a frame is 512 samples at 16 kHz."""

    def __init__(self, rate: int) -> None:
        self._frame = 512 * rate // 16_000
        self._held = np.zeros(0, np.float32)

    def push(self, samples: Sound) -> list[float]:
        self._held = np.concatenate([self._held, samples])
        whole = len(self._held) // self._frame * self._frame
        frames, self._held = self._held[:whole].reshape(-1, self._frame), self._held[whole:]
        return [0.95 if np.abs(frame).mean() > 0.01 else 0.02 for frame in frames]


class FakeWorkers:
    """Does in the background what `run` is called for, and nothing before. What it makes is as long as it is told."""

    def __init__(self) -> None:
        self.listening: deque[Callable[[], None]] = deque()
        self.talking: deque[Callable[[], None]] = deque()
        self.said: Iterable[str] | ParleyError = ["Good", "morning."]  # what is heard in any audio
        self.heard: list[tuple[int, Transcription]] = []  # samples at 16 kHz, and how they were to be heard
        self.orders: list[SpeechOrder] = []
        self.pieces: Iterable[float] | ParleyError = [0.3, 0.1]  # seconds
        self.before_piece: Callable[[int], None] = lambda number: None
        self.tells_tokens = True
        self.likely: float | None = None
        self.judged: list[int] = []  # lengths of the turns whose end was asked about
        self.refusal: ParleyError | None = None
        self.replies: Iterable[Piece | ParleyError] | None = (
            None  # what the language model answers; None: there is none
        )
        self.asked: list[ChatOrder] = []
        self.left = 0  # replies that were stopped before their end
        self._at_work = False
        self.stopped = 0  # orders that were not spoken to their end

    def detector(self, rate: int) -> Loudness:
        return Loudness(rate)

    def denoiser(self, field: str) -> Halved:
        return Halved()

    def finished(self, turn: Sound) -> float | None:
        self.judged.append(len(turn))
        return self.likely

    def transcribe(self, sound: Sound, wanted: Transcription, *, with_tokens: bool) -> Iterator[Words]:
        self.heard.append((len(sound), wanted))
        if isinstance(self.said, ParleyError):
            raise self.said
        return (Words(text, number, with_tokens and self.tells_tokens) for number, text in enumerate(self.said))

    def voice(self, name: str) -> NamedVoice:
        if name == "nobody":
            raise InvalidRequest("voice", "is 'nobody'.")
        return NamedVoice("[S2]" if name == "marin" else "[S1]")

    def speak(self, order: SpeechOrder) -> Generator[Spoken]:
        self.orders.append(order)
        if isinstance(self.pieces, ParleyError):
            raise self.pieces
        lengths = list(self.pieces)
        try:
            for number, seconds in enumerate(lengths, 1):
                self.before_piece(number)
                samples = np.full(round(seconds * order.wire.rate), 1000, np.int16)
                handed_on = HandedOn(np.full((1, 9), number))
                yield Spoken(samples, number / len(lengths), 86 * number, handed_on, cut_short=order.most_tokens == 1)
        except GeneratorExit:
            self.stopped += 1
            raise

    @property
    def chats(self) -> bool:
        return self.replies is not None

    def chat(self, order: ChatOrder) -> FakeReply:
        self.asked.append(order)
        assert self.replies is not None
        return FakeReply(self, list(self.replies))

    def listen_in_background(self, job: Callable[[], None]) -> None:
        """At once where a response is waiting for it in the only thread there is."""
        self.listening.append(job)
        if self._at_work:
            self.listening.pop()()

    def speak_in_background(self, job: Callable[[], None]) -> None:
        self.talking.append(job)

    def run(self) -> None:
        """All there is to do, listening first, until there is nothing."""
        self._at_work = True
        while self.listening or self.talking:
            (self.listening or self.talking).popleft()()
        self._at_work = False

    def count_response(self) -> None:
        if self.refusal is not None:
            raise self.refusal

    def rate_limits(self) -> list[dict[str, Any]]:
        return [{"name": "requests", "limit": 600, "remaining": 599, "reset_seconds": 0.1}]


class FakeReply:
    """Its pieces, until it is stopped. An error among them is raised."""

    def __init__(self, workers: FakeWorkers, pieces: list[Piece | ParleyError]) -> None:
        self._workers, self._pieces = workers, deque(pieces)

    def __iter__(self) -> Iterator[Piece]:
        while self._pieces:
            piece = self._pieces.popleft()
            if isinstance(piece, ParleyError):
                raise piece
            yield piece

    def stop(self) -> None:
        self._workers.left += bool(self._pieces)
        self._pieces.clear()


class Halved:
    """A denoiser that is ten samples late and halves what it hears."""

    def __init__(self) -> None:
        self._held = np.zeros(0, np.float32)

    def push(self, samples: Sound) -> Sound:
        held = np.concatenate([self._held, samples / 2])
        ready, self._held = held[:-10], held[-10:]
        return ready

    def flush(self) -> Sound:
        ready, self._held = self._held, np.zeros(0, np.float32)
        return ready


class Client:
    """Of a session without a socket. Every event that it is sent is judged; `told` are those not looked at yet."""

    def __init__(self, *, beta: bool = False, settings: Settings | None = None, names_model: bool = True) -> None:
        self.workers = FakeWorkers()
        self.now = 1_800_000_000.0
        self.told: list[dict[str, Any]] = []
        self._beta = beta
        dialect = BetaDialect() if beta else None
        self.session = Session(
            settings or RealtimeSettings(type="realtime"),
            self.workers,
            self,
            lambda: self.now,
            dialect,
            names_model=names_model,
        )
        self.created = self.told.pop()

    def send(self, event: dict[str, Any]) -> None:
        """As the session's outbox. What it gets is what JSON can say."""
        event = json.loads(json.dumps(event, allow_nan=False))
        judge(event, beta=self._beta)
        self.told.append(event)

    def drop_deltas(self, response_id: str) -> None:
        self.told = [
            event
            for event in self.told
            if not event["type"].endswith(".delta") or event.get("response_id") != response_id
        ]

    def says(self, kind: str, **fields: Any) -> list[dict[str, Any]]:
        """An event of the client's → what it is told at once."""
        self.session.receive(json.dumps({"type": kind, **fields}))
        return self.hears()

    def hears(self) -> list[dict[str, Any]]:
        """What it has been told since it last looked."""
        told, self.told = self.told, []
        return told

    def hears_after_work(self) -> list[dict[str, Any]]:
        self.workers.run()
        return self.hears()

    def updates(self, **session: Any) -> dict[str, Any]:
        (updated,) = self.says("session.update", session={"type": "realtime", **session})
        assert updated["type"] == "session.updated", updated
        return updated["session"]  # type: ignore[no-any-return]

    def listens_by_hand(self, **audio_input: Any) -> None:
        self.updates(audio={"input": {"turn_detection": None, **audio_input}})

    def appends(self, seconds: float, level: int = 0, wire: WireFormat = PCM) -> list[dict[str, Any]]:
        """So much of one level, in pieces of 20 ms. 0 is silence, 3000 is speech to the detector."""
        samples = np.full(round(seconds * wire.rate), level, np.int16)
        told = []
        for piece in np.split(samples, range(wire.rate // 50, len(samples), wire.rate // 50)):
            told += self.says("input_audio_buffer.append", audio=base64.b64encode(wire.encode(piece)).decode())
        return told

    def error(self, kind: str, **fields: Any) -> dict[str, Any]:
        """The one that an event of this kind is answered with."""
        (told,) = self.says(kind, event_id="event_mine", **fields)
        assert told["type"] == "error", told
        assert told["error"]["event_id"] == "event_mine"
        return told["error"]  # type: ignore[no-any-return]


def kinds(events: Iterable[dict[str, Any]]) -> list[str]:
    """Their types, in order, without the words that most begin with."""
    return [event["type"].removeprefix("conversation.").removeprefix("input_audio_buffer.") for event in events]


def only(events: Iterable[dict[str, Any]], kind: str) -> dict[str, Any]:
    (found,) = [event for event in events if event["type"] == kind]
    return found
