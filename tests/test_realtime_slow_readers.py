"""Clients that stop reading: how they are told, what they cost meanwhile, and that nothing stays of them."""

import json
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import websockets.sync.client
from realtime_service_fixtures import speaking
from serving_fixtures import ALICE, Running, wait_for
from websockets.exceptions import ConnectionClosed

from serving.realtime.outbox import WaitingEvents
from serving.web.sockets import Sockets

Socket = websockets.sync.client.ClientConnection
MOST_LETTERS = 1 << 20  # that wait for a client, in these tests
EVENT_LETTERS = 500_000  # of each event that it does not read
EVENTS = 100  # fifty times as much as may wait


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with speaking(tmp_path_factory.mktemp("slow")) as (running, _):
        yield running


@pytest.fixture
def outboxes(monkeypatch: pytest.MonkeyPatch) -> list[WaitingEvents]:
    """Those of the sessions of this test, which hold less than others."""
    made = list[WaitingEvents]()

    def make() -> WaitingEvents:
        made.append(WaitingEvents(MOST_LETTERS))
        return made[-1]

    monkeypatch.setattr("serving.realtime.socket.WaitingEvents", make)
    return made


@pytest.fixture
def opened(house: Running, outboxes: list[WaitingEvents]) -> Iterator[Callable[[], Socket]]:
    """Opens sockets which take two frames from the network, and then none until they are read."""
    opened: list[Socket] = []
    address = f"{house.url.replace('http', 'ws')}/v1/realtime"

    def connect() -> Socket:
        headers = {"Authorization": f"Bearer {ALICE}"}
        options: dict[str, Any] = {"max_size": None, "compression": None, "max_queue": 1, "close_timeout": 1}
        opened.append(websockets.sync.client.connect(address, additional_headers=headers, **options))
        return opened[-1]

    yield connect
    for socket in opened:
        socket.socket.close()


def ask_for_much(socket: Socket) -> None:
    content = [{"type": "input_text", "text": "a" * EVENT_LETTERS}]
    item = {"id": "long", "type": "message", "role": "user", "content": content}
    socket.send(json.dumps({"type": "conversation.item.create", "item": item}))
    for _ in range(EVENTS):
        socket.send(json.dumps({"type": "conversation.item.retrieve", "item_id": "long"}))


def read_on(socket: Socket) -> tuple[int, int, str]:
    """What still comes: how many events, then the code and the reason of the end."""
    events = 0
    with suppress(ConnectionClosed):
        while socket.recv(timeout=20):
            events += 1
    assert socket.close_code is not None
    return events, socket.close_code, socket.close_reason or ""


def test_who_has_not_read_for_long_and_reads_on_is_told_why_it_is_over(
    opened: Callable[[], Socket], outboxes: list[WaitingEvents], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.realtime.socket.CLOSE_SECONDS", 60.0)
    socket = opened()
    ask_for_much(socket)
    wait_for(lambda: outboxes and outboxes[0]._is_full)
    events, code, reason = read_on(socket)
    assert (code, reason) == (1008, "read too slowly")
    assert events < EVENTS


def test_what_waits_for_one_that_does_not_read_is_bounded(
    opened: Callable[[], Socket], outboxes: list[WaitingEvents]
) -> None:
    socket = opened()
    tracemalloc.start()
    try:
        ask_for_much(socket)
        wait_for(lambda: outboxes and outboxes[0]._is_full)  # and takes nothing in any more
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert outboxes[0]._letters <= MOST_LETTERS + 2 * EVENT_LETTERS
    # Besides, an event is on its way in a few copies, and two lie with the client, which is in this process too.
    assert peak < MOST_LETTERS + 15 * EVENT_LETTERS < EVENTS * EVENT_LETTERS / 2


def test_nothing_stays_of_one_that_never_reads_again(
    opened: Callable[[], Socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = threading.Event()
    connection_lost = Sockets.connection_lost

    def tell(connection: Sockets, reason: Exception | None) -> None:
        connection_lost(connection, reason)
        lost.set()

    monkeypatch.setattr(Sockets, "connection_lost", tell)
    monkeypatch.setattr("serving.realtime.socket.CLOSE_SECONDS", 0.1)
    monkeypatch.setattr("serving.web.sockets.LINGER_SECONDS", 0.1)
    ask_for_much(opened())
    assert lost.wait(30)
