"""Speech as server-sent events, as OpenAI sends them: audio in pieces, then what it took. Knows no request."""

import base64
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from models.dia.normalise import normalise
from models.dia.tokenizer import byte_length
from serving.doors.speech.request import in_their_words
from serving.service import Service
from serving.storage.current import current
from serving.storage.prediction import Prediction
from serving.web.problems import problem_of, speech_error


async def events_of(
    content: AsyncGenerator[bytes], prediction: Prediction, service: Service, voice: str
) -> AsyncGenerator[str]:
    """The text of an event stream. It ends with `speech.audio.done`, or with `error` where the audio broke off.

    voice: as it was named, for what is said of it.
    """
    try:
        with in_their_words(voice):
            async with aclosing(content):
                async for piece in content:
                    yield _event({"type": "speech.audio.delta", "audio": base64.b64encode(piece).decode()})
    except Exception as error:
        yield _event({"type": "error", **speech_error(problem_of(error))})
        return
    yield _event(
        {"type": "speech.audio.done", "usage": _usage(prediction, await current(service.records, prediction.id))}
    )


def _usage(asked: Prediction, ended: Prediction) -> dict[str, int]:
    """Tokens: the bytes that the model reads, a tag being one, and the frames of audio that it made."""
    read = byte_length(normalise(asked.input["text"])[0])
    made = int(ended.metrics.get("tokens", 0))  # a backend may not count them
    return {"input_tokens": read, "output_tokens": made, "total_tokens": read + made}


def _event(content: dict[str, Any]) -> str:
    return f"data: {json.dumps(content)}\n\n"
