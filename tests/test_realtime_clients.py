"""A whole exchange with each of OpenAI's Python clients, unchanged: GA's, sync and async, and beta's."""

import asyncio
import threading
from collections.abc import Iterator
from functools import reduce
from typing import Any

import openai
import pytest
from realtime_exchange_fixtures import BETA_EXCHANGE, EXCHANGE, Json, Step, check_exchange
from realtime_service_fixtures import speaking
from serving_fixtures import ALICE, Running

SECONDS = 60.0  # at most, for an exchange


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with speaking(tmp_path_factory.mktemp("clients")) as (running, _):
        yield running


def call(connection: Any, event: Json) -> Any:
    """The client's method for such an event: connection.conversation.item.delete(item_id=…)."""
    fields = {name: value for name, value in event.items() if name != "type"}
    return reduce(getattr, event["type"].split("."), connection)(**fields)


def exchange(connection: Any, steps: list[Step]) -> list[Json]:
    heard, told = list[Json](), iter(connection)
    too_late = threading.Timer(SECONDS, connection.close)  # after which there is no next event
    too_late.start()
    for events, awaited in steps:
        for event in events:
            call(connection, event)
        heard.append(next(told).to_dict())
        while heard[-1]["type"] != awaited:
            heard.append(next(told).to_dict())
    too_late.cancel()
    return heard


async def exchange_async(connection: Any, steps: list[Step]) -> list[Json]:
    heard, told = list[Json](), aiter(connection)
    for events, awaited in steps:
        for event in events:
            await call(connection, event)
        heard.append((await anext(told)).to_dict())
        while heard[-1]["type"] != awaited:
            heard.append((await anext(told)).to_dict())
    return heard


def test_the_sync_client(house: Running) -> None:
    with (
        openai.OpenAI(base_url=f"{house.url}/v1", api_key=ALICE) as client,
        client.realtime.connect(model="gpt-realtime") as connection,
    ):
        check_exchange(exchange(connection, EXCHANGE))


def test_the_async_client(house: Running) -> None:
    async def talk() -> list[Json]:
        async with (
            openai.AsyncOpenAI(base_url=f"{house.url}/v1", api_key=ALICE) as client,
            client.realtime.connect(model="gpt-realtime") as connection,
        ):
            return await asyncio.wait_for(exchange_async(connection, EXCHANGE), SECONDS)

    check_exchange(asyncio.run(talk()))


def test_the_beta_client(house: Running) -> None:
    """It speaks wss alone, unless it is told an address for its sockets."""
    sockets = f"{house.url.replace('http', 'ws')}/v1"
    with (
        openai.OpenAI(base_url=f"{house.url}/v1", api_key=ALICE, websocket_base_url=sockets) as client,
        client.beta.realtime.connect(model="gpt-4o-realtime-preview") as connection,
    ):
        check_exchange(exchange(connection, BETA_EXCHANGE), beta=True)
