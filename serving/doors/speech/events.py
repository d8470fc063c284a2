"""Speech as server-sent events, as OpenAI sends them: audio in pieces, then what it took. Knows no request."""

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.concurrency import run_in_threadpool

from models.dia.normalise import normalise
from models.dia.tokenizer import byte_length
from serving.doors.speech.request import in_their_words
from serving.service import Service
from serving.storage.records import Prediction
from serving.web.problems import problem_of, speech_error


async def events_of(content: AsyncIterator[bytes], prediction: Prediction, service: Service) -> AsyncIterator[str]:
    """The text of an event stream. It ends with `speech.audio.done`, or with `error` where the audio broke off."""
    try:
        with in_their_words():
            async for piece in content:
                yield _event({"type": "speech.audio.delta", "audio": base64.b64encode(piece).decode()})
    except Exception as error:
        yield _event({"type": "error", **speech_error(problem_of(error))})
        return
    yield _event({"type": "speech.audio.done", "usage": await run_in_threadpool(_usage, prediction, service)})


def _usage(prediction: Prediction, service: Service) -> dict[str, int]:
    """Tokens: the bytes that the model reads, a tag being one, and the frames of audio that it made."""
    ended = service.records.get(prediction.id)
    assert ended is not None, prediction.id
    read = byte_length(normalise(prediction.input["text"])[0])
    made = int(ended.metrics.get("tokens", 0))  # a backend may not count them
    return {"input_tokens": read, "output_tokens": made, "total_tokens": read + made}


def _event(content: dict[str, Any]) -> str:
    return f"data: {json.dumps(content)}\n\n"
