"""Clients that send faster than they can be heard: their frames and pings are taken in, and what waits is bounded."""

import asyncio
import base64
import json
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
import websockets.sync.client
from realtime_fixtures import judge
from realtime_service_fixtures import PATIENCE, speaking
from serving_fixtures import ALICE, Running

from serving.realtime.audio_formats import Sound
from serving.realtime.faults import Fault
from serving.realtime.inbox import LEAST_BYTES, WaitingFrames
from serving.realtime.local_workers import LocalWorkers

TENTH = base64.b64encode(bytes(4800)).decode()  # of a second, PCM
Socket = websockets.sync.client.ClientConnection


class Held:
    """A denoiser that changes nothing, and does so when it is let."""

    def __init__(self) -> None:
        self.asked, self.let = threading.Event(), threading.Event()

    def push(self, samples: Sound) -> Sound:
        self.asked.set()
        assert self.let.wait(PATIENCE)
        return samples

    def flush(self) -> Sound:
        return np.zeros(0, np.float32)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with speaking(tmp_path_factory.mktemp("backlog")) as (running, _pipeline):
        yield running


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    held = Held()
    monkeypatch.setattr(LocalWorkers, "denoiser", lambda self, field: held)
    yield held
    held.let.set()


def opened(here: Running) -> Socket:
    """Listening by hand, with noise reduction."""
    address = f"{here.url.replace('http', 'ws')}/v1/realtime"
    headers = {"Authorization": f"Bearer {ALICE}"}
    client = websockets.sync.client.connect(address, additional_headers=headers, max_size=None, compression=None)
    assert hear(client)["type"] == "session.created"
    listening = {"turn_detection": None, "noise_reduction": {"type": "near_field"}}
    say(client, "session.update", session={"type": "realtime", "audio": {"input": listening}})
    assert hear(client)["type"] == "session.updated"
    return client


def say(client: Socket, kind: str, **fields: Any) -> None:
    client.send(json.dumps({"type": kind, **fields}))


def append(client: Socket, audio: str = TENTH, **fields: Any) -> None:
    say(client, "input_audio_buffer.append", audio=audio, **fields)


def hear(client: Socket) -> dict[str, Any]:
    event = json.loads(client.recv(timeout=PATIENCE))
    judge(event)
    return dict(event)


def test_pings_are_answered_while_audio_waits_to_be_heard(here: Running, held: Held) -> None:
    """Whoever has no answer to a ping within 20 s, server or client, gives the connection up."""
    with opened(here) as client:
        for _ in range(10):
            append(client)
        assert held.asked.wait(PATIENCE)
        for _ in range(3):
            assert client.ping().wait(20)
        held.let.set()
        say(client, "input_audio_buffer.commit")
        item_id = hear(client)["item_id"]
        assert [hear(client)["type"] for _ in range(2)] == ["conversation.item.added", "conversation.item.done"]
        say(client, "conversation.item.retrieve", item_id=item_id)
        audio = hear(client)["item"]["content"][0]["audio"]
        assert base64.b64decode(audio) == bytes(48_000)


def test_a_frame_past_what_may_wait_is_refused_and_the_others_are_heard(
    here: Running, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.realtime.socket.WaitingFrames", partial(WaitingFrames, 3 * len(TENTH)))
    with opened(here) as client:
        append(client)
        assert held.asked.wait(PATIENCE)
        append(client)
        append(client)
        append(client, event_id="one-too-many")
        error = hear(client)["error"]
        assert (error["code"], error["type"], error["event_id"]) == (
            "rate_limit_exceeded", "rate_limit_error", "one-too-many",
        )  # fmt: skip
        held.let.set()
        say(client, "input_audio_buffer.commit")
        assert hear(client)["type"] == "input_audio_buffer.committed"
        item = hear(client)["item"]
        assert hear(client)["type"] == "conversation.item.done"
        say(client, "conversation.item.retrieve", item_id=item["id"])
        audio = hear(client)["item"]["content"][0]["audio"]
        assert base64.b64decode(audio) == bytes(3 * 4800)


def test_frames_that_wait_are_counted_however_short_and_those_taken_out_are_not() -> None:
    async def play() -> None:
        inbox = WaitingFrames(10 * LEAST_BYTES)
        inbox.put("a" * 20 * LEAST_BYTES)  # alone
        with pytest.raises(Fault, match="1 events"):
            inbox.put("b")
        assert len(await inbox.next() or "") == 20 * LEAST_BYTES
        for number in range(10):
            inbox.put(str(number))
        with pytest.raises(Fault, match="10 events"):
            inbox.put(None)
        assert [await inbox.next() for _ in range(4)] == ["0", "1", "2", "3"]
        inbox.put(None)
        with pytest.raises(Fault):
            inbox.put("a" * 6 * LEAST_BYTES)
        assert [await inbox.next() for _ in range(7)] == ["4", "5", "6", "7", "8", "9", None]

    asyncio.run(play())
