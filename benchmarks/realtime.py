"""How many sessions one process holds in real time, how soon a turn is committed, how soon a response is heard.

    python -m benchmarks.realtime                          all of it; half a minute a row
    python -m benchmarks.realtime --sessions 4 --no-speech

A session appends 20 ms of a recorded conversation every 20 ms, with server VAD and near-field noise reduction, over a
socket of its own; nobody answers, so that only listening is measured. It is held in real time while no turn is
committed later than REAL_TIME_MS after its last sample, the silence that ends it included, was there to be sent. The
callers run on the same cores. Speech is the built-in voice's: from `response.create` to the first delta of audio. The
last line is one JSON document.
"""

import argparse
import asyncio
import base64
import json
import math
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from websockets.asyncio.client import ClientConnection, connect

from benchmarks import machine
from benchmarks.serve.figures import Row, milliseconds, percentile, print_row
from benchmarks.serve.service_process import scratch_folder, service

RATE = 24_000  # Hz, of the input
FRAME_SECONDS = 0.02
PAUSE_SECONDS = 1.0  # of silence between two turns
SILENCE_MS = 200  # that ends a turn
REAL_TIME_MS = 500  # behind what has been sent, at the worst
TEXT = "The harbour was quiet that morning."


@dataclass
class Listened:
    """By one session. lags: seconds from the moment that the last sample of a turn was due to its `committed`."""

    lags: list[float] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    report: Row = {"machine": machine.describe(), "silence_ms": SILENCE_MS, "real_time_ms": REAL_TIME_MS}
    if not options.no_listening:
        frames = frames_of(options.recording)
        report["listening"] = [_measure_listening(frames, number, options.seconds) for number in options.sessions]
        held = [row["sessions"] for row in report["listening"] if row["in_real_time"]]
        report["most_in_real_time"] = max(held, default=0)
    if not options.no_speech:
        report |= {"model": options.model, "speech": _measure_speech(options.model, options.rounds)}
    print(json.dumps(report))
    return 0


def frames_of(recording: Path) -> list[str]:
    """Appends of 20 ms: the recording, then a pause."""
    samples, rate = soundfile.read(recording, dtype="float32", always_2d=True)
    sound = np.concatenate([soxr.resample(samples[:, 0], rate, RATE), np.zeros(round(PAUSE_SECONDS * RATE))])
    pcm = np.clip(np.rint(sound * 32767), -32768, 32767).astype("<i2").tobytes()
    size = 2 * round(FRAME_SECONDS * RATE)
    pieces = (pcm[start : start + size] for start in range(0, len(pcm) - size + 1, size))
    return [_event("input_audio_buffer.append", audio=base64.b64encode(piece).decode()) for piece in pieces]


def _measure_listening(frames: Sequence[str], sessions: int, seconds: float) -> Row:
    """Each row of a new process."""
    with scratch_folder() as folder, service(folder, {"PARLEY_HTTP_ONLY": "1"}) as url:
        heard = asyncio.run(_listen_all(url, frames, sessions, seconds))
    lags = [lag for one in heard for lag in one.lags]
    if not lags:
        raise RuntimeError("no turn was committed: the recording holds no speech, or less than `seconds` of it")
    row = {
        "sessions": sessions,
        "turns": len(lags),
        "committed_after_speech_p50_ms": SILENCE_MS + milliseconds(statistics.median(lags)),
        "committed_after_speech_p99_ms": SILENCE_MS + milliseconds(percentile(lags, 0.99)),
        "behind_most_ms": milliseconds(max(lags)),
        "in_real_time": bool(1e3 * max(lags) <= REAL_TIME_MS),
    }
    print_row(row)
    return row


