"""What a session has others do for it: listen, transcribe, think, speak. It knows them by these shapes alone."""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from models.request import Codes
from serving.realtime.audio_formats import Samples, Sound, WireFormat
from serving.realtime.drawn_voice import DrawnVoice
from serving.realtime.fields import Json
from serving.realtime.reply import ChatOrder, Reply
from serving.realtime.settings import Transcription
from serving.realtime.turns import Detector

HEARING_RATE = 16_000  # Hz, of what is transcribed and judged


class Denoiser(Protocol):
    """A stream at 24 kHz: as many samples come out as go in, some of them later."""

    def push(self, samples: Sound) -> Sound: ...

    def flush(self) -> Sound: ...


class Token(Protocol):
    """Of a transcript. data: its bytes, of UTF-8."""

    @property
    def data(self) -> bytes: ...

    @property
    def text(self) -> str: ...

    @property
    def logprob(self) -> float: ...


class Segment(Protocol):
    """A sentence or so. start, end: seconds. tokens: None where they were not asked for."""

    @property
    def text(self) -> str: ...

    @property
    def start(self) -> float: ...

    @property
    def end(self) -> float: ...

    @property
    def tokens(self) -> Sequence[Token] | None: ...


@dataclass(frozen=True, eq=False)
class VoicePrompt:
    """A recording to speak like: the bytes of a file, and the words it says, "[S1] …"; "" where nobody has said.

    file: the id under which it is stored, if it is.
    """

    audio: bytes
    transcript: str
    file: str | None = None


@dataclass(frozen=True)
class NamedVoice:
    """What a name stands for: a speaker of the model's own, "[S1]" or "[S2]", or a recording, which is "[S1]" then."""

    speaker: str
    prompt: VoicePrompt | None = None


@dataclass(frozen=True, eq=False)
class HandedOn:
    """By one thing that was said, for the next in the same voice. codes: [N, K], to go on without a seam.

    voice: that of a model that draws a new one for each text.
    """

    codes: Codes
    voice: DrawnVoice | None = None


@dataclass(frozen=True, eq=False)
class SpeechOrder:
    """One thing to say. speed: 0.25–4, the pitch is kept. continues: what was said before it handed on.

    when_over: takes what is to be called, from any thread, as soon as nobody wants to hear it any more.
    """

    id: str
    text: str
    prompt: VoicePrompt | None
    wire: WireFormat
    speed: float = 1.0
    most_tokens: int | None = None
    continues: HandedOn | None = None
    when_over: Callable[[Callable[[], object]], None] = lambda stop: None


@dataclass(frozen=True, eq=False)
class Spoken:
    """The next piece of it. samples: at the rate of the order's wire, perhaps none. progress: 0–1 of the whole.

    tokens: generated so far. continues: for what is said after it. cut_short: the last piece's, where a limit ended it.
    """

    samples: Samples
    progress: float
    tokens: int
    continues: HandedOn | None = None
    cut_short: bool = False


class Workers(Protocol):
    """Of one session. What blocks is only called in the background."""

    def detector(self, rate: int) -> Detector: ...

    def denoiser(self, field: str) -> Denoiser: ...

    def finished(self, turn: Sound) -> float | None:
        """How likely a turn, at 16 kHz, is over; None: nobody here can tell. Blocks a tenth of a second."""
        ...

    def transcribe(self, sound: Sound, wanted: Transcription, *, with_tokens: bool) -> Iterator[Segment]:
        """What is said in audio at 16 kHz. Blocks; raises ParleyError."""
        ...

    def voice(self, name: str) -> NamedVoice:
        """Blocks; raises InvalidRequest for a name that is nobody's."""
        ...

    def speak(self, order: SpeechOrder) -> Generator[Spoken]:
        """Blocks; closing it stops the speech. Raises ParleyError."""
        ...

    @property
    def chats(self) -> bool:
        """Whether a language model says what a response is to say."""
        ...

    def chat(self, order: ChatOrder) -> Reply:
        """Where it does. Does not block."""
        ...

    def listen_in_background(self, job: Callable[[], None]) -> None: ...

    def speak_in_background(self, job: Callable[[], None]) -> None: ...

    def count_response(self) -> None:
        """Raises ParleyError or RateLimited where this caller has had as many as it may."""
        ...

    def rate_limits(self) -> list[Json]: ...


class Outbox(Protocol):
    """Where events go on their way to the client. Both may be called from any thread."""

    def send(self, event: Json) -> None: ...

    def drop_deltas(self, response_id: str) -> None:
        """Forget those of this response that have not left yet."""
        ...


def pieces_of(samples: Samples, longest: int) -> Iterable[Samples]:
    """Cut into pieces of at most so many samples."""
    return (samples[start : start + longest] for start in range(0, len(samples), longest))
