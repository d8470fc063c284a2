"""What items say: each is transcribed once, in the background, with events or silently. Knows no buffer and no turn.

A session has one item transcribed at a time: those of others come in between, however many it commits.
"""

import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass

from models.errors import GenerationFailed, InvalidRequest, ParleyError
from serving.realtime import server_events as say
from serving.realtime.conversation import Conversation, Item, Part
from serving.realtime.ear import hearable
from serving.realtime.faults import INVALID_REQUEST, SERVER_ERROR
from serving.realtime.settings import Transcription
from serving.realtime.workers import Segment, Workers
from serving.storage.ids import new_id

log = logging.getLogger("parley.realtime")

SILENTLY = Transcription()
DIARIZING = "-diarize"  # the ending of the name of OpenAI's model that tells segments
MOST_WAITING = 1000  # items of one session: as many as a conversation keeps


class Transcribing:
    """Of one session. Its events are sent with `lock` held, and none for an item that is gone by then."""

    def __init__(
        self,
        workers: Workers,
        send: Callable[[say.ServerEvent], None],
        lock: AbstractContextManager[object],
        conversation: Conversation,
    ) -> None:
        self._workers, self._send, self._lock, self._conversation = workers, send, lock, conversation
        self._waiting: deque[_Job] = deque()
        self._is_busy = self._is_over = False

    def words_of(
        self, item: Item, wanted: Transcription = SILENTLY, *, told: bool = False, with_logprobs: bool = False
    ) -> Future[str]:
        """What its audio says, begun now unless it has been begun before. told: with events, perhaps with logprobs.

        Call it with the lock held. Its error is a ParleyError.
        """
        if item.words is not None:
            return item.words
        words: Future[str] = Future()
        item.words = words
        part = next((part for part in item.parts if part.is_audio), None)
        job = _Job(item, words, part, wanted, told, with_logprobs) if part is not None else None
        if job is None or item.silent or job.part.text is not None or job.part.samples is None:
            self._known(item, words, part, told)
        elif len(self._waiting) >= MOST_WAITING:
            self._fail(job, GenerationFailed(f"{MOST_WAITING} items wait to be transcribed, the most that may."))
        else:
            self._waiting.append(job)
            if not self._is_busy:
                self._is_busy = True
                self._workers.listen_in_background(self._work)
        return words

    def close(self) -> None:
        """Nothing is begun any more, and nobody waits any longer. Call it with the lock held."""
        self._is_over = True
        while self._waiting:
            self._fail(self._waiting.popleft(), GenerationFailed("The session is over."))

    def _work(self) -> None:
        """In the background: the first that waits. Then those of other sessions have their turn."""
        with self._lock:
            job = self._waiting.popleft() if self._waiting else None
        if job is not None:
            self._hear(job)
        with self._lock:
            self._is_busy = bool(self._waiting)
            if self._is_busy:
                self._workers.listen_in_background(self._work)

    def _known(self, item: Item, words: Future[str], part: Part | None, told: bool) -> None:
        """Without listening: nobody speaks in it, or its client has said what it says."""
        if part is not None and part.samples is None and part.text is None:
            words.set_exception(GenerationFailed(f"The audio of item {item.id} is not kept any more."))
            return
        text = (part.text if part is not None else None) or ""
        if part is not None:
            part.text = text
        words.set_result(text)
        if told:
            self._tell_end(item, part, text)

    def _hear(self, job: "_Job") -> None:
        item = job.item
        try:
            text, logprobs = self._listen(job)
        except Exception as error:
            if not isinstance(error, ParleyError):
                log.exception("a transcription failed")
                error = GenerationFailed("The transcription failed.")
            with self._lock:
                self._fail(job, error)
            return
        with self._lock:
            if job.is_wanted:
                job.part.text = text
                self._conversation.weigh(item)
            if job.told and not self._gone(item):
                self._tell_end(item, job.part, text, logprobs)
        job.words.set_result(text)

    def _listen(self, job: "_Job") -> tuple[str, list[say.Logprob] | None]:
        """Until nobody wants to know any more. What is not told is of a response, which may have its own items."""
        with self._lock:
            samples, wire = job.part.samples, job.part.wire
        if samples is None or wire is None:
            raise GenerationFailed(f"The audio of item {job.item.id} is not kept any more.")
        text, all_logprobs = "", list[say.Logprob]()
        sound = hearable(samples, wire.rate)
        for segment in self._workers.transcribe(sound, job.wanted, with_tokens=job.with_logprobs):
            words = segment.text.strip()
            delta = f" {words}" if text and words else words
            text += delta
            logprobs = _logprobs(segment) if job.with_logprobs else None
            all_logprobs += logprobs or []
            with self._lock:
                if self._is_over or (job.told and self._gone(job.item)):
                    break
                if job.told and delta:
                    self._send(say.TranscriptionDelta(item_id=job.item.id, delta=delta, logprobs=logprobs))
                    self._tell_segment(job, segment, words)
        return text, all_logprobs if job.with_logprobs else None

    def _tell_segment(self, job: "_Job", segment: Segment, words: str) -> None:
        """Unasked it would be unknown: some clients end at an event they have not heard of."""
        if (job.wanted.model or "").endswith(DIARIZING):
            self._send(
                say.TranscriptionSegment(
                    item_id=job.item.id, id=f"seg_{new_id()}", text=words, start=segment.start, end=segment.end
                )
            )

    def _gone(self, item: Item) -> bool:
        return self._is_over or self._conversation.get(item.id) is not item

    def _fail(self, job: "_Job", error: ParleyError) -> None:
        """With the lock held."""
        if job.is_wanted:
            job.item.words = None  # whoever asks for them next may have better luck
        if job.told and not self._gone(job.item):
            self._send(say.TranscriptionFailed(item_id=job.item.id, error=_told(error)))
        job.words.set_exception(error)

    def _tell_end(self, item: Item, part: Part | None, text: str, logprobs: list[say.Logprob] | None = None) -> None:
        seconds = 0.0 if part is None else part.milliseconds / 1000
        usage = {"type": "duration", "seconds": seconds}
        self._send(say.TranscriptionCompleted(item_id=item.id, transcript=text, usage=usage, logprobs=logprobs))


@dataclass(frozen=True, eq=False)
class _Job:
    """words: what those who asked wait for. told: with events."""

    item: Item
    words: Future[str]
    part: Part
    wanted: Transcription
    told: bool
    with_logprobs: bool

    @property
    def is_wanted(self) -> bool:
        """Whether its words are still the item's: what has been cut meanwhile says something else."""
        return self.item.words is self.words


def _logprobs(segment: Segment) -> list[say.Logprob]:
    """Raises GenerationFailed where whoever transcribes cannot tell."""
    if segment.tokens is None:
        raise GenerationFailed("This transcriber knows no log probabilities. Update the session without `include`.")
    return [say.Logprob(token=one.text, bytes=list(one.data), logprob=one.logprob) for one in segment.tokens]


def _told(error: BaseException) -> dict[str, str | None]:
    if isinstance(error, InvalidRequest):
        param = f"session.audio.input.transcription.{error.field}"
        return {"type": INVALID_REQUEST, "code": "invalid_value", "message": str(error), "param": param}
    return {"type": SERVER_ERROR, "code": "audio_unintelligible", "message": str(error), "param": None}
