"""Door 3 for tests: one service a module, whose backend waits wherever a test closes its gate."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import httpx
import pytest
from serving_fixtures import ALICE, BOB, Running, ToneBackend, open_gate, running, wait_for

PATH = "/ai/audio_generation"
MOST_WAITING = 6
STAMP = "%Y-%m-%d %H:%M:%S.%f"
DIA = {"model": "dia"}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("house")
    with running(folder, ToneBackend(gate=open_gate()), at_once=1, most_waiting=MOST_WAITING) as found:
        yield found


@pytest.fixture(scope="module")
def alice(house: Running) -> Iterator[httpx.Client]:
    with house.client(ALICE) as client:
        yield client


@pytest.fixture(scope="module")
def bob(house: Running) -> Iterator[httpx.Client]:
    with house.client(BOB) as client:
        yield client


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
