"""How soon and how fast audio comes: callers hear dialogues of the real engine, each its own, through /v1/audio/speech.

Their first audio is the first byte of 16-bit samples.
"""

import asyncio
import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import httpx

from benchmarks.serve.figures import Row, milliseconds, print_row
from benchmarks.serve.service_process import connection, scratch_folder, service

SPEECH = "/v1/audio/speech"
PCM_RATE = 24_000  # Hz, of /v1/audio/speech
BYTES_PER_SAMPLE = 2


@dataclass(frozen=True)
class Heard:
    """One dialogue."""

    first_seconds: float  # until the first sample was here
    audio_seconds: float


def measure_speech(model: str, text: str, callers: Sequence[int], dialogues: int) -> list[Row]:
    """A row for each number of callers. dialogues: that each of them hears, one after the other."""
    with scratch_folder() as folder, service(folder, {"PARLEY_MODEL": model}, at_once=max(callers)) as url:
        asyncio.run(_hear_all(url, text, 1, 1))  # the first one also waits for what is done once
        return [_measure(url, text, number, dialogues) for number in callers]


def _measure(url: str, text: str, callers: int, dialogues: int) -> Row:
    began = time.perf_counter()
    heard = asyncio.run(_hear_all(url, text, callers, dialogues))
    took = time.perf_counter() - began
    firsts, seconds = [one.first_seconds for one in heard], sum(one.audio_seconds for one in heard)
    row = {
        "callers": callers,
        "dialogues": len(heard),
        "audio_seconds": round(seconds, 1),
        "audio_seconds_per_second": round(seconds / took, 2),
        "first_audio_p50_ms": milliseconds(statistics.median(firsts)),
        "first_audio_most_ms": milliseconds(max(firsts)),
    }
    print_row(row)
    return row


async def _hear_all(url: str, text: str, callers: int, dialogues: int) -> list[Heard]:
    heard = await asyncio.gather(*(_hear_some(url, text, dialogues) for _ in range(callers)))
    return [one for each in heard for one in each]


async def _hear_some(url: str, text: str, dialogues: int) -> list[Heard]:
    async with connection(url) as client:
        return [await _hear(client, text) for _ in range(dialogues)]


async def _hear(client: httpx.AsyncClient, text: str) -> Heard:
    began, first, size = time.perf_counter(), math.nan, 0
    asked = {"model": "dia", "voice": "s1", "input": text, "response_format": "pcm"}
    async with client.stream("POST", SPEECH, json=asked) as response:
        if response.status_code != 200:
            raise RuntimeError(f"{SPEECH} answered {response.status_code}: {(await response.aread()).decode()}")
        async for piece in response.aiter_raw():
            if not size:
                first = time.perf_counter() - began
            size += len(piece)
    return Heard(first, size / BYTES_PER_SAMPLE / PCM_RATE)
