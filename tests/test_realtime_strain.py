"""Clients that do odd things to the real socket: frames of all kinds, no frames at all, never reading. Others go on."""

import asyncio
import base64
import json
import os
import socket
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import websockets.sync.client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from realtime_fixtures import judge
from realtime_fuzz_fixtures import frames
from realtime_service_fixtures import TonePipeline, speaking
from serving_fixtures import ALICE, Running, wait_for

from serving.realtime.local_workers import LocalWorkers
from serving.realtime.outbox import SlowReader, WaitingEvents

# Of frames that are long, which a failure shows in full; a warning about that would hide the failure. And the server,
# whose threads are of this process, draws random numbers while hypothesis draws frames.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Generating overly large repr"),
    pytest.mark.filterwarnings("ignore:Do not use the `random` module"),
]

HEADERS = {"Authorization": f"Bearer {ALICE}"}
Socket = websockets.sync.client.ClientConnection


class Heard:
    text, start, end, tokens = "Good morning.", 0.0, 1.0, None


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Nothing is transcribed in earnest: minutes of it would be all that is measured."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LocalWorkers, "transcribe", lambda self, sound, wanted, with_tokens: iter([Heard()]))
        with speaking(tmp_path_factory.mktemp("strain")) as (running, _pipeline):
            assert isinstance(_pipeline, TonePipeline)
            yield running


@pytest.fixture(scope="module")
def bystander(here: Running) -> Iterator[Socket]:
    with opened(here) as other:
        assert hear(other)["type"] == "session.created"
        yield other


def opened(here: Running) -> Socket:
    address = f"{here.url.replace('http', 'ws')}/v1/realtime"
    return websockets.sync.client.connect(address, additional_headers=HEADERS, max_size=None, compression=None)


def hear(client: Socket) -> dict[str, Any]:
    event = json.loads(client.recv(timeout=20))
    judge(event)
    return dict(event)


def say(client: Socket, kind: str, **fields: Any) -> None:
    client.send(json.dumps({"type": kind, **fields}))


def is_untouched(bystander: Socket) -> None:
    """What it asks is answered, and it has been told nothing that it did not ask."""
    say(bystander, "input_audio_buffer.clear")
    assert hear(bystander)["type"] == "input_audio_buffer.cleared"


def talks_oddly(here: Running, bystander: Socket, sent: list[str | bytes]) -> None:
    with opened(here) as client:
        assert hear(client)["type"] == "session.created"
        for frame in sent:
            client.send(frame)
        say(client, "conversation.item.retrieve", item_id="none", event_id="the-last")
        while (event := hear(client)).get("error", {}).get("event_id") != "the-last":
            assert event.get("error", {}).get("type", "invalid_request_error") != "server_error", event
    is_untouched(bystander)


ODD = st.lists(st.one_of(frames, frames, st.binary(max_size=100)), min_size=20, max_size=20)
CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]


@settings(max_examples=5, deadline=None, derandomize=True, suppress_health_check=CHECKS)
@given(ODD)
def test_odd_frames_leave_the_socket_open_and_others_untouched(
    here: Running, bystander: Socket, sent: list[str | bytes]
) -> None:
    talks_oddly(here, bystander, sent)


@pytest.mark.slow
@settings(max_examples=50, deadline=None, derandomize=True, suppress_health_check=CHECKS)
@given(ODD)
def test_1_000_odd_frames_leave_the_socket_open_and_others_untouched(
    here: Running, bystander: Socket, sent: list[str | bytes]
) -> None:
    talks_oddly(here, bystander, sent)


@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=CHECKS)
@given(st.binary(min_size=1, max_size=300))
def test_bytes_that_are_no_frame_end_their_own_socket_at_most(here: Running, bystander: Socket, sent: bytes) -> None:
    with raw(here) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65_536):
            pass
    is_untouched(bystander)


def raw(here: Running) -> socket.socket:
    """A socket after the handshake, on which nobody reads."""
    host, port = here.url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=20)
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [
        "GET /v1/realtime HTTP/1.1", f"Host: {host}:{port}", "Upgrade: websocket", "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", f"Authorization: Bearer {ALICE}",
        "Sec-WebSocket-Extensions: permessage-deflate", "", "",
    ]  # fmt: skip
    connection.sendall("\r\n".join(lines).encode())
    return connection


def test_no_frame_is_decompressed(here: Running) -> None:
    """64 KiB of zeros that were 64 MiB would be in memory before anybody has counted them."""
    with raw(here) as connection:
        answer = connection.recv(4096).lower()
    assert b"101 switching protocols" in answer
    assert b"permessage-deflate" not in answer


# Slow readers


def places(here: Running) -> int:
    return here.service.listeners._listening.total()


def test_a_reader_that_is_too_slow_loses_its_place_and_others_go_on(
    here: Running, bystander: Socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.realtime.socket.WaitingEvents", partial(WaitingEvents, 1 << 20))
    monkeypatch.setattr("serving.realtime.socket.CLOSE_SECONDS", 0.3)
    client = opened(here)
    say(client, "conversation.item.create", item=long_item())
    for _ in range(60):
        say(client, "conversation.item.retrieve", item_id="long")
    is_untouched(bystander)
    wait_for(lambda: places(here) == 1)
    client.socket.close()


def test_a_client_that_reads_nothing_at_all_loses_its_place(
    here: Running, bystander: Socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pings would not find out: their answers wait behind what it has not read, and so does the end of the socket."""
    monkeypatch.setattr("serving.realtime.socket.STALLED_SECONDS", 0.3)
    monkeypatch.setattr("serving.realtime.socket.CLOSE_SECONDS", 0.3)
    connection = opened(here)
    say(connection, "conversation.item.create", item=long_item())
    for _ in range(60):
        say(connection, "conversation.item.retrieve", item_id="long")
    wait_for(lambda: places(here) == 1)
    is_untouched(bystander)
    connection.socket.close()


def long_item() -> dict[str, Any]:
    content = [{"type": "input_text", "text": "a" * 500_000}]
    return {"id": "long", "type": "message", "role": "user", "content": content}


def test_text_that_waits_is_counted_and_deltas_that_are_dropped_are_not() -> None:
    async def play() -> None:
        outbox = WaitingEvents(1000)
        outbox.send({"type": "response.output_audio.delta", "response_id": "one", "delta": "a" * 800})
        outbox.drop_deltas("two")
        outbox.drop_deltas("one")
        outbox.send({"type": "response.output_audio.done", "response_id": "one"})
        outbox.drop_deltas("one")
        outbox.send({"type": "conversation.item.added", "item": {"content": [{"text": "a" * 800}]}})
        outbox.check()
        assert json.loads(await outbox.next() or "")["type"] == "response.output_audio.done"
        assert json.loads(await outbox.next() or "")["type"] == "conversation.item.added"
        outbox.send({"type": "conversation.item.added", "item": {"content": [{"text": "a" * 1000}]}})
        with pytest.raises(SlowReader):
            outbox.check()
        with pytest.raises(SlowReader):
            await outbox.next()

    asyncio.run(play())
