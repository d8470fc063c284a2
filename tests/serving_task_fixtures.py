"""Door 3 for tests: one service a module, whose backend waits wherever a test closes its gate."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import httpx
import pytest
from serving_fixtures import ALICE, BOB, Running, ToneBackend, running, wait_for

PATH = "/ai/audio_generation"
MOST_WAITING = 6
STAMP = "%Y-%m-%d %H:%M:%S.%f"
DIA = {"model": "dia"}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    gate = threading.Event()
    gate.set()
    folder = tmp_path_factory.mktemp("house")
    with running(folder, ToneBackend(gate=gate), at_once=1, most_waiting=MOST_WAITING) as found:
        yield found


@pytest.fixture(scope="module")
def alice(house: Running) -> Iterator[httpx.Client]:
    with house.client(ALICE) as client:
        yield client


@pytest.fixture(scope="module")
def bob(house: Running) -> Iterator[httpx.Client]:
    with house.client(BOB) as client:
        yield client


@contextmanager
def closed(house: Running) -> Iterator[None]:
    """Nothing is finished in here; all that was begun is afterwards."""
    gate = house.backend.gate
    assert gate is not None
    gate.clear()
    try:
        yield
    finally:
        gate.set()
        wait_for(lambda: not house.service.records.active())


def started(client: httpx.Client, prompt: str = "[S1] Hey", key: str | None = None, **configs: Any) -> dict[str, Any]:
    headers = {"Idempotency-Key": key} if key is not None else {}
    answer = client.post(PATH, json={"prompt": prompt, "configs": DIA | configs}, headers=headers)
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["data"])


def now(client: httpx.Client, task: dict[str, Any]) -> dict[str, Any]:
    return dict(client.get(task["urls"]["status"]).json()["data"])


def ended(client: httpx.Client, task: dict[str, Any]) -> dict[str, Any]:
    return dict(wait_for(lambda: found if (found := now(client, task))["completed_at"] else None))


def assert_refused(answer: httpx.Response, status: int, field: str | None = None) -> str:
    """In the envelope → the message of its one error."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert list(body) == ["data", "errors", "error_description", "start_time", "end_time"]
    assert body["data"] is None
    (error,) = body["errors"]
    assert error["field"] == field
    assert error["message"] in body["error_description"]
    assert datetime.strptime(body["start_time"], STAMP) <= datetime.strptime(body["end_time"], STAMP)
    return str(error["message"])
