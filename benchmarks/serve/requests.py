"""What a request costs with an engine that does nothing.

`get` and `create` are asked of a process that only serves HTTP: what it accepts waits for a worker. `wait` is a whole
round to one that also works: accepted, queued, made by a Cog container that ends everything at once, kept, answered.
Each connection asks again as soon as it is answered.
"""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack

import httpx

from benchmarks.serve.figures import Row, milliseconds, percentile, print_row
from benchmarks.serve.service_process import connection, free_port, process, scratch_folder, service, wait_until_ready

PREDICTIONS = "/v1/predictions"
CREATE = "/v1/models/parley/dia/predictions"

Ask = Callable[[httpx.AsyncClient], Awaitable[None]]


def measure_requests(text: str, connections: Sequence[int], seconds: float) -> list[Row]:
    """A row for each kind of request and number of connections, which ask for so many seconds."""
    of_http = [row for number in connections for row in _measure_http(text, number, seconds)]
    return of_http + _measure_rounds(text, connections, seconds)


def _measure_http(text: str, connections: int, seconds: float) -> list[Row]:
    """Each time of a new service, in which few predictions wait."""
    with scratch_folder() as folder, service(folder, {"PARLEY_HTTP_ONLY": "1"}) as url:
        name = httpx.post(f"{url}{CREATE}", json=_body(text), trust_env=False).json()["id"]
        asks = {"get": _getting(f"{PREDICTIONS}/{name}"), "create": _creating(text)}
        return [_measure(kind, ask, url, connections, seconds) for kind, ask in asks.items()]


def _measure_rounds(text: str, connections: Sequence[int], seconds: float) -> list[Row]:
    """As many are made at once as there are connections: nothing but the service is waited for."""
    port, most = free_port(), max(connections)
    cog = f"http://127.0.0.1:{port}"
    command = ["benchmarks.serve.instant_cog", str(port)]
    with scratch_folder() as folder, process(command, folder / "cog.log", {}) as running:
        wait_until_ready(f"{cog}/health-check", running, folder / "cog.log")
        with service(folder, cog_urls=",".join([cog] * most), at_once=most) as url:
            return [_measure("wait", _waiting(text), url, number, seconds) for number in connections]


def _body(text: str) -> dict[str, dict[str, str]]:
    return {"input": {"text": text}}


def _getting(path: str) -> Ask:
    async def get(client: httpx.AsyncClient) -> None:
        _expect(200, await client.get(path))

    return get


def _creating(text: str) -> Ask:
    async def create(client: httpx.AsyncClient) -> None:
        _expect(201, await client.post(CREATE, json=_body(text)))

    return create


def _waiting(text: str) -> Ask:
    async def wait(client: httpx.AsyncClient) -> None:
        response = await client.post(CREATE, json=_body(text), headers={"Prefer": "wait"})
        _expect(201, response)
        if (status := response.json()["status"]) != "succeeded":
            raise RuntimeError(f"a prediction ended as {status}: {response.text}")

    return wait


def _expect(status: int, response: httpx.Response) -> None:
    if response.status_code != status:
        raise RuntimeError(f"{response.request.url} answered {response.status_code}: {response.text}")


def _measure(kind: str, ask: Ask, url: str, connections: int, seconds: float) -> Row:
    times, took = asyncio.run(_times_of_all(ask, url, connections, seconds))
    row = {
        "request": kind,
        "connections": connections,
        "per_second": round(len(times) / took, 1),
        "p50_ms": milliseconds(statistics.median(times), digits=2),
        "p99_ms": milliseconds(percentile(times, 0.99), digits=2),
        "answered": len(times),
    }
    print_row(row)
    return row


async def _times_of_all(ask: Ask, url: str, connections: int, seconds: float) -> tuple[list[float], float]:
    """(seconds of each answer, seconds of all), the first of each connection left out."""
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connection(url)) for _ in range(connections)]
        await asyncio.gather(*map(ask, clients))
        began = time.perf_counter()
        times = await asyncio.gather(*(_times_of_one(ask, client, began + seconds) for client in clients))
        return [one for each in times for one in each], time.perf_counter() - began


async def _times_of_one(ask: Ask, client: httpx.AsyncClient, until: float) -> list[float]:
    """Seconds of each answer, at least one. until: of time.perf_counter."""
    times: list[float] = []
    while (began := time.perf_counter()) < until or not times:
        await ask(client)
        times.append(time.perf_counter() - began)
    return times
