"""What items say: each is transcribed once, in the background, with events or silently. Knows no buffer and no turn."""

import logging
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager

from models.errors import GenerationFailed, ParleyError
from serving.realtime import server_events as say
from serving.realtime.conversation import Item, Part
from serving.realtime.ear import hearable
from serving.realtime.settings import Transcription
from serving.realtime.workers import Workers

log = logging.getLogger("parley.realtime")

SILENTLY = Transcription()


class Transcribing:
    """Of one session. Its events are sent with `lock` held, and none for an item that is `gone` by then."""

    def __init__(
        self,
        workers: Workers,
        send: Callable[[say.ServerEvent], None],
        lock: AbstractContextManager[object],
        gone: Callable[[Item], bool],
    ) -> None:
        self._workers, self._send, self._lock, self._gone = workers, send, lock, gone

    def words_of(self, item: Item, wanted: Transcription = SILENTLY, *, told: bool = False) -> Future[str]:
        """What its audio says, begun now unless it has been begun before. told: with events.

        Call it with the lock held. Its error is a ParleyError.
        """
        if item.words is not None:
            return item.words
        words: Future[str] = Future()
        item.words = words
        part = next((part for part in item.parts if part.is_audio), None)
        if part is None or item.silent or part.text is not None or part.samples is None:
            self._known(item, part, told)
        else:
            self._workers.listen_in_background(lambda: self._hear(item, part, wanted, told))
        return words

    def _known(self, item: Item, part: Part | None, told: bool) -> None:
        """Without listening: nobody speaks in it, or its client has said what it says."""
        assert item.words is not None
        if part is not None and part.samples is None and part.text is None:
            item.words.set_exception(GenerationFailed(f"The audio of item {item.id} is not kept any more."))
            return
        text = (part.text if part is not None else None) or ""
        if part is not None:
            part.text = text
        item.words.set_result(text)
        if told:
            self._tell_end(item, part, text)

    def _hear(self, item: Item, part: Part, wanted: Transcription, told: bool) -> None:
        """In the background."""
        assert part.wire is not None
        assert item.words is not None
        try:
            text = self._listen(item, part, wanted, told)
        except Exception as error:
            known = isinstance(error, ParleyError)
            if not known:
                log.exception("a transcription failed")
            failure = error if known else GenerationFailed("The transcription failed.")
            with self._lock:
                if told and not self._gone(item):
                    self._send(say.TranscriptionFailed(item_id=item.id, error=_told(failure)))
            item.words.set_exception(failure)
            return
        with self._lock:
            part.text = text
            if told and not self._gone(item):
                self._tell_end(item, part, text)
        item.words.set_result(text)

    def _listen(self, item: Item, part: Part, wanted: Transcription, told: bool) -> str:
        assert part.samples is not None
        assert part.wire is not None
        text = ""
        for segment in self._workers.transcribe(hearable(part.samples, part.wire.rate), wanted):
            words = segment.text.strip()
            delta = f" {words}" if text and words else words
            text += delta
            with self._lock:
                if self._gone(item):
                    break
                if told and delta:
                    self._send(say.TranscriptionDelta(item_id=item.id, delta=delta))
        return text

    def _tell_end(self, item: Item, part: Part | None, text: str) -> None:
        seconds = 0.0 if part is None else part.milliseconds / 1000
        usage = {"type": "duration", "seconds": seconds}
        self._send(say.TranscriptionCompleted(item_id=item.id, transcript=text, usage=usage))


def _told(error: BaseException) -> dict[str, str | None]:
    return {"type": "server_error", "code": "audio_unintelligible", "message": str(error), "param": None}
