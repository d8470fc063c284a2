"""A passage of a response → pieces of speech, in the voice that the response has. Knows no event.

In one voice a passage goes on where the one before it ended, without a seam: of the same response, or of the one before
it in the conversation. A model that draws voices speaks like what it said there.
"""

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, closing
from functools import partial

from serving.realtime.conversation import Conversation
from serving.realtime.ear import hearable
from serving.realtime.response import Response
from serving.realtime.script import Recording, items_named, recordings_of, voice_of_recordings, with_speaker
from serving.realtime.settings import VoiceId
from serving.realtime.transcribing import SILENTLY, Transcribing
from serving.realtime.workers import HandedOn, NamedVoice, SpeechOrder, Spoken, Workers


class Voicing:
    """Of one session, whose lock it takes: its methods are called in the background, without it."""

    def __init__(
        self,
        workers: Workers,
        lock: AbstractContextManager[object],
        transcribing: Transcribing,
        conversation: Conversation,
    ) -> None:
        self._workers, self._lock = workers, lock
        self._transcribing, self._conversation = transcribing, conversation
        self._last: tuple[str | VoiceId, HandedOn] | None = None  # in the conversation: a voice, what it handed on

    def voice_of(self, response: Response) -> NamedVoice:
        """May wait for what an item says. Raises InvalidRequest."""
        with self._lock:
            recordings = recordings_of(items_named(response.voice, self._conversation))
            words = [None if one.is_cut else self._transcribing.words_of(one.item) for one in recordings]
        if recordings:
            pairs = zip(recordings, words, strict=True)
            return voice_of_recordings(
                recordings, [told.result() if told is not None else self._heard(one) for one, told in pairs]
            )
        return self._workers.voice(response.voice if isinstance(response.voice, str) else response.voice.id)

    def _heard(self, recording: Recording) -> str:
        """What is left of the words of an item when it is cut."""
        sound = hearable(recording.samples, recording.rate)
        segments = self._workers.transcribe(sound, SILENTLY, with_tokens=False)
        return " ".join(segment.text.strip() for segment in segments)

    def speak(self, response: Response, text: str, voice: NamedVoice) -> Generator[Spoken]:
        """Blocks; closing it stops the speech. Raises ParleyError."""
        order = self._order(response, with_speaker(text, voice.speaker), voice)
        with closing(self._workers.speak(order)) as pieces:
            for spoken in pieces:
                if spoken.continues is not None:
                    self._hand_on(response, spoken.continues)
                yield spoken

    def _order(self, response: Response, text: str, voice: NamedVoice) -> SpeechOrder:
        with self._lock:
            continues = response.handed_on
            if continues is None and response.conversation is not None and self._last is not None:
                voice_before, handed_on = self._last
                continues = handed_on if voice_before == response.voice else None
        name = f"{response.id}-{response.passages}"
        return SpeechOrder(
            name,
            text,
            voice.prompt,
            response.wire,
            response.speed,
            response.tokens_left,
            continues,
            when_over=partial(self._when_over, response),
        )

    def _when_over(self, response: Response, stop: Callable[[], object]) -> None:
        with self._lock:
            response.when_over(stop)

    def _hand_on(self, response: Response, handed_on: HandedOn) -> None:
        with self._lock:
            response.handed_on = handed_on
            if response.conversation is not None and not response.over:
                self._last = (response.voice, handed_on)
