"""Predictions of the fake server of the page's tests: how they stand at each moment, and the tone that they speak.

PIECE seconds of audio come every PACE seconds, until a take has its `pieces`, or the `limit` that a test sets to hold
it for as long as it looks: at 0 it waits in the queue. A text with "fail" in it fails half-way, one with "refuse"
before the first sound. As with the service, audio that does not end well breaks off.
"""

import asyncio
import io
import time
import wave
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

SAMPLE_RATE = 16_000  # Hz; not the rate of Dia's codec, so that the page has to read the header
PIECE = 0.2  # s of audio
PACE = 0.1  # s between pieces
ENDED_BADLY = "It came to no good end."
PROBLEM = {"type": "invalid", "field": "audio_prompt", "description": "is no audio. Send a recording."}


class BrokenOff(Exception):
    """Audio that does not end well."""


class State(Protocol):
    """What a test decides of all takes."""

    limit: int | None  # pieces that none goes beyond for now
    public_url: str  # the server's own name for itself
    closed: bool  # no more is spoken


@dataclass
class Take:
    """One prediction of the fake."""

    state: State
    id: str
    input: dict[str, Any]
    pieces: int
    stream: bool = True
    began: float = field(default_factory=time.monotonic)
    canceled_at: int | None = None  # pieces
    model: str = "parley/dia"
    data_removed: bool = False

    @property
    def due(self) -> int:
        """Pieces that there would be by now if all went well."""
        due = min(self.pieces, int((time.monotonic() - self.began) / PACE))
        return due if self.state.limit is None else min(due, self.state.limit)

    @property
    def made(self) -> int:
        return min(end for end in (self.due, self.canceled_at, self.fails_at) if end is not None)

    @property
    def fails_at(self) -> int | None:
        text = self.input.get("text", "")
        return 0 if "refuse" in text else self.pieces // 2 if "fail" in text else None

    @property
    def status(self) -> str:
        if self.canceled_at is not None:
            return "canceled"
        if self.due == 0:
            return "starting"
        if self.fails_at is not None and self.due > self.fails_at:
            return "failed"
        return "succeeded" if self.due == self.pieces else "processing"

    @property
    def over(self) -> bool:
        return self.status not in ("starting", "processing")

    def json(self) -> dict[str, Any]:
        base, status = f"{self.state.public_url}/v1/predictions/{self.id}", self.status
        metrics: dict[str, Any] = {"progress": self.made / self.pieces, "audio_seconds": self.made * PIECE}
        if status == "starting":
            metrics["queue_position"] = 2
        if status == "succeeded":
            metrics |= {"predict_time": self.pieces * PACE, "seed": 42}
        if status == "failed" and self.made == 0:
            metrics["invalid_fields"] = [PROBLEM]
        return {
            "id": self.id,
            "model": self.model,
            "version": "v1",
            "status": status,
            "input": {} if self.data_removed else self.input,
            "output": f"{base}/audio" if status == "succeeded" and not self.data_removed else None,
            "error": ENDED_BADLY if status == "failed" else None,
            "logs": "seed: 42\nnote: the text was spoken as it stands\n" if self.made else "",
            "metrics": metrics,
            "data_removed": self.data_removed,
            "source": "api",
            "created_at": f"2026-01-01T00:00:{int(self.id[1:]):02d}Z",
            "urls": {"get": base, "cancel": f"{base}/cancel", "stream": base, "web": self.state.public_url},
        }


def tone(piece: int) -> bytes:
    """One piece of a tone of 220 Hz that swells and fades, 16-bit little-endian."""
    count = int(PIECE * SAMPLE_RATE)
    seconds = np.arange(piece * count, (piece + 1) * count) / SAMPLE_RATE
    loudness = 0.1 + 0.5 * np.abs(np.sin(np.pi * seconds))
    return (32767 * loudness * np.sin(2 * np.pi * 220 * seconds)).astype("<i2").tobytes()


def wav(pcm: bytes) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(pcm)
    return buffer.getvalue()


async def spoken(take: Take) -> AsyncIterator[bytes]:
    """The audio as it is made, cut in the middle of a sample, as a network may."""
    sent = 0
    while not take.state.closed:
        over, made = take.over, take.made  # in this order: what is over has been made
        for piece in range(sent, made):
            pcm = tone(piece)
            yield pcm[:1001]
            yield pcm[1001:]
        sent = made
        if over:
            if take.status != "succeeded":
                raise BrokenOff(ENDED_BADLY)
            return
        await asyncio.sleep(PACE / 4)


async def joined(first: bytes, others: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in others:
        yield piece


async def cut(pcm: AsyncIterator[bytes], tidily: bool) -> AsyncIterator[bytes]:
    """Its first pieces only: as a broken line, or as something on the way that closes it in good order."""
    for _ in range(7):
        yield await anext(pcm)
    if not tidily:
        raise BrokenOff
