"""An engine that does nothing: a Cog container whose every prediction is a tenth of a second of silence, at once.

    python -m benchmarks.serve.instant_cog PORT

In front of it, a service shows what the service itself costs. It answers as coglet does, to any number at a time.
"""

import base64
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import uvicorn

from models.audio.encode import wav_header

SAMPLE_RATE, SAMPLES = 8000, 800

Message = Mapping[str, Any]


def _silence() -> str:
    data = bytes(2 * SAMPLES)
    content = wav_header(SAMPLE_RATE, 1, len(data)) + data
    return f"data:audio/wav;base64,{base64.b64encode(content).decode()}"


HEALTH = json.dumps({"status": "READY"}).encode()
MADE = json.dumps({"status": "succeeded", "output": _silence(), "logs": "", "metrics": {}}).encode()


async def app(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    while (await receive()).get("more_body"):
        pass
    answer = {"GET": (200, HEALTH), "PUT": (200, MADE)}.get(scope["method"], (404, b"{}"))
    await send(
        {"type": "http.response.start", "status": answer[0], "headers": [(b"content-type", b"application/json")]}
    )
    await send({"type": "http.response.body", "body": answer[1]})


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", lifespan="off")
