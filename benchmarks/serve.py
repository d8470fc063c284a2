"""The service over HTTP: what a request costs with an engine that does nothing; how soon and how fast audio comes.

    python -m benchmarks.serve

Everything runs on this machine, the callers too: one process of Python, which takes its share of the processor. `get`
and `create` are asked of a process that only serves HTTP (what it accepts waits for a worker). `wait` is a whole round
to one that also works: accepted, queued, made by a Cog container that ends everything at once, kept, answered. Each
connection asks again as soon as it is answered. Then callers hear dialogues of the real engine, each its own, through
/v1/audio/speech; their first audio is the first byte of 16-bit samples. The last line is JSON.
"""

import argparse
import asyncio
import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx

from benchmarks import machine
from benchmarks.service_process import free_port, process, service, wait_until_ready

PREDICTIONS = "/v1/predictions"
CREATE = "/v1/models/parley/dia/predictions"
SPEECH = "/v1/audio/speech"
PCM_RATE = 24_000  # Hz, of /v1/audio/speech
BYTES_PER_SAMPLE = 2
TEXT = "[S1] The harbour was quiet that morning. [S2] Then the first boats came in."
ASKED = {"input": {"text": TEXT}}

Row = dict[str, Any]
Ask = Callable[[httpx.AsyncClient], Awaitable[None]]


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    report: Row = {"machine": machine.describe()}
    if not options.no_http:
        report |= {"seconds": options.seconds, "requests": _measure_requests(options)}
    if not options.no_engine:
        report |= {"model": options.model, "text": options.text, "speech": _measure_speech(options)}
    print(json.dumps(report))
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serve", description=__doc__.split("\n")[0])
    parser.add_argument("--connections", nargs="+", type=int, default=[1, 16, 64], help="that ask at once")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each kind of request and number of connections")
    parser.add_argument("--callers", nargs="+", type=int, default=[1, 4, 16], help="that hear dialogues at once")
    parser.add_argument("--dialogues", type=int, default=1, help="that each caller hears, one after the other")
    parser.add_argument("--model", default="dia-builtin", help="the real engine's, as PARLEY_MODEL")
    parser.add_argument("--text", default=TEXT, help="what is spoken")
    parser.add_argument("--no-http", action="store_true", help="leave the requests out")
    parser.add_argument("--no-engine", action="store_true", help="leave the real engine out")
    return parser.parse_args(arguments)


# --- requests --------------------------------------------------------------------------------------------------------


def _measure_requests(options: argparse.Namespace) -> list[Row]:
    rows = []
    for connections in options.connections:
        with (
            _folder() as folder,
            service(Path(folder), {"PARLEY_HTTP_ONLY": "1"}) as url,
        ):  # anew, so that few wait in each
            name = httpx.post(f"{url}{CREATE}", json=ASKED, trust_env=False).json()["id"]
            for kind, ask in (("get", _get(f"{PREDICTIONS}/{name}")), ("create", _create)):
                rows.append(_load(kind, ask, url, connections, options.seconds))
    with _folder() as folder:
        rows += _measure_rounds(Path(folder), options)
    return rows


def _measure_rounds(folder: Path, options: argparse.Namespace) -> list[Row]:
    """As many at once as there are connections: nothing but the service is waited for."""
    port, most = free_port(), max(options.connections)
    cog, log = f"http://127.0.0.1:{port}", folder / "cog.log"
    with process(["benchmarks.instant_cog", str(port)], log, {}) as running:
        wait_until_ready(f"{cog}/health-check", running, log)
        with service(folder, cog_urls=",".join([cog] * most), at_once=most) as url:
            return [_load("wait", _wait, url, number, options.seconds) for number in options.connections]


def _get(path: str) -> Ask:
    async def get(client: httpx.AsyncClient) -> None:
        _must(await client.get(path), 200)

    return get


async def _create(client: httpx.AsyncClient) -> None:
    _must(await client.post(CREATE, json=ASKED), 201)


async def _wait(client: httpx.AsyncClient) -> None:
    response = _must(await client.post(CREATE, json=ASKED, headers={"Prefer": "wait"}), 201)
    if (status := response.json()["status"]) != "succeeded":
        raise RuntimeError(f"a prediction ended as {status}: {response.text}")


