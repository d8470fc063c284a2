"""A client that answers no ping: the server gives it up, and what was on its way to it is no crash."""

import json
import logging
import threading
from contextlib import suppress
from pathlib import Path

import pytest
import websockets.exceptions
import websockets.sync.client
from realtime_service_fixtures import PATIENCE, speaking
from serving_fixtures import AUTH, wait_for
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol

from serving.processes import SOCKETS

MANY = 60  # events of half a megabyte: more than lies in sockets and in the client's queue, so that it stops to read


def test_a_client_that_answers_no_ping_is_gone_and_that_is_no_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What was being sent to it goes on when most of what waited has left, on a socket that takes no more."""
    give_up = WSProtocol.keepalive_timeout
    given_up = threading.Event()

    def and_write_on(protocol: WSProtocol) -> None:
        give_up(protocol)
        protocol.resume_writing()
        given_up.set()

    monkeypatch.setattr(WSProtocol, "keepalive_timeout", and_write_on)
    monkeypatch.setitem(SOCKETS, "ws_ping_interval", 0.3)
    monkeypatch.setitem(SOCKETS, "ws_ping_timeout", 1.0)
    content = [{"type": "input_text", "text": "a" * 500_000}]
    item = {"id": "long", "type": "message", "role": "user", "content": content}
    retrieve = json.dumps({"type": "conversation.item.retrieve", "item_id": "long"})
    with speaking(tmp_path) as (here, _pipeline):
        address = f"{here.url.replace('http', 'ws')}/v1/realtime"
        client = websockets.sync.client.connect(address, additional_headers=AUTH, max_size=None, compression=None)
        with suppress(websockets.exceptions.ConnectionClosed):
            client.send(json.dumps({"type": "conversation.item.create", "item": item}))
            for _ in range(MANY):
                client.send(retrieve)
        assert given_up.wait(PATIENCE)
        wait_for(lambda: here.service.listeners._listening.total() == 0)
        client.socket.close()
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []
