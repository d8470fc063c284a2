"""One whole exchange, which every client has with a service, and what each must have heard in it. Knows no client.

It is a list of steps: events to send, and the type of the event that is awaited then. For clients that read it from a
file, a line is "> " and an event as JSON, or "< " and an awaited type.
"""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from audio_fixtures import pitch
from realtime_fixtures import judge, only
from realtime_service_fixtures import HEARD, MANY

Json = dict[str, Any]
Step = tuple[Sequence[Json], str]

RATE = 24_000  # Hz, of the wire; 16 bits a sample
LETTER_SECONDS = 0.1
MOST_BYTES = 15 << 20  # of audio in one event
TRANSCRIBED = "conversation.item.input_audio_transcription.completed"
SETTINGS = {
    "type": "realtime",
    "audio": {"input": {"turn_detection": None, "transcription": {"model": "whisper-1"}}},
}
BETA_SETTINGS = {"turn_detection": None, "input_audio_transcription": {"model": "whisper-1"}}
BETA_NAMES = {
    "response.output_audio.delta": "response.audio.delta",
    "response.output_audio.done": "response.audio.done",
    "response.output_audio_transcript.delta": "response.audio_transcript.delta",
    "response.output_audio_transcript.done": "response.audio_transcript.done",
}


def _append(size: int) -> Json:
    """So many bytes of silence. The audio comes first, as Java's OpenAI SDK writes it."""
    return {"audio": base64.b64encode(bytes(size)).decode(), "type": "input_audio_buffer.append"}


COMMIT = {"type": "input_audio_buffer.commit"}
EXCHANGE: list[Step] = [
    ([], "session.created"),
    ([{"type": "session.update", "session": SETTINGS}], "session.updated"),
    ([_append(RATE), COMMIT], TRANSCRIBED),
    ([{"type": "conversation.item.delete", "item_id": "nobody", "event_id": "event_mine"}], "error"),
    ([{"type": "response.create"}], "response.done"),
    ([{"type": "response.create", "response": {"instructions": "La~"}}], "response.output_audio.delta"),
    ([{"type": "response.cancel"}], "response.done"),
    ([_append(MOST_BYTES), COMMIT], TRANSCRIBED),
]
BETA_EXCHANGE: list[Step] = [
    (
        [event | {"session": BETA_SETTINGS} if event["type"] == "session.update" else event for event in events],
        BETA_NAMES.get(awaited, awaited),
    )
    for events, awaited in EXCHANGE
]

COMMITTED = ["input_audio_buffer.committed", "conversation.item.added", "conversation.item.done", TRANSCRIBED]
RESPONSE = [
    *("response.created", "response.output_item.added", "conversation.item.added", "response.content_part.added"),
    *("response.output_audio.done", "response.output_audio_transcript.done", "response.content_part.done"),
    *("conversation.item.done", "response.output_item.done", "response.done", "rate_limits.updated"),
]
ORDER = ["session.created", "session.updated", *COMMITTED, "error", *RESPONSE, *RESPONSE, *COMMITTED]


def write_exchange(path: Path) -> None:
    lines = []
    for events, awaited in EXCHANGE:
        lines += [f"> {json.dumps(event)}" for event in events]
        lines.append(f"< {awaited}")
    path.write_text("\n".join(lines) + "\n")


def check_exchange(heard: Sequence[Json], *, beta: bool = False) -> None:
    """heard: every event that a client had, in order."""
    for event in heard:
        judge(event, beta=beta)
    _check_order([event["type"] for event in heard if not event["type"].endswith(".delta")], beta=beta)
    _check_transcripts(heard)
    assert (error := only(heard, "error")["error"])["code"] == "item_delete_invalid_item_id"
    assert error["event_id"] == "event_mine"
    first, second = [event["response"] for event in heard if event["type"] == "response.done"]
    assert (first["status"], second["status"]) == ("completed", "cancelled")
    assert second["status_details"]["reason"] == "client_cancelled"
    check_tone(audio_of(heard, first["id"]), f"[S2] {' '.join(HEARD)}")
    cancelled = len(audio_of(heard, second["id"])) / 2 / RATE
    assert 0 < cancelled < MANY * LETTER_SECONDS / 2


def audio_of(heard: Sequence[Json], response_id: str) -> bytes:
    kinds = ("response.output_audio.delta", BETA_NAMES["response.output_audio.delta"])
    deltas = [e["delta"] for e in heard if e["type"] in kinds and e["response_id"] == response_id]
    return b"".join(map(base64.b64decode, deltas))


def check_tone(audio: bytes, text: str) -> None:
    """That it is what the stand-in for a model makes of this text."""
    samples = np.frombuffer(audio, "<i2").astype(np.float32)[None] / 32768
    assert samples.shape[1] == pytest.approx(RATE * LETTER_SECONDS * len(text), abs=3)
    assert pitch(samples, RATE) == pytest.approx(440, rel=0.01)


def _check_order(kinds: list[str], *, beta: bool) -> None:
    if not beta:
        assert kinds == ORDER
        return
    created = [kind for kind in ORDER if kind != "conversation.item.done"]
    added = "conversation.item.added"
    assert kinds == ["conversation.item.created" if kind == added else BETA_NAMES.get(kind, kind) for kind in created]


def _check_transcripts(heard: Sequence[Json]) -> None:
    short, long = [event for event in heard if event["type"] == TRANSCRIBED]
    for event in (short, long):
        assert event["transcript"] == " ".join(HEARD)
        kind = TRANSCRIBED.replace("completed", "delta")
        deltas = [e["delta"] for e in heard if e["type"] == kind and e["item_id"] == event["item_id"]]
        assert deltas == [HEARD[0], f" {HEARD[1]}"]
    assert short["usage"] == {"type": "duration", "seconds": 0.5}
    assert long["usage"]["seconds"] == pytest.approx(MOST_BYTES / 2 / RATE, abs=0.001)
