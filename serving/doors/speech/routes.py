"""Door 4: OpenAI's /v1/audio/speech, so that programs written for it work unchanged. Source: OpenAI's API reference.

Always streamed: the first bytes leave while the rest is being made. Whoever hangs up cancels what they asked for.
Every model of this service can be named, as "dia" or "parley/dia"; OpenAI's tts-1, tts-1-hd and gpt-4o-mini-tts
stand for dia. `voice` is a stored voice, by name or id, or one of:

    name                                               speaker   in the small checkpoint
    s1, ash, ballad, cedar, echo, fable, onyx, verse   [S1]      a man
    s2, alloy, coral, marin, nova, sage, shimmer       [S2]      a woman

X-Parley-Note says what was changed or left out, as far as it is known when the first sound is; all of it is in the logs
of the prediction that X-Parley-Prediction names, at /v1/predictions/{id}.

The voice speaks a text that names nobody. A text with [S1] and [S2] is a dialogue and stays as it is; a stored voice
is then that of [S1], or of both where its transcript names both.
"""

import re
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from models.audio.encode import CONTENT_TYPES, AudioFormat
from serving.audio_stream import AudioStream
from serving.doors.speech.events import events_of
from serving.doors.speech.request import SpeechRequest, asked_of, in_their_words, of_the_voice
from serving.service import Service
from serving.storage.current import current
from serving.storage.prediction import Prediction
from serving.web.gate import CreatorName, ServiceDep
from serving.web.hangup import AT_ONCE, EVENT_STREAM, WhileHeard, leaving, unless_gone
from serving.web.json_bodies import JsonRoute

PCM_RATE = 24_000  # Hz, OpenAI's
LONGEST_NOTE = 2000  # characters, of a header
NOTE = re.compile(r"^note: (.*)$", re.MULTILINE)  # of a prediction's logs

router = APIRouter(prefix="/v1/audio", tags=["speech"], route_class=JsonRoute)


def _content_type(response_format: AudioFormat) -> str:
    kind = CONTENT_TYPES[response_format]
    return f"{kind};rate={PCM_RATE}" if response_format == "pcm" else kind


_ANSWERS: dict[str, Any] = {kind: {} for kind in (*map(_content_type, CONTENT_TYPES), EVENT_STREAM)}
_HEADERS: dict[str, Any] = {
    "X-Sample-Rate": {"description": "Hz.", "schema": {"type": "integer"}},
    "X-Parley-Prediction": {"description": "The id of the prediction behind it.", "schema": {"type": "string"}},
    "X-Parley-Note": {"description": "What was changed or left out.", "schema": {"type": "string"}},
}


@router.post(
    "/speech",
    status_code=200,
    response_class=WhileHeard,
    responses={200: {"content": _ANSWERS, "headers": _HEADERS}},
)
async def create(asked: SpeechRequest, request: Request, service: ServiceDep, owner: CreatorName) -> Response:
    """Speak a text: bytes of audio, or events that carry them. Answers as soon as there is something to hear."""
    async with leaving() as leave:
        leave.enter_context(service.listeners.place(owner))
        with in_their_words(asked.voice):
            prediction = await run_in_threadpool(_accept, asked, service, owner)
            leave.callback(service.records.cancel, prediction.id)
            listening = _listening(asked, prediction, service)
            leave.callback(listening.close)
            content = await unless_gone(request.receive, listening.open())
        begun = await current(service.records, prediction.id)
    headers = _headers(asked, listening.sample_rate, begun)
    if asked.stream_format == "sse":
        return WhileHeard(events_of(content, prediction, service, asked.voice), leave.close, headers, EVENT_STREAM)
    return WhileHeard(content, leave.close, headers, _content_type(asked.response_format))


def _accept(asked: SpeechRequest, service: Service, owner: str) -> Prediction:
    return service.intake.accept(asked_of(asked, service.voices, owner, service.models))


def _listening(asked: SpeechRequest, prediction: Prediction, service: Service) -> AudioStream:
    rate = PCM_RATE if asked.response_format == "pcm" else None
    return AudioStream(service, prediction, asked.response_format, speed_factor=asked.speed, sample_rate=rate)


def _headers(asked: SpeechRequest, sample_rate: int, begun: Prediction) -> dict[str, str]:
    """A header says what cannot be heard: what is known once the first sound is there. The rest is in the logs of the
    prediction, whose id is told."""
    headers = AT_ONCE | {"X-Sample-Rate": str(sample_rate), "X-Parley-Prediction": begun.id}
    notes = [of_the_voice(note) for note in NOTE.findall(begun.logs)]
    if asked.instructions:
        notes.insert(0, "instructions were not used: the model follows none")
    if notes:
        headers["X-Parley-Note"] = _header_text("; ".join(notes))
    return headers


def _header_text(text: str) -> str:
    """ASCII, of a length that every client takes: Node's reads 16 KiB of headers."""
    plain = text.encode("unicode_escape").decode()
    return (
        plain if len(plain) <= LONGEST_NOTE else f"{plain[:LONGEST_NOTE]} ... (all of it is in the prediction's logs)"
    )