async def _listen_all(url: str, frames: Sequence[str], sessions: int, seconds: float) -> list[Listened]:
    """They begin one after the other, so that their turns do not end together."""
    starts = (number * len(frames) // sessions for number in range(sessions))
    return list(await asyncio.gather(*(_listen(url, frames, start, seconds) for start in starts)))


async def _listen(url: str, frames: Sequence[str], start: int, seconds: float) -> Listened:
    turns = {"type": "server_vad", "silence_duration_ms": SILENCE_MS, "create_response": False}
    audio = {"input": {"turn_detection": turns, "noise_reduction": {"type": "near_field"}}}
    listened = Listened()
    async with _session(url, {"type": "realtime", "audio": audio}) as socket:
        began = time.perf_counter()
        hearing = asyncio.create_task(_hear(socket, listened, began))
        for number in range(round(seconds / FRAME_SECONDS)):
            await asyncio.sleep(max(0.0, began + (number + 1) * FRAME_SECONDS - time.perf_counter()))
            await socket.send(frames[(start + number) % len(frames)])
        await asyncio.sleep(REAL_TIME_MS / 1e3)
        hearing.cancel()
    return listened


async def _hear(socket: ClientConnection, listened: Listened, began: float) -> None:
    """A sample can be sent no sooner than a microphone has it; so much later than that a turn is committed."""
    ended = math.nan
    async for text in socket:
        event = json.loads(text)
        if event["type"] == "input_audio_buffer.speech_stopped":
            ended = began + event["audio_end_ms"] / 1e3
        elif event["type"] == "input_audio_buffer.committed":
            listened.lags.append(time.perf_counter() - ended)
        elif event["type"] == "error":
            raise RuntimeError(event["error"]["message"])


def _measure_speech(model: str, rounds: int) -> Row:
    with scratch_folder() as folder, service(folder, {"PARLEY_MODEL": model}) as url:
        firsts = asyncio.run(_speak(url, rounds + 1))[1:]  # the first one also waits for what is done once
    row = {
        "rounds": rounds,
        "first_audio_p50_ms": milliseconds(statistics.median(firsts)),
        "first_audio_most_ms": milliseconds(max(firsts)),
    }
    print_row(row)
    return row


async def _speak(url: str, rounds: int) -> list[float]:
    """Seconds to the first sound of each response; its end is waited for."""
    firsts = []
    settings = {"type": "realtime", "audio": {"input": {"turn_detection": None}, "output": {"voice": "s1"}}}
    async with _session(url, settings) as socket:
        for _ in range(rounds):
            began, first = time.perf_counter(), math.nan
            await socket.send(_event("response.create", response={"instructions": TEXT}))
            while (event := json.loads(await socket.recv()))["type"] != "response.done":
                if event["type"] == "response.output_audio.delta" and math.isnan(first):
                    first = time.perf_counter() - began
            if event["response"]["status"] != "completed":
                raise RuntimeError(f"a response ended as {event['response']['status_details']}")
            firsts.append(first)
    return firsts


@asynccontextmanager
async def _session(url: str, settings: dict[str, Any]) -> AsyncIterator[ClientConnection]:
    """One that is set so."""
    address = f"{url.replace('http', 'ws', 1)}/v1/realtime"
    async with connect(address, max_size=None, compression=None, proxy=None) as socket:
        await socket.send(_event("session.update", session=settings))
        for expected in ("session.created", "session.updated"):
            if (event := json.loads(await socket.recv()))["type"] != expected:
                raise RuntimeError(f"expected {expected}, got {event}")
        yield socket


def _event(kind: str, **fields: Any) -> str:
    return json.dumps({"type": kind, **fields})


def _packaged_clip() -> Path | None:
    """Half a minute of a conversation, in the wheel of pyannote.audio (requirements-clip.txt)."""
    found = find_spec("pyannote")
    folders = [Path(place) / "audio" / "sample" for place in (found.submodule_search_locations or ())] if found else []
    return next((folder / "sample.wav" for folder in folders if (folder / "sample.wav").is_file()), None)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(prog="python -m benchmarks.realtime", description=__doc__.split("\n")[0])
    clip = _packaged_clip()
    parser.add_argument("--sessions", nargs="+", type=int, default=[1, 8, 16, 32], help="that are held at once")
    parser.add_argument("--seconds", type=float, default=30.0, help="of audio that each session is sent")
    parser.add_argument(
        "--recording", type=Path, default=clip, required=clip is None, help="of speech: any file libsndfile reads"
    )
    parser.add_argument("--model", default="dia-builtin", help="that speaks, as PARLEY_MODEL")
    parser.add_argument("--rounds", type=int, default=10, help="responses, one after the other")
    parser.add_argument("--no-listening", action="store_true", help="leave the sessions that listen out")
    parser.add_argument("--no-speech", action="store_true", help="leave the model out")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
