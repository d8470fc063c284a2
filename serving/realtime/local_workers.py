"""The workers of this process: models that listen, the engine that speaks, voices of the database.

A process that only serves HTTP, or sends its work to containers, has no engine: there the queue speaks, as it does for
the other doors.
"""

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from models.engine import Engine
from models.errors import EngineClosed, InvalidRequest
from models.listening.denoise import open_denoiser
from models.listening.transcribe import Segment, shared_transcriber
from models.listening.turns import EndOfTurn
from models.listening.vad import SpeechDetector
from serving.catalog import DIA
from serving.rate_limit import RateLimit
from serving.realtime.audio_formats import Sound
from serving.realtime.chat import ChatServer
from serving.realtime.fields import Json
from serving.realtime.queued_speech import QueuedSpeech
from serving.realtime.recognisers import recogniser_named
from serving.realtime.reply import ChatOrder, Reply
from serving.realtime.settings import Transcription
from serving.realtime.speech import speak
from serving.realtime.workers import Denoiser, NamedVoice, SpeechOrder, Spoken, VoicePrompt
from serving.service import Service
from serving.storage.voices import BUILT_IN, SPEAKERS, Voice
from serving.work.backend import EngineBackend

MOST_SPEAKING = 64  # responses at once in this process; each waits for the engine in a thread of its own


class Background:
    """Threads for what takes long, of all sessions of a process: one that listens, many that wait for the engine."""

    def __init__(self) -> None:
        self.listening = ThreadPoolExecutor(1, "transcribing")  # the model takes all cores it may have
        self.speaking = ThreadPoolExecutor(MOST_SPEAKING, "speaking")

    def close(self) -> None:
        for pool in (self.listening, self.speaking):
            pool.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True)
class LocalWorkers:
    """Of one session. owner: whose it is, whose voices it may name, whose responses are counted."""

    service: Service
    owner: str
    background: Background
    responses: RateLimit
    queued: QueuedSpeech
    chat_server: ChatServer | None = None

    def detector(self, rate: int) -> SpeechDetector:
        return SpeechDetector(rate)

    def denoiser(self, field: str) -> Denoiser:
        return open_denoiser(field)

    def finished(self, turn: Sound) -> float | None:
        return EndOfTurn().probability(turn)

    def transcribe(self, sound: Sound, wanted: Transcription, *, with_tokens: bool) -> Iterator[Segment]:
        transcriber = shared_transcriber(recogniser_named(wanted.model))
        return transcriber.transcribe(
            sound,
            wanted.language,
            wanted.prompt,
            wanted.keywords or (),
            languages=wanted.languages or (),
            with_tokens=with_tokens,
        )

    def voice(self, name: str) -> NamedVoice:
        if speaker := SPEAKERS.get(name.lower()):
            return NamedVoice(speaker)
        voice = self.service.voices.find(self.owner, name)
        if voice is None:
            stored = [voice.name for voice in self.service.voices.of(self.owner)]
            raise InvalidRequest("voice", f"is {name[:60]!r}; there are {', '.join([*stored, *SPEAKERS])}.")
        return NamedVoice(BUILT_IN["s1"], self._prompt(voice))

    def speak(self, order: SpeechOrder) -> Generator[Spoken]:
        engine = self._engine
        return speak(order, engine) if engine is not None else self.queued.speak(order)

    @property
    def chats(self) -> bool:
        return self.chat_server is not None

    def chat(self, order: ChatOrder) -> Reply:
        assert self.chat_server is not None
        return self.chat_server.reply(order)

    def listen_in_background(self, job: Callable[[], None]) -> None:
        self.background.listening.submit(job)

    def speak_in_background(self, job: Callable[[], None]) -> None:
        self.background.speaking.submit(job)

    def count_response(self) -> None:
        self.responses.count(self.owner)

    def rate_limits(self) -> list[Json]:
        limit, remaining, seconds = self.responses.state(self.owner)
        return [{"name": "requests", "limit": limit, "remaining": remaining, "reset_seconds": seconds}]

    def _prompt(self, voice: Voice) -> VoicePrompt:
        """Where nobody has written down what it says, whoever speaks listens to it."""
        file = self.service.files.get(voice.file)
        if file is None:
            raise InvalidRequest("voice", f"is {voice.name!r}, whose recording has been deleted.")
        return VoicePrompt(b"".join(self.service.files.read(file)), voice.transcript, voice.file)

    @property
    def _engine(self) -> Engine | None:
        """None: others make what is spoken. Raises EngineClosed."""
        worker = self.service.worker
        if worker is None:
            return None
        if worker.backends is None:
            raise EngineClosed("The model is still being loaded. Try again soon.")
        backend = worker.backends.get(DIA.full_name)
        return backend.engine if isinstance(backend, EngineBackend) else None
