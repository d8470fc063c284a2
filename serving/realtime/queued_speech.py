"""An order to say something → pieces of sound, from whichever process works on the queue, while it makes them.

For processes that have no model: the order is a prediction like those of the other doors, kept, begun anew where its
worker dies, and heard as it grows. Each step on the way takes time, and nothing is handed on from one to the next, so
a process that has a model speaks with that.
"""

import asyncio
import hashlib
import io
import math
import time
from collections.abc import Generator
from contextlib import ExitStack

import numpy as np

from models.dia.script import estimate_seconds
from models.errors import EngineClosed
from serving.catalog import DIA
from serving.kept_audio import raise_unless_good, samples_of
from serving.realtime.loop_stream import LoopStream
from serving.realtime.wire_rendering import WireRendering
from serving.realtime.workers import SpeechOrder, Spoken, VoicePrompt
from serving.service import Service
from serving.spoken import recorded, to_be_spoken
from serving.storage.live import Piece, follow
from serving.storage.prediction import Prediction

DOOR = "realtime"
LIKELY_SHARE = 0.95  # of a text, at the most, is taken to be spoken before its end has come
MAXIMUM_LENGTH = "maximum_length"  # the end, in the metrics, of what a limit has cut


class QueuedSpeech:
    """Of one session. owner: whose predictions and recordings they are. loop: in which changes are heard of."""

    def __init__(self, service: Service, owner: str, loop: asyncio.AbstractEventLoop) -> None:
        self._service, self._owner, self._loop = service, owner, loop
        self._handed_in: dict[str, str] = {}  # recordings by their hash → the file that holds it

    def speak(self, order: SpeechOrder) -> Generator[Spoken]:
        """Blocks while others work; closing it cancels the prediction. Raises ParleyError."""
        service = self._service
        prediction = self._accept(order)
        heard = LoopStream(self._loop, lambda: follow(prediction, service.records, service.live, service.changes))
        order.when_over(heard.stop)
        try:
            yield from _spoken(order, heard)
        finally:
            heard.stop()
            service.records.cancel(prediction.id)

    def _accept(self, order: SpeechOrder) -> Prediction:
        if DIA.full_name not in self._service.models:
            raise EngineClosed("No model that speaks is served here.")
        settled = {} if order.prompt is None else recorded(self._file_of(order.prompt), order.prompt.transcript)
        asked = to_be_spoken(self._owner, DOOR, DIA, order.text, "", settled)
        return self._service.intake.accept(asked)

    def _file_of(self, prompt: VoicePrompt) -> str:
        """Handed in once for a session, unless it is a stored voice's; again where it has expired or was deleted."""
        if prompt.file is not None:
            return prompt.file
        digest, files = hashlib.sha256(prompt.audio).hexdigest(), self._service.files
        known, until = self._handed_in.get(digest), time.time() + self._service.settings.keep_seconds
        if known is None or not files.keep_until([known], until):
            described = {"owner": self._owner, "name": "voice.wav", "content_type": "audio/wav"}
            known = self._service.uploads.keep(io.BytesIO(prompt.audio), **described).id
            self._handed_in[digest] = known
        return known


def _spoken(order: SpeechOrder, heard: LoopStream[Piece | Prediction]) -> Generator[Spoken]:
    with ExitStack() as stack:
        rendering: WireRendering | None = None
        seconds = 0.0
        for piece in heard:
            if isinstance(piece, Prediction):
                yield _last(piece, seconds, rendering)
                return
            if rendering is None:
                most = math.inf if order.most_tokens is None else order.most_tokens / DIA.tokens_per_second
                rendering = WireRendering(piece.sample_rate, order.wire.rate, order.speed, most)
                stack.enter_context(rendering)
            audio = samples_of(piece.pcm)
            samples = rendering.push(audio)
            seconds += audio.shape[1] / piece.sample_rate
            share = min(LIKELY_SHARE, seconds / estimate_seconds(order.text))
            if rendering.is_cut:
                assert order.most_tokens is not None
                yield Spoken(np.concatenate([samples, rendering.flush()]), share, order.most_tokens, cut_short=True)
                return
            yield Spoken(samples, share, round(seconds * DIA.tokens_per_second))


def _last(ended: Prediction, seconds: float, rendering: WireRendering | None) -> Spoken:
    """What is left to hear at its end. Raises why it has none."""
    raise_unless_good(ended)
    samples = rendering.flush() if rendering is not None else np.zeros(0, np.int16)
    tokens = int(ended.metrics.get("tokens", round(seconds * DIA.tokens_per_second)))  # a backend may not count them
    return Spoken(samples, 1.0, tokens, cut_short=ended.metrics.get("end") == MAXIMUM_LENGTH)