def _must(response: httpx.Response, status: int) -> httpx.Response:
    if response.status_code != status:
        raise RuntimeError(f"{response.request.url} answered {response.status_code}: {response.text}")
    return response


def _load(kind: str, ask: Ask, url: str, connections: int, seconds: float) -> Row:
    times, took = asyncio.run(_asked(ask, url, connections, seconds))
    row = {
        "request": kind,
        "connections": connections,
        "per_second": round(len(times) / took, 1),
        "p50_ms": round(1e3 * statistics.median(times), 2),
        "p99_ms": round(1e3 * percentile(times, 0.99), 2),
        "answered": len(times),
    }
    return _told(row)


async def _asked(ask: Ask, url: str, connections: int, seconds: float) -> tuple[list[float], float]:
    """(seconds of each answer, seconds of all), the first of each connection left out."""
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(_client(url)) for _ in range(connections)]
        await asyncio.gather(*map(ask, clients))
        began = time.perf_counter()
        times = await asyncio.gather(*(_again(ask, client, began + seconds) for client in clients))
        return [one for each in times for one in each], time.perf_counter() - began


async def _again(ask: Ask, client: httpx.AsyncClient, until: float) -> list[float]:
    times: list[float] = []
    while (began := time.perf_counter()) < until or not times:
        await ask(client)
        times.append(time.perf_counter() - began)
    return times


# --- audio -----------------------------------------------------------------------------------------------------------


def _measure_speech(options: argparse.Namespace) -> list[Row]:
    environ = {"PARLEY_MODEL": options.model}
    with _folder() as folder, service(Path(folder), environ, at_once=max(options.callers)) as url:
        asyncio.run(_hear_all(url, options.text, 1, 1))  # the first one also waits for what is done once
        return [_speech(url, options, callers) for callers in options.callers]


def _speech(url: str, options: argparse.Namespace, callers: int) -> Row:
    began = time.perf_counter()
    heard = asyncio.run(_hear_all(url, options.text, callers, options.dialogues))
    took = time.perf_counter() - began
    firsts, seconds = [first for first, _ in heard], sum(seconds for _, seconds in heard)
    row = {
        "callers": callers,
        "dialogues": len(heard),
        "audio_seconds": round(seconds, 1),
        "audio_seconds_per_second": round(seconds / took, 2),
        "first_audio_p50_ms": round(1e3 * statistics.median(firsts)),
        "first_audio_most_ms": round(1e3 * max(firsts)),
    }
    return _told(row)


async def _hear_all(url: str, text: str, callers: int, dialogues: int) -> list[tuple[float, float]]:
    heard = await asyncio.gather(*(_hear_some(url, text, dialogues) for _ in range(callers)))
    return [one for each in heard for one in each]


async def _hear_some(url: str, text: str, dialogues: int) -> list[tuple[float, float]]:
    async with _client(url) as client:
        return [await _hear(client, text) for _ in range(dialogues)]


async def _hear(client: httpx.AsyncClient, text: str) -> tuple[float, float]:
    """(seconds until the first sample was here, seconds of audio)"""
    began, first, size = time.perf_counter(), math.nan, 0
    asked = {"model": "dia", "voice": "s1", "input": text, "response_format": "pcm"}
    async with client.stream("POST", SPEECH, json=asked) as response:
        if response.status_code != 200:
            raise RuntimeError(f"{SPEECH} answered {response.status_code}: {(await response.aread()).decode()}")
        async for piece in response.aiter_raw():
            if not size:
                first = time.perf_counter() - began
            size += len(piece)
    return first, size / BYTES_PER_SAMPLE / PCM_RATE


# --- both ------------------------------------------------------------------------------------------------------------


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of them does not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def _client(url: str) -> httpx.AsyncClient:
    """One connection, kept."""
    limits = httpx.Limits(max_connections=1)
    return httpx.AsyncClient(base_url=url, timeout=None, limits=limits, trust_env=False, verify=False)


def _folder() -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory(prefix="parley-benchmark-")


def _told(row: Row) -> Row:
    print("  ".join(f"{key} {value}" for key, value in row.items()), file=sys.stderr, flush=True)
    return row


if __name__ == "__main__":
    raise SystemExit(main())
