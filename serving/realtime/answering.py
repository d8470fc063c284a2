"""What a response says comes about in the background, and is spoken: known beforehand, or written by a language model.

What is written is spoken passage by passage, while the rest is still being written. Knows no other response.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager

from models.errors import InvalidRequest
from serving.realtime.chat_messages import order_of, unheard
from serving.realtime.conversation import Conversation, Item
from serving.realtime.passages import Passages, spoken_form
from serving.realtime.reply import CallPart, CutShort, Reply, ReplyEnd, Words
from serving.realtime.response import Response
from serving.realtime.settings import RealtimeSettings
from serving.realtime.transcribing import Transcribing
from serving.realtime.voicing import Voicing
from serving.realtime.workers import NamedVoice, Workers


class Over(Exception):
    """The response has ended in the meantime: nobody wants to know."""


class Answering:
    """Of one session. Its methods block, are called without the lock, and give why the response is cut short, if it is.

    They raise ParleyError, and Over.
    """

    def __init__(
        self,
        workers: Workers,
        lock: AbstractContextManager[object],
        transcribing: Transcribing,
        conversation: Conversation,
    ) -> None:
        self._workers, self._lock, self._transcribing = workers, lock, transcribing
        self._voicing = Voicing(workers, lock, transcribing, conversation)
        self.has_spoken = False  # whether there is audio of the assistant's

    def say(self, response: Response, wanted: str | Item | None) -> CutShort | None:
        """A text, or once more what an item says."""
        text = self._text(wanted)
        if not response.is_spoken:
            with self._while_wanted(response):
                response.write(text)
            return None
        voice = self._voicing.voice_of(response)
        with self._while_wanted(response):
            response.input_tokens = len(text.encode())
            response.begin_passage(text)
        return self._speak(response, text, voice)

    def chat(self, response: Response, settings: RealtimeSettings, context: Sequence[Item]) -> CutShort | None:
        """What the language model answers."""
        self._hear(context)
        with self._while_wanted(response):
            order = order_of(response.params, settings, context)
        reply = self._workers.chat(order)
        try:
            with self._lock:
                response.when_over(reply.stop)
            return self._tell(response, reply)
        finally:
            reply.stop()

    def _text(self, wanted: str | Item | None) -> str:
        if isinstance(wanted, Item):
            with self._lock:
                words = self._transcribing.words_of(wanted)
            wanted = words.result()
        if not wanted or not wanted.strip():
            raise InvalidRequest(
                "response", "has nothing to say: give it instructions, or add an item with text, or one that speaks."
            )
        return wanted.strip()

    def _hear(self, context: Sequence[Item]) -> None:
        """Until it is known what everybody has said. Raises why not of what was said last, which is to be answered."""
        with self._lock:
            last = next((item for item in reversed(context) if item.role == "user"), None)
            words = [(item, self._transcribing.words_of(item)) for item in unheard(context)]
        for item, of_item in words:
            if (error := of_item.exception()) is not None and item is last:
                raise error

    def _tell(self, response: Response, reply: Reply) -> CutShort | None:
        voice = self._voicing.voice_of(response) if response.is_spoken else None
        passages = Passages()
        for piece in reply:
            cut_short: CutShort | None = None
            match piece:
                case Words() if voice is None:
                    with self._while_wanted(response):
                        response.write(piece.text)
                case Words():
                    cut_short = self._speak_all(response, passages.push(piece.text), voice)
                case CallPart():
                    cut_short = self._speak_all(response, passages.flush(), voice)
                    if cut_short is None:
                        with self._while_wanted(response):
                            response.call(piece)
                case ReplyEnd():
                    cut_short = self._speak_all(response, passages.flush(), voice)
                    with self._while_wanted(response):
                        response.input_tokens = piece.input_tokens
                        response.text_tokens = piece.output_tokens or None
                    return cut_short or piece.cut_short
            if cut_short is not None:
                return cut_short
        raise Over

    def _speak_all(self, response: Response, passages: Iterator[str], voice: NamedVoice | None) -> CutShort | None:
        """Until one is cut short. What holds no word is not spoken, but stands in the transcript."""
        if voice is None:
            return None
        for passage in passages:
            spoken = spoken_form(passage)
            with self._while_wanted(response):
                response.begin_passage(passage)
                left = response.tokens_left
            if spoken and left is not None and left <= 0:
                return "max_output_tokens"
            if spoken and (cut_short := self._speak(response, spoken, voice)):
                return cut_short
        return None

    def _speak(self, response: Response, text: str, voice: NamedVoice) -> CutShort | None:
        cut_short = False
        with closing(self._voicing.speak(response, text, voice)) as pieces:
            for spoken in pieces:
                with self._while_wanted(response):
                    response.take(spoken)
                    self.has_spoken |= len(spoken.samples) > 0
                    cut_short = spoken.cut_short
        return "max_output_tokens" if cut_short and response.tokens_left is not None else None

    @contextmanager
    def _while_wanted(self, response: Response) -> Iterator[None]:
        """With the lock. Raises Over where the response has ended."""
        with self._lock:
            if response.over:
                raise Over
            yield
